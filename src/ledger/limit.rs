//! Limits as operators write them, and counters as a store keeps them.
//!
//! A limit becomes a counter request in the quote. The store sees amounts, caps and windows only.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::grant::ModelSet;
use super::id::LimitName;
use crate::clock::UnixMs;
pub use crate::config::{Measure, Period as Per};

/// A cap on a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Its name, unique on the key; part of header names.
    pub name: LimitName,
    /// What it caps.
    pub measure: Measure,
    /// The most there may be; nano units for spend.
    pub cap: u64,
    /// Over what time.
    pub per: Per,
    /// For which models it counts.
    pub models: ModelSet,
}

/// How a counter's time runs. A counter is known by its key *and* its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Never resets.
    Total,
    /// One calendar period, `[start, end)`. The counter's key names it, so the next period is another counter.
    Period {
        /// The first millisecond of the period.
        start: UnixMs,
        /// The first millisecond after it.
        end: UnixMs,
    },
    /// A token bucket that refills its cap in `refill_ms`.
    Bucket {
        /// Milliseconds from empty to full, at most [`Window::REFILL_MS_MAX`].
        refill_ms: u64,
    },
    /// Counts live holds only; nothing stays when they end.
    Concurrent,
}

impl Window {
    /// The slowest bucket: milliseconds times this stay exact in every store. A quote with a slower one
    /// is too large.
    pub const REFILL_MS_MAX: u64 = 9_000_000;

    /// Whether every store can count in it exactly.
    pub(super) fn is_exact(self) -> bool {
        match self {
            Window::Bucket { refill_ms } => refill_ms <= Self::REFILL_MS_MAX,
            Window::Total | Window::Period { .. } | Window::Concurrent => true,
        }
    }
}

/// How much a request asks of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// The money that the hold comes to after grants.
    Money,
    /// A fixed amount.
    Fixed(u64),
}

/// One counter of a quote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterAsk {
    /// The counter's name in the wallet: key, limit and, for periods, the UTC start.
    pub key: Arc<str>,
    /// How much is asked.
    pub ask: Ask,
    /// The most there may be.
    pub cap: u64,
    /// How its time runs.
    pub window: Window,
}

/// A counter as a hold or a settle left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterState {
    /// The most there may be.
    pub cap: u64,
    /// What a next request could ask now; 0 when in debt.
    pub remaining: u64,
    /// When it is full again (bucket), or ends (period); `None` for the others.
    pub reset_at: Option<UnixMs>,
}
