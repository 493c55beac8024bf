//! What operators do to a wallet: open it, book credits, and bring it back when a store opens.

use std::sync::Arc;

use super::change::Change;
use super::counter::Counter;
use super::idempotency::CLAIM_KEPT_MS;
use super::quota::Quota;
use super::wallet::{MONEY_MAX, Money, Outcome, Request, Wallet};
use super::{Book, no_wallet};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::credit::{Credited, Entry, EntryKind};
use crate::ledger::grant::{Grant, GrantState};
use crate::ledger::hold::HoldRef;
use crate::ledger::id::WalletId;
use crate::ledger::receipt::Receipt;
use crate::ledger::wallet::NewWallet;
use crate::money::Nano;

impl Book {
    /// Opens a wallet with its opening credit and grants; answers whether it was opened now.
    ///
    /// Of an open wallet the credit line stays as it is; grants of new names are added; and an opening
    /// credit is booked if its id never was (one whose id was booked, with whatever amount, is left alone).
    ///
    /// # Errors
    /// `Conflict` for a credit line below zero or out of range, or an opening credit that cannot be booked.
    pub fn open_wallet(
        &mut self,
        now: UnixMs,
        new: NewWallet,
        changes: &mut Vec<Change>,
    ) -> Result<bool, LedgerError> {
        let now = self.tick(now);
        check_line(&new.id, new.credit_line)?;
        let existing = self.wallets.get(&new.id);
        let is_new = existing.is_none();
        let money = existing.map_or_else(
            || Money {
                credit_line: new.credit_line,
                ..Money::default()
            },
            |wallet| wallet.money,
        );
        let opening = new.opening.filter(|entry| {
            let booked = self.entries.get(&entry.id);
            booked.is_none_or(|booked| booked.wallet != new.id)
        });
        let money = match &opening {
            Some(entry) if entry.wallet != new.id => {
                return Err(not_of(entry, &new.id));
            }
            Some(entry) => self.booked(money, entry)?,
            None => money,
        };

        // Everything is decided: from here on nothing can fail.
        let wallet = self.wallets.entry(new.id.clone()).or_default();
        wallet.money = money;
        if is_new || opening.is_some() {
            changes.push(Change::Wallet(wallet.row(&new.id)));
        }
        if let Some(entry) = opening {
            let entry = Entry { at: now, ..entry };
            changes.push(Change::Entry(entry.clone()));
            self.entries.insert(entry.id.clone(), entry);
        }
        for grant in new.grants {
            if wallet.quotas.get(&grant.name).is_none() {
                let state = GrantState {
                    grant,
                    used: 0,
                    held: 0,
                };
                put_grant(&mut self.given, wallet, &state);
                changes.push(Change::Grant {
                    wallet: new.id.clone(),
                    state,
                });
            }
        }
        Ok(is_new)
    }

    /// Changes how far below zero a wallet may go; the same line again changes nothing.
    ///
    /// # Errors
    /// `NotFound` for an unknown wallet; `Conflict` for a line below zero or out of range, and for a lower one
    /// that what the wallet owes and holds already passes.
    pub fn set_credit_line(
        &mut self,
        now: UnixMs,
        id: &WalletId,
        line: Nano,
        changes: &mut Vec<Change>,
    ) -> Result<(), LedgerError> {
        self.tick(now);
        let wallet = self.wallets.get_mut(id).ok_or_else(|| no_wallet(id))?;
        check_line(id, line)?;
        let money = &mut wallet.money;
        // Both are within `MONEY_MAX`.
        let owed = Nano::new(money.held.get() - money.balance.get());
        if line < money.credit_line && line < owed {
            return Err(owes(id, owed));
        }
        if line != money.credit_line {
            money.credit_line = line;
            changes.push(Change::Wallet(wallet.row(id)));
        }
        Ok(())
    }

