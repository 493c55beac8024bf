//! The book's changes as rows, and rows as the book's changes.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{Connection, Row, Statement, params};

use super::committer::Step;
use super::open::OpenError;
use crate::clock::UnixMs;
use crate::ledger::book::{Book, Change, WalletRow};
use crate::ledger::grant::GrantState;
use crate::ledger::hold::{FreeUnits, IdempotencyClaim};
use crate::ledger::id::{GrantId, KeyDigest, RequestId, WalletId};
use crate::ledger::limit::Window;
use crate::ledger::receipt::Receipt;
use crate::money::Nano;
use crate::usage::{Counted, Meter, Usage};

/// The statements of a commit, prepared once.
pub(super) struct Writer<'c> {
    begin: Statement<'c>,
    commit: Statement<'c>,
    wallet: Statement<'c>,
    key: Statement<'c>,
    entry: Statement<'c>,
    grant: Statement<'c>,
    counter: Statement<'c>,
    receipt: Statement<'c>,
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
            grant: connection.prepare(
                "INSERT INTO grants (wallet, name, used, record) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (wallet, name) DO UPDATE SET used = excluded.used, record = excluded.record",
            )?,
            counter: connection.prepare(
                "INSERT OR REPLACE INTO counters (wallet, key, window, ends_at, record)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            receipt: connection.prepare(INSERT_RECEIPT)?,
        })
    }

    /// Writes all steps in one transaction. After an error nothing of them is in the store once the
    /// connection is closed.
    pub fn write(&mut self, steps: &[Step]) -> rusqlite::Result<()> {
        self.begin.execute([])?;
        // From the newest change back, so that of rows written several times only the last is.
        let mut done = HashSet::new();
        for step in steps.iter().rev() {
            for change in step.changes.iter().rev() {
                if name(change).is_none_or(|name| done.insert(name)) {
                    self.row(change, step.now)?;
                }
            }
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
            Change::Grant { wallet, state } => self.grant.execute(params![
                wallet.as_str(),
                state.grant.name.as_str(),
                state.used.cast_signed(),
                json(&state.grant)?,
            ])?,
            Change::Counter { wallet, key, row } => self.counter.execute(params![
                wallet.as_str(),
                &**key,
                json(&row.window)?,
                ends_at(row.window),
                json(row)?,
            ])?,
            Change::Receipt(receipt) => insert_receipt(&mut self.receipt, receipt)?,
        };
        Ok(())
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

/// The latest time that the store has recorded.
pub(super) fn latest(connection: &Connection) -> rusqlite::Result<UnixMs> {
    let latest: Option<i64> =
        connection.query_row("SELECT max(changed_at) FROM wallets", [], |row| row.get(0))?;
    Ok(UnixMs(latest.unwrap_or(0)))
}

/// Brings the book back: every row that it keeps in memory. Of receipts those that carry an idempotency
/// claim not older than a day, oldest first; of counters those whose period has not ended.
pub(super) fn restore(
    connection: &Connection,
    now: UnixMs,
    book: &mut Book,
) -> Result<(), OpenError> {
    let mut each = |sql: &str, read: fn(&Row<'_>) -> rusqlite::Result<Change>| {
        let damaged = |error: &dyn std::fmt::Display| OpenError::Damaged(error.to_string());
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let change = read(row).map_err(|error| damaged(&error))?;
            book.restore(change).map_err(|error| damaged(&error))?;
        }
        Ok::<(), OpenError>(())
    };
    each(&format!("SELECT {WALLET} FROM wallets"), |row| {
        wallet(row).map(Change::Wallet)
    })?;
    each("SELECT record, digest FROM keys", |row| {
        Ok(Change::Key {
            key: Arc::new(record(row, 0)?),
            digest: KeyDigest(row.get(1)?),
        })
    })?;
    each("SELECT record FROM entries", |row| {
        record(row, 0).map(Change::Entry)
    })?;
    each(&format!("SELECT {GRANT} FROM grants"), |row| {
        let (wallet, state) = grant(row)?;
        Ok(Change::Grant { wallet, state })
    })?;
    let counters = format!(
        "SELECT wallet, key, record FROM counters WHERE ends_at IS NULL OR ends_at > {}",
        now.0
    );
    each(&counters, |row| {
        Ok(Change::Counter {
            wallet: text(row, 0)?,
            key: row.get(1)?,
            row: record(row, 2)?,
        })
    })?;
    let claimed = format!(
        "SELECT {RECEIPT} FROM receipts
         WHERE claim_token IS NOT NULL AND settled_at >= {} ORDER BY settled_at",
        claims_since(now).0
    );
    each(&claimed, |row| Ok(Change::Receipt(Arc::new(receipt(row)?))))
}

/// How long an idempotency claim is kept.
const CLAIM_KEPT_MS: u64 = 24 * 60 * 60 * 1000;

/// Claims of receipts settled before this are over.
pub(super) fn claims_since(now: UnixMs) -> UnixMs {
    UnixMs(now.0.saturating_sub_unsigned(CLAIM_KEPT_MS))
}

/// The columns of a wallet, in the order that [`wallet`] reads.
pub(super) const WALLET: &str = "id, balance, credit_line, credited, charged, shortfall";

/// Reads the columns [`WALLET`].
pub(super) fn wallet(row: &Row<'_>) -> rusqlite::Result<WalletRow> {
    Ok(WalletRow {
        id: text(row, 0)?,
        balance: Nano::new(row.get(1)?),
        credit_line: Nano::new(row.get(2)?),
        credited: Nano::new(row.get(3)?),
        charged: Nano::new(row.get(4)?),
        shortfall: Nano::new(row.get(5)?),
    })
}

