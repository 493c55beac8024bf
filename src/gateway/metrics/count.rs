//! What metrics are made of: numbers that only grow, and how long things take. All of it integers; what
//! Prometheus wants as floats becomes one when it is printed.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

use crate::money::Nano;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

/// The upper bounds of a [`Histogram`]'s buckets, in microseconds.
pub type Bounds = [u64; 14];

/// For what Tollgate itself does: 50 us to 1 s.
pub const FAST: Bounds = [
    50, 100, 200, 300, 500, 750, 1_000, 2_000, 5_000, 10_000, 25_000, 100_000, 250_000, 1_000_000,
];
/// For what models do: 5 ms to 10 min.
pub const SLOW: Bounds = [
    5_000,
    25_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    20_000_000,
    45_000_000,
    90_000_000,
    180_000_000,
    600_000_000,
];

/// How long things took, by bucket.
#[derive(Debug)]
pub struct Histogram {
    /// The upper bounds of its buckets; what is longer is in a last one.
    pub bounds: &'static Bounds,
    buckets: [AtomicU64; 15],
    /// In microseconds.
    sum: AtomicU64,
}

/// Values by label, made when first used and kept: keys must come from what the operator configured.
#[derive(Debug)]
pub struct Labelled<K, V>(RwLock<HashMap<K, Arc<V>>>);

impl Count {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// This much more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// This much more, in nano units; less than nothing counts as nothing.
    pub fn add_money(&self, more: Nano) {
        self.add(u64::try_from(more.get()).unwrap_or(0));
    }

    /// How much it is.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Histogram {
    /// An empty one.
    pub fn new(bounds: &'static Bounds) -> Self {
        Histogram {
            bounds,
            buckets: Default::default(),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a duration in.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = self.bounds.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(micros, Ordering::Relaxed);
    }

    /// Whether nothing was counted in.
    pub fn is_empty(&self) -> bool {
        self.get().0.iter().all(|count| *count == 0)
    }

    /// How many are in each bucket, the last without a bound included; and their sum in microseconds.
    pub fn get(&self) -> ([u64; 15], u64) {
        let counts = self.buckets.each_ref();
        (
            counts.map(|count| count.load(Ordering::Relaxed)),
            self.sum.load(Ordering::Relaxed),
        )
    }
}

impl<K: Eq + Hash + Clone + Ord, V> Labelled<K, V> {
    /// Uses the value of a label; makes it where it is new.
    pub fn with(&self, label: &K, make: impl FnOnce() -> V, then: impl FnOnce(&V)) {
        if let Some(value) = self.0.read().get(label) {
            return then(value);
        }
        let mut all = self.0.write();
        then(all.entry(label.clone()).or_insert_with(|| Arc::new(make())));
    }

    /// All of them, in order.
    pub fn all(&self) -> Vec<(K, Arc<V>)> {
        let values = self.0.read();
        let mut all: Vec<_> = values
            .iter()
            .map(|(label, value)| (label.clone(), Arc::clone(value)))
            .collect();
        drop(values);
        all.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        all
    }
}

impl<K, V> Default for Labelled<K, V> {
    fn default() -> Self {
        Labelled(RwLock::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_is_not_shorter() {
        let histogram = Histogram::new(&FAST);
        for micros in [0, 50, 51, 1_000_000, 1_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let (buckets, sum) = histogram.get();
        assert_eq!((buckets[0], buckets[1]), (2, 1));
        assert_eq!((buckets[13], buckets[14]), (1, 1));
        assert_eq!(sum, 2_000_102);
    }

    #[test]
    fn bounds_grow() {
        for bounds in [FAST, SLOW] {
            assert!(bounds.is_sorted_by(|one, next| one < next));
        }
    }
}
