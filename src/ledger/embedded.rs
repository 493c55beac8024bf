//! The embedded ledger: the book in memory, made durable by SQLite in the book's order.
//!
//! An operation changes the book under its lock and queues what it changed while it still has the
//! lock; one thread writes the queue in groups. An operation is acknowledged after the commit of its
//! group, so a crash loses nothing that anyone was told, and requests that come together share an fsync.

mod audit;
mod backup;
mod committer;
mod contract;
mod draft;
mod error;
mod holdings;
mod migrate;
mod objects;
mod open;
mod reads;
mod replace;
mod restore;
mod rows;
mod schema;
mod step;
mod tally;
#[cfg(test)]
mod tests;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;
use sha2::Sha256;
use tokio::sync::Semaphore;

use self::committer::{Committer, OnFatal};
use self::open::Opened;
use super::LedgerError;
use super::book::{Book, Change};
use crate::clock::{Clock, UnixMs};
use crate::telemetry;

pub use self::audit::audit_file;
pub use self::backup::{Backup, BackupError, backup};
pub use self::error::OpenError;
pub use self::holdings::Holdings;
pub use self::open::{Durability, OpenOptions};
pub use self::replace::{Lost, Present, Replacement, RestoreError};
pub use super::tally::Sum;

/// The exit status of a process whose ledger could not be made durable (`EX_SOFTWARE`).
const EXIT_NOT_DURABLE: i32 = 70;
/// How long the book answers repeats of ended requests; after that, the store does.
const ENDED_KEPT_MS: u64 = 60 * 1000;
/// How far the system's clock, which names requests, may be from the store's before every hold looks for a receipt.
const SKEW_MS: u64 = 1_000;
/// How long a settle may come after its hold lapsed.
const LAPSED_KEPT_MS: u64 = 24 * 60 * 60 * 1000;
/// How many ended requests each operation forgets at most: more than it adds, and few enough that nobody notices.
const FORGOTTEN_MAX: usize = 16;
/// How often rows of what ended are dropped from the store.
const SWEEP_EVERY_MS: u64 = 1_000;
/// How many counters of past periods go in one sweep.
const COUNTERS_PER_SWEEP_MAX: u32 = 1_000;
/// How many objects that have ended go in one sweep.
const OBJECTS_PER_SWEEP_MAX: u32 = 1_000;
/// How many receipts are trimmed in one transaction; charges wait for no more than that.
const RECEIPTS_PER_TRIM_MAX: u32 = 500;
/// How long the next of these transactions waits.
const TRIM_PAUSE: Duration = Duration::from_millis(20);

/// The default [`Ledger`](super::Ledger): one process, one file.
///
/// Dropping it waits until everything queued is durable; [`Ledger::close`](super::Ledger::close) does that without
/// blocking, and says whether it went well. Reads of receipts need a Tokio runtime.
pub struct Embedded {
    desk: Mutex<Desk>,
    clock: Clock,
    /// When it was opened: the book knows of no request that ended before.
    opened: UnixMs,
    digester: Hmac<Sha256>,
    committer: Committer,
    reader: Reader,
}

/// The book, and how far it was swept.
struct Desk {
    book: Book,
    /// Rows of what ended before this were dropped.
    swept: UnixMs,
}

/// Where receipts are read.
enum Reader {
    /// On a connection of its own.
    File {
        path: PathBuf,
        /// None once closed.
        connection: Arc<Mutex<Option<Connection>>>,
    },
    /// On the writing connection: a store in memory has no other.
    Memory,
}

impl Embedded {
    /// Opens the store, making it where it is missing.
    ///
    /// # Errors
    /// Where another process has it, where it keeps another currency or a newer schema, or where
    /// the file cannot be used; see [`OpenError`].
    pub fn open(options: OpenOptions) -> Result<Embedded, OpenError> {
        Self::start(open::open_file(&options)?, exit())
    }

    /// Makes a store that ends with the process.
    ///
    /// # Errors
    /// As good as never: no memory, no thread, no random bytes.
    pub fn in_memory(currency: &str, clock: Option<Clock>) -> Result<Embedded, OpenError> {
        Self::start(open::open_memory(currency, clock)?, exit())
    }

    /// How many transactions wrote something since the store was opened.
    pub fn commits(&self) -> u64 {
        self.committer.commits()
    }

