//! The write-ahead log of a store, emptied into its file beside the thread that commits.
//!
//! SQLite would do it inside the commit that made the log long, which then waits for thousands of pages and two syncs.
//! Here another thread copies what the log has, again while each pass leaves less. The committing thread copies the rest,
//! and the next commit begins the log anew; its own syncs then have little to write. How a log is emptied:
//! <https://sqlite.org/wal.html>.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::error::is_sync_failure;

/// The log is emptied when it has so many pages: 16 MB. Pages that many commits write go to the file once.
const LONG: u32 = 4_000;
/// Where commits are faster than the disk, they wait for it from here on.
const LONGEST: u32 = 2 * LONG;
/// So few pages the committing thread copies.
const FEW: u32 = 200;
/// What somebody reads cannot be copied: it is tried again when there are so many pages more.
const AGAIN: u32 = 1_000;

/// The log of a connection that commits. Dropped, it waits for the other thread, and leaves the log as it is.
pub(in crate::ledger) struct Wal {
    /// How many pages the log had after the last commit.
    pages: Arc<AtomicU32>,
    /// When there are so many, it is to be emptied.
    due: u32,
    /// Whether the other thread copies.
    copies: bool,
    /// `None` at the end.
    ask: Option<Sender<()>>,
    outcome: Receiver<rusqlite::Result<Copied>>,
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
        let empty = move || {
            while asked.recv().is_ok() {
                if tell.send(most(&other, &count)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("checkpoints".to_owned());
        Ok(Wal {
            pages,
            due: LONG,
            copies: false,
            ask: Some(ask),
            outcome,
            thread: Some(thread.spawn(empty)?),
        })
    }

    /// Looks after the log between two commits on the connection that it keeps, and when there are none.
    ///
    /// # Errors
    /// Where what was written could not be synced: what the disk has is unknown then, and no later sync tells.
    pub fn tend(&mut self, committing: &Connection) -> rusqlite::Result<()> {
        let pages = self.pages.load(Ordering::Relaxed);
        if self.copies {
            let outcome = match pages < LONGEST {
                true => self.outcome.try_recv(),
                false => self.outcome.recv().map_err(TryRecvError::from),
            };
            match outcome {
                Ok(outcome) => self.pass_ended(pages, outcome, committing),
                Err(TryRecvError::Empty) => Ok(()),
                Err(TryRecvError::Disconnected) => self.copy_rest(pages, committing),
            }
        } else if pages >= self.due {
            self.ask(pages, committing)
        } else {
            Ok(())
        }
    }

    fn ask(&mut self, pages: u32, committing: &Connection) -> rusqlite::Result<()> {
        let asked = self.ask.as_ref().map(|ask| ask.send(()));
        self.copies = matches!(asked, Some(Ok(())));
        match self.copies {
            true => Ok(()),
            // Without the other thread, commits wait for all of it.
            false => self.copy_rest(pages, committing),
        }
    }

    /// The other thread has copied what it could.
    fn pass_ended(
        &mut self,
        pages: u32,
        outcome: rusqlite::Result<Copied>,
        committing: &Connection,
    ) -> rusqlite::Result<()> {
        self.copies = false;
        match outcome {
            // All of it, and the log was begun anew since.
            Ok(copied) if copied.is_all() && pages < copied.log => self.due = LONG,
            Ok(copied) if copied.left(pages) <= FEW || pages >= LONGEST => {
                return self.copy_rest(pages, committing);
            }
            Ok(copied) if copied.is_all() => return self.ask(pages, committing),
            Ok(_) => self.due = pages.saturating_add(AGAIN),
            Err(error) => self.failed(pages, error)?,
        }
        Ok(())
    }

    fn copy_rest(&mut self, pages: u32, committing: &Connection) -> rusqlite::Result<()> {
        self.copies = false;
        match copy(committing) {
            Ok(copied) if copied.is_all() => {
                // The next commit begins it anew, and counts from one.
                self.pages.store(0, Ordering::Relaxed);
                self.due = LONG;
            }
            Ok(_) => self.due = pages.saturating_add(AGAIN),
            Err(error) => self.failed(pages, error)?,
        }
        Ok(())
    }

    fn failed(&mut self, pages: u32, error: rusqlite::Error) -> rusqlite::Result<()> {
        self.due = pages.saturating_add(AGAIN);
        match is_sync_failure(&error) {
            true => Err(error),
            false => {
                tracing::warn!("the ledger's log cannot be emptied now: {error}");
                Ok(())
            }
        }
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
        if let Ok(Err(error)) = self.outcome.try_recv() {
            tracing::error!("the ledger's log was not emptied: {error}");
        }
    }
}

/// What one pass has copied.
#[derive(Clone, Copy, Debug)]
struct Copied {
    /// How many pages the log had when it began.
    log: u32,
    /// How many of them the file has.
    copied: u32,
}

impl Copied {
    /// Whether nobody read a part of it, or copied it at the same time.
    fn is_all(self) -> bool {
        self.copied >= self.log
    }

    /// How many of so many the file lacks.
    fn left(self, pages: u32) -> u32 {
        pages.saturating_sub(self.copied)
    }
}

/// Copies what there is of the log, and what came meanwhile, as long as each pass leaves half of what the one before left.
fn most(connection: &Connection, pages: &AtomicU32) -> rusqlite::Result<Copied> {
    let mut before = u32::MAX;
    loop {
        let copied = copy(connection)?;
        let left = copied.left(pages.load(Ordering::Relaxed));
        if left <= FEW || left > before / 2 || !copied.is_all() {
            return Ok(copied);
        }
        before = left;
    }
}

/// Copies what there is of the log, waiting for nobody; what somebody reads stays.
fn copy(connection: &Connection) -> rusqlite::Result<Copied> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        let (log, copied): (i64, i64) = (row.get(1)?, row.get(2)?);
        // Both are -1 while another process copies.
        Ok(match (u32::try_from(log), u32::try_from(copied)) {
            (Ok(log), Ok(copied)) => Copied { log, copied },
            _ => Copied { log: 1, copied: 0 },
        })
    })
}

#[cfg(test)]
mod tests;