/// The columns of a grant, in the order that [`grant`] reads.
pub(super) const GRANT: &str = "wallet, record, used";

/// Reads the columns [`GRANT`].
pub(super) fn grant(row: &Row<'_>) -> rusqlite::Result<(WalletId, GrantState)> {
    let state = GrantState {
        grant: record(row, 1)?,
        used: count(row, 2)?,
        held: 0,
    };
    Ok((text(row, 0)?, state))
}

/// The columns of a receipt, in the order that [`receipt`] reads.
pub(super) const RECEIPT: &str = "id, wallet, key, model, price_version, held_at, settled_at, \
    counted, late, held, priced, charged, shortfall, free_money, free_tokens, free_images, \
    free_requests, cached_input, cache_write, input, audio_input, reasoning, output, audio_output, \
    images, seconds, characters, requests, claim_token, claim_body, detail";

const INSERT_RECEIPT: &str = "INSERT INTO receipts
    (id, wallet, key, model, price_version, held_at, settled_at, counted, late, held, priced, charged,
     shortfall, free_money, free_tokens, free_images, free_requests, cached_input, cache_write, input,
     audio_input, reasoning, output, audio_output, images, seconds, characters, requests, claim_token,
     claim_body, detail)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
     ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31)";

fn insert_receipt(statement: &mut Statement<'_>, receipt: &Receipt) -> rusqlite::Result<usize> {
    let usage = |meter| receipt.usage.get(meter).cast_signed();
    let claim = receipt.idempotency.as_ref();
    statement.execute(params![
        receipt.request_id.as_bytes(),
        receipt.wallet.as_str(),
        receipt.key.as_str(),
        &*receipt.model,
        &*receipt.price_version,
        receipt.held_at.0,
        receipt.settled_at.0,
        receipt.counted.name(),
        receipt.late,
        receipt.held.get(),
        receipt.priced.get(),
        receipt.charged.get(),
        receipt.shortfall.get(),
        receipt.free_money.get(),
        receipt.free.tokens.cast_signed(),
        receipt.free.images.cast_signed(),
        receipt.free.requests.cast_signed(),
        usage(Meter::CachedInput),
        usage(Meter::CacheWrite),
        usage(Meter::Input),
        usage(Meter::AudioInput),
        usage(Meter::Reasoning),
        usage(Meter::Output),
        usage(Meter::AudioOutput),
        usage(Meter::Images),
        usage(Meter::Seconds),
        usage(Meter::Characters),
        usage(Meter::Requests),
        claim.map(|claim| &*claim.token),
        claim.map(|claim| claim.body),
        json(&receipt.detail)?,
    ])
}

/// Reads the columns [`RECEIPT`].
pub(super) fn receipt(row: &Row<'_>) -> rusqlite::Result<Receipt> {
    let token: Option<Arc<str>> = row.get(28)?;
    let idempotency = match token {
        Some(token) => Some(IdempotencyClaim {
            token,
            body: row.get(29)?,
        }),
        None => None,
    };
    Ok(Receipt {
        request_id: RequestId::from_bytes(row.get(0)?),
        wallet: text(row, 1)?,
        key: text(row, 2)?,
        model: row.get(3)?,
        price_version: row.get(4)?,
        held_at: UnixMs(row.get(5)?),
        settled_at: UnixMs(row.get(6)?),
        counted: counted(row, 7)?,
        late: row.get(8)?,
        held: Nano::new(row.get(9)?),
        priced: Nano::new(row.get(10)?),
        charged: Nano::new(row.get(11)?),
        shortfall: Nano::new(row.get(12)?),
        free_money: Nano::new(row.get(13)?),
        free: FreeUnits {
            tokens: count(row, 14)?,
            images: count(row, 15)?,
            requests: count(row, 16)?,
        },
        usage: usage(row, 17)?,
        idempotency,
        detail: record(row, 30)?,
    })
}

/// Reads one column per meter, in burn order, from `first` on.
pub(super) fn usage(row: &Row<'_>, first: usize) -> rusqlite::Result<Usage> {
    Meter::ALL
        .into_iter()
        .enumerate()
        .try_fold(Usage::NONE, |usage, (index, meter)| {
            Ok(usage.with(meter, count(row, first + index)?))
        })
}

/// A count, which is stored bit for bit in SQLite's signed integer.
pub(super) fn count(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get(index).map(i64::cast_unsigned)
}

fn counted(row: &Row<'_>, index: usize) -> rusqlite::Result<Counted> {
    let name: String = row.get(index)?;
    [Counted::Exact, Counted::Estimated, Counted::Partial]
        .into_iter()
        .find(|counted| counted.name() == name)
        .ok_or_else(|| unreadable(index, format!("`{name}` is no way to count").into()))
}

/// A value that is kept as the text it displays as.
pub(super) fn text<T: FromStr>(row: &Row<'_>, index: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(index)?;
    text.parse()
        .map_err(|error| unreadable(index, Box::new(error)))
}

/// A value that is kept as JSON.
pub(super) fn record<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    index: usize,
) -> rusqlite::Result<T> {
    let text: String = row.get(index)?;
    serde_json::from_str(&text).map_err(|error| unreadable(index, Box::new(error)))
}

pub(super) fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn unreadable(
    index: usize,
    error: Box<dyn std::error::Error + Send + Sync + 'static>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, error)
}
