//! The way to the thread that writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use arc_swap::ArcSwapOption;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::desk::{Desk, Job, Outcome, State, Task, answer, failed, stopped};
use super::entry::JournalEntry;
use super::error::JournalError;
use super::notes::Notes;
use crate::ledger::LedgerError;
use crate::ledger::disk::lock::StoreLock;
use crate::ledger::disk::space::{Measure, Space, Watch};

/// The way to the thread. Dropping it waits for the thread to finish what was queued.
pub(super) struct Writer {
    queue: Sender<Job>,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread, which owns the connection and the lock from now on.
    pub fn start(
        connection: Connection,
        lock: StoreLock,
        room: Measure,
        notes: Notes,
    ) -> Result<Writer, JournalError> {
        let (queue, jobs) = channel();
        let state = Arc::new(State {
            failing: ArcSwapOption::empty(),
            stopped: AtomicBool::new(false),
            space: Space::of("the journal"),
        });
        let watch = Watch::start(room, &state.space);
        let desk = Desk::new(state.clone(), watch, notes);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || desk.run(connection, lock, &jobs))
            .map_err(JournalError::Thread)?;
        Ok(Writer {
            queue,
            state,
            thread: Some(thread),
        })
    }

    /// Queues an entry, at once.
    pub fn append(&self, entry: Arc<JournalEntry>) -> oneshot::Receiver<Outcome> {
        self.queue(|done| Job::Entry(entry, done))
    }

    /// Asks for everything appended before to be on disk.
    pub fn sync(&self) -> oneshot::Receiver<Outcome> {
        self.queue(Job::Sync)
    }

    /// Asks for everything appended before to be written.
    pub fn flush(&self) -> oneshot::Receiver<Outcome> {
        self.queue(Job::Flush)
    }

    pub fn close(&self) -> oneshot::Receiver<Outcome> {
        self.queue(Job::Close)
    }

    /// Runs work on the writing connection, between two commits.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (done, wait) = oneshot::channel();
        let task: Task = Box::new(move |connection| answer(done, work(connection)));
        self.queue.send(Job::Task(task)).map_err(|_| stopped())?;
        wait.await.map_err(|_| stopped())?.map_err(failed)
    }

    /// Refuses while entries cannot be written, or there is little room for more.
    pub fn check(&self) -> Outcome {
        if self.state.stopped.load(Ordering::Acquire) {
            return Err(stopped());
        }
        if let Some(why) = &*self.state.failing.load() {
            return Err(LedgerError::Unavailable(why.to_string()));
        }
        self.state.space.check()
    }

    fn queue(
        &self,
        job: impl FnOnce(oneshot::Sender<Outcome>) -> Job,
    ) -> oneshot::Receiver<Outcome> {
        let (done, wait) = oneshot::channel();
        // A queue without a reader drops the job, and so its `done`: whoever waits is told.
        drop(self.queue.send(job(done)));
        wait
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.close());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's thread panicked");
        }
    }
}
