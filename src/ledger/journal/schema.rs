//! The tables of a journal, and what it says about itself.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::entry::Nonce;
use super::error::JournalError;
use crate::clock::UnixMs;
use crate::ledger::id::StoreId;

/// Marks the file as a journal of Tollgate's, for `file(1)` and for us.
const APPLICATION_ID: i64 = 0x746f_6c6a;
/// The version of the tables.
const VERSION: i64 = 1;

/// Entries are only ever added at the end and removed at the beginning: they need no index, and a new one is
/// one insert. `progress` is written now and then: what it says of the entries up to `noted` is true, and of
/// what was applied it may say too little. Each milestone says up to which entry all had applied then.
const TABLES: &str = "
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE openings (
    id    INTEGER PRIMARY KEY,
    nonce BLOB NOT NULL UNIQUE,
    at    INTEGER NOT NULL,
    first INTEGER NOT NULL
) STRICT;

CREATE TABLE entries (
    id        INTEGER PRIMARY KEY,
    opening   INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    script    TEXT NOT NULL,
    body      BLOB NOT NULL
) STRICT;

CREATE TABLE progress (
    opening   INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    applied   INTEGER NOT NULL,
    PRIMARY KEY (opening, partition)
) STRICT, WITHOUT ROWID;

CREATE TABLE milestones (
    at    INTEGER PRIMARY KEY,
    entry INTEGER NOT NULL
) STRICT;
";

/// Makes the tables where there are none, and refuses what is no journal of this program.
pub(super) fn prepare(connection: &Connection, file: &Path) -> Result<(), JournalError> {
    let made: bool = connection.query_row("SELECT count(*) > 0 FROM sqlite_schema", [], |row| {
        row.get(0)
    })?;
    if !made {
        let tx = connection.unchecked_transaction()?;
        tx.execute_batch(TABLES)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        put(&tx, "schema_version", VERSION)?;
        put(&tx, "noted", 0)?;
        tx.commit()?;
    }
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application != APPLICATION_ID {
        return Err(JournalError::Foreign(file.to_owned()));
    }
    match number(connection, "schema_version")? {
        VERSION => Ok(()),
        found => Err(JournalError::Schema {
            found,
            known: VERSION,
        }),
    }
}

/// The store that the journal is bound to; none as long as no process has opened it to write.
pub(super) fn store(connection: &Connection) -> Result<Option<StoreId>, JournalError> {
    let found = connection.query_row(
        "SELECT value FROM meta WHERE name = 'store_id'",
        [],
        |row| row.get(0),
    );
    Ok(found.optional()?.map(StoreId))
}

/// Binds it to a store, for good.
pub(super) fn bind(connection: &Connection, store: StoreId) -> rusqlite::Result<()> {
    put(connection, "store_id", store.0)
}

/// Registers an opening whose entries begin at `first`.
pub(super) fn register(
    connection: &Connection,
    nonce: Nonce,
    at: UnixMs,
    first: i64,
) -> rusqlite::Result<i64> {
    connection.execute(
        "INSERT INTO openings (nonce, at, first) VALUES (?1, ?2, ?3)",
        params![nonce.0, at.0, first],
    )?;
    Ok(connection.last_insert_rowid())
}

/// Sets a fact of the file as a whole.
pub(super) fn put(
    connection: &Connection,
    name: &'static str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
        params![name, value],
    )?;
    Ok(())
}

/// A fact that every journal has.
pub(super) fn number(connection: &Connection, name: &'static str) -> Result<i64, JournalError> {
    let found = connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| {
        row.get(0)
    });
    let missing = || JournalError::Damaged(format!("`{name}` is missing from its table `meta`"));
    found.optional()?.ok_or_else(missing)
}

/// The highest number that an entry has had.
pub(super) fn newest(connection: &Connection) -> Result<i64, JournalError> {
    let last: Option<i64> =
        connection.query_row("SELECT max(id) FROM entries", [], |row| row.get(0))?;
    Ok(last.unwrap_or(0).max(number(connection, "noted")?))
}
