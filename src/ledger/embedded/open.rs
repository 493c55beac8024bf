//! Opening a store: lock, file, schema, and the book restored from its rows.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::lock::StoreLock;
use super::migrate::{self, STEPS};
use super::restore;
use super::schema::{self, Meta};
use crate::clock::Clock;
use crate::ledger::book::Book;

/// How long a commit waits for a stranger (a backup, a shell) that has locked the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// When an acknowledged operation is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// From power loss: acknowledged after an fsync, shared by all operations that came together.
    #[default]
    Disk,
    /// From the end of the process (`kill -9`): acknowledged once the operating system has it.
    Process,
}

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

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the ledger {store} is in use by {holder}: stop that process, or set another ledger.path; \
         commands on keys and wallets reach a running server through its admin address",
        store = .store.display()
    )]
    InUse {
        /// The store's file.
        store: PathBuf,
        /// Who has it, in words: `process 4711`.
        holder: String,
    },
    /// The file system refused.
    #[error("cannot {what} {path}: {source}", path = .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The store keeps another currency.
    #[error(
        "the ledger keeps {kept}, but the config says currency: {asked}; \
         set currency: {kept}, or another ledger.path for a new ledger"
    )]
    Currency {
        /// What the store was made with.
        kept: String,
        /// What was asked for.
        asked: String,
    },
    /// The store was written by another version of the program.
    #[error(
        "the ledger has schema version {found}, but this program knows {known}; \
         use the version of tollgate that wrote it, or a newer one"
    )]
    Schema {
        /// What the store has.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// A store of an older version could not be brought up to date.
    #[error(
        "the ledger cannot be brought from schema version {from} to {to}, and stays at {from}, \
         which the version of tollgate that wrote it can use: {source}"
    )]
    Migration {
        /// What the store has.
        from: i64,
        /// Where the step was to lead.
        to: i64,
        /// What went wrong.
        source: Box<OpenError>,
    },
    /// A copy of the store could not be written.
    #[error("cannot copy the ledger to {to}: {source}", to = .to.display())]
    Copy {
        /// The copy.
        to: PathBuf,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
    /// Another process is writing a copy to the same place.
    #[error("another process is writing to {path}", path = .0.display())]
    DraftInUse(PathBuf),
    /// The file is a database of something else.
    #[error("the file is a database, but no Tollgate ledger; set another ledger.path")]
    Foreign,
    /// The file system cannot carry a write-ahead log.
    #[error(
        "the ledger's database stays in journal mode `{0}`: its file system cannot share memory \
         (a network share?); put ledger.path on a local disk"
    )]
    NoWal(String),
    /// A fact that every store has is not there.
    #[error("the ledger is damaged: `{0}` is missing from its table `meta`")]
    MetaMissing(&'static str),
    /// A row that the program cannot have written.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
    /// The system gives no random bytes.
    #[error("no random bytes for the new ledger's secret: {0}")]
    Randomness(String),
    /// The system gives no thread.
    #[error("cannot start the ledger's thread: {0}")]
    Thread(io::Error),
    /// SQLite refused.
    #[error("the ledger's database: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl OpenError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
        let path = path.to_owned();
        move |source| OpenError::Io { what, path, source }
    }
}

/// An open store, and the book as its rows tell it.
pub(super) struct Opened {
    pub connection: Connection,
    /// None in memory.
    pub lock: Option<StoreLock>,
    /// The file by its real name; none in memory.
    pub path: Option<PathBuf>,
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
    Ok(Opened {
        lock: Some(lock),
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

/// Options for a file that nobody else may read: digests and their pepper lie in it.
pub(super) fn private() -> std::fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes the file and its directories, so that they survive power loss; answers its real name.
fn make_file(path: &Path) -> Result<PathBuf, OpenError> {
    if !path.exists() {
        make_directory(parent(path))?;
        private()
            .open(path)
            .map_err(OpenError::io("create the ledger", path))?;
        sync_directory(parent(path))?;
    }
    path.canonicalize()
        .map_err(OpenError::io("find the ledger", path))
}

/// The directory that a file is in.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a directory and those above it, so that they survive power loss.
pub(super) fn make_directory(path: &Path) -> Result<(), OpenError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent(path);
    make_directory(parent)?;
    std::fs::create_dir(path).map_err(OpenError::io("create the directory", path))?;
    sync_directory(parent)
}

/// Makes durable which files a directory has, and their names.
pub(super) fn sync_directory(path: &Path) -> Result<(), OpenError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(OpenError::io("sync the directory", path))
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
    // Pages: 16 MB of log. Pages that many commits write go to the file once, and the file is synced less often.
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    Ok(connection)
}

fn load(
    connection: Connection,
    path: Option<&Path>,
    currency: &str,
    clock: Option<Clock>,
) -> Result<Opened, OpenError> {
    if schema::is_empty(&connection)? {
        schema::create(&connection, currency)?;
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
    Ok(Opened {
        connection,
        lock: None,
        path: None,
        meta,
        book,
        clock,
    })
}
