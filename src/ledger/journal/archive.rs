//! What a journal holds, for reading: its openings, how far each of their lanes goes, and the entries themselves.
//!
//! A lane is what one opening wrote for one partition; its entries are dense from 1, except that the oldest are
//! removed some day. Entries have no index by lane: who needs some of them finds where the first of them stands
//! by looking back from the end, and reads on from there, once for all lanes. That is rare, and what it saves is
//! paid for by every request otherwise.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Row, params};

use super::entry::{JournalEntry, Nonce};
use super::error::JournalError;
use super::schema;
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::disk::files::{make_file, real_name};
use crate::ledger::disk::lock::StoreLock;
use crate::ledger::id::StoreId;

/// How long a statement waits for a stranger (a backup, a shell) that has locked the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// One opening of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Its number in the file.
    pub id: i64,
    /// Its name in the store.
    pub nonce: Nonce,
    /// When it was opened.
    pub at: UnixMs,
    /// The number of its first entry, if it ever got one.
    pub first: i64,
}

/// One partition's entries of one opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The opening's number in the file.
    pub opening: i64,
    /// The partition.
    pub partition: u16,
}

/// How far a lane goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The number of its last entry.
    pub last: u64,
    /// Up to which number the store has them, as far as the file knows. It may have more.
    pub applied: u64,
}

/// An entry, and where it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its number in the file.
    pub id: i64,
    /// The opening that wrote it.
    pub opening: i64,
    /// What was to be done.
    pub entry: JournalEntry,
}

/// How far every lane goes; the thread that writes and those that hear from the store both know a part.
pub(super) type Lanes = Arc<Mutex<BTreeMap<Lane, Reach>>>;

/// A journal's file, read.
pub struct Archive {
    reader: Arc<Mutex<Connection>>,
    /// Those that were there when the file was opened, oldest first.
    openings: Vec<Opening>,
    lanes: Lanes,
    store: Option<StoreId>,
    file: PathBuf,
}

/// A file whose lock is held, with a connection that may write.
pub(super) struct Taken {
    pub file: PathBuf,
    pub lock: StoreLock,
    pub connection: Connection,
}

impl Taken {
    /// Takes the file at `path`, making it where it is missing and may be made.
    pub fn take(path: &Path, make: bool) -> Result<Taken, JournalError> {
        let file = match make {
            true => make_file(path)?,
            false => real_name(path)?.ok_or_else(|| JournalError::Missing(path.to_owned()))?,
        };
        let lock = StoreLock::take(&file)?;
        let connection = connect(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        if mode != "wal" {
            return Err(JournalError::NoWal(mode));
        }
        connection.pragma_update(None, "synchronous", "full")?;
        // On macOS fsync alone leaves data in the drive's cache. Elsewhere this changes nothing.
        connection.pragma_update(None, "fullfsync", true)?;
        // Pages: 16 MB of log. Then its content goes to the file, and both are synced.
        connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
        schema::prepare(&connection, &file)?;
        Ok(Taken {
            file,
            lock,
            connection,
        })
    }
}

fn connect(file: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

impl Archive {
    /// Reads what the file says of itself; `own` is the opening of this process.
    pub(super) fn read(taken: &Taken, own: Option<i64>) -> Result<Archive, JournalError> {
        let connection = &taken.connection;
        let lanes = lanes(connection)?;
        let mut openings = openings(connection)?;
        openings.retain(|opening| Some(opening.id) != own);
        Ok(Archive {
            reader: Arc::new(Mutex::new(connect(
                &taken.file,
                OpenFlags::SQLITE_OPEN_READ_ONLY,
            )?)),
            openings,
            lanes: Arc::new(Mutex::new(lanes)),
            store: schema::store(connection)?,
            file: taken.file.clone(),
        })
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The store that the entries belong into; none where nothing was ever written.
    pub fn store(&self) -> Option<StoreId> {
        self.store
    }

    /// The openings of before this process, oldest first.
    pub fn openings(&self) -> &[Opening] {
        &self.openings
    }

    /// How far all lanes go, with those of this process as far as they were written.
    pub fn lanes(&self) -> BTreeMap<Lane, Reach> {
        self.lanes.lock().clone()
    }

    pub(super) fn forget(&self, openings: &[i64]) {
        let mut lanes = self.lanes.lock();
        lanes.retain(|lane, _| !openings.contains(&lane.opening));
    }

    pub(super) fn shared_lanes(&self) -> Lanes {
        self.lanes.clone()
    }

    /// Notes that the store has the entries of a lane up to `seq`. Nothing waits for it, and nothing is wrong
    /// where it is forgotten: they would be sent once more, and the store would know them.
    pub fn applied(&self, lane: Lane, seq: u64) {
        let mut lanes = self.lanes.lock();
        let reach = lanes.entry(lane).or_default();
        reach.applied = reach.applied.max(seq);
    }

    /// Where to read from to get all entries of these lanes that are beyond the numbers given, as far as the
    /// file still has them. Everything that was appended before is looked at, if it was written.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn locate(&self, beyond: HashMap<Lane, u64>) -> Result<i64, LedgerError> {
        self.ask(move |connection| locate(connection, beyond)).await
    }

    /// Up to `limit` entries from the number `from` on, in the order in which they were appended.
    ///
    /// # Errors
    /// Where the file cannot be read, or holds what the program cannot have written.
    pub async fn page(&self, from: i64, limit: u32) -> Result<Vec<Stored>, LedgerError> {
        self.ask(move |connection| {
            let mut statement = connection.prepare(
                "SELECT id, opening, partition, seq, at, script, body FROM entries
                 WHERE id >= ?1 ORDER BY id LIMIT ?2",
            )?;
            statement.query_map(params![from, limit], stored)?.collect()
        })
        .await
    }

    /// How many entries each opening has, with those of this process. Reads the whole file.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub async fn counts(&self) -> Result<BTreeMap<i64, u64>, LedgerError> {
        self.ask(|connection| {
            let sql = "SELECT opening, count(*) FROM entries GROUP BY opening";
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
            })?;
            rows.collect()
        })
        .await
    }

    /// Reads, beside the runtime's own threads.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let reader = self.reader.clone();
        let working = tokio::task::spawn_blocking(move || work(&reader.lock()));
        let read = working.await.map_err(|error| unreadable(&error))?;
        read.map_err(|error| unreadable(&error))
    }
}