    /// Books a credit, once per id: the same content again (its time aside) is answered the same.
    ///
    /// # Errors
    /// `NotFound` for an unknown wallet; `Conflict` for an id that was booked with other content, for an amount
    /// that is not positive (of anything but an adjustment), and where money leaves its range.
    pub fn credit(
        &mut self,
        now: UnixMs,
        entry: Entry,
        changes: &mut Vec<Change>,
    ) -> Result<Credited, LedgerError> {
        let now = self.tick(now);
        let wallet = self.wallets.get(&entry.wallet);
        let wallet = wallet.ok_or_else(|| no_wallet(&entry.wallet))?;
        if let Some(booked) = self.entries.get(&entry.id) {
            return Ok(Credited {
                entry: repeated(entry, booked)?,
                balance: wallet.money.balance,
                applied: false,
            });
        }
        let money = self.booked(wallet.money, &entry)?;
        let entry = Entry { at: now, ..entry };
        if let Some(wallet) = self.wallets.get_mut(&entry.wallet) {
            wallet.money = money;
            changes.push(Change::Wallet(wallet.row(&entry.wallet)));
        }
        changes.push(Change::Entry(entry.clone()));
        self.entries.insert(entry.id.clone(), entry.clone());
        Ok(Credited {
            entry,
            balance: money.balance,
            applied: true,
        })
    }

    /// All credits of the ledger, in no order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Replays one stored row. A wallet's row comes before the others of that wallet.
    ///
    /// Receipts are replayed so that their requests and idempotency claims are known: those of the last 24 hours
    /// will do, oldest first. Rows of counters whose period ended may be left out.
    ///
    /// # Errors
    /// `NotFound` for a row of a wallet that has none itself.
    pub fn restore(&mut self, change: Change) -> Result<(), LedgerError> {
        match change {
            Change::Wallet(row) => {
                let wallet = self.wallets.entry(row.id).or_default();
                wallet.money = Money {
                    balance: row.balance,
                    credit_line: row.credit_line,
                    held: wallet.money.held,
                    credited: row.credited,
                    charged: row.charged,
                    shortfall: row.shortfall,
                };
            }
            Change::Key { key, digest } => self.keys.put(key, digest),
            Change::Entry(entry) => {
                self.tick(entry.at);
                self.entries.insert(entry.id.clone(), entry);
            }
            Change::Grant { wallet: id, state } => {
                let wallet = self.wallets.get_mut(&id).ok_or_else(|| no_wallet(&id))?;
                put_grant(&mut self.given, wallet, &GrantState { held: 0, ..state });
            }
            Change::Counter {
                wallet: id,
                key,
                row,
            } => {
                let wallet = self.wallets.get_mut(&id).ok_or_else(|| no_wallet(&id))?;
                if let super::Tally::Level { at, .. } = row.tally {
                    self.now = self.now.max(at);
                }
                let key = (key, row.window);
                wallet.drop_earlier_periods(self.now, &key);
                wallet.counters.insert(key, Counter::restored(row));
            }
            Change::Receipt(receipt) => self.restore_receipt(receipt)?,
        }
        Ok(())
    }

    fn restore_receipt(&mut self, receipt: Arc<Receipt>) -> Result<(), LedgerError> {
        let now = self.tick(receipt.settled_at);
        let id = HoldRef {
            wallet: receipt.wallet.clone(),
            request: receipt.request_id,
        };
        let wallet = self.wallets.get_mut(&id.wallet);
        let wallet = wallet.ok_or_else(|| no_wallet(&id.wallet))?;
        let activity = wallet.activity.get_or_insert_default();
        if let Some(claim) = &receipt.idempotency
            && now.since(receipt.settled_at) < CLAIM_KEPT_MS
        {
            let at = receipt.settled_at;
            if activity.claims.charge(at, claim, &receipt) {
                let memory = &mut self.memory;
                memory.claim_ended(at, &id.wallet, &receipt.key, claim);
            }
        }
        self.memory.request_ended(receipt.settled_at, &id);
        let outcome = Outcome {
            receipt,
            counters: Vec::new(),
            grants: Vec::new(),
        };
        let request = Request::Settled(Box::new(outcome));
        activity.requests.insert(id.request, request);
        Ok(())
    }

