//! What is read from the store and not from the book: receipts, and totals over them.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::rows;
use crate::ledger::hold::FreeUnits;
use crate::ledger::id::RequestId;
use crate::ledger::receipt::{Receipt, ReceiptQuery, UsageRow};
use crate::ledger::tally::{DAY_MS, day};
use crate::money::Nano;
use crate::usage::{Meter, Usage};

/// The receipt of one request.
pub(super) fn receipt(
    connection: &Connection,
    request: RequestId,
) -> rusqlite::Result<Option<Receipt>> {
    let sql = format!("SELECT {} FROM receipts WHERE id = ?1", rows::RECEIPT);
    connection
        .query_row(&sql, [request.as_bytes()], rows::receipt)
        .optional()
}

/// Receipts, newest first.
pub(super) fn receipts(
    connection: &Connection,
    query: &ReceiptQuery,
) -> rusqlite::Result<Vec<Receipt>> {
    let (filter, mut values) = filter(query);
    values.push(Value::Integer(query.limit.map_or(-1, i64::from)));
    let sql = format!(
        "SELECT {} FROM receipts {filter} ORDER BY settled_at DESC, id DESC LIMIT ?",
        rows::RECEIPT
    );
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map(params_from_iter(values), rows::receipt)?;
    found.collect()
}

/// Totals by local day and model, oldest day first.
pub(super) fn usage(
    connection: &Connection,
    query: &ReceiptQuery,
) -> rusqlite::Result<Vec<UsageRow>> {
    let (filter, values) = filter(query);
    let offset_ms = i64::from(query.utc_offset_minutes) * 60_000;
    let sums: Vec<String> = SUMMED
        .into_iter()
        .chain(Meter::ALL.map(Meter::name))
        .map(exact_sum)
        .collect();
    let sql = format!(
        "SELECT (settled_at + {offset_ms}) / {DAY_MS} AS day, model, count(*), {}
         FROM receipts {filter} GROUP BY day, model ORDER BY day, model",
        sums.join(", ")
    );
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map(params_from_iter(values), usage_row)?;
    found.collect()
}

const SUMMED: [&str; 5] = [
    "charged",
    "shortfall",
    "free_tokens",
    "free_images",
    "free_requests",
];

fn usage_row(row: &Row<'_>) -> rusqlite::Result<UsageRow> {
    let sum = |index: usize| read_sum(row, 3 + 2 * index);
    let money = |index| sum(index).map(|sum| Nano::new(i64::try_from(sum).unwrap_or(i64::MAX)));
    let mut usage = Usage::NONE;
    for (index, meter) in Meter::ALL.into_iter().enumerate() {
        usage = usage.with(meter, sum(SUMMED.len() + index)?);
    }
    Ok(UsageRow {
        day: day(row.get(0)?),
        model: row.get(1)?,
        requests: rows::count(row, 2)?,
        usage,
        free: FreeUnits {
            tokens: sum(2)?,
            images: sum(3)?,
            requests: sum(4)?,
        },
        charged: money(0)?,
        shortfall: money(1)?,
    })
}

/// SQLite's own sum fails beyond 63 bits, which one absurd report could reach: sum the halves.
fn exact_sum(column: &str) -> String {
    format!("sum(({column} >> 32) & 4294967295), sum({column} & 4294967295)")
}

/// Reads what [`exact_sum`] wrote, saturating.
fn read_sum(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    let high = u128::from(rows::count(row, index)?);
    let low = u128::from(rows::count(row, index + 1)?);
    Ok(u64::try_from((high << 32) + low).unwrap_or(u64::MAX))
}

fn filter(query: &ReceiptQuery) -> (String, Vec<Value>) {
    let text = |text: &str| Value::Text(text.to_owned());
    let conditions = [
        (
            "wallet = ?",
            query.wallet.as_ref().map(|id| text(id.as_str())),
        ),
        ("key = ?", query.key.as_ref().map(|id| text(id.as_str()))),
        ("settled_at >= ?", query.from.map(|at| Value::Integer(at.0))),
        ("settled_at < ?", query.to.map(|at| Value::Integer(at.0))),
    ];
    let (terms, values): (Vec<&str>, Vec<Value>) = conditions
        .into_iter()
        .filter_map(|(term, value)| Some((term, value?)))
        .unzip();
    let filter = match terms.as_slice() {
        [] => String::new(),
        terms => format!("WHERE {}", terms.join(" AND ")),
    };
    (filter, values)
}
