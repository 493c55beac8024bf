//! The counters of the model: sums over its history, and buckets that fill millisecond by millisecond.

use super::model::{DAY_MS, Model, Phase};
use crate::clock::UnixMs;
use crate::ledger::limit::Window;

/// A bucket, in units times milliseconds; filled one millisecond after the other.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub(super) cap: u64,
    pub(super) refill_ms: u64,
    pub(super) level: i128,
    pub(super) at: UnixMs,
}

impl Bucket {
    pub(super) fn full(&self) -> i128 {
        i128::from(self.cap) * i128::from(self.refill_ms)
    }

    pub(super) fn run(&mut self, now: UnixMs) {
        while self.cap > 0 && self.at < now && self.level < self.full() {
            self.level = (self.level + i128::from(self.cap)).min(self.full());
            self.at = self.at.plus(1);
        }
        self.at = self.at.max(now);
    }

    pub(super) fn cap(&mut self, cap: u64) {
        self.cap = cap;
        self.level = self.level.min(self.full());
    }

    pub(super) fn admits(&self, ask: u64) -> bool {
        let fixed = ask.min(self.cap);
        (ask == 0 || self.cap > 0)
            && (fixed == 0 || self.level >= i128::from(fixed * self.refill_ms))
    }

    pub(super) fn add(&mut self, units: i128) {
        self.level = (self.level + units * i128::from(self.refill_ms)).min(self.full());
    }
}

impl Model {
    /// Used and held of a counter that is no bucket.
    pub(super) fn counter(&self, name: &str) -> (u64, u64) {
        let (mut used, mut held) = (0, 0);
        for ask in &self.requests {
            for (place, counter) in ask.quote.counters.iter().enumerate() {
                if &*counter.key == name {
                    used += ask.counted.get(place).copied().unwrap_or(0);
                    held += if ask.phase == Phase::Live {
                        ask.asked[place]
                    } else {
                        0
                    };
                }
            }
        }
        (used, held)
    }

    pub(super) fn admits(
        &self,
        now: UnixMs,
        window: Window,
        name: &str,
        cap: u64,
        amount: u64,
    ) -> bool {
        if let Window::Bucket { .. } = window {
            return self.bucket(now, window, name, cap).admits(amount);
        }
        let (used, held) = self.counter(name);
        let used = if window == Window::Concurrent {
            0
        } else {
            used
        };
        used + held + amount <= cap || amount == 0
    }

    pub(super) fn wait(
        &self,
        now: UnixMs,
        window: Window,
        name: &str,
        cap: u64,
        amount: u64,
    ) -> Option<u64> {
        let Window::Bucket { .. } = window else {
            return None;
        };
        let mut bucket = self.bucket(now, window, name, cap);
        if cap == 0 {
            return None;
        }
        let mut ms = 0;
        while !bucket.admits(amount) {
            ms += 1;
            bucket.run(now.plus(ms));
        }
        Some(ms)
    }

    pub(super) fn bucket(&self, now: UnixMs, window: Window, name: &str, cap: u64) -> Bucket {
        let Window::Bucket { refill_ms } = window else {
            panic!("{name} is no bucket");
        };
        let fresh = Bucket {
            cap,
            refill_ms,
            level: i128::from(cap) * i128::from(refill_ms),
            at: now,
        };
        let mut bucket = self.buckets.get(name).cloned().unwrap_or(fresh);
        bucket.run(now);
        bucket.cap(cap);
        bucket
    }

    /// What a bucket misses in whole units, rounded up, and what live holds have of that.
    pub(super) fn bucket_use(&self, now: UnixMs, name: &str) -> Option<(u64, u64)> {
        let mut bucket = self.buckets.get(name)?.clone();
        bucket.run(now);
        let missing = u64::try_from(bucket.full() - bucket.level).expect("never above full");
        let held = self.counter(name).1;
        Some((
            missing.div_ceil(bucket.refill_ms).saturating_sub(held),
            held,
        ))
    }

    pub(super) fn late_room(&self, window: Window, name: &str, cap: u64) -> u64 {
        let (used, held) = self.counter(name);
        match window {
            Window::Bucket { .. } | Window::Concurrent => u64::MAX,
            _ if !self.plain.contains_key(name) => u64::MAX,
            _ => cap.saturating_sub(used + held),
        }
    }

    /// A counter comes to be; those of its limit whose period has been over for a day go.
    pub(super) fn appear(&mut self, now: UnixMs, window: Window, name: &str) {
        let end = match window {
            Window::Bucket { .. } => return,
            Window::Period { end, .. } => Some(end),
            Window::Total | Window::Concurrent => None,
        };
        if end.is_some() && !self.plain.contains_key(name) {
            let limit = name.rsplit_once('/').map(|parts| parts.0.to_owned());
            let mut plain = std::mem::take(&mut self.plain);
            plain.retain(|other, end| {
                let same = other.rsplit_once('/').map(|parts| parts.0.to_owned()) == limit;
                let over = end.is_some_and(|end| end.plus(DAY_MS) <= now);
                !(same && over && self.counter(other).1 == 0)
            });
            self.plain = plain;
        }
        self.plain.insert(name.to_owned(), end);
    }
}
