//! How mutations reach the store, each exactly once whatever is lost on the way.
//!
//! A mutation gets the next number of its partition, is queued to the journal and sent to the store, all under one
//! lock, so that all three have one order. The store carries a number out only right after the one before it, and
//! passes over what it has: so whatever is not answered is simply sent again, by one task of the process, in order,
//! until the store has it. Where the store lost what it had acknowledged, the journal has it: see `recovery.rs`.
//!
//! Proxies learn from each other where writes were lost: `tollgate:proxies` has, beside each proxy's heartbeat, a
//! field `lost:<partition>` with the time at which somebody found that out. Whoever sees a new one compares its own
//! marks there, and tells the partition when it has replayed what was its own (`recovered.lua`).

mod heart;
mod keeper;
mod sending;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::Value;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use self::sending::Sending;
use self::slot::Slot;
use super::layout::{PARTITIONS, Partition};
use super::link::LinkState;
use super::recovery::Tally;
use super::remote::Remote;
use super::scripts::Script;
use crate::ledger::journal::Journal;
use crate::ledger::{JournalStats, LedgerError};

/// How long closing waits for the store to take what waits; the rest is in the journal.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// How long closing waits for the tasks: none of what they do is lost when it is cut off.
const TASK_PATIENCE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A change of one partition.
#[derive(Debug)]
pub struct Mutation {
    /// The partition.
    pub partition: Partition,
    /// What carries it out.
    pub script: &'static Script,
    /// The keys of the call.
    pub keys: Vec<Vec<u8>>,
    /// Its arguments, after the header.
    pub args: Vec<Vec<u8>>,
    /// Whether its caller has to know how it came out; a settle's need not.
    pub answer_needed: bool,
}

/// What became of a mutation.
#[derive(Debug)]
pub enum Sent {
    /// The store has it, and answered.
    Answered(Value),
    /// The store is away. The journal has it on disk, and it is sent again until the store has it.
    Kept,
    /// Nobody can say that it will happen; it still may. The same call with the same id finds out.
    Lost(LedgerError),
}

/// Sends mutations. Needs a Tokio runtime.
pub struct Outbox {
    inner: Arc<Inner>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

struct Inner {
    remote: Remote,
    journal: Journal,
    /// The journal's nonce, as calls have it.
    nonce: String,
    slots: Box<[Mutex<Slot>]>,
    deadline: Duration,
    /// Partitions in which something is to be sent again.
    stuck: Mutex<BTreeSet<u16>>,
    /// Where the store's marks are to be compared with what it acknowledged.
    suspect: Mutex<Suspect>,
    /// Partitions that lost writes and have not been told that this proxy has replayed.
    recovering: Mutex<BTreeSet<u16>>,
    /// Partitions that lost writes, to be told to the other proxies.
    news: Mutex<BTreeSet<u16>>,
    /// When each proxy was seen last.
    present: Mutex<HashMap<String, Instant>>,
    /// Why the store refuses to go on.
    refusal: Mutex<Option<Refusal>>,
    /// Whether the marks were compared, and everything of before sent, since the start.
    started: AtomicBool,
    tally: Tally,
    suspended: AtomicU64,
    /// Something is to be sent again, or to be compared.
    wake: Notify,
    closing: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Suspect {
    all: bool,
    some: BTreeSet<u16>,
}

struct Refusal {
    why: String,
    logged: Instant,
}

impl Outbox {
    /// Sends what the store lacks of earlier openings, then takes mutations. Where the store goes away meanwhile, the
    /// rest is sent when it is back, and [`Outbox::check`] says so until then.
    pub async fn open(remote: Remote, journal: Journal) -> Outbox {
        let slots = Partition::all().map(|_| Mutex::default());
        let inner = Arc::new(Inner {
            nonce: journal.nonce().to_string(),
            deadline: remote.link.options().deadline(),
            remote,
            journal,
            slots: slots.collect(),
            stuck: Mutex::default(),
            suspect: Mutex::new(Suspect {
                all: true,
                some: BTreeSet::new(),
            }),
            recovering: Mutex::default(),
            news: Mutex::default(),
            present: Mutex::default(),
            refusal: Mutex::default(),
            started: AtomicBool::new(false),
            tally: Tally::default(),
            suspended: AtomicU64::new(0),
            wake: Notify::new(),
            closing: watch::Sender::new(false),
        });
        keeper::round(&inner).await;
        let tasks = vec![
            tokio::spawn(keeper::keep(inner.clone())),
            tokio::spawn(heart::beat(inner.clone())),
        ];
        Outbox {
            inner,
            tasks: Mutex::new(tasks),
        }
    }

    /// Numbers, journals and sends a mutation. Answers what the store says, once the journal has it too; or that it is
    /// kept, where the store does not answer within the deadline.
    ///
    /// **Cancellation**: once polled, it happens, whether or not anybody waits.
    pub async fn send(&self, mutation: Mutation) -> Sent {
        if *self.inner.closing.borrow() {
            return Sent::Lost(closed());
        }
        if mutation.answer_needed
            && let Err(error) = self.inner.journal.check()
        {
            return Sent::Lost(error);
        }
        let end = tokio::time::Instant::now() + self.inner.deadline;
        Sending::begin(&self.inner, mutation).finish(end).await
    }

    /// The highest number that the store has acknowledged in a partition: for the header of holds.
    pub fn acked(&self, partition: Partition) -> u64 {
        self.inner.slot(partition.number()).lock().acked()
    }

    /// The nonce of this process's journal: for the header of holds.
    pub fn nonce(&self) -> &str {
        &self.inner.nonce
    }

