//! One operation on its way to the disk.

use tokio::sync::oneshot;

use crate::clock::UnixMs;
use crate::ledger::book::Change;

/// One operation of the book.
pub(super) struct Step {
    pub now: UnixMs,
    pub changes: Vec<Change>,
    pub done: oneshot::Sender<()>,
}
