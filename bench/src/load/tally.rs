//! What one worker counted, and how counts add up.

use std::collections::BTreeMap;
use std::time::Duration;

use super::exchange::{Outcome, Seen};
use super::plan::{Kind, Plan};

/// The sums of one worker or of all.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that were sent, or died while being sent.
    pub requests: u64,
    pub ok: u64,
    pub connection_errors: u64,
    pub kinds: BTreeMap<Kind, u64>,
    pub outcomes: BTreeMap<Outcome, u64>,
    pub statuses: BTreeMap<u16, u64>,
    pub codes: BTreeMap<String, u64>,
    pub chunks: u64,
    pub bytes: u64,
    /// Microseconds of each good answer.
    pub latencies: Vec<u32>,
    /// Microseconds to the first byte of each good stream's body.
    pub first_bytes: Vec<u32>,
    /// Microseconds of the longest wait between two pieces of each good stream's body.
    pub gaps: Vec<u32>,
}

// === impl Tally ===

impl Tally {
    pub fn add(&mut self, plan: &Plan, seen: &Seen) {
        self.requests += 1;
        *self.kinds.entry(plan.kind).or_default() += 1;
        *self.outcomes.entry(seen.outcome).or_default() += 1;
        self.connection_errors += u64::from(seen.outcome == Outcome::ConnectionError);
        if seen.status != 0 {
            *self.statuses.entry(seen.status).or_default() += 1;
        }
        if let Some(code) = &seen.code {
            *self.codes.entry(code.clone()).or_default() += 1;
        }
        self.chunks += seen.chunks(plan);
        self.bytes += seen.bytes;
        if seen.ok() {
            self.ok += 1;
            self.latencies.push(microseconds(seen.latency));
            if seen.streamed {
                self.first_bytes.extend(seen.first_byte.map(microseconds));
                self.gaps.push(microseconds(seen.gap));
            }
        }
    }

    pub fn merge(&mut self, other: Tally) {
        self.requests += other.requests;
        self.ok += other.ok;
        self.connection_errors += other.connection_errors;
        self.chunks += other.chunks;
        self.bytes += other.bytes;
        merge(&mut self.kinds, other.kinds);
        merge(&mut self.outcomes, other.outcomes);
        merge(&mut self.statuses, other.statuses);
        merge(&mut self.codes, other.codes);
        self.latencies.extend(other.latencies);
        self.first_bytes.extend(other.first_bytes);
        self.gaps.extend(other.gaps);
    }
}

fn merge<K: Ord>(into: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
    for (key, count) in from {
        *into.entry(key).or_default() += count;
    }
}

/// Over an hour is as good as an hour.
fn microseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

/// The value below or at which `per_mille` of all lie (nearest rank); `sorted` must be.
pub fn percentile(sorted: &[u32], per_mille: usize) -> u32 {
    let rank = (sorted.len() * per_mille).div_ceil(1_000);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let sorted: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&sorted, 500), 50);
        assert_eq!(percentile(&sorted, 990), 99);
        assert_eq!(percentile(&sorted, 1_000), 100);
        assert_eq!(percentile(&[7], 500), 7);
        assert_eq!(percentile(&[], 990), 0);
    }
}