    /// Whether mutations of this process wait to be sent to a partition again.
    pub fn is_behind(&self, partition: Partition) -> bool {
        self.inner.slot(partition.number()).lock().stuck
    }

    /// To be told when a partition answers that it is recovering: this proxy then looks at once what of its own is
    /// missing there, and has the others do so, who may not have come by.
    pub fn is_recovering(&self, partition: Partition) {
        self.inner.news.lock().insert(partition.number());
        self.inner.doubt(partition.number());
    }

    /// Whether mutations are taken and carried out as they should be; the store's own state is the link's to tell.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn check(&self) -> Result<(), LedgerError> {
        self.writes()?;
        if let Some(refusal) = &*self.inner.refusal.lock() {
            return Err(LedgerError::Unavailable(format!(
                "Redis refuses what the journal has for it: {}; it is tried again until Redis takes it",
                refusal.why
            )));
        }
        if !self.inner.started.load(Ordering::Acquire) {
            return Err(LedgerError::Unavailable(
                "entries of the journal from before the start are still being sent to Redis"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Whether a mutation would be kept while the store is away.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn keeps(&self) -> Result<(), LedgerError> {
        match *self.inner.closing.borrow() {
            true => Err(closed()),
            false => self.inner.journal.check(),
        }
    }

    /// Whether the store is there and goes on, as far as is known.
    pub fn is_up(&self) -> bool {
        self.inner.is_up()
    }

    /// Whether the journal takes entries.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn writes(&self) -> Result<(), LedgerError> {
        self.inner.journal.check()
    }

    /// What waits, and what was recovered.
    pub fn figures(&self) -> JournalStats {
        let inner = &self.inner;
        let (mut waiting, mut oldest) = (inner.inherited(), None::<Instant>);
        for slot in &inner.slots {
            let slot = slot.lock();
            waiting += slot.lacking();
            oldest = oldest.into_iter().chain(slot.oldest()).min();
        }
        let oldest = oldest.map_or(0, |since| since.elapsed().as_millis());
        JournalStats {
            waiting,
            oldest_waiting_ms: u64::try_from(oldest).unwrap_or(u64::MAX),
            suspended: inner.suspended.load(Ordering::Relaxed),
            replayed: inner.tally.replayed.load(Ordering::Relaxed),
            recovering: inner.recovering.lock().len() as u64,
            ..JournalStats::default()
        }
    }

    /// Takes no more, waits a moment for the store to take what waits, and lets go of the journal, which keeps the rest.
    ///
    /// # Errors
    /// Where the journal could not be written, or it was closed before.
    pub async fn close(&self) -> Result<(), LedgerError> {
        let since = Instant::now();
        while self.figures().waiting > 0 && self.inner.is_up() && since.elapsed() < CLOSE_PATIENCE {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.inner.closing.send_replace(true);
        let tasks: Vec<_> = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            let stop = task.abort_handle();
            if tokio::time::timeout(TASK_PATIENCE, task).await.is_err() {
                stop.abort();
            }
        }
        let waiting = self.figures().waiting;
        if waiting > 0 {
            tracing::warn!(
                waiting,
                "entries wait in the journal, on disk: they are sent at the next start, or by `tollgate journal replay`"
            );
        }
        heart::leave(&self.inner, waiting == 0).await;
        self.inner.journal.close().await
    }
}

impl Inner {
    fn slot(&self, partition: u16) -> &Mutex<Slot> {
        &self.slots[usize::from(partition % PARTITIONS)]
    }

    /// Whether the store is there and goes on, as far as is known.
    fn is_up(&self) -> bool {
        self.remote.link.state() == LinkState::Up && self.refusal.lock().is_none()
    }

    /// Something of this partition is to be sent again.
    fn send_again(&self, partition: u16, slot: &mut Slot) {
        slot.stuck = true;
        self.stuck.lock().insert(partition);
        self.wake.notify_one();
    }

    /// The store may have lost writes of this partition.
    fn doubt(&self, partition: u16) {
        self.recovering.lock().insert(partition);
        self.suspect.lock().some.insert(partition);
        self.wake.notify_one();
    }

    fn doubt_all(&self) {
        self.suspect.lock().all = true;
        self.wake.notify_one();
    }

    /// The store said that it lacks something between its mark and what was sent.
    fn gap(&self, partition: u16, mark: u64) {
        let mut slot = self.slot(partition).lock();
        if mark < slot.mark() {
            self.suspect.lock().some.insert(partition);
        } else {
            slot.acknowledge(mark);
        }
        self.send_again(partition, &mut slot);
    }

    fn refused(&self, why: String) {
        let mut refusal = self.refusal.lock();
        let due = refusal
            .as_ref()
            .is_none_or(|refusal| refusal.logged.elapsed() >= Duration::from_secs(60));
        if due {
            tracing::error!("Redis refuses an entry of the journal, which waits: {why}");
        }
        let logged = match &*refusal {
            Some(refusal) if !due => refusal.logged,
            _ => Instant::now(),
        };
        *refusal = Some(Refusal { why, logged });
    }

    /// Entries of earlier openings that the store may lack.
    fn inherited(&self) -> u64 {
        let own = self.journal.opening().id;
        let lanes: BTreeMap<_, _> = self.journal.archive().lanes();
        let lacking = lanes.iter().filter(|(lane, _)| lane.opening != own);
        lacking
            .map(|(_, reach)| reach.last.saturating_sub(reach.applied))
            .sum()
    }
}

fn closed() -> LedgerError {
    LedgerError::Unavailable("the ledger is closed".to_owned())
}