    /// The money after a booking that has not been made.
    fn booked(&self, money: Money, entry: &Entry) -> Result<Money, LedgerError> {
        if self.entries.contains_key(&entry.id) {
            return Err(booked_elsewhere(entry));
        }
        check_amount(entry)?;
        let in_range = |sum: Option<Nano>| {
            sum.filter(|sum| sum.get().unsigned_abs() <= MONEY_MAX.unsigned_abs())
                .ok_or_else(|| too_large(entry))
        };
        Ok(Money {
            balance: in_range(money.balance.checked_add(entry.amount))?,
            credited: in_range(money.credited.checked_add(entry.amount))?,
            ..money
        })
    }
}

/// An entry again that was booked: the same, its time aside.
///
/// # Errors
/// `Conflict` where it has other content.
pub(in crate::ledger) fn repeated(entry: Entry, booked: &Entry) -> Result<Entry, LedgerError> {
    let same = Entry {
        at: booked.at,
        ..entry
    };
    if same == *booked {
        return Ok(same);
    }
    let text = format!(
        "entry {} was booked before with other content: {} to {}, by `{}`, reason `{}`; \
         a new one needs another id",
        booked.id, booked.amount, booked.wallet, booked.actor, booked.reason
    );
    Err(LedgerError::Conflict(text))
}

/// Only adjustments may be negative, or nothing.
pub(in crate::ledger) fn check_amount(entry: &Entry) -> Result<(), LedgerError> {
    let Entry {
        id, kind, amount, ..
    } = entry;
    if *kind == EntryKind::Adjustment || *amount > Nano::ZERO {
        return Ok(());
    }
    let text = format!("entry {id}: {amount} is not positive; only adjustments may be negative");
    Err(LedgerError::Conflict(text))
}

/// An entry's id is another wallet's.
pub(in crate::ledger) fn booked_elsewhere(entry: &Entry) -> LedgerError {
    LedgerError::Conflict(format!("entry {} was booked on another wallet", entry.id))
}

/// An opening credit of another wallet.
pub(in crate::ledger) fn not_of(entry: &Entry, wallet: &WalletId) -> LedgerError {
    LedgerError::Conflict(format!("entry {} is not of wallet {wallet}", entry.id))
}

/// An entry takes a wallet's money out of its range.
pub(in crate::ledger) fn too_large(entry: &Entry) -> LedgerError {
    let Entry { id, amount, .. } = entry;
    LedgerError::Conflict(format!("entry {id}: {amount} is too large"))
}

/// A credit line lies under what a wallet owes.
pub(in crate::ledger) fn owes(wallet: &WalletId, owed: Nano) -> LedgerError {
    LedgerError::Conflict(format!(
        "wallet {wallet} owes {owed}, what its requests in flight hold included: \
         its credit line cannot go below that"
    ))
}

/// A credit line is not negative, and in range.
pub(in crate::ledger) fn check_line(id: &WalletId, line: Nano) -> Result<(), LedgerError> {
    if (0..=MONEY_MAX).contains(&line.get()) {
        return Ok(());
    }
    let text = format!("the credit line of wallet {id} cannot be {line}");
    Err(LedgerError::Conflict(text))
}

/// Gives a wallet a grant; wallets that get the same one share it.
fn put_grant(
    given: &mut std::collections::HashMap<crate::ledger::id::GrantId, Arc<Grant>>,
    wallet: &mut Wallet,
    state: &GrantState,
) {
    let shared = given.get(&state.grant.name);
    let grant = match shared.filter(|grant| ***grant == state.grant) {
        Some(grant) => grant.clone(),
        None => {
            let grant = Arc::new(state.grant.clone());
            given.insert(grant.name.clone(), grant.clone());
            grant
        }
    };
    wallet.quotas.put(Quota {
        grant,
        used: state.used,
        held: state.held,
    });
}
