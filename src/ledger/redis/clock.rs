//! The store's time as a process knows it between two answers.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::{Clock, UnixMs};

/// The process's own clock, set ahead to the store's; or a clock given by a test, which the store then obeys.
#[derive(Debug)]
pub struct StoreClock {
    given: Option<Clock>,
    own: Clock,
    /// Milliseconds that the store is ahead. Only grows: time does not run back.
    ahead: AtomicI64,
}

impl StoreClock {
    /// A clock that knows nothing of the store yet.
    pub fn new(given: Option<Clock>) -> StoreClock {
        StoreClock {
            given,
            own: Clock::system(UnixMs(i64::MIN)),
            ahead: AtomicI64::new(i64::MIN),
        }
    }

    /// The time now.
    pub fn now(&self) -> UnixMs {
        if let Some(given) = &self.given {
            return given.now();
        }
        let ahead = self.ahead.load(Ordering::Relaxed);
        let own = self.own.now();
        match ahead {
            i64::MIN => own,
            ahead => UnixMs(own.0.saturating_add(ahead)),
        }
    }

    /// The store has said what time it is.
    pub fn store_says(&self, now: i64) {
        let ahead = now.saturating_sub(self.own.now().0);
        self.ahead.fetch_max(ahead, Ordering::Relaxed);
    }
}
