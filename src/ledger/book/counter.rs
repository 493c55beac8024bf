//! One counter of a wallet: what a cap is checked against.
//!
//! The counter knows nothing of limits. It is a small value: an operation works on a copy and
//! writes it back when everything else is decided.

use super::change::{CounterRow, Tally};
use super::planted::planted;
use crate::clock::UnixMs;
use crate::ledger::limit::{CounterState, Window};

/// Levels of buckets stay within plus and minus this, so that no sum of two leaves 64 bits.
const LEVEL_MAX: i64 = 1 << 61;

/// How long a period's counter is kept after its end, for requests that settle late, in milliseconds.
const PERIOD_KEPT_MS: u64 = 24 * 60 * 60 * 1000;

/// A counter and what live holds occupy of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counter {
    window: Window,
    cap: u64,
    held: u64,
    tally: Tally,
}

impl Counter {
    /// An unused counter.
    pub(super) fn new(window: Window, cap: u64, now: UnixMs) -> Self {
        let tally = match window {
            Window::Bucket { refill_ms } => Tally::Level {
                unit_ms: full(cap, refill_ms),
                at: now,
            },
            _ => Tally::Used(0),
        };
        Counter {
            window,
            cap,
            held: 0,
            tally,
        }
    }

    /// The counter of a stored row; nothing is held.
    pub(super) fn restored(row: CounterRow) -> Self {
        Counter {
            window: row.window,
            cap: row.cap,
            held: 0,
            tally: row.tally,
        }
    }

    /// The counter as another store has it, holds and all.
    pub(super) fn standing(window: Window, cap: u64, held: u64, tally: Tally) -> Self {
        Counter {
            window,
            cap,
            held,
            tally,
        }
    }

    /// The same counter now: a bucket has refilled.
    #[must_use]
    pub(super) fn at(mut self, now: UnixMs) -> Self {
        if let (Window::Bucket { refill_ms }, Tally::Level { unit_ms, at }) =
            (self.window, &mut self.tally)
        {
            let full = full(self.cap, refill_ms);
            let gain = i128::from(now.since(*at)) * i128::from(self.cap);
            let level = i128::from(*unit_ms) + gain;
            let level = planted!(level.min(i128::from(full)), BucketOverflows => level);
            *unit_ms = i64::try_from(level).unwrap_or(LEVEL_MAX);
            *at = now.max(*at);
        }
        self
    }

    /// The same counter under this cap. A bucket keeps its level, as far as the new cap has room for it.
    #[must_use]
    pub(super) fn capped(mut self, cap: u64) -> Self {
        self.cap = cap;
        if let (Window::Bucket { refill_ms }, Tally::Level { unit_ms, .. }) =
            (self.window, &mut self.tally)
        {
            *unit_ms = (*unit_ms).min(full(cap, refill_ms));
        }
        self
    }

    /// The same counter if every live hold were voided.
    #[must_use]
    pub(super) fn released(mut self) -> Self {
        self.release(self.held);
        self
    }

    /// The largest amount that may be asked. A full bucket lets pass whatever is asked.
    pub(super) fn room(&self) -> u64 {
        let held = planted!(self.held, CapIgnoresHeld => 0);
        match (self.window, self.tally) {
            (Window::Bucket { refill_ms }, Tally::Level { unit_ms, .. }) => {
                if self.cap > 0 && unit_ms >= full(self.cap, refill_ms) {
                    u64::MAX
                } else {
                    units(unit_ms, refill_ms)
                }
            }
            (_, Tally::Used(used)) => self.cap.saturating_sub(used).saturating_sub(held),
            (_, Tally::Level { .. }) => 0,
        }
    }

    /// Occupies `ask`, which [`Counter::room`] has admitted; answers how much it came to. `None` where live holds
    /// would have more than 64 bits of a bucket, which refills under them.
    pub(super) fn hold(&mut self, ask: u64) -> Option<u64> {
        let part = match self.window {
            Window::Bucket { .. } => ask.min(self.cap),
            _ => ask,
        };
        self.held = self.held.checked_add(part)?;
        self.shift_level(0, part);
        Some(part)
    }

    /// Gives back what a hold occupied.
    pub(super) fn release(&mut self, part: u64) {
        self.held = self.held.saturating_sub(part);
        self.shift_level(part, 0);
    }

    /// Replaces what a hold occupied by what its request came to: at most as much, but for buckets,
    /// which are corrected either way. The counter has to be [`at`](Counter::at) now.
    pub(super) fn settle(&mut self, part: u64, actual: u64) {
        self.held = self.held.saturating_sub(part);
        self.shift_level(part, actual);
        self.use_up(actual.min(part));
    }

    /// Counts a request whose hold had lapsed: at most what it had occupied, and what there is room for.
    pub(super) fn settle_late(&mut self, part: u64, actual: u64) {
        let room = self.room();
        self.shift_level(0, actual);
        self.use_up(actual.min(part).min(room));
    }

