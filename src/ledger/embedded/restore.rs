//! What a store tells the book when it opens.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::error::OpenError;
use super::rows::{GRANT, GRANTS, RECEIPT, WALLET, count, grant, receipt, record, text, wallet};
use crate::clock::UnixMs;
use crate::ledger::book::{Book, Change, CounterRow};
use crate::ledger::id::KeyDigest;

/// The latest time that the store has recorded.
pub(super) fn latest(connection: &Connection) -> rusqlite::Result<UnixMs> {
    let latest: Option<i64> =
        connection.query_row("SELECT max(changed_at) FROM wallets", [], |row| row.get(0))?;
    Ok(UnixMs(latest.unwrap_or(0)))
}

/// Brings the book back: every row that it keeps in memory. Of receipts those that carry an idempotency
/// claim not older than a day, oldest first; of counters those whose period has not ended.
pub(super) fn book(connection: &Connection, now: UnixMs, book: &mut Book) -> Result<(), OpenError> {
    each(
        connection,
        &format!("SELECT {WALLET} FROM wallets"),
        book,
        |row| wallet(row).map(Change::Wallet),
    )?;
    each(connection, "SELECT record, digest FROM keys", book, |row| {
        Ok(Change::Key {
            key: Arc::new(record(row, 0)?),
            digest: KeyDigest(row.get(1)?),
        })
    })?;
    each(connection, "SELECT record FROM entries", book, |row| {
        record(row, 0).map(Change::Entry)
    })?;
    let mut terms = HashMap::new();
    let grants = format!("SELECT {GRANT} FROM {GRANTS}");
    each(connection, &grants, book, |row| {
        let (wallet, state) = grant(row, &mut terms)?;
        Ok(Change::Grant { wallet, state })
    })?;
    let counters = format!(
        "SELECT wallet, key, window, cap, tally FROM counters WHERE ends_at IS NULL OR ends_at > {}",
        now.0
    );
    each(connection, &counters, book, |row| {
        Ok(Change::Counter {
            wallet: text(row, 0)?,
            key: row.get(1)?,
            row: CounterRow {
                window: record(row, 2)?,
                cap: count(row, 3)?,
                tally: record(row, 4)?,
            },
        })
    })?;
    let claimed = format!(
        "SELECT {RECEIPT} FROM receipts
         WHERE claim_token IS NOT NULL AND settled_at >= {} ORDER BY settled_at",
        claims_since(now).0
    );
    each(connection, &claimed, book, |row| {
        Ok(Change::Receipt(Arc::new(receipt(row)?)))
    })
}

/// Tells the book of every row.
fn each(
    connection: &Connection,
    sql: &str,
    book: &mut Book,
    mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<Change>,
) -> Result<(), OpenError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let change = read(row).map_err(|error| OpenError::Damaged(error.to_string()))?;
        book.restore(change)
            .map_err(|error| OpenError::Damaged(error.to_string()))?;
    }
    Ok(())
}

/// How long an idempotency claim is kept.
const CLAIM_KEPT_MS: u64 = 24 * 60 * 60 * 1000;

/// Claims of receipts settled before this are over.
pub(super) fn claims_since(now: UnixMs) -> UnixMs {
    UnixMs(now.0.saturating_sub_unsigned(CLAIM_KEPT_MS))
}
