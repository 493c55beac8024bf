//! Rows as values and values as rows, for what is read in more than one place.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::str::FromStr;
use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{Row, Statement, params};

use crate::clock::UnixMs;
use crate::ledger::book::WalletRow;
use crate::ledger::grant::{Grant, GrantState};
use crate::ledger::hold::{FreeUnits, IdempotencyClaim};
use crate::ledger::id::{RequestId, WalletId};
use crate::ledger::receipt::Receipt;
use crate::money::Nano;
use crate::usage::{Counted, Meter, Usage};

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

/// The columns of a grant, in the order that [`grant`] reads, and where they are.
pub(super) const GRANT: &str = "wallet, used, terms, record";
pub(super) const GRANTS: &str = "grants LEFT JOIN terms ON terms.id = grants.terms";

/// Reads the columns [`GRANT`] of [`GRANTS`]. Terms that were read before are taken from `known`.
pub(super) fn grant(
    row: &Row<'_>,
    known: &mut HashMap<i64, Grant>,
) -> rusqlite::Result<(WalletId, GrantState)> {
    let grant = match known.entry(row.get(2)?) {
        Entry::Occupied(known) => known.get().clone(),
        Entry::Vacant(new) => new.insert(record(row, 3)?).clone(),
    };
    let state = GrantState {
        grant,
        used: count(row, 1)?,
        held: 0,
    };
    Ok((text(row, 0)?, state))
}

/// The columns of a receipt, in the order that [`receipt`] reads.
pub(super) const RECEIPT: &str = "id, wallet, key, model, price_version, held_at, settled_at, \
    counted, late, held, priced, charged, shortfall, free_money, free_tokens, free_images, \
    free_requests, cached_input, cache_write, cache_write_1h, input, audio_input, image_input, \
    reasoning, output, audio_output, image_output, images, seconds, characters, requests, claim_token, claim_body, detail";

/// The statement that [`insert_receipt`] runs.
pub(super) fn insert_receipt_sql() -> String {
    let places = vec!["?"; RECEIPT.split(',').count()].join(", ");
    format!("INSERT INTO receipts ({RECEIPT}) VALUES ({places})")
}

/// Writes the columns [`RECEIPT`].
pub(super) fn insert_receipt(
    statement: &mut Statement<'_>,
    receipt: &Receipt,
) -> rusqlite::Result<usize> {
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
        usage(Meter::CacheWriteHour),
        usage(Meter::Input),
        usage(Meter::AudioInput),
        usage(Meter::ImageInput),
        usage(Meter::Reasoning),
        usage(Meter::Output),
        usage(Meter::AudioOutput),
        usage(Meter::ImageOutput),
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
    let token: Option<Arc<str>> = row.get(31)?;
    let idempotency = match token {
        Some(token) => Some(IdempotencyClaim {
            token,
            body: row.get(32)?,
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
        detail: record(row, 33)?,
    })
}

/// Reads one column per meter, in burn order, from `first` on.
fn usage(row: &Row<'_>, first: usize) -> rusqlite::Result<Usage> {
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

/// What is stored here cannot be read.
pub(super) fn unreadable(
    index: usize,
    error: Box<dyn std::error::Error + Send + Sync + 'static>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, error)
}
