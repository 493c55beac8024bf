//! The one thread that writes: it takes what the book did, in the book's order, and makes it durable in groups.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::objects::Objects;
use super::open::StoreFile;
use super::step::{Step, Work};
use super::writer::Writer;
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::book::Change;
use crate::ledger::disk::space::{Measure, Space, Watch};
use crate::ledger::disk::wal::Wal;
use crate::workers::{Mailbox, Turn};

/// The most operations that share one commit; a bound on how long the first of them waits for the last.
const STEPS_PER_COMMIT_MAX: usize = 1024;

/// Where this many operations came together, others are on their way: the next commit waits for them
/// a moment, since most of a commit's cost is the same for one operation and for twenty.
const CROWD: usize = 4;
const CROWD_PAUSE: Duration = Duration::from_micros(500);

/// What happens when the book is ahead of the disk and cannot be made durable: the end of the process.
pub(super) type OnFatal = Box<dyn Fn() + Send + Sync>;

/// Work between commits, with the writing connection.
type Task = Box<dyn FnOnce(&Connection) + Send>;

enum Job {
    Step(Step),
    Task(Task),
    Close(oneshot::Sender<()>),
}

/// The way to the thread. Dropping it waits for the thread to finish what was queued.
pub(super) struct Committer {
    queue: Sender<Job>,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    stopped: AtomicBool,
    commits: AtomicU64,
    space: Space,
    on_fatal: OnFatal,
}

impl Committer {
    /// Starts the thread, which owns the file from now on, and looks from time to time how much room is left.
    pub fn start(
        mut file: StoreFile,
        room: Measure,
        on_fatal: OnFatal,
    ) -> std::io::Result<Committer> {
        let (queue, jobs) = channel();
        let state = Arc::new(State {
            stopped: AtomicBool::new(false),
            commits: AtomicU64::new(0),
            space: Space::of("the ledger"),
            on_fatal,
        });
        let watch = Watch::start(room, &state.space);
        let wal = file.emptying.take();
        let wal = wal.map(|other| Wal::keep(&mut file.connection, other));
        let wal = wal.transpose()?;
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn({
                let state = state.clone();
                move || run(file, wal, &jobs, watch, &state)
            })?;
        Ok(Committer {
            queue,
            state,
            thread: Some(thread),
        })
    }

    /// Queues what an operation changed, at once; the future ends when that, and everything queued
    /// before, is durable. Call it under the book's lock: the order of calls is the order on disk.
    pub fn commit(
        &self,
        now: UnixMs,
        changes: Vec<Change>,
    ) -> impl Future<Output = Result<(), LedgerError>> + use<> {
        self.step(now, changes, None)
    }

    /// Queues what is done to objects, at once: it is done in one transaction with what came before it and after
    /// it, and sees what came before. The future ends when it is durable. An error of the database is as fatal as one
    /// of any commit.
    pub fn write<T, F>(
        &self,
        now: UnixMs,
        work: F,
    ) -> impl Future<Output = Result<T, LedgerError>> + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut Objects<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let work: Work = Box::new(move |objects| {
            answer(tell, work(objects)?);
            Ok(())
        });
        let durable = self.step(now, Vec::new(), Some(work));
        async move {
            durable.await?;
            told.await.map_err(|_| stopped())
        }
    }

    fn step(
        &self,
        now: UnixMs,
        changes: Vec<Change>,
        work: Option<Work>,
    ) -> impl Future<Output = Result<(), LedgerError>> + use<> {
        let (done, wait) = oneshot::channel();
        let step = Step {
            now,
            changes,
            work,
            done,
            from: Mailbox::here(),
        };
        // A queue without a reader drops the job, and so its `done`: the waiter is told below.
        let queued = self.queue.send(Job::Step(step));
        async move {
            match queued {
                Ok(()) => wait.await.map_err(|_| stopped()),
                Err(_) => Err(stopped()),
            }
        }
    }

    /// Queues work for the writing connection, at once: it runs after everything queued before was
    /// committed. Its errors are the caller's and stop nothing.
    pub fn run<T, F>(&self, work: F) -> impl Future<Output = Result<T, LedgerError>> + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (done, wait) = oneshot::channel();
        let task: Task = Box::new(move |connection| answer(done, work(connection)));
        let queued = self.queue.send(Job::Task(task));
        async move {
            match queued {
                Ok(()) => wait.await.map_err(|_| stopped())?.map_err(unavailable),
                Err(_) => Err(stopped()),
            }
        }
    }

    /// Finishes what was queued, empties the write-ahead log into the file and lets go of both.
    pub async fn close(&self) -> Result<(), LedgerError> {
        let (done, wait) = oneshot::channel();
        self.queue.send(Job::Close(done)).map_err(|_| stopped())?;
        wait.await.map_err(|_| stopped())
    }

    /// Refuses once the thread has ended or is about to.
    pub fn check(&self) -> Result<(), LedgerError> {
        if self.state.stopped.load(Ordering::Acquire) {
            return Err(stopped());
        }
        Ok(())
    }

    /// Refuses where nothing new may begin: as [`Committer::check`] does, and while there is little room.
    pub fn admit(&self) -> Result<(), LedgerError> {
        self.check()?;
        self.state.space.check()
    }

    /// Ends everything: what is in memory and what is on disk can no longer be brought together.
    pub fn fail(&self, what: &str) {
        self.state.fail(what);
    }

    /// Transactions that wrote something.
    pub fn commits(&self) -> u64 {
        self.state.commits.load(Ordering::Relaxed)
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        let (done, _wait) = oneshot::channel();
        // Nobody listens: then the thread has ended already. The join sees to both.
        let queued = self.queue.send(Job::Close(done));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && queued.is_ok()
        {
            tracing::error!("the committer panicked while the ledger was closed");
        }
    }
}

