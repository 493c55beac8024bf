//! How an endpoint fares: a circuit breaker, and rests that it asked for.
//!
//! Nothing here refuses a request. It says which endpoints come first, and which one request may find out whether
//! an endpoint is back. One that never failed costs a request one atomic read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::clock::UnixMs;

/// A cooldown doubles up to this, in milliseconds, or stays what it was if that is more.
const COOLDOWN_MS_MAX: u64 = 60_000;

/// How one endpoint fares.
#[derive(Debug)]
pub(super) struct Health {
    /// Failures in a row that open the breaker; 0: none do.
    failures_max: u32,
    cooldown_ms: u64,
    /// Whether `state` is worth a look.
    troubled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In a row.
    failures: u32,
    open: Option<Open>,
    rests_until: UnixMs,
    /// Probes so far: the last one's number.
    probes: u64,
}

/// A breaker that is not closed.
#[derive(Debug)]
struct Open {
    until: UnixMs,
    cooldown_ms: u64,
    /// The request that finds out, where one is under way.
    probe: Option<u64>,
}

/// Where an endpoint belongs in the order of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// At its own place.
    Ready,
    /// Behind those that do not rest.
    Resting,
    /// At the end, the one that opens soonest first.
    Open(UnixMs),
}

/// Whether a request may begin with an endpoint.
#[derive(Debug)]
pub(super) enum Admission {
    /// As any other.
    Free,
    /// As the one that finds out whether it is back.
    Probe(Probe),
    /// Better not: another finds out, or it is not yet time.
    Busy,
}

/// The right of one request to find out whether an endpoint is back. Dropped without an outcome, another gets it.
#[derive(Debug)]
pub struct Probe {
    health: Arc<Health>,
    number: u64,
}

/// What a failure changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    /// How long the breaker is open, in milliseconds.
    pub(super) cooldown_ms: u64,
    /// Failures in a row.
    pub(super) failures: u32,
}

