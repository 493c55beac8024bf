//! One operation on its way to the disk.

use super::objects::Objects;
use crate::clock::UnixMs;
use crate::ledger::book::Change;
use crate::workers::{Mailbox, Turn};

/// What is decided and written in the store itself, inside the transaction of its step.
pub(super) type Work = Box<dyn FnOnce(&mut Objects<'_>) -> rusqlite::Result<()> + Send>;

/// One operation.
pub(super) struct Step {
    pub now: UnixMs,
    /// What it changed in the book.
    pub changes: Vec<Change>,
    /// What it does to objects, which the book does not have.
    pub work: Option<Work>,
    pub done: Turn,
    /// The worker that it came from, where it was one.
    pub from: Option<Mailbox>,
}