    /// What the cap leaves for a late charge; buckets may overshoot.
    pub(super) fn late_room(&self) -> u64 {
        match self.window {
            Window::Total | Window::Period { .. } => self.room(),
            Window::Bucket { .. } | Window::Concurrent => u64::MAX,
        }
    }

    /// Milliseconds until a bucket admits `ask`, if it ever does.
    pub(super) fn retry_after_ms(&self, ask: u64) -> Option<u64> {
        let (Window::Bucket { refill_ms }, Tally::Level { unit_ms, .. }) =
            (self.window, self.tally)
        else {
            return None;
        };
        let wanted = i128::from(full(ask.min(self.cap), refill_ms));
        millis_to_gain(wanted - i128::from(unit_ms), self.cap)
    }

    /// The counter for the wire.
    pub(super) fn state(&self) -> CounterState {
        let reset_at = match (self.window, self.tally) {
            (Window::Bucket { refill_ms }, Tally::Level { unit_ms, at }) => {
                let missing = i128::from(full(self.cap, refill_ms)) - i128::from(unit_ms);
                millis_to_gain(missing, self.cap).map(|ms| at.plus(ms))
            }
            (Window::Period { end, .. }, _) => Some(end),
            _ => None,
        };
        CounterState {
            cap: self.cap,
            remaining: self.room().min(self.cap),
            reset_at,
        }
    }

    /// What is used, live holds aside; for a bucket, what is missing from full.
    pub(super) fn used(&self) -> u64 {
        match (self.window, self.tally) {
            (_, Tally::Used(used)) => used,
            (Window::Bucket { refill_ms }, Tally::Level { unit_ms, .. }) => {
                let missing = full(self.cap, refill_ms).saturating_sub(unit_ms);
                u64::try_from(missing)
                    .unwrap_or(0)
                    .div_ceil(refill_ms.max(1))
                    .saturating_sub(self.held)
            }
            (_, Tally::Level { .. }) => 0,
        }
    }

    /// What live holds occupy.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// What has to be durable, if anything.
    pub(super) fn row(&self) -> Option<CounterRow> {
        (self.window != Window::Concurrent).then(|| {
            let idle = self.released();
            CounterRow {
                window: idle.window,
                cap: idle.cap,
                tally: idle.tally,
            }
        })
    }

    /// Whether its period ended so long ago that nothing can count in it any more.
    pub(super) fn is_over(&self, now: UnixMs) -> bool {
        let over = |end: UnixMs| end.plus(PERIOD_KEPT_MS) <= now;
        matches!(self.window, Window::Period { end, .. } if over(end)) && self.held == 0
    }

    /// Says what is wrong with a bucket's level, if anything.
    pub(super) fn fault(&self) -> Option<&'static str> {
        match (self.window, self.tally) {
            (Window::Bucket { refill_ms }, Tally::Level { unit_ms, .. }) => {
                (unit_ms > full(self.cap, refill_ms)).then_some("a bucket is fuller than its cap")
            }
            (Window::Bucket { .. }, _) | (_, Tally::Level { .. }) => {
                Some("window and tally are of different kinds")
            }
            (Window::Concurrent, Tally::Used(1..)) => Some("a count of live holds kept something"),
            _ => None,
        }
    }

    /// Adds to and takes from a bucket in one step, so that a full bucket loses nothing in between.
    fn shift_level(&mut self, add: u64, take: u64) {
        if let (Window::Bucket { refill_ms }, Tally::Level { unit_ms, .. }) =
            (self.window, &mut self.tally)
        {
            let full = i128::from(full(self.cap, refill_ms));
            let shift = (i128::from(add) - i128::from(take)) * i128::from(refill_ms.max(1));
            let level = (i128::from(*unit_ms) + shift).clamp(i128::from(-LEVEL_MAX), full);
            *unit_ms = i64::try_from(level).unwrap_or(-LEVEL_MAX);
        }
    }

    fn use_up(&mut self, amount: u64) {
        if let (Window::Total | Window::Period { .. }, Tally::Used(used)) =
            (self.window, &mut self.tally)
        {
            *used = used.saturating_add(amount);
        }
    }
}

/// The level of `count` units, no more than a level may be.
fn full(count: u64, refill_ms: u64) -> i64 {
    i64::try_from(count.saturating_mul(refill_ms.max(1)))
        .unwrap_or(LEVEL_MAX)
        .min(LEVEL_MAX)
}

/// Whole units in a level; none in debt.
fn units(unit_ms: i64, refill_ms: u64) -> u64 {
    u64::try_from(unit_ms).unwrap_or(0) / refill_ms.max(1)
}

fn millis_to_gain(missing: i128, per_ms: u64) -> Option<u64> {
    let missing = u128::try_from(missing).unwrap_or(0);
    if per_ms == 0 {
        return None;
    }
    Some(u64::try_from(missing.div_ceil(u128::from(per_ms))).unwrap_or(u64::MAX))
}
