//! What the book changed, written in one transaction.

use std::collections::HashSet;

use rusqlite::{Connection, Statement, params};

use super::objects::{ANY_WAITS, Objects, SETTLE};
use super::rows::{insert_receipt, insert_receipt_sql, json};
use super::step::Step;
use crate::clock::UnixMs;
use crate::ledger::book::Change;
use crate::ledger::grant::GrantState;
use crate::ledger::id::{GrantId, WalletId};
use crate::ledger::limit::Window;
use crate::ledger::receipt::Receipt;

/// The statements of a commit, prepared once.
pub(super) struct Writer<'c> {
    begin: Statement<'c>,
    commit: Statement<'c>,
    wallet: Statement<'c>,
    key: Statement<'c>,
    entry: Statement<'c>,
    use_grant: Statement<'c>,
    terms: Statement<'c>,
    grant: Statement<'c>,
    counter: Statement<'c>,
    receipt: Statement<'c>,
    any_waits: Statement<'c>,
    settle_object: Statement<'c>,
    objects: Objects<'c>,
}

/// Names a row whose last value is the only one that counts.
#[derive(PartialEq, Eq, Hash)]
enum Name<'a> {
    Wallet(&'a WalletId),
    Key(&'a str),
    Grant(&'a WalletId, &'a GrantId),
    Counter(&'a WalletId, &'a str, Window),
}

impl<'c> Writer<'c> {
    pub fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Writer {
            begin: connection.prepare("BEGIN IMMEDIATE")?,
            commit: connection.prepare("COMMIT")?,
            wallet: connection.prepare(
                "INSERT OR REPLACE INTO wallets
                 (id, balance, credit_line, credited, charged, shortfall, changed_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            key: connection.prepare(
                "INSERT INTO keys (id, digest, record) VALUES (?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            )?,
            entry: connection.prepare(
                "INSERT INTO entries (id, wallet, amount, record) VALUES (?1, ?2, ?3, ?4)",
            )?,
            use_grant: connection
                .prepare("UPDATE grants SET used = ?3 WHERE wallet = ?1 AND name = ?2")?,
            terms: connection.prepare("INSERT OR IGNORE INTO terms (record) VALUES (?1)")?,
            grant: connection.prepare(
                "INSERT INTO grants (wallet, name, used, terms)
                 VALUES (?1, ?2, ?3, (SELECT id FROM terms WHERE record = ?4))",
            )?,
            counter: connection.prepare(
                "INSERT OR REPLACE INTO counters (wallet, key, window, ends_at, cap, tally)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            receipt: connection.prepare(&insert_receipt_sql())?,
            any_waits: connection.prepare(ANY_WAITS)?,
            settle_object: connection.prepare(SETTLE)?,
            objects: Objects::prepare(connection)?,
        })
    }

    /// Writes all steps in one transaction. After an error nothing of them is in the store once the
    /// connection is closed.
    pub fn write(&mut self, steps: &mut [Step]) -> rusqlite::Result<()> {
        self.begin.execute([])?;
        // Mostly none does: then no receipt has to be looked up among objects.
        let any_waits = self.any_waits.exists([])?;
        // From the newest change back, so that of rows written several times only the last is.
        let (mut done, mut receipts) = (HashSet::new(), Vec::new());
        for step in steps.iter().rev() {
            for change in step.changes.iter().rev() {
                if let Change::Receipt(receipt) = change {
                    receipts.push((receipt, change, step.now));
                } else if name(change).is_none_or(|name| done.insert(name)) {
                    self.row(change, step.now)?;
                }
            }
        }
        // In the order of their table, so that each goes behind the one before.
        receipts.sort_unstable_by_key(|(receipt, ..)| receipt.request_id);
        for (receipt, change, now) in receipts {
            self.row(change, now)?;
            if any_waits {
                self.settle_object(receipt)?;
            }
        }
        // In whatever order a settle and an object that waits for it come: see `SETTLE`.
        for work in steps.iter_mut().filter_map(|step| step.work.take()) {
            work(&mut self.objects)?;
        }
        self.commit.execute([])?;
        Ok(())
    }

    fn row(&mut self, change: &Change, now: UnixMs) -> rusqlite::Result<()> {
        match change {
            Change::Wallet(row) => self.wallet.execute(params![
                row.id.as_str(),
                row.balance.get(),
                row.credit_line.get(),
                row.credited.get(),
                row.charged.get(),
                row.shortfall.get(),
                now.0,
            ])?,
            Change::Key { key, digest } => {
                self.key
                    .execute(params![key.id.as_str(), digest.0, json(key)?])?
            }
            Change::Entry(entry) => self.entry.execute(params![
                entry.id.as_str(),
                entry.wallet.as_str(),
                entry.amount.get(),
                json(entry)?,
            ])?,
            Change::Grant { wallet, state } => self.grant(wallet, state)?,
            Change::Counter { wallet, key, row } => self.counter.execute(params![
                wallet.as_str(),
                &**key,
                json(&row.window)?,
                ends_at(row.window),
                row.cap.cast_signed(),
                json(&row.tally)?,
            ])?,
            Change::Receipt(receipt) => insert_receipt(&mut self.receipt, receipt)?,
        };
        Ok(())
    }

    fn settle_object(&mut self, receipt: &Receipt) -> rusqlite::Result<usize> {
        let (wallet, request) = (receipt.wallet.as_str(), receipt.request_id.as_bytes());
        self.settle_object.execute(params![wallet, request])
    }

    /// A grant's terms never change, so only a new grant needs them.
    fn grant(&mut self, wallet: &WalletId, state: &GrantState) -> rusqlite::Result<usize> {
        let (wallet, name) = (wallet.as_str(), state.grant.name.as_str());
        let used = state.used.cast_signed();
        let known = self.use_grant.execute(params![wallet, name, used])?;
        if known > 0 {
            return Ok(known);
        }
        let terms = json(&state.grant)?;
        self.terms.execute([&terms])?;
        self.grant.execute(params![wallet, name, used, terms])
    }
}

fn name(change: &Change) -> Option<Name<'_>> {
    match change {
        Change::Wallet(row) => Some(Name::Wallet(&row.id)),
        Change::Key { key, .. } => Some(Name::Key(key.id.as_str())),
        Change::Grant { wallet, state } => Some(Name::Grant(wallet, &state.grant.name)),
        Change::Counter { wallet, key, row } => Some(Name::Counter(wallet, key, row.window)),
        Change::Entry(_) | Change::Receipt(_) => None,
    }
}

fn ends_at(window: Window) -> Option<i64> {
    match window {
        Window::Period { end, .. } => Some(end.0),
        Window::Total | Window::Bucket { .. } | Window::Concurrent => None,
    }
}

/// Removes up to `at_most` counters of periods that ended before `before`.
pub(super) fn prune_counters(
    connection: &Connection,
    before: UnixMs,
    at_most: u32,
) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM counters WHERE (wallet, key, window) IN (
             SELECT wallet, key, window FROM counters WHERE ends_at < ?1 LIMIT ?2)",
        params![before.0, at_most],
    )
}
