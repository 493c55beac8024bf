//! The journal: what a proxy did to a shared store, kept in a file of its own, so that writes that the store
//! loses can be done again, exactly once. It knows nothing of the store but its id.
//!
//! Every entry has a number, dense from 1 in its partition. The store keeps for each journal the highest number it
//! has carried out, and moves it in the same step: so an entry may be sent any number of times. Each opening of the
//! file numbers under a fresh name, its nonce: a copy of the file, or one put back from a backup, never gives a
//! number twice. Entries are written in the order of their calls and in groups; a plain write survives the end of
//! the process, [`Journal::durable`] makes everything before it survive the loss of power.

mod archive;
mod desk;
mod entry;
mod error;
mod notes;
mod schema;
mod sweep;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::archive::Taken;
use self::desk::{Outcome, stopped};
use self::notes::Notes;
use self::sweep::Review;
use self::writer::Writer;
use super::LedgerError;
use super::disk::space;
use super::id::StoreId;
use crate::clock::{Clock, UnixMs};

pub use self::archive::{Archive, Lane, Opening, Reach, Stored};
pub use self::entry::{JournalEntry, Nonce, pack};
pub use self::error::JournalError;
pub use self::sweep::KEPT_MS;

/// The journal of this process.
///
/// Dropping it waits until everything appended is written; [`Journal::close`] does that without blocking.
/// Reading needs a Tokio runtime.
pub struct Journal {
    archive: Archive,
    writer: Writer,
    opening: Opening,
    clock: Clock,
    review: Mutex<Review>,
}

impl Journal {
    /// Opens the file, making it where it is missing, and registers an opening of its own.
    ///
    /// # Errors
    /// Where another process has it, where it is bound to another store, where a newer program wrote it, or
    /// where the file cannot be used; see [`JournalError`].
    pub fn open(path: &Path, store: StoreId, clock: Clock) -> Result<Journal, JournalError> {
        let taken = Taken::take(path, true)?;
        let connection = &taken.connection;
        match schema::store(connection)? {
            Some(kept) if kept != store => {
                return Err(JournalError::OtherStore {
                    file: taken.file,
                    kept,
                    asked: store,
                });
            }
            Some(_) => {}
            None => schema::bind(connection, store)?,
        }
        let next = schema::newest(connection)? + 1;
        let (nonce, at) = (fresh()?, clock.now());
        let id = schema::register(connection, nonce, at, next)?;
        sweep::forget_openings(connection)?;
        let archive = Archive::read(&taken, Some(id))?;
        let review = Review::resume(connection)?;
        let room = space::of_file(taken.file.clone());
        let notes = Notes::new(id, next, archive.shared_lanes());
        Ok(Journal {
            writer: Writer::start(taken.connection, taken.lock, room, notes)?,
            archive,
            opening: Opening {
                id,
                nonce,
                at,
                first: next,
            },
            clock,
            review: Mutex::new(review),
        })
    }

    /// The name under which this process numbers.
    pub fn nonce(&self) -> Nonce {
        self.opening.nonce
    }

    /// The opening of this process.
    pub fn opening(&self) -> Opening {
        self.opening
    }

    /// What the file holds.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The time, for entries.
    pub fn now(&self) -> UnixMs {
        self.clock.now()
    }

    /// Queues an entry, at once: the order of calls is the order in the file. The future ends when it is written,
    /// or cannot be at present; then it stays queued, and is written as soon as it can. Dropping the future
    /// changes nothing.
    pub fn append(
        &self,
        entry: Arc<JournalEntry>,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send + use<> {
        heard(self.writer.append(entry))
    }

    /// Makes everything that was appended before survive the loss of power.
    ///
    /// # Errors
    /// Where it cannot be written, or the disk does not sync.
    pub fn durable(&self) -> impl Future<Output = Result<(), LedgerError>> + Send + use<> {
        heard(self.writer.sync())
    }

    /// Waits until everything that was appended before is written.
    ///
    /// # Errors
    /// Where it cannot be at present.
    pub fn flushed(&self) -> impl Future<Output = Result<(), LedgerError>> + Send + use<> {
        heard(self.writer.flush())
    }

    /// Whether entries can be written, and there is room for more.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self) -> Result<(), LedgerError> {
        self.writer.check()
    }

    /// Notes that the store has everything of this process up to `seq` in a partition; see [`Archive::applied`].
    pub fn applied(&self, partition: u16, seq: u64) {
        let opening = self.opening.id;
        self.archive.applied(Lane { opening, partition }, seq);
    }

    /// Writes what is queued, empties the write-ahead log and lets go of the file. Later calls are refused.
    ///
    /// # Errors
    /// Where something could not be written, or it was closed before.
    pub async fn close(&self) -> Result<(), LedgerError> {
        heard(self.writer.close()).await
    }
}

async fn heard(wait: oneshot::Receiver<Outcome>) -> Outcome {
    wait.await.unwrap_or_else(|_| Err(stopped()))
}

fn fresh() -> Result<Nonce, JournalError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|error| JournalError::Randomness(error.to_string()))?;
    Ok(Nonce(nonce))
}

/// The journal of a proxy that does not run, looked at or replayed by a command. It registers nothing.
pub struct Visit {
    archive: Archive,
    taken: Taken,
}

impl Visit {
    /// Opens the journal at `path`.
    ///
    /// # Errors
    /// As [`Journal::open`], and where there is none.
    pub fn open(path: &Path) -> Result<Visit, JournalError> {
        let taken = Taken::take(path, false)?;
        let archive = Archive::read(&taken, None)?;
        Ok(Visit { archive, taken })
    }

    /// What the file holds.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Writes down what was learned of the store, and lets go of the file.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn close(self) -> Result<(), JournalError> {
        let next = schema::newest(&self.taken.connection)? + 1;
        let mut notes = Notes::new(0, next, self.archive.shared_lanes());
        Ok(notes.write(&self.taken.connection)?)
    }
}
