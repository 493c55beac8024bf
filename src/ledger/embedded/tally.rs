//! The checkpoints that keep what receipts summed to when old receipts go.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows;
use crate::clock::UnixMs;
use crate::ledger::id::WalletId;
use crate::ledger::tally::Tally;

/// The columns of a checkpoint, in the order that [`checkpoint`] reads.
pub(super) const CHECKPOINT: &str = "receipts, charged, shortfall, free_money, free_tokens, \
    free_images, free_requests, usage, wallet";

/// Reads the columns [`CHECKPOINT`], but for the wallet, which is the ninth.
pub(super) fn checkpoint(row: &Row<'_>) -> rusqlite::Result<Tally> {
    let money = |index| row.get::<_, i64>(index).map(i128::from);
    let units = |index| rows::count(row, index).map(i128::from);
    Ok(Tally {
        receipts: rows::count(row, 0)?,
        charged: money(1)?,
        shortfall: money(2)?,
        free_money: money(3)?,
        free_tokens: units(4)?,
        free_images: units(5)?,
        free_requests: units(6)?,
        usage: rows::record(row, 7)?,
    })
}

/// Moves up to `at_most` receipts settled before `before` into their wallets' checkpoints, in one
/// transaction, oldest first. Those with an idempotency claim settled at or after `claims_since`
/// stay: they answer repeats. Answers how many were moved.
pub(super) fn fold(
    connection: &Connection,
    before: UnixMs,
    claims_since: UnixMs,
    at_most: u32,
) -> rusqlite::Result<u64> {
    let tx = connection.unchecked_transaction()?;
    let mut folded: BTreeMap<WalletId, (Tally, UnixMs)> = BTreeMap::new();
    let mut moved = 0_u64;
    {
        let mut taken = tx.prepare(&format!(
            "DELETE FROM receipts WHERE id IN (
                 SELECT id FROM receipts
                 WHERE settled_at < ?1 AND (claim_token IS NULL OR settled_at < ?2)
                 ORDER BY settled_at LIMIT ?3)
             RETURNING {}",
            rows::RECEIPT
        ))?;
        let mut found = taken.query(params![before.0, claims_since.0, at_most])?;
        while let Some(row) = found.next()? {
            let receipt = rows::receipt(row)?;
            let (tally, until) = match folded.get_mut(&receipt.wallet) {
                Some(known) => known,
                None => {
                    let known = load(&tx, &receipt.wallet)?;
                    folded.entry(receipt.wallet.clone()).or_insert(known)
                }
            };
            tally.add(&receipt);
            *until = receipt.settled_at.max(*until);
            moved += 1;
        }
    }
    for (wallet, (tally, until)) in &folded {
        store(&tx, wallet, tally, *until)?;
    }
    tx.commit()?;
    Ok(moved)
}

fn load(connection: &Connection, wallet: &WalletId) -> rusqlite::Result<(Tally, UnixMs)> {
    let sql = format!("SELECT {CHECKPOINT}, until FROM checkpoints WHERE wallet = ?1");
    let known = connection
        .query_row(&sql, [wallet.as_str()], |row| {
            Ok((checkpoint(row)?, UnixMs(row.get(9)?)))
        })
        .optional()?;
    Ok(known.unwrap_or_default())
}

fn store(
    connection: &Connection,
    wallet: &WalletId,
    tally: &Tally,
    until: UnixMs,
) -> rusqlite::Result<()> {
    let money = |sum: i128| {
        i64::try_from(sum).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    };
    let units = |sum: i128| {
        u64::try_from(sum)
            .map(u64::cast_signed)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    };
    connection.execute(
        "INSERT OR REPLACE INTO checkpoints
         (wallet, until, receipts, charged, shortfall, free_money, free_tokens, free_images,
          free_requests, usage)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            wallet.as_str(),
            until.0,
            tally.receipts.cast_signed(),
            money(tally.charged)?,
            money(tally.shortfall)?,
            money(tally.free_money)?,
            units(tally.free_tokens)?,
            units(tally.free_images)?,
            units(tally.free_requests)?,
            rows::json(&tally.usage)?,
        ],
    )?;
    Ok(())
}
