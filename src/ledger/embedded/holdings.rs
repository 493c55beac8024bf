//! What a store holds, in a few numbers: to know a backup by, and to see what it lacks.

use rusqlite::{Connection, Row};
use serde::{Serialize, Serializer};

use super::error::OpenError;
use super::rows;
use super::schema;
use crate::clock::UnixMs;
use crate::ledger::id::StoreId;
use crate::ledger::tally::Sum;

/// A store, summed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holdings {
    /// Its name.
    pub store_id: StoreId,
    /// The version of its tables.
    pub schema_version: i64,
    /// The currency of all amounts.
    pub currency: String,
    /// When this copy was taken; none in a store that is no copy.
    #[serde(serialize_with = "instant")]
    pub taken_at: Option<UnixMs>,
    /// Wallets.
    pub wallets: u64,
    /// Keys, revoked ones included.
    pub keys: u64,
    /// Credits.
    pub credits: u64,
    /// What the credits of all wallets come to.
    pub credited: Sum,
    /// Receipts, those included that were folded into checkpoints.
    pub receipts: u64,
    /// How many of them were folded, and are told no more.
    pub receipts_folded: u64,
    /// What was charged to all wallets.
    pub charged: Sum,
    /// When the newest receipt was settled.
    #[serde(serialize_with = "instant")]
    pub last_settled_at: Option<UnixMs>,
}

impl Holdings {
    /// Reads a store that is up to date, or is previewed so; `schema_version` is what it really has.
    pub(super) fn read(connection: &Connection, schema_version: i64) -> Result<Self, OpenError> {
        let meta = schema::read(connection)?;
        let one = |sql: &str| connection.query_row(sql, [], |row| rows::count(row, 0));
        let mut holdings = Holdings {
            store_id: meta.store_id,
            schema_version,
            currency: meta.currency,
            taken_at: schema::taken_at(connection)?,
            wallets: 0,
            keys: one("SELECT count(*) FROM keys")?,
            credits: one("SELECT count(*) FROM entries")?,
            credited: Sum::default(),
            receipts: one("SELECT count(*) FROM receipts")?,
            receipts_folded: 0,
            charged: Sum::default(),
            last_settled_at: connection.query_row(
                "SELECT max(at) FROM (SELECT max(settled_at) AS at FROM receipts
                 UNION ALL SELECT max(until) FROM checkpoints)",
                [],
                |row| Ok(row.get::<_, Option<i64>>(0)?.map(UnixMs)),
            )?,
        };
        // Summed here: SQLite's own sum fails beyond 63 bits.
        each(connection, "SELECT credited, charged FROM wallets", |row| {
            holdings.wallets += 1;
            holdings.credited.0 += i128::from(row.get::<_, i64>(0)?);
            holdings.charged.0 += i128::from(row.get::<_, i64>(1)?);
            Ok(())
        })?;
        each(connection, "SELECT receipts FROM checkpoints", |row| {
            let folded = rows::count(row, 0)?;
            holdings.receipts_folded = holdings.receipts_folded.saturating_add(folded);
            Ok(())
        })?;
        holdings.receipts = holdings.receipts.saturating_add(holdings.receipts_folded);
        Ok(holdings)
    }
}

fn each(
    connection: &Connection,
    sql: &str,
    mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

fn instant<S: Serializer>(at: &Option<UnixMs>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}