impl Health {
    /// An endpoint of which nothing is known.
    pub(super) fn new(failures_max: u32, cooldown_ms: u64) -> Self {
        Health {
            failures_max,
            cooldown_ms,
            troubled: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Whether anything but `Ready`, `Free` and a closed breaker is possible.
    pub(super) fn is_troubled(&self) -> bool {
        self.troubled.load(Ordering::Relaxed)
    }

    /// Its place in the order of a request that begins now.
    pub(super) fn standing(&self, now: UnixMs) -> Standing {
        let state = self.state.lock();
        match &state.open {
            Some(open) if open.is_due(now) && state.rests_until <= now => Standing::Ready,
            Some(open) => Standing::Open(open.until.max(state.rests_until)),
            None if state.rests_until > now => Standing::Resting,
            None => Standing::Ready,
        }
    }

    /// Whether the breaker is not closed.
    pub(super) fn is_open(&self) -> bool {
        self.is_troubled() && self.state.lock().open.is_some()
    }

    /// Asks to begin with it.
    pub(super) fn admit(self: &Arc<Self>, now: UnixMs) -> Admission {
        let mut state = self.state.lock();
        let number = state.probes + 1;
        match &mut state.open {
            None => Admission::Free,
            Some(open) if open.is_due(now) => {
                open.probe = Some(number);
                state.probes = number;
                Admission::Probe(Probe {
                    health: Arc::clone(self),
                    number,
                })
            }
            Some(_) => Admission::Busy,
        }
    }

    /// It answered. Whether that closed the breaker.
    pub(super) fn answered(&self, now: UnixMs) -> bool {
        if !self.is_troubled() {
            return false;
        }
        let mut state = self.state.lock();
        state.failures = 0;
        self.troubled
            .store(state.rests_until > now, Ordering::Relaxed);
        state.open.take().is_some()
    }

    /// It failed. What that opened, or opened again; failures while it is open, of those that had no other
    /// choice, change nothing.
    pub(super) fn failed(&self, now: UnixMs) -> Option<Opened> {
        let mut state = self.state.lock();
        self.troubled.store(true, Ordering::Relaxed);
        state.failures = state.failures.saturating_add(1);
        let failures = state.failures;
        let cooldown_ms = match &state.open {
            None if self.failures_max == 0 || failures < self.failures_max => return None,
            None => self.cooldown_ms,
            Some(open) if open.probe.is_none() => return None,
            Some(open) => {
                let doubled = open.cooldown_ms.saturating_mul(2);
                doubled.min(COOLDOWN_MS_MAX.max(self.cooldown_ms))
            }
        };
        state.open = Some(Open {
            until: now.plus(cooldown_ms),
            cooldown_ms,
            probe: None,
        });
        Some(Opened {
            cooldown_ms,
            failures,
        })
    }

    /// It wants to be left alone for a while.
    pub(super) fn rest(&self, now: UnixMs, ms: u64) {
        let mut state = self.state.lock();
        self.troubled.store(true, Ordering::Relaxed);
        state.rests_until = state.rests_until.max(now.plus(ms));
    }
}

impl Standing {
    /// Whether all endpoints of a model rest, or all of them are open.
    pub(super) fn are_all_away(each: impl Iterator<Item = Standing> + Clone) -> bool {
        each.clone().all(|standing| standing == Standing::Resting)
            || each
                .into_iter()
                .all(|standing| matches!(standing, Standing::Open(_)))
    }
}

impl Open {
    /// Whether a request may find out if it is back.
    fn is_due(&self, now: UnixMs) -> bool {
        self.probe.is_none() && self.until <= now
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let mut state = self.health.state.lock();
        if let Some(open) = &mut state.open
            && open.probe == Some(self.number)
        {
            open.probe = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> UnixMs {
        UnixMs(ms)
    }

    /// Five failures open it for five seconds.
    fn health() -> Arc<Health> {
        Arc::new(Health::new(5, 5_000))
    }

    fn opened() -> Arc<Health> {
        let health = health();
        for _ in 0..4 {
            assert_eq!(health.failed(at(0)), None);
        }
        let failures = 5;
        let cooldown_ms = 5_000;
        assert_eq!(
            health.failed(at(0)),
            Some(Opened {
                cooldown_ms,
                failures
            })
        );
        health
    }

    fn probe(health: &Arc<Health>, now: i64) -> Probe {
        assert_eq!(health.standing(at(now)), Standing::Ready);
        match health.admit(at(now)) {
            Admission::Probe(probe) => probe,
            other => panic!("{other:?}"),
        }
    }

    fn is_busy(health: &Arc<Health>, now: i64) -> bool {
        matches!(health.standing(at(now)), Standing::Open(_))
            && matches!(health.admit(at(now)), Admission::Busy)
    }

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_between_begins_anew() {
        let health = health();
        for _ in 0..10 {
            for _ in 0..4 {
                assert_eq!(health.failed(at(0)), None);
            }
            assert_eq!(health.standing(at(0)), Standing::Ready);
            assert!(!health.answered(at(0)));
        }
        let health = opened();
        assert_eq!(health.standing(at(4_999)), Standing::Open(at(5_000)));
        assert!(health.is_open() && is_busy(&health, 4_999));
    }

    #[test]
    fn after_its_cooldown_one_request_finds_out_and_the_others_do_not() {
        let health = opened();
        let first = probe(&health, 5_000);
        assert!(is_busy(&health, 5_000) && is_busy(&health, 500_000));
        // It left without an outcome.
        drop(first);
        let second = probe(&health, 5_001);
        assert!(health.answered(at(5_002)));
        drop(second);
        assert!(!health.is_open());
        assert!(matches!(health.admit(at(5_002)), Admission::Free));
        // And it takes as many failures as before to open it again.
        assert_eq!(health.failed(at(5_003)), None);
    }

    #[test]
    fn a_cooldown_doubles_up_to_a_minute_while_probes_fail() {
        let (health, mut now) = (opened(), 5_000);
        for cooldown_ms in [10_000, 20_000, 40_000, 60_000, 60_000] {
            let probe = probe(&health, now);
            let opened = health.failed(at(now)).expect("opened again");
            assert_eq!(opened.cooldown_ms, cooldown_ms);
            drop(probe);
            now += i64::try_from(cooldown_ms).expect("small");
            assert!(is_busy(&health, now - 1));
        }
    }

    #[test]
    fn failures_of_those_that_had_no_other_choice_do_not_lengthen_it() {
        let health = opened();
        for _ in 0..100 {
            assert_eq!(health.failed(at(4_000)), None);
        }
        drop(probe(&health, 5_000));
    }

    #[test]
    fn an_answer_to_one_of_them_closes_it() {
        let health = opened();
        assert!(health.answered(at(1)));
        assert_eq!(health.standing(at(1)), Standing::Ready);
    }

    #[test]
    fn a_rest_ends_by_itself_and_outlasts_an_answer() {
        let health = health();
        health.rest(at(0), 2_000);
        health.rest(at(0), 1_000);
        assert_eq!(health.standing(at(1_999)), Standing::Resting);
        assert!(!health.answered(at(1_000)));
        assert_eq!(health.standing(at(1_999)), Standing::Resting);
        assert_eq!(health.standing(at(2_000)), Standing::Ready);
        assert!(!health.is_open());
        // One that is open too is not tried before both are over.
        let health = opened();
        health.rest(at(0), 9_000);
        assert_eq!(health.standing(at(5_000)), Standing::Open(at(9_000)));
        drop(probe(&health, 9_000));
    }

    #[test]
    fn a_breaker_of_no_failures_never_opens() {
        let health = Health::new(0, 5_000);
        for _ in 0..100 {
            assert_eq!(health.failed(at(0)), None);
        }
        assert!(!health.is_open());
    }
}
