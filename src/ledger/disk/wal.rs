//! The write-ahead log of a store, emptied into its file beside the thread that commits.
//!
//! SQLite would do it inside the commit that made the log long, which then waits for thousands of pages and two syncs.
//! Here another thread copies what the log has, over and over until little is left; that, the committing thread copies
//! between two commits, and the next commit begins the log anew. How a log is emptied: <https://sqlite.org/wal.html>.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};

/// The log is emptied when it has so many pages: 16 MB. Pages that many commits write go to the file once.
const LONG: u32 = 4_000;
/// So few pages the committing thread may copy.
const FEW: u32 = 200;
/// So often at most the other thread begins again, where commits are as fast as it.
const PASSES_MAX: usize = 4;

/// The log of a connection that commits. Dropped, it waits for the other thread, and leaves the log as it is.
pub(in crate::ledger) struct Wal {
    /// How many pages the log had after the last commit.
    pages: Arc<AtomicU32>,
    /// So many could not be copied, because they are read: the next try is due when there are more.
    kept: u32,
    /// Whether the other thread copies.
    copies: bool,
    /// `None` at the end.
    ask: Option<Sender<()>>,
    outcome: Receiver<rusqlite::Result<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Wal {
    /// Empties the log of `committing` from now on, with a second connection to the same file.
    ///
    /// # Errors
    /// Where the connection takes no hook, or there is no thread.
    pub fn keep(committing: &mut Connection, other: Connection) -> std::io::Result<Wal> {
        let pages = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&pages);
        // In the place of SQLite's own hook, which would empty the log.
        let hook = move |_: &mut rusqlite::hooks::Wal, pages: std::ffi::c_int| {
            count.store(pages.unsigned_abs(), Ordering::Relaxed);
            Ok(())
        };
        let hooked = committing.wal_hook(Some(hook));
        hooked.map_err(std::io::Error::other)?;
        let (ask, asked) = channel();
        let (tell, outcome) = channel();
        let count = Arc::clone(&pages);
        let thread = std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(
                move || while asked.recv().is_ok() && tell.send(most(&other, &count)).is_ok() {},
            )?;
        Ok(Wal {
            pages,
            kept: 0,
            copies: false,
            ask: Some(ask),
            outcome,
            thread: Some(thread),
        })
    }

    /// Looks after the log between two commits on the connection that it keeps.
    ///
    /// # Errors
    /// Where what was written could not be synced: what the disk has is unknown then, and no later sync tells.
    pub fn tend(&mut self, committing: &Connection) -> rusqlite::Result<()> {
        if self.copies {
            let outcome = match self.outcome.try_recv() {
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => Ok(()),
                Ok(outcome) => outcome,
            };
            self.copies = false;
            return self.finish(outcome.and_then(|()| copy(committing)));
        }
        if !self.is_long() {
            return Ok(());
        }
        let asked = self.ask.as_ref().map(|ask| ask.send(()));
        self.copies = matches!(asked, Some(Ok(())));
        match self.copies {
            true => Ok(()),
            // Without the other thread, commits wait for all of it.
            false => self.finish(copy(committing)),
        }
    }

    fn is_long(&mut self) -> bool {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.kept {
            // It was begun anew.
            self.kept = 0;
        }
        pages >= self.kept.saturating_add(LONG)
    }

    fn finish(&mut self, copied: rusqlite::Result<Copied>) -> rusqlite::Result<()> {
        match copied {
            Ok(copied) if copied.is_all() => {
                // The next commit begins it anew, and counts from one.
                self.pages.store(0, Ordering::Relaxed);
                self.kept = 0;
                return Ok(());
            }
            Ok(_) => {}
            Err(error) if is_sync_failure(&error) => return Err(error),
            Err(error) => tracing::warn!("the ledger's log cannot be emptied now: {error}"),
        }
        self.kept = self.pages.load(Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.ask = None;
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the thread that empties the ledger's log panicked");
        }
    }
}

/// What one pass has copied.
struct Copied {
    /// How many pages the log had when it began.
    of: u32,
    /// How many of them the file has.
    pages: u32,
}

impl Copied {
    fn is_all(&self) -> bool {
        self.pages >= self.of
    }
}

/// Copies what there is of the log, and what came meanwhile, until little is left.
fn most(connection: &Connection, pages: &AtomicU32) -> rusqlite::Result<()> {
    for _ in 0..PASSES_MAX {
        let copied = copy(connection)?;
        let left = pages.load(Ordering::Relaxed).saturating_sub(copied.pages);
        if left <= FEW || !copied.is_all() {
            break;
        }
    }
    Ok(())
}

/// Copies what there is of the log, waiting for nobody; what somebody reads stays.
fn copy(connection: &Connection) -> rusqlite::Result<Copied> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok(Copied {
            of: row.get(1)?,
            pages: row.get(2)?,
        })
    })
}

/// Whether the system could not bring what was written to the disk.
pub(in crate::ledger) fn is_sync_failure(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code.is_some_and(|code| [SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC].contains(&code))
}

#[cfg(test)]
mod tests;
