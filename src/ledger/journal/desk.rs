//! The work of the one thread that writes: entries in the order of their calls, whatever has gathered at once.
//! What cannot be written waits in memory, in order, and is tried again: the file never has a hole.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use rusqlite::{Connection, Statement, params};
use tokio::sync::oneshot;

use super::entry::JournalEntry;
use super::notes::Notes;
use crate::ledger::LedgerError;
use crate::ledger::disk::error::is_sync_failure;
use crate::ledger::disk::lock::StoreLock;
use crate::ledger::disk::space::{Space, Watch};

/// The most entries of one transaction; a bound on how long the first of them waits for the last.
const ENTRIES_PER_COMMIT_MAX: usize = 1024;
/// Where this many came together, others are on their way: the next commit waits a moment for them.
const CROWD: usize = 4;
const CROWD_PAUSE: Duration = Duration::from_micros(500);
/// How long after a failed write the next try waits.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(250);

pub(super) type Outcome = Result<(), LedgerError>;
pub(super) type Task = Box<dyn FnOnce(&Connection) + Send>;

/// What the thread is asked for.
pub(super) enum Job {
    Entry(Arc<JournalEntry>, oneshot::Sender<Outcome>),
    /// Answers once everything queued before is on disk.
    Sync(oneshot::Sender<Outcome>),
    /// Answers once everything queued before was written.
    Flush(oneshot::Sender<Outcome>),
    Task(Task),
    Close(oneshot::Sender<Outcome>),
}

/// What the thread tells everyone.
pub(super) struct State {
    /// Why entries cannot be written at present.
    pub failing: ArcSwapOption<String>,
    pub stopped: AtomicBool,
    pub space: Space,
}

/// The connection, and the statements of a commit, prepared once.
struct Statements<'c> {
    connection: &'c Connection,
    begin: Statement<'c>,
    insert: Statement<'c>,
    touch: Statement<'c>,
    commit: Statement<'c>,
}

impl<'c> Statements<'c> {
    fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        connection.pragma_update(None, "synchronous", "normal")?;
        Ok(Statements {
            connection,
            begin: connection.prepare("BEGIN IMMEDIATE")?,
            insert: connection.prepare(
                "INSERT INTO entries (id, opening, partition, seq, at, script, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            touch: connection
                .prepare("INSERT OR REPLACE INTO meta (name, value) VALUES ('synced', ?1)")?,
            commit: connection.prepare("COMMIT")?,
        })
    }
}

/// What the thread works on.
pub(super) struct Desk {
    state: Arc<State>,
    watch: Watch,
    notes: Notes,
    /// What is not written yet, oldest first. Who has been told that it failed has no `done` any more.
    waiting: VecDeque<(Arc<JournalEntry>, Option<oneshot::Sender<Outcome>>)>,
    syncs: Vec<(bool, oneshot::Sender<Outcome>)>,
    /// The disk failed to sync: what it has of earlier writes is unknown from now on.
    broken: bool,
}

impl Desk {
    /// A desk with nothing on it.
    pub fn new(state: Arc<State>, watch: Watch, notes: Notes) -> Desk {
        Desk {
            state,
            watch,
            notes,
            waiting: VecDeque::new(),
            syncs: Vec::new(),
            broken: false,
        }
    }

    /// Works until it is told to close.
    pub fn run(mut self, connection: Connection, lock: StoreLock, jobs: &Receiver<Job>) {
        let (closed, ended) = match Statements::prepare(&connection) {
            Ok(mut statements) => {
                let closed = self.serve(&mut statements, jobs);
                (closed, self.end(&mut statements))
            }
            Err(error) => {
                tracing::error!("the journal cannot be written: {error}");
                (None, Err(failed(error)))
            }
        };
        self.state.stopped.store(true, Ordering::Release);
        drop(connection);
        drop(lock);
        if let Some(done) = closed {
            answer(done, ended);
        }
    }

