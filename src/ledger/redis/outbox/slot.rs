//! One partition as a proxy knows it: its numbers, how far the store is, and what waits for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use redis::Value;
use tokio::sync::oneshot;

use crate::ledger::journal::JournalEntry;
use crate::ledger::redis::scripts::Script;

/// A mutation that the store may lack, or the journal.
pub(super) struct Waiting {
    pub entry: Arc<JournalEntry>,
    pub script: &'static Script,
    /// Whether the journal's file has it.
    pub written: bool,
    /// Who waits for the store's answer, where it did not come at once.
    pub asker: Option<oneshot::Sender<Value>>,
    /// Whether its caller has to know how it came out.
    pub told: bool,
    pub since: Instant,
}

/// What is to be sent again.
pub(super) struct Again {
    pub entry: Arc<JournalEntry>,
    pub script: &'static Script,
    /// Whether nobody hears what becomes of it, but the suspense list.
    pub unheard: bool,
}

/// What there is to send.
pub(super) enum Window {
    /// These, in order; none where the store has everything.
    Entries(Vec<Again>),
    /// What comes next is in the journal only.
    Journal,
}

/// A partition.
#[derive(Default)]
pub(super) struct Slot {
    /// The last number that was given.
    last: u64,
    /// The highest number that the store has acknowledged.
    acked: u64,
    /// Where the store is: below `acked` after it lost writes, until they were replayed.
    mark: u64,
    /// Up to `last` without a hole. What the store and the journal both have has gone.
    waiting: VecDeque<Waiting>,
    /// Whether entries are sent again: new ones then wait for their turn.
    pub stuck: bool,
}

impl Slot {
    /// The number of the next mutation.
    pub fn next(&self) -> u64 {
        self.last + 1
    }

    pub fn last(&self) -> u64 {
        self.last
    }

    pub fn acked(&self) -> u64 {
        self.acked
    }

    pub fn mark(&self) -> u64 {
        self.mark
    }

    /// Takes the next mutation in.
    pub fn push(&mut self, waiting: Waiting) {
        self.last = waiting.entry.seq;
        self.waiting.push_back(waiting);
    }

    /// The store has everything up to `seq`.
    pub fn acknowledge(&mut self, seq: u64) {
        let seq = seq.min(self.last);
        self.mark = self.mark.max(seq);
        self.acked = self.acked.max(seq);
        self.trim();
    }

    /// The store has lost what is beyond `mark`.
    pub fn lost(&mut self, mark: u64) {
        self.mark = self.mark.min(mark);
        self.stuck = true;
    }

    /// The journal's file has `seq`, if not all before it.
    pub fn wrote(&mut self, seq: u64) {
        if let Some(waiting) = self.find(seq) {
            waiting.written = true;
        }
        self.trim();
    }

    /// The journal's file has everything up to `seq`.
    pub fn wrote_all(&mut self, seq: u64) {
        let until = self.waiting.iter_mut();
        for waiting in until.take_while(|waiting| waiting.entry.seq <= seq) {
            waiting.written = true;
        }
        self.trim();
    }

    /// Hears the answer to `seq` when it is sent again. `None` where it has gone: the store has it.
    pub fn ask(&mut self, seq: u64) -> Option<oneshot::Receiver<Value>> {
        let (asker, answer) = oneshot::channel();
        self.find(seq)?.asker = Some(asker);
        Some(answer)
    }

    /// Whoever asked after `seq` waits no longer.
    pub fn leave(&mut self, seq: u64) {
        if let Some(waiting) = self.find(seq) {
            waiting.asker = None;
        }
        self.trim();
    }

    /// The answer to `seq` came.
    pub fn answer(&mut self, seq: u64, value: Value) {
        if let Some(asker) = self.find(seq).and_then(|waiting| waiting.asker.take()) {
            // Its caller may have gone, which changes nothing.
            drop(asker.send(value));
        }
        self.acknowledge(seq);
    }

    /// Up to `limit` entries that the store lacks, or whose answer somebody waits for.
    pub fn window(&self, limit: usize) -> Window {
        let first = self.waiting.front().map(|waiting| waiting.entry.seq);
        if self.mark < self.last && first.is_none_or(|first| first > self.mark + 1) {
            return Window::Journal;
        }
        let lacking = |waiting: &&Waiting| {
            waiting.entry.seq > self.mark
                || waiting.asker.as_ref().is_some_and(|it| !it.is_closed())
        };
        let entries = self.waiting.iter().filter(lacking).take(limit);
        let again = entries.map(|waiting| Again {
            entry: waiting.entry.clone(),
            script: waiting.script,
            unheard: !(waiting.told && waiting.asker.is_some()),
        });
        Window::Entries(again.collect())
    }

    /// The first entry that is in memory.
    pub fn first(&self) -> Option<u64> {
        self.waiting.front().map(|waiting| waiting.entry.seq)
    }

    /// How many entries the store lacks.
    pub fn lacking(&self) -> u64 {
        self.last - self.mark
    }

    /// Whether entries stay only because the journal may not have written them.
    pub fn unwritten(&self) -> bool {
        self.first().is_some_and(|first| first <= self.mark)
    }

    /// Since when the oldest entry waits for the store.
    pub fn oldest(&self) -> Option<Instant> {
        let mut waiting = self.waiting.iter();
        let first = waiting.find(|waiting| waiting.entry.seq > self.mark);
        first.map(|waiting| waiting.since)
    }

    fn find(&mut self, seq: u64) -> Option<&mut Waiting> {
        let first = self.first()?;
        let place = usize::try_from(seq.checked_sub(first)?).ok()?;
        self.waiting.get_mut(place)
    }

    fn trim(&mut self) {
        while self.waiting.front().is_some_and(|waiting| {
            waiting.entry.seq <= self.mark && waiting.written && waiting.asker.is_none()
        }) {
            self.waiting.pop_front();
        }
    }
}