impl State {
    fn fail(&self, what: &str) {
        tracing::error!(
            "the ledger cannot go on: {what}. Operations that were not acknowledged are lost; \
             start again when the cause is gone"
        );
        self.stopped.store(true, Ordering::Release);
        (self.on_fatal)();
    }
}

/// Marks the thread's end, however it comes.
struct End<'a>(&'a State);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Release);
        if std::thread::panicking() {
            self.0.fail("its committer panicked");
        }
    }
}

fn run(file: StoreFile, mut wal: Option<Wal>, jobs: &Receiver<Job>, watch: Watch, state: &State) {
    let end = End(state);
    let StoreFile {
        connection, lock, ..
    } = file;
    let closed = serve(&connection, &mut wal, jobs, watch, state);
    drop(wal);
    if closed.is_some() {
        // A reader may keep pages of the log in use; then the next opening replays them.
        let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = emptied {
            tracing::warn!("the write-ahead log stays beside the ledger's file: {error}");
        }
    }
    drop(connection);
    drop(lock);
    drop(end);
    if let Some(done) = closed {
        answer(done, ());
    }
}

/// Works until it is told to close (and by whom), or until a commit fails.
fn serve(
    connection: &Connection,
    wal: &mut Option<Wal>,
    jobs: &Receiver<Job>,
    mut watch: Watch,
    state: &State,
) -> Option<oneshot::Sender<()>> {
    let mut writer = match Writer::prepare(connection) {
        Ok(writer) => writer,
        Err(error) => {
            state.fail(&format!("its tables cannot be written: {error}"));
            return None;
        }
    };
    let mut batch = Vec::new();
    let mut next = None;
    let mut crowded = false;
    loop {
        let job = match next.take() {
            Some(job) => Some(job),
            None => match jobs.recv_timeout(watch.look(&state.space)) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return None,
            },
        };
        match job {
            Some(Job::Step(step)) => {
                batch.push(step);
                if crowded {
                    std::thread::sleep(CROWD_PAUSE);
                }
                next = gather(jobs, &mut batch);
                crowded = batch.len() >= CROWD;
                if let Err(error) = commit(&mut writer, &mut batch, state) {
                    state.fail(&format!("a commit failed: {error}"));
                    return None;
                }
            }
            Some(Job::Task(task)) => task(connection),
            Some(Job::Close(done)) => return Some(done),
            None => {}
        }
        if let Some(wal) = wal
            && let Err(error) = wal.tend(connection)
        {
            state.fail(&format!("its file could not be synced: {error}"));
            return None;
        }
    }
}

/// Adds the operations that have come in the meantime; answers the job that ended them, if one did.
fn gather(jobs: &Receiver<Job>, batch: &mut Vec<Step>) -> Option<Job> {
    while batch.len() < STEPS_PER_COMMIT_MAX {
        match jobs.try_recv().ok()? {
            Job::Step(step) => batch.push(step),
            other => return Some(other),
        }
    }
    None
}

fn commit(writer: &mut Writer<'_>, batch: &mut Vec<Step>, state: &State) -> rusqlite::Result<()> {
    let writes = |step: &Step| !step.changes.is_empty() || step.work.is_some();
    if batch.iter().any(writes) {
        writer.write(batch)?;
        state.commits.fetch_add(1, Ordering::Relaxed);
    }
    acknowledge(batch);
    Ok(())
}

/// Tells all who wait for a commit; each worker is woken once for all of its own.
fn acknowledge(batch: &mut Vec<Step>) {
    let mut letters: Vec<(Mailbox, Vec<Turn>)> = Vec::new();
    for Step { done, from, .. } in batch.drain(..) {
        let Some(from) = from else {
            answer(done, ());
            continue;
        };
        match letters.iter_mut().find(|(to, _)| to.is(&from)) {
            Some((_, turns)) => turns.push(done),
            None => letters.push((from, vec![done])),
        }
    }
    for (to, turns) in letters {
        to.send(turns);
    }
}

/// Answers a caller, who may have gone: what was done stays done.
fn answer<T>(done: oneshot::Sender<T>, value: T) {
    drop(done.send(value));
}

fn stopped() -> LedgerError {
    LedgerError::Unavailable("the store is closed, or has failed".to_owned())
}

pub(super) fn unavailable(error: rusqlite::Error) -> LedgerError {
    LedgerError::Unavailable(format!("the database says: {error}"))
}
