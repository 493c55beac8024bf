//! The threads that serve connections: one for each processor, each with a runtime of its own.
//!
//! Everything that a connection does happens on one thread: what its upstream sends wakes no other thread, and the
//! connections to upstreams that are kept for the next request are those of the same thread. So a request costs no
//! more with many processors than with one.
//!
//! Whatever holds a worker up holds up all that it serves, as nobody takes its work over. So what takes long
//! goes to the runtime of the process ([`apart`]), whose threads do that for each other, and what one connection asks
//! for at once is spread over the workers ([`spread`]).

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, oneshot};

/// How long the end of a thread waits for what it has handed to others, such as a look at a file.
const LAST_WORK: Duration = Duration::from_secs(2);
/// A timer that is due before all others costs its runtime a system call. None is, where one is always due this soon.
const TICK: Duration = Duration::from_millis(500);

/// JSON of more bytes than this is read apart: it takes a millisecond or more.
pub const LONG_BYTES: usize = 256 << 10;

/// Somebody's turn, waited for on a worker.
pub type Turn = oneshot::Sender<()>;

thread_local! {
    /// Which worker this thread is, from 1 on; 0 is no worker.
    static PLACE: Cell<usize> = const { Cell::new(0) };
    static MAILBOX: RefCell<Option<Mailbox>> = const { RefCell::new(None) };
    static TEAM: RefCell<Option<Arc<Team>>> = const { RefCell::new(None) };
}

/// All workers, and the runtime that they were started from.
#[derive(Debug)]
struct Team {
    home: Handle,
    workers: Vec<Handle>,
    turn: AtomicUsize,
}

/// Does work that takes long on the runtime of the process, in a task of its own; where this thread is no worker, on
/// its runtime.
///
/// **Cancellation**: dropping the future leaves the work running.
pub async fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let home = TEAM.with_borrow(|team| team.as_ref().map(|team| team.home.clone()));
    let home = home.unwrap_or_else(Handle::current);
    match home.spawn(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The process ends: nobody is to go on.
        Err(_) => std::future::pending().await,
    }
}

/// Starts a task on one worker after the other; where this thread is no worker, on its runtime.
pub fn spread(work: impl Future<Output = ()> + Send + 'static) {
    let next = TEAM.with_borrow(|team| {
        let team = team.as_ref()?;
        let turn = team.turn.fetch_add(1, Ordering::Relaxed);
        team.workers.get(turn % team.workers.len().max(1)).cloned()
    });
    next.unwrap_or_else(Handle::current).spawn(work);
}

/// The way to a worker from other threads: whoever ends what many of its tasks wait for wakes it once for all of them.
#[derive(Clone, Debug)]
pub struct Mailbox(mpsc::UnboundedSender<Vec<Turn>>);

impl Mailbox {
    /// That of this thread, if it is a worker.
    pub fn here() -> Option<Mailbox> {
        MAILBOX.with_borrow(Clone::clone)
    }

    /// Whether both lead to the same worker.
    pub fn is(&self, other: &Mailbox) -> bool {
        self.0.same_channel(&other.0)
    }

    /// Tells all these that it is their turn. A worker that has ended takes what waits on it along.
    pub fn send(&self, turns: Vec<Turn>) {
        drop(self.0.send(turns));
    }
}

/// Passes on what comes by mail, until the worker ends.
async fn deliver(mut mail: mpsc::UnboundedReceiver<Vec<Turn>>) {
    while let Some(turns) = mail.recv().await {
        for turn in turns {
            // Whoever waited for it may have gone.
            let _gone = turn.send(());
        }
    }
}

async fn tick() {
    loop {
        tokio::time::sleep(TICK).await;
    }
}

/// The threads. Dropped, they end what they do and then themselves; nobody waits for that.
#[derive(Debug)]
pub struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Each piece of work in its hands has a share of it.
    work: Arc<()>,
    /// Dropped to tell it to end.
    _end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// Where work is to be done. Keep it as long as the work lasts: by that it is known who has how much.
#[derive(Debug)]
pub struct Place {
    /// The worker's runtime.
    pub runtime: Handle,
    _work: Arc<()>,
}

/// One value for each worker, and one for all threads that are none.
#[derive(Debug)]
pub struct PerWorker<T>(Vec<T>);

impl Workers {
    /// Starts a thread for each processor that this process may use, from a runtime.
    ///
    /// # Errors
    /// Where a thread or its runtime cannot be had.
    pub fn start() -> io::Result<Workers> {
        let runtime = || Builder::new_current_thread().enable_all().build();
        let runtimes = std::iter::repeat_with(runtime).take(processors());
        let runtimes: Vec<Runtime> = runtimes.collect::<io::Result<_>>()?;
        let team = Arc::new(Team {
            home: Handle::current(),
            workers: runtimes.iter().map(|one| one.handle().clone()).collect(),
            turn: AtomicUsize::new(0),
        });
        let workers = runtimes.into_iter().zip(1..);
        workers
            .map(|(runtime, place)| Worker::start(runtime, place, Arc::clone(&team)))
            .collect::<io::Result<_>>()
            .map(Workers)
    }

