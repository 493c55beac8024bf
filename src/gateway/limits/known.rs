//! Limits as they are for one request after the other: the names of counters and headers are made once for a record of a
//! key, and again when a calendar period ends.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use parking_lot::RwLock;

use super::Limits;
use crate::clock::UnixMs;
use crate::gateway::window::{Counter, Demand, steady_until};
use crate::ledger::id::KeyId;
use crate::ledger::key::Key;
use crate::ledger::limit::{CounterAsk, Limit};
use crate::price::Model;

/// How many keys are remembered at most.
const KEYS_MAX: usize = 10_000;

/// The limits of the keys that were used of late.
pub struct KnownLimits {
    zone: TimeZone,
    keys: RwLock<HashMap<KeyId, Arc<Known>>>,
}

/// The limits of a key, and their counters in `from..until`.
struct Known {
    /// Records do not change: another one, even of the same revision, may say something else.
    key: Arc<Key>,
    limits: Limits,
    counters: Vec<Counter>,
    from: UnixMs,
    until: UnixMs,
}

impl KnownLimits {
    /// None yet; days begin as in `zone`.
    pub fn new(zone: TimeZone) -> Self {
        KnownLimits {
            zone,
            keys: RwLock::default(),
        }
    }

    /// Those of a key's limits that apply to `model`, and their counters at `now`, in the same order.
    pub fn of(
        &self,
        key: &Arc<Key>,
        model: &Model,
        demand: Demand,
        now: UnixMs,
    ) -> (Limits, Vec<CounterAsk>) {
        let known = self.known(key, now);
        let applying = known.limits.iter().zip(&known.counters);
        let applying =
            applying.filter(|(limit, _)| limit.models.has_any(&model.id, &model.aliases));
        if applying.clone().count() == known.limits.len() {
            let asks = applying.map(|(limit, counter)| counter.ask(limit, demand));
            return (known.limits.clone(), asks.collect());
        }
        let both = applying.map(|(limit, counter)| (limit.clone(), counter.ask(limit, demand)));
        let (limits, asks): (Vec<Limit>, Vec<CounterAsk>) = both.unzip();
        (Limits::from(limits), asks)
    }

    fn known(&self, key: &Arc<Key>, now: UnixMs) -> Arc<Known> {
        if let Some(known) = self.keys.read().get(&key.id)
            && Arc::ptr_eq(&known.key, key)
            && (known.from..known.until).contains(&now)
        {
            return Arc::clone(known);
        }
        let counters = key.limits.iter();
        let counters: Vec<Counter> = counters
            .map(|limit| Counter::at(&key.id, limit, now, &self.zone))
            .collect();
        let known = Arc::new(Known {
            key: Arc::clone(key),
            limits: Limits::from(key.limits.clone()),
            from: now,
            until: steady_until(&counters, now, &self.zone),
            counters,
        });
        let mut keys = self.keys.write();
        let full = keys.len() >= KEYS_MAX && !keys.contains_key(&key.id);
        let before = full.then(|| std::mem::take(&mut *keys));
        keys.insert(key.id.clone(), Arc::clone(&known));
        drop(keys);
        // That takes a while, and others read meanwhile.
        drop(before);
        known
    }
}

#[cfg(test)]
mod tests;