fn unreadable(why: &dyn std::fmt::Display) -> LedgerError {
    LedgerError::Unavailable(format!("the journal cannot be read: {why}"))
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: row.get(0)?,
        opening: row.get(1)?,
        entry: JournalEntry {
            partition: row.get(2)?,
            seq: row.get::<_, i64>(3)?.unsigned_abs(),
            at: UnixMs(row.get(4)?),
            script: row.get::<_, String>(5)?.into(),
            body: row.get(6)?,
        },
    })
}

fn lane(row: &Row<'_>) -> rusqlite::Result<Lane> {
    Ok(Lane {
        opening: row.get(0)?,
        partition: row.get(1)?,
    })
}

/// How far all lanes go: what was noted, and the entries since.
fn lanes(connection: &Connection) -> Result<BTreeMap<Lane, Reach>, JournalError> {
    let mut lanes = BTreeMap::new();
    let sql = "SELECT opening, partition, last, applied FROM progress";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let reach = Reach {
            last: row.get::<_, i64>(2)?.unsigned_abs(),
            applied: row.get::<_, i64>(3)?.unsigned_abs(),
        };
        lanes.insert(lane(row)?, reach);
    }
    let noted = schema::number(connection, "noted")?;
    let sql = "SELECT opening, partition, seq FROM entries WHERE id > ?1 ORDER BY id";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([noted])?;
    while let Some(row) = rows.next()? {
        let reach: &mut Reach = lanes.entry(lane(row)?).or_default();
        let seq = row.get::<_, i64>(2)?.unsigned_abs();
        if seq != reach.last + 1 {
            return Err(JournalError::Damaged(format!(
                "the entry after number {} of a partition has number {seq}",
                reach.last
            )));
        }
        reach.last = seq;
    }
    Ok(lanes)
}

pub(super) fn openings(connection: &Connection) -> rusqlite::Result<Vec<Opening>> {
    let sql = "SELECT id, nonce, at, first FROM openings ORDER BY id";
    let mut statement = connection.prepare(sql)?;
    let openings = statement.query_map([], |row| {
        Ok(Opening {
            id: row.get(0)?,
            nonce: Nonce(row.get(1)?),
            at: UnixMs(row.get(2)?),
            first: row.get(3)?,
        })
    })?;
    openings.collect()
}

/// Looks back from the end until the entry after each lane's number was met.
fn locate(connection: &Connection, mut beyond: HashMap<Lane, u64>) -> rusqlite::Result<i64> {
    let sql = "SELECT opening, partition, seq, id FROM entries ORDER BY id DESC";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut from = i64::MAX;
    while !beyond.is_empty()
        && let Some(row) = rows.next()?
    {
        let lane = lane(row)?;
        let seq = row.get::<_, i64>(2)?.unsigned_abs();
        let Some(mark) = beyond.get(&lane) else {
            continue;
        };
        if seq > *mark {
            from = row.get(3)?;
        }
        if seq <= mark.saturating_add(1) {
            beyond.remove(&lane);
        }
    }
    Ok(from)
}
