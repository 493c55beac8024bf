//! The tables of a store, and the few facts about it as a whole: version, currency, pepper, name.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::OpenError;
use crate::clock::UnixMs;
use crate::ledger::id::StoreId;

/// Marks the file as Tollgate's, for `file(1)` and for us.
const APPLICATION_ID: i64 = 0x746f_6c6c;

/// Amounts are nano units; counts above `i64::MAX` are kept bit for bit, as negative numbers. The terms
/// of a grant can be long (a list of models) and are the same for many wallets: they are kept once.
const TABLES: &str = "
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE wallets (
    id          TEXT PRIMARY KEY,
    balance     INTEGER NOT NULL,
    credit_line INTEGER NOT NULL,
    credited    INTEGER NOT NULL,
    charged     INTEGER NOT NULL,
    shortfall   INTEGER NOT NULL,
    changed_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    id     TEXT PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE entries (
    id     TEXT PRIMARY KEY,
    wallet TEXT NOT NULL,
    amount INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE terms (
    id     INTEGER PRIMARY KEY,
    record TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE grants (
    wallet TEXT NOT NULL,
    name   TEXT NOT NULL,
    used   INTEGER NOT NULL,
    terms  INTEGER NOT NULL,
    PRIMARY KEY (wallet, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
    wallet  TEXT NOT NULL,
    key     TEXT NOT NULL,
    window  TEXT NOT NULL,
    ends_at INTEGER,
    cap     INTEGER NOT NULL,
    tally   TEXT NOT NULL,
    PRIMARY KEY (wallet, key, window)
) STRICT, WITHOUT ROWID;
CREATE INDEX counters_ending ON counters (ends_at) WHERE ends_at IS NOT NULL;

CREATE TABLE receipts (
    id            BLOB PRIMARY KEY,
    wallet        TEXT NOT NULL,
    key           TEXT NOT NULL,
    model         TEXT NOT NULL,
    price_version TEXT NOT NULL,
    held_at       INTEGER NOT NULL,
    settled_at    INTEGER NOT NULL,
    counted       TEXT NOT NULL,
    late          INTEGER NOT NULL,
    held          INTEGER NOT NULL,
    priced        INTEGER NOT NULL,
    charged       INTEGER NOT NULL,
    shortfall     INTEGER NOT NULL,
    free_money    INTEGER NOT NULL,
    free_tokens   INTEGER NOT NULL,
    free_images   INTEGER NOT NULL,
    free_requests INTEGER NOT NULL,
    cached_input  INTEGER NOT NULL,
    cache_write   INTEGER NOT NULL,
    input         INTEGER NOT NULL,
    audio_input   INTEGER NOT NULL,
    reasoning     INTEGER NOT NULL,
    output        INTEGER NOT NULL,
    audio_output  INTEGER NOT NULL,
    images        INTEGER NOT NULL,
    seconds       INTEGER NOT NULL,
    characters    INTEGER NOT NULL,
    requests      INTEGER NOT NULL,
    claim_token   TEXT,
    claim_body    BLOB,
    detail        TEXT NOT NULL,
    cache_write_1h INTEGER NOT NULL DEFAULT 0,
    image_input   INTEGER NOT NULL DEFAULT 0,
    image_output  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX receipts_of_wallet ON receipts (wallet, settled_at);
CREATE INDEX receipts_in_time ON receipts (settled_at);
CREATE INDEX receipts_claimed ON receipts (settled_at) WHERE claim_token IS NOT NULL;

CREATE TABLE prices (
    hash       TEXT PRIMARY KEY,
    content    TEXT NOT NULL,
    first_seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    wallet        TEXT PRIMARY KEY,
    until         INTEGER NOT NULL,
    receipts      INTEGER NOT NULL,
    charged       INTEGER NOT NULL,
    shortfall     INTEGER NOT NULL,
    free_money    INTEGER NOT NULL,
    free_tokens   INTEGER NOT NULL,
    free_images   INTEGER NOT NULL,
    free_requests INTEGER NOT NULL,
    usage         TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Whose the objects of upstreams are. What waits for a request has state, and does not end. How many a wallet has
/// of a kind is asked whenever one comes, and so is kept.
const OBJECTS: &str = "
CREATE TABLE objects (
    wallet     TEXT NOT NULL,
    id         TEXT NOT NULL,
    key        TEXT NOT NULL,
    kind       TEXT NOT NULL,
    upstream   TEXT NOT NULL,
    model      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    request    BLOB,
    state      TEXT,
    UNIQUE (wallet, id)
) STRICT;
CREATE INDEX objects_in_order ON objects (wallet, kind, created_at, id);
CREATE INDEX objects_of_wallet_ending ON objects (wallet, kind, expires_at, id) WHERE request IS NULL;
CREATE INDEX objects_ending ON objects (expires_at) WHERE request IS NULL;
CREATE INDEX objects_waiting ON objects (request) WHERE request IS NOT NULL;
CREATE INDEX objects_pending ON objects (wallet, id) WHERE request IS NOT NULL;

CREATE TABLE object_counts (
    wallet TEXT NOT NULL,
    kind   TEXT NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (wallet, kind)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER objects_come AFTER INSERT ON objects BEGIN
    INSERT INTO object_counts (wallet, kind, count) VALUES (new.wallet, new.kind, 1)
    ON CONFLICT (wallet, kind) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER objects_go AFTER DELETE ON objects BEGIN
    UPDATE object_counts SET count = count - 1 WHERE wallet = old.wallet AND kind = old.kind;
END;
";

/// The secret that key digests are made with: 32 random bytes, drawn when the store is made.
pub(super) type Pepper = [u8; 32];

/// What a store says about itself.
pub(super) struct Meta {
    pub currency: String,
    pub pepper: Pepper,
    pub store_id: StoreId,
}

/// Makes the tables of a new store, all or none; `version` is what they are.
pub(super) fn create(
    connection: &Connection,
    currency: &str,
    version: i64,
) -> Result<(), OpenError> {
    let mut pepper: Pepper = [0; 32];
    getrandom::fill(&mut pepper).map_err(|error| OpenError::Randomness(error.to_string()))?;
    let tx = connection.unchecked_transaction()?;
    tx.execute_batch(TABLES)?;
    tx.execute_batch(OBJECTS)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    let mut put = tx.prepare(PUT)?;
    put.execute(params!["currency", currency])?;
    put.execute(params!["pepper", pepper])?;
    drop(put);
    set_version(&tx, version)?;
    add_store_id(&tx)?;
    tx.commit()?;
    Ok(())
}

/// The step to version 2: the store has a name. It follows from the pepper, so that every copy of a
/// store gets the same one, whenever it is brought up to date.
pub(super) fn add_store_id(connection: &Connection) -> Result<(), OpenError> {
    let pepper: Pepper = fact(connection, "pepper")?;
    connection.execute(PUT, params!["store_id", StoreId::of(&pepper).0])?;
    Ok(())
}

/// The step to version 3: three more kinds of tokens.
pub(super) fn add_meters(connection: &Connection) -> Result<(), OpenError> {
    for meter in ["cache_write_1h", "image_input", "image_output"] {
        connection.execute_batch(&format!(
            "ALTER TABLE receipts ADD COLUMN {meter} INTEGER NOT NULL DEFAULT 0"
        ))?;
    }
    Ok(())
}

/// The step to version 4: the objects of upstreams.
pub(super) fn add_objects(connection: &Connection) -> Result<(), OpenError> {
    Ok(connection.execute_batch(OBJECTS)?)
}

const PUT: &str = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)";

/// Notes the version that the tables have now.
pub(super) fn set_version(connection: &Connection, version: i64) -> rusqlite::Result<usize> {
    connection.execute(PUT, params!["schema_version", version])
}

/// Notes in a copy when it was taken.
pub(super) fn set_taken_at(connection: &Connection, at: UnixMs) -> rusqlite::Result<usize> {
    connection.execute(PUT, params!["taken_at", at.0])
}

/// Makes a copy a store like any other.
pub(super) fn forget_taken_at(connection: &Connection) -> rusqlite::Result<usize> {
    connection.execute("DELETE FROM meta WHERE name = 'taken_at'", [])
}

/// When this copy was taken; none in a store that is no copy.
pub(super) fn taken_at(connection: &Connection) -> Result<Option<UnixMs>, OpenError> {
    match fact(connection, "taken_at") {
        Ok(at) => Ok(Some(UnixMs(at))),
        Err(OpenError::MetaMissing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether nothing was ever made in this file.
pub(super) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
        row.get(0)
    })
}

/// The version of the tables. Refuses a file that is no store of ours, and a version newer than `known`.
pub(super) fn version(connection: &Connection, known: i64) -> Result<i64, OpenError> {
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application != APPLICATION_ID {
        return Err(OpenError::Foreign);
    }
    let found: i64 = fact(connection, "schema_version")?;
    if (1..=known).contains(&found) {
        Ok(found)
    } else {
        Err(OpenError::Schema { found, known })
    }
}

/// The currency of all amounts, in a store of any version.
pub(super) fn currency(connection: &Connection) -> Result<String, OpenError> {
    fact(connection, "currency")
}

/// Reads what a store that is up to date says about itself.
pub(super) fn read(connection: &Connection) -> Result<Meta, OpenError> {
    Ok(Meta {
        currency: currency(connection)?,
        pepper: fact(connection, "pepper")?,
        store_id: StoreId(fact(connection, "store_id")?),
    })
}

fn fact<T: rusqlite::types::FromSql>(
    connection: &Connection,
    name: &'static str,
) -> Result<T, OpenError> {
    connection
        .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| {
            row.get(0)
        })
        .optional()?
        .ok_or(OpenError::MetaMissing(name))
}
