//! What an audit compares, whichever store it reads.

use std::collections::BTreeMap;

use super::book::WalletRow;
use super::grant::{GrantState, GrantUnit};
use super::receipt::Receipt;
use super::tally::{Sum, Tally};

/// The most findings that a report lists.
const FINDINGS_MAX: usize = 1000;

/// Everything about one wallet.
#[derive(Debug, Default)]
pub struct Account {
    /// The wallet itself, if it is there.
    pub row: Option<WalletRow>,
    /// What its credits sum to, in nano units.
    pub credited: i128,
    /// What its checkpoint and its receipts sum to.
    pub tally: Tally,
    /// Its grants by name.
    pub grants: BTreeMap<String, GrantState>,
}

/// Sentences, up to a bound.
#[derive(Debug, Default)]
pub struct Findings {
    kept: Vec<String>,
    more: u64,
}

impl Findings {
    /// Adds one; beyond the bound it is only counted.
    pub fn add(&mut self, finding: String) {
        if self.kept.len() < FINDINGS_MAX {
            self.kept.push(finding);
        } else {
            self.more += 1;
        }
    }

    /// Them all, and how many more there were.
    pub fn list(mut self) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("and {} more findings", self.more));
        }
        self.kept
    }
}

/// Checks a receipt against itself.
pub fn check_receipt(receipt: &Receipt, findings: &mut Findings) {
    let id = receipt.request_id;
    let wallet = &receipt.wallet;
    let parts = [
        ("free money", receipt.free_money),
        ("charged", receipt.charged),
        ("shortfall", receipt.shortfall),
    ];
    for (name, part) in parts.iter().filter(|(_, part)| part.is_negative()) {
        findings.add(format!(
            "wallet {wallet}: receipt {id} has a negative {name}, {part}"
        ));
    }
    let sum: i128 = parts.iter().map(|(_, part)| i128::from(part.get())).sum();
    if sum != i128::from(receipt.priced.get()) {
        findings.add(format!(
            "wallet {wallet}: receipt {id} is priced {}, but its free money, charge and shortfall come to {}",
            receipt.priced,
            Sum(sum)
        ));
    }
}

/// Checks a wallet against its credits, receipts and checkpoint.
pub fn check_account(wallet: &str, account: &Account, findings: &mut Findings) {
    let Some(row) = &account.row else {
        findings.add(format!(
            "wallet {wallet}: the store has things of it, but no such wallet"
        ));
        return;
    };
    let tally = &account.tally;
    let money = [
        (
            "balance is",
            row.balance,
            "credits less its charges come to",
            account.credited - tally.charged,
        ),
        (
            "credited total is",
            row.credited,
            "credits come to",
            account.credited,
        ),
        (
            "charged total is",
            row.charged,
            "receipts come to",
            tally.charged,
        ),
        (
            "shortfall total is",
            row.shortfall,
            "receipts come to",
            tally.shortfall,
        ),
    ];
    for (what, says, of, sum) in money {
        if i128::from(says.get()) != sum {
            findings.add(format!(
                "wallet {wallet}: its {what} {says}, but its {of} {}",
                Sum(sum)
            ));
        }
    }
    let units = [
        (GrantUnit::Tokens, "tokens", tally.free_tokens),
        (GrantUnit::Images, "images", tally.free_images),
        (GrantUnit::Requests, "requests", tally.free_requests),
        (GrantUnit::Money, "nano units of money", tally.free_money),
    ];
    for (unit, name, burned) in units {
        let states = account
            .grants
            .values()
            .filter(|state| state.grant.unit == unit);
        let used: i128 = states.map(|state| i128::from(state.used)).sum();
        if used != burned {
            findings.add(format!(
                "wallet {wallet}: its grants say that {used} {name} are used, but its receipts come to {burned}"
            ));
        }
    }
    for state in account
        .grants
        .values()
        .filter(|state| state.used > state.grant.amount)
    {
        findings.add(format!(
            "wallet {wallet}: its grant {} of {} has {} used",
            state.grant.name, state.grant.amount, state.used
        ));
    }
}
