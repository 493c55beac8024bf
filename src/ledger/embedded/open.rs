//! Opening a store: lock, file, schema, and the book restored from its rows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::OpenError;
use super::migrate::{self, STEPS};
use super::restore;
use super::schema::{self, Meta};
use crate::clock::Clock;
pub use crate::config::Durability;
use crate::ledger::book::Book;
use crate::ledger::disk::files::{make_file, real_name};
use crate::ledger::disk::lock::StoreLock;
use crate::ledger::disk::space::{self, Measure};

/// How long a commit waits for a stranger (a backup, a shell) that has locked the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How to open an embedded ledger.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The file. It and its directories are made where they are missing.
    pub path: PathBuf,
    /// When an acknowledged operation is safe.
    pub durability: Durability,
    /// The currency of all amounts; fixed when the store is made.
    pub currency: String,
    /// A clock to use instead of the system's.
    pub clock: Option<Clock>,
}

/// What is kept of a file while it is open.
pub(super) struct StoreFile {
    pub connection: Connection,
    /// A second one, by which the log of writes is emptied; none in memory.
    pub emptying: Option<Connection>,
    /// None in memory.
    pub lock: Option<StoreLock>,
}

/// An open store, and the book as its rows tell it.
pub(super) struct Opened {
    pub file: StoreFile,
    /// The file by its real name; none in memory.
    pub path: Option<PathBuf>,
    /// Tells how much room is left for it.
    pub room: Measure,
    pub meta: Meta,
    pub book: Book,
    pub clock: Clock,
}

/// Opens the file, making it where it is missing.
pub(super) fn open_file(options: &OpenOptions) -> Result<Opened, OpenError> {
    let path = make_file(&options.path)?;
    let lock = StoreLock::take(&path)?;
    let connection = connect(&path, options.durability)?;
    let opened = load(
        connection,
        Some(&path),
        &options.currency,
        options.clock.clone(),
    )?;
    let file = StoreFile {
        emptying: Some(connect(&path, options.durability)?),
        lock: Some(lock),
        ..opened.file
    };
    Ok(Opened {
        file,
        room: space::of_file(path.clone()),
        path: Some(path),
        ..opened
    })
}

/// Makes a store that ends with the process.
pub(super) fn open_memory(currency: &str, clock: Option<Clock>) -> Result<Opened, OpenError> {
    load(Connection::open_in_memory()?, None, currency, clock)
}

/// The book as the rows of a store that is up to date tell it, and the time there.
pub(super) fn book(
    connection: &Connection,
    clock: Option<Clock>,
) -> Result<(Book, Clock), OpenError> {
    let latest = restore::latest(connection)?;
    let clock = clock.unwrap_or_else(|| Clock::system(latest));
    let mut book = Book::new();
    restore::book(connection, clock.now(), &mut book)?;
    Ok((book, clock))
}

/// A connection to a file whose lock is held, for looking at it: nothing about it is set.
pub(super) fn connect_plainly(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// A second connection to an open store, which can only read.
pub(super) fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// A reading connection that sees the store as it is now, whatever is written later.
pub(super) fn snapshot(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect_reader(path)?;
    connection.execute_batch("BEGIN; SELECT count(*) FROM meta;")?;
    Ok(connection)
}

/// The real name of the store at `path`, which is there.
pub(super) fn existing(path: &Path) -> Result<PathBuf, OpenError> {
    real_name(path)?.ok_or_else(|| OpenError::Missing(path.to_owned()))
}

fn connect(path: &Path, durability: Durability) -> Result<Connection, OpenError> {
    let connection = connect_plainly(path)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(OpenError::NoWal(mode));
    }
    let synchronous = match durability {
        Durability::Disk => "full",
        Durability::Process => "normal",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // On macOS fsync alone leaves data in the drive's cache. Elsewhere this changes nothing.
    connection.pragma_update(None, "fullfsync", durability == Durability::Disk)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    Ok(connection)
}

fn load(
    connection: Connection,
    path: Option<&Path>,
    currency: &str,
    clock: Option<Clock>,
) -> Result<Opened, OpenError> {
    if schema::is_empty(&connection)? {
        schema::create(&connection, currency, migrate::newest(&STEPS))?;
    }
    schema::version(&connection, migrate::newest(&STEPS))?;
    let kept = schema::currency(&connection)?;
    if kept != currency {
        return Err(OpenError::Currency {
            kept,
            asked: currency.to_owned(),
        });
    }
    migrate::upgrade(&connection, path, &STEPS)?;
    let meta = schema::read(&connection)?;
    let (book, clock) = book(&connection, clock)?;
    let file = StoreFile {
        connection,
        emptying: None,
        lock: None,
    };
    Ok(Opened {
        file,
        path: None,
        room: space::endless(),
        meta,
        book,
        clock,
    })
}
