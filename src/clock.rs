//! The one source of time: wall-clock milliseconds that never run back, or a hand-set clock in tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// This instant plus `ms` milliseconds, saturating.
    pub fn plus(self, ms: u64) -> UnixMs {
        UnixMs(self.0.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)))
    }

    /// Milliseconds from `earlier` to here; 0 if `earlier` is later.
    pub fn since(self, earlier: UnixMs) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// The same instant as a calendar type; clamped to what `jiff` can hold.
    pub fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX)
    }
}

impl std::fmt::Display for UnixMs {
    /// RFC 3339 in UTC.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.timestamp().fmt(f)
    }
}

/// The processor time that this thread has had: what its work takes, however busy the machine is.
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// The wall clock's time, which may be set back: for lines of the log alone.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the one reader of system time"
)]
pub fn wall() -> UnixMs {
    UnixMs(jiff::Timestamp::now().as_millisecond())
}

/// A clock that is cheap to clone.
///
/// The system clock is read once; from there time runs on the monotonic clock, so that a
/// stepped wall clock can neither expire a lease nor open a window twice.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System { start: UnixMs, anchor: Instant },
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Real time, not earlier than `floor` (the latest time that a store has recorded).
    pub fn system(floor: UnixMs) -> Self {
        Clock(Kind::System {
            start: wall().max(floor),
            anchor: Instant::now(),
        })
    }

    /// A clock that stands at `now` until [`Clock::advance`] moves it.
    pub fn manual(now: UnixMs) -> Self {
        Clock(Kind::Manual(Arc::new(AtomicI64::new(now.0))))
    }

    /// The time now.
    pub fn now(&self) -> UnixMs {
        match &self.0 {
            Kind::System { start, anchor } => {
                start.plus(u64::try_from(anchor.elapsed().as_millis()).unwrap_or(u64::MAX))
            }
            Kind::Manual(now) => UnixMs(now.load(Ordering::Relaxed)),
        }
    }

    /// Moves a manual clock forward; real time is left alone.
    pub fn advance(&self, ms: u64) {
        if let Kind::Manual(now) = &self.0 {
            now.fetch_add(i64::try_from(ms).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }
}