    /// Works until it is told to close, and by whom.
    fn serve(
        &mut self,
        to: &mut Statements<'_>,
        jobs: &Receiver<Job>,
    ) -> Option<oneshot::Sender<Outcome>> {
        let mut crowded = false;
        let mut next = None;
        let mut try_again = Instant::now();
        loop {
            let mut patience = self.watch.look(&self.state.space);
            if !self.waiting.is_empty() {
                patience = patience.min(try_again.saturating_duration_since(Instant::now()));
            }
            let job = match next.take().map_or_else(|| jobs.recv_timeout(patience), Ok) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return None,
            };
            match job {
                Some(Job::Task(task)) => task(to.connection),
                Some(Job::Close(done)) => return Some(done),
                Some(job) => {
                    self.take(job);
                    if crowded {
                        std::thread::sleep(CROWD_PAUSE);
                    }
                    next = self.gather(jobs);
                    crowded = self.waiting.len() >= CROWD;
                }
                None => {}
            }
            if Instant::now() < try_again {
                self.refuse();
            } else if !self.commit(to) {
                try_again = Instant::now() + TRY_AGAIN_AFTER;
            }
        }
    }

    fn take(&mut self, job: Job) -> Option<Job> {
        match job {
            Job::Entry(entry, done) => self.waiting.push_back((entry, Some(done))),
            Job::Sync(done) => self.syncs.push((true, done)),
            Job::Flush(done) => self.syncs.push((false, done)),
            other => return Some(other),
        }
        None
    }

    /// Adds what has come in the meantime; answers the job that ended it, if one did.
    fn gather(&mut self, jobs: &Receiver<Job>) -> Option<Job> {
        while self.waiting.len() < ENTRIES_PER_COMMIT_MAX {
            if let Some(other) = self.take(jobs.try_recv().ok()?) {
                return Some(other);
            }
        }
        None
    }

    /// Writes everything that waits, and notes now and then how far it is. Answers whether that went well.
    fn commit(&mut self, to: &mut Statements<'_>) -> bool {
        if self.broken {
            self.refuse();
            return false;
        }
        let durable = self.syncs.iter().any(|(durable, _)| *durable);
        let written = self
            .write(to, durable)
            .and_then(|()| match self.notes.are_due() {
                true => self.notes.write(to.connection),
                false => Ok(()),
            });
        match written {
            Ok(()) => {
                if self.state.failing.swap(None).is_some() {
                    tracing::info!("the journal can be written again");
                }
                for (_, done) in self.syncs.drain(..) {
                    answer(done, Ok(()));
                }
            }
            Err(error) => self.note_failure(to.connection, &error),
        }
        self.state.failing.load().is_none()
    }

    /// One transaction after the other; the last of them is synced where that is asked for.
    fn write(&mut self, to: &mut Statements<'_>, durable: bool) -> rusqlite::Result<()> {
        while self.waiting.len() > ENTRIES_PER_COMMIT_MAX || !(self.waiting.is_empty() || durable) {
            self.write_piece(to)?;
        }
        if durable {
            let connection = to.connection;
            connection.pragma_update(None, "synchronous", "full")?;
            let written = self.write_piece(to);
            connection.pragma_update(None, "synchronous", "normal")?;
            written?;
        }
        Ok(())
    }

    fn write_piece(&mut self, to: &mut Statements<'_>) -> rusqlite::Result<()> {
        let count = self.waiting.len().min(ENTRIES_PER_COMMIT_MAX);
        to.begin.execute([])?;
        let (first, opening) = (self.notes.next(), self.notes.opening());
        for (id, (entry, _)) in (first..).zip(self.waiting.range(..count)) {
            to.insert.execute(params![
                id,
                opening,
                entry.partition,
                entry.seq.cast_signed(),
                entry.at.0,
                entry.script,
                entry.body
            ])?;
        }
        if count == 0 {
            // Only a transaction that wrote something is synced, and what was written before it with it.
            to.touch.execute([first])?;
        }
        to.commit.execute([])?;
        let written = self.waiting.range(..count).map(|(entry, _)| &**entry);
        self.notes.wrote(written);
        for (_, done) in self.waiting.drain(..count) {
            if let Some(done) = done {
                answer(done, Ok(()));
            }
        }
        Ok(())
    }

    fn note_failure(&mut self, connection: &Connection, error: &rusqlite::Error) {
        self.broken |= is_sync_failure(error);
        if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("ROLLBACK")
        {
            tracing::warn!("a failed write of the journal cannot be rolled back: {error}");
        }
        if self.state.failing.load().is_none() {
            let advice = if self.broken {
                "the disk did not sync, and what it has is unknown: mend it, and start again"
            } else {
                "it is tried again until it can"
            };
            let why = format!("the journal cannot be written: {error}; {advice}");
            tracing::error!("{why}");
            self.state.failing.store(Some(Arc::new(why)));
        }
        self.refuse();
    }

    /// Tells whoever waits that it failed for now. The entries stay, until they can be written.
    fn refuse(&mut self) {
        let failing = self.state.failing.load();
        let why = failing.as_deref().cloned().unwrap_or_default();
        let dones = self.waiting.iter_mut().filter_map(|(_, done)| done.take());
        for done in dones.chain(self.syncs.drain(..).map(|(_, done)| done)) {
            answer(done, Err(LedgerError::Unavailable(why.clone())));
        }
        if self.broken {
            self.waiting.clear();
        }
    }

    /// Writes what is left, and empties the log into the file.
    fn end(&mut self, to: &mut Statements<'_>) -> Outcome {
        let connection = to.connection;
        self.commit(to);
        if let Some(why) = self.state.failing.load_full() {
            return Err(LedgerError::Unavailable(why.to_string()));
        }
        self.notes.write(connection).map_err(failed)?;
        let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = emptied {
            tracing::warn!("the write-ahead log stays beside the journal's file: {error}");
        }
        Ok(())
    }
}

/// Answers a caller, who may have gone: what was done stays done.
pub(super) fn answer<T>(done: oneshot::Sender<T>, value: T) {
    drop(done.send(value));
}

pub(super) fn stopped() -> LedgerError {
    LedgerError::Unavailable("the journal is closed".to_owned())
}

pub(super) fn failed(error: rusqlite::Error) -> LedgerError {
    LedgerError::Unavailable(format!("the journal cannot be written: {error}"))
}
