//! The audit: everything that a store keeps, summed anew and compared with what it says.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use rusqlite::{Connection, Row};

use super::open::{self, OpenError};
use super::rows;
use super::tally::{self, Tally};
use crate::clock::UnixMs;
use crate::ledger::AuditReport;
use crate::ledger::book::{Book, WalletRow};
use crate::ledger::grant::{GrantState, GrantUnit};
use crate::ledger::receipt::Receipt;
use crate::ledger::wallet::WalletView;
use crate::money::Nano;

/// The most findings that a report lists.
const FINDINGS_MAX: usize = 1000;

/// Audits the store in a file that no process has open.
///
/// # Errors
/// Where the store cannot be opened at all; everything else is a finding.
pub fn audit_file(path: &Path) -> Result<AuditReport, OpenError> {
    let opened = open::open_existing(path)?;
    let book = BookState::of(&opened.book, opened.clock.now());
    let stored = Stored::read(&opened.connection)?;
    Ok(compare(stored, book))
}

/// What the book says at one moment.
pub(super) struct BookState {
    wallets: Vec<WalletView>,
    live_holds: u64,
    findings: Vec<String>,
}

impl BookState {
    pub fn of(book: &Book, now: UnixMs) -> BookState {
        let ids = book.wallets();
        BookState {
            wallets: ids
                .into_iter()
                .filter_map(|id| book.wallet(now, &id))
                .collect(),
            live_holds: book.live_holds(),
            findings: book.check(),
        }
    }
}

/// What the store says at one moment, by wallet.
#[derive(Default)]
pub(super) struct Stored {
    accounts: BTreeMap<String, Account>,
    receipts: u64,
    credits: u64,
    findings: Findings,
}

/// Everything about one wallet.
#[derive(Default)]
struct Account {
    row: Option<WalletRow>,
    credited: i128,
    /// What its checkpoint and its receipts sum to.
    tally: Tally,
    grants: BTreeMap<String, GrantState>,
}

/// Sentences, up to a bound.
#[derive(Default)]
struct Findings {
    kept: Vec<String>,
    more: u64,
}

impl Findings {
    fn add(&mut self, finding: String) {
        if self.kept.len() < FINDINGS_MAX {
            self.kept.push(finding);
        } else {
            self.more += 1;
        }
    }

    fn list(mut self) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("and {} more findings", self.more));
        }
        self.kept
    }
}

impl Stored {
    /// Reads everything. Where others write, in a transaction that was begun before.
    pub fn read(connection: &Connection) -> rusqlite::Result<Stored> {
        let mut stored = Stored::default();
        stored.integrity(connection)?;
        stored.each(connection, "wallets", rows::WALLET, |stored, row| {
            let wallet = rows::wallet(row)?;
            let account = stored.account(wallet.id.as_str());
            account.row = Some(wallet);
            Ok(())
        })?;
        stored.each(connection, "entries", "wallet, amount", |stored, row| {
            let (wallet, amount): (String, i64) = (row.get(0)?, row.get(1)?);
            stored.credits += 1;
            stored.account(&wallet).credited += i128::from(amount);
            Ok(())
        })?;
        stored.each(connection, "grants", rows::GRANT, |stored, row| {
            let (wallet, state) = rows::grant(row)?;
            let name = state.grant.name.as_str().to_owned();
            stored.account(wallet.as_str()).grants.insert(name, state);
            Ok(())
        })?;
        stored.each(
            connection,
            "checkpoints",
            tally::CHECKPOINT,
            |stored, row| {
                let wallet: String = row.get(8)?;
                stored.account(&wallet).tally = tally::checkpoint(row)?;
                Ok(())
            },
        )?;
        stored.each(connection, "receipts", rows::RECEIPT, |stored, row| {
            let receipt = rows::receipt(row)?;
            stored.receipts += 1;
            check_receipt(&receipt, &mut stored.findings);
            stored.account(receipt.wallet.as_str()).tally.add(&receipt);
            Ok(())
        })?;
        Ok(stored)
    }

    fn account(&mut self, wallet: &str) -> &mut Account {
        self.accounts.entry(wallet.to_owned()).or_default()
    }

    fn integrity(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut check = connection.prepare("PRAGMA integrity_check")?;
        let mut lines = check.query([])?;
        while let Some(line) = lines.next()? {
            let line: String = line.get(0)?;
            if line != "ok" {
                self.findings.add(format!("the database file: {line}"));
            }
        }
        Ok(())
    }

    /// Takes every row of a table; one that cannot be read is a finding.
    fn each(
        &mut self,
        connection: &Connection,
        table: &str,
        columns: &str,
        take: fn(&mut Stored, &Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare(&format!("SELECT {columns} FROM {table}"))?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            if let Err(error) = take(self, row) {
                self.findings.add(format!(
                    "a row of the table `{table}` cannot be read: {error}"
                ));
            }
        }
        Ok(())
    }
}

/// Checks the store against itself and against the book, both as of the same operation.
pub(super) fn compare(stored: Stored, book: BookState) -> AuditReport {
    let Stored {
        accounts,
        receipts,
        credits,
        mut findings,
    } = stored;
    for (wallet, account) in &accounts {
        check_account(wallet, account, &mut findings);
    }
    for view in &book.wallets {
        match accounts.get(view.id.as_str()) {
            Some(account) => check_view(view, account, &mut findings),
            None => findings.add(format!("wallet {}: it is not in the store", view.id)),
        }
    }
    for finding in book.findings {
        findings.add(finding);
    }
    AuditReport {
        wallets: accounts.len() as u64,
        receipts,
        credits,
        live_holds: book.live_holds,
        findings: findings.list(),
    }
}

fn check_receipt(receipt: &Receipt, findings: &mut Findings) {
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
            Money(sum)
        ));
    }
}

fn check_account(wallet: &str, account: &Account, findings: &mut Findings) {
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
                Money(sum)
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

fn check_view(view: &WalletView, account: &Account, findings: &mut Findings) {
    let wallet = &view.id;
    if let Some(row) = &account.row {
        let money = [
            ("balance", view.balance, row.balance),
            ("credit line", view.credit_line, row.credit_line),
            ("credited total", view.credited, row.credited),
            ("charged total", view.charged, row.charged),
            ("shortfall total", view.shortfall, row.shortfall),
        ];
        for (what, here, there) in money {
            if here != there {
                findings.add(format!(
                    "wallet {wallet}: its {what} is {here} in memory, but {there} in the store"
                ));
            }
        }
    }
    for state in &view.grants {
        let name = &state.grant.name;
        let stored = account.grants.get(name.as_str()).map(|stored| stored.used);
        if stored != Some(state.used) {
            let stored = stored.map_or("nothing".to_owned(), |used| used.to_string());
            findings.add(format!(
                "wallet {wallet}: its grant {name} has {} used in memory, but {stored} in the store",
                state.used
            ));
        }
    }
}

/// A sum of nano units, which may leave the range of one amount.
struct Money(i128);

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0) {
            Ok(nano) => Nano::new(nano).fmt(f),
            Err(_) => write!(f, "{} nano units", self.0),
        }
    }
}
