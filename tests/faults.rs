//! Faults on purpose: storms on the last coin, `kill -9` under load, and a mixture of everything that goes wrong,
//! compared with the count of an upstream that is a separate program. Every round is drawn from a seed, which each
//! failure names; `TOLLGATE_TEST_SEED=N` replays it. Beside each test stands a planted bug that it must catch.

#[path = "faults/caps.rs"]
mod caps;
#[path = "faults/kill.rs"]
mod kill;
#[path = "faults/mix.rs"]
mod mix;
#[path = "faults/storms.rs"]
mod storms;
mod support;
