//! What is counted of all requests, and how Prometheus gets it: see `metrics/page.rs` for every name.
//!
//! Labels are bounded: endpoints and codes are fixed, models and upstreams come from the config. No key, no
//! wallet, nothing that a client wrote.

mod count;
mod journal;
mod page;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use super::Gateway;
use super::catalog::Catalog;
use super::conclude::FLAGS;
use super::observe::{Observed, Outcome, PROBES};
use super::refusal::Code;
use super::server::fault::Fault;
use crate::clock::UnixMs;
use crate::ledger::receipt::Receipt;
use crate::usage::{Counted, Meter};
use count::{Count, FAST, Histogram, Labelled, SLOW};

pub use journal::JOURNAL;
pub use page::CONTENT_TYPE;

/// What one proxy counts.
#[derive(Debug)]
pub struct Metrics {
    started: UnixMs,
    /// By endpoint and status.
    requests: Labelled<(&'static str, u16), Count>,
    /// By endpoint.
    durations: Labelled<&'static str, Histogram>,
    /// In the order of [`Code::ALL`].
    refusals: Vec<Count>,
    added: Histogram,
    models: Labelled<Arc<str>, OfModel>,
    upstreams: Labelled<Arc<str>, OfUpstream>,
    /// In the order of [`Fault::WORDS`].
    faults: [Count; Fault::WORDS.len()],
    /// By the words in receipts on what was odd.
    flags: Labelled<Arc<str>, Count>,
}

/// What is counted for each model.
#[derive(Debug)]
struct OfModel {
    /// By who counted: exact, estimated, partial.
    settled: [Count; COUNTED.len()],
    late: Count,
    uncharged: Count,
    usage: [Count; Meter::ALL.len()],
    free: [Count; FREE_UNITS.len()],
    money: [Count; MONEY.len()],
    first_byte: Histogram,
}

/// What is counted for each upstream.
#[derive(Debug)]
struct OfUpstream {
    outcomes: [Count; Outcome::WORDS.len()],
    head: Histogram,
    answer: Histogram,
}

const COUNTED: [Counted; 3] = [Counted::Exact, Counted::Estimated, Counted::Partial];
const FREE_UNITS: [&str; 3] = ["tokens", "images", "requests"];
/// Sums of money, in the order of their names on the page.
const MONEY: [&str; 3] = ["cost", "free_money", "shortfall"];

impl Metrics {
    /// Nothing counted yet, by a process that starts now.
    pub fn new(now: UnixMs) -> Self {
        Metrics {
            started: now,
            requests: Labelled::default(),
            durations: Labelled::default(),
            refusals: Code::ALL.iter().map(|_| Count::default()).collect(),
            added: Histogram::new(&FAST),
            models: Labelled::default(),
            upstreams: Labelled::default(),
            faults: Default::default(),
            flags: Labelled::default(),
        }
    }

    /// Has rows for what is offered from now on. Prometheus cannot tell that a row that was born with a 1 was 0.
    pub fn offer(&self, catalog: &Catalog) {
        for model in catalog.prices.models() {
            self.models.with(&model.id, OfModel::new, |_| ());
        }
        for upstream in catalog.config.upstreams.keys() {
            let upstream = Arc::from(upstream.as_str());
            self.upstreams.with(&upstream, OfUpstream::new, |_| ());
        }
        for flag in FLAGS {
            self.flags.with(&Arc::from(flag), Count::default, |_| ());
        }
    }

    /// Counts a request that ended.
    pub fn ended(&self, request: &Observed) {
        let endpoint = request.endpoint;
        self.requests
            .with(&(endpoint, request.status), Count::default, Count::one);
        if !PROBES.contains(&endpoint) {
            let slow = || Histogram::new(&SLOW);
            self.durations.with(&endpoint, slow, |histogram| {
                histogram.observe(request.times.total());
            });
        }
        if let Some(code) = request.code {
            // The list is in the order of the codes' declaration.
            if let Some(count) = self.refusals.get(code as usize) {
                count.one();
            }
        }
        if let Some(added) = request.times.added() {
            self.added.observe(added);
        }
        if let Some((upstream, took)) = request.upstream.as_ref().zip(request.times.upstream()) {
            self.upstreams
                .with(upstream, OfUpstream::new, |it| it.answer.observe(took));
        }
        if let Some(model) = &request.model {
            self.models
                .with(model, OfModel::new, |it| it.ended(request));
        }
        let receipt = request.settled.as_ref().map(|(receipt, _)| receipt);
        for flag in receipt.iter().flat_map(|receipt| &receipt.detail.flags) {
            self.flags.with(flag, Count::default, Count::one);
        }
    }

    /// Counts an attempt at an upstream.
    pub fn attempt(&self, upstream: &Arc<str>, outcome: Outcome, took: Duration) {
        self.upstreams.with(upstream, OfUpstream::new, |it| {
            it.outcomes[outcome.index()].one();
            if outcome.status().is_some() {
                it.head.observe(took);
            }
        });
    }

    /// Counts a connection that ended early.
    pub fn connection_broke(&self, fault: Fault) {
        self.faults[fault as usize].one();
    }

    /// The page that Prometheus reads, in the OpenMetrics text format 1.0.
    ///
    /// # Errors
    /// None that happens: text is written to memory.
    pub fn page(gateway: &Arc<Gateway>) -> Result<String, std::fmt::Error> {
        page::render(gateway)
    }
}

impl OfModel {
    fn new() -> Self {
        OfModel {
            settled: Default::default(),
            late: Count::default(),
            uncharged: Count::default(),
            usage: Default::default(),
            free: Default::default(),
            money: Default::default(),
            first_byte: Histogram::new(&SLOW),
        }
    }

    fn ended(&self, request: &Observed) {
        if request.uncharged {
            self.uncharged.one();
        }
        if let Some(took) = request.times.first_byte() {
            self.first_byte.observe(took);
        }
        if let Some((receipt, _)) = &request.settled {
            self.charged(receipt);
        }
    }

    fn charged(&self, receipt: &Receipt) {
        for (word, count) in COUNTED.iter().zip(&self.settled) {
            count.add(u64::from(*word == receipt.counted));
        }
        self.late.add(u64::from(receipt.late));
        for (meter, amount) in receipt.usage.iter() {
            self.usage[meter as usize].add(amount);
        }
        let free = receipt.free;
        for (count, units) in self
            .free
            .iter()
            .zip([free.tokens, free.images, free.requests])
        {
            count.add(units);
        }
        let money = [receipt.charged, receipt.free_money, receipt.shortfall];
        for (count, amount) in self.money.iter().zip(money) {
            count.add_money(amount);
        }
    }
}

impl OfUpstream {
    fn new() -> Self {
        OfUpstream {
            outcomes: Default::default(),
            head: Histogram::new(&SLOW),
            answer: Histogram::new(&SLOW),
        }
    }
}