    /// The worker that has the least pieces of work.
    pub fn place(&self) -> Place {
        let least = self
            .0
            .iter()
            .filter(|worker| !worker.thread.is_finished())
            .min_by_key(|worker| Arc::strong_count(&worker.work));
        match least {
            Some(worker) => Place {
                runtime: worker.runtime.clone(),
                _work: Arc::clone(&worker.work),
            },
            None => Place {
                runtime: Handle::current(),
                _work: Arc::default(),
            },
        }
    }

    /// Ends all threads, and waits for that. What they still did is dropped.
    pub fn end(self) {
        let threads: Vec<JoinHandle<()>> = self.0.into_iter().map(|worker| worker.thread).collect();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread that served connections panicked");
            }
        }
    }
}

impl Worker {
    fn start(runtime: Runtime, place: usize, team: Arc<Team>) -> io::Result<Worker> {
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name(format!("worker-{place}"))
            .spawn(move || {
                PLACE.set(place);
                TEAM.set(Some(team));
                let (letters, mail) = mpsc::unbounded_channel();
                MAILBOX.set(Some(Mailbox(letters)));
                runtime.spawn(deliver(mail));
                runtime.spawn(tick());
                // Nothing is ever sent: the other end is dropped.
                drop(runtime.block_on(ended));
                runtime.shutdown_timeout(LAST_WORK);
            })?;
        Ok(Worker {
            runtime: handle,
            work: Arc::default(),
            _end: end,
            thread,
        })
    }
}

impl<T> PerWorker<T> {
    /// As many values as can be asked for.
    pub fn new(make: impl FnMut() -> T) -> Self {
        PerWorker(
            std::iter::repeat_with(make)
                .take(processors() + 1)
                .collect(),
        )
    }

    /// That of this thread.
    pub fn get(&self) -> &T {
        let place = PLACE.get();
        self.0.get(place).unwrap_or(&self.0[0])
    }
}

/// How many threads can run at once. What the system says later does not change it.
fn processors() -> usize {
    static PROCESSORS: std::sync::LazyLock<usize> =
        std::sync::LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *PROCESSORS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a piece of work comes to that runs at each of these places.
    async fn at_all<T, F>(places: &[Place], work: impl Fn() -> F) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let running = places.iter().map(|place| place.runtime.spawn(work()));
        let done = futures_util::future::join_all(running).await;
        done.into_iter().map(|one| one.expect("no panic")).collect()
    }

    async fn end(workers: Workers) {
        let ended = tokio::task::spawn_blocking(|| workers.end());
        ended.await.expect("no panic");
    }

    #[tokio::test]
    async fn work_goes_to_who_has_least_and_values_are_those_of_the_thread() {
        let workers = Workers::start().expect("threads");
        let mut next = 0;
        let values = Arc::new(PerWorker::new(|| {
            next += 1;
            next
        }));
        assert_eq!(*values.get(), 1, "no worker");
        let places: Vec<Place> = (0..processors()).map(|_| workers.place()).collect();
        let mut seen = at_all(&places, || {
            let values = Arc::clone(&values);
            async move { *values.get() }
        })
        .await;
        seen.sort_unstable();
        let all: Vec<i32> = (2..).take(processors()).collect();
        assert_eq!(seen, all);
        drop(places);
        end(workers).await;
    }

    #[tokio::test]
    async fn what_takes_long_runs_where_the_workers_were_started() {
        let workers = Workers::start().expect("threads");
        let here = std::thread::current().id();
        let place = [workers.place()];
        let seen = at_all(&place, || apart(async { std::thread::current().id() })).await;
        assert_eq!(seen, [here]);
        let panics = place[0].runtime.spawn(apart(async { panic!("as a test") }));
        assert!(panics.await.expect_err("a panic").is_panic());
        drop(place);
        end(workers).await;
    }

    #[tokio::test]
    async fn what_one_starts_is_spread_over_all() {
        let workers = Workers::start().expect("threads");
        let (tell, mut told) = mpsc::unbounded_channel();
        let place = [workers.place()];
        at_all(&place, || {
            let tell = tell.clone();
            async move {
                for _ in 0..2 * processors() {
                    let tell = tell.clone();
                    spread(async move { assert!(tell.send(PLACE.get()).is_ok()) });
                }
            }
        })
        .await;
        drop(tell);
        let mut seen = Vec::new();
        while let Some(place) = told.recv().await {
            seen.push(place);
        }
        seen.sort_unstable();
        let twice: Vec<usize> = (1..=processors()).flat_map(|place| [place; 2]).collect();
        assert_eq!(seen, twice);
        drop(place);
        end(workers).await;
    }
}