    fn start(opened: Opened, on_fatal: OnFatal) -> Result<Embedded, OpenError> {
        let reader = match opened.path {
            Some(path) => Reader::File {
                connection: Arc::new(Mutex::new(Some(open::connect_reader(&path)?))),
                path,
            },
            None => Reader::Memory,
        };
        let digester =
            Hmac::new_from_slice(&opened.meta.pepper).expect("an HMAC takes a key of any length");
        let committer =
            Committer::start(opened.file, opened.room, on_fatal).map_err(OpenError::Thread)?;
        let now = opened.clock.now();
        Ok(Embedded {
            desk: Mutex::new(Desk {
                book: opened.book,
                swept: now,
            }),
            opened: now,
            clock: opened.clock,
            digester,
            committer,
            reader,
        })
    }

    /// The book, locked. A panic while it is locked may leave it between two states: that is fatal.
    fn desk(&self) -> Result<Locked<'_>, LedgerError> {
        self.committer.check()?;
        let desk = self.desk.lock();
        let now = self.clock.now();
        let mut locked = Locked {
            now,
            committer: &self.committer,
            desk,
            panicking: std::thread::panicking(),
        };
        locked.sweep();
        Ok(locked)
    }

    /// Asks the book without changing it.
    fn ask<T>(&self, ask: impl FnOnce(&Book, UnixMs) -> T) -> Result<T, LedgerError> {
        let locked = self.desk()?;
        Ok(ask(&locked.desk.book, locked.now))
    }

    /// Changes the book, and answers once that is durable. A repeat that the book answers without a
    /// change waits too: for the commit of what it repeats.
    async fn change<T>(
        &self,
        change: impl FnOnce(&mut Book, UnixMs, &mut Vec<Change>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let (answer, durable) = {
            let mut locked = self.desk()?;
            let now = locked.now;
            let mut changes = Vec::new();
            let answer = change(&mut locked.desk.book, now, &mut changes);
            (answer, self.committer.commit(now, changes))
        };
        durable.await?;
        answer
    }

    /// Reads from the store.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        match &self.reader {
            Reader::Memory => self.committer.run(work).await,
            Reader::File { connection, .. } => {
                let connection = connection.clone();
                blocking(move || match connection.lock().as_ref() {
                    Some(connection) => work(connection).map_err(committer::unavailable),
                    None => Err(LedgerError::Unavailable("the store is closed".to_owned())),
                })
                .await?
            }
        }
    }
}

/// Ends the process: a ledger that cannot write must not go on answering.
fn exit() -> OnFatal {
    Box::new(|| {
        telemetry::flush();
        std::process::exit(EXIT_NOT_DURABLE)
    })
}

/// How many reads wait on threads at once: those threads are shared with what ends requests.
static READS: Semaphore = Semaphore::const_new(2);

/// Runs blocking work beside the runtime's own threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LedgerError> {
    let ended = |why: &dyn std::fmt::Display| {
        LedgerError::Unavailable(format!("a read of the store ended early: {why}"))
    };
    let place = READS.acquire().await.map_err(|error| ended(&error))?;
    let working = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(place);
        result
    });
    working.await.map_err(|error| ended(&error))
}

/// The desk while it is locked.
struct Locked<'a> {
    /// The time of the operation: read under the lock, so that it runs in the book's order.
    now: UnixMs,
    committer: &'a Committer,
    desk: MutexGuard<'a, Desk>,
    panicking: bool,
}

impl Locked<'_> {
    /// Drops what ended long ago, a bounded piece at a time.
    fn sweep(&mut self) {
        let due = UnixMs(self.now.0.saturating_sub_unsigned(ENDED_KEPT_MS));
        let lapsed = UnixMs(self.now.0.saturating_sub_unsigned(LAPSED_KEPT_MS));
        self.desk.book.forget_some(due, lapsed, FORGOTTEN_MAX);
        if due.since(self.desk.swept) < SWEEP_EVERY_MS {
            return;
        }
        self.desk.swept = due;
        let prune = move |connection: &Connection| {
            objects::prune(connection, due, OBJECTS_PER_SWEEP_MAX)?;
            writer::prune_counters(connection, due, COUNTERS_PER_SWEEP_MAX)
        };
        // Nobody waits for it, and where it fails, the next sweep tries again.
        drop(self.committer.run(prune));
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if !self.panicking && std::thread::panicking() {
            self.committer.fail("the book panicked inside an operation");
        }
    }
}
