//! The end of a run, for people and for scripts.

use std::fmt::Write;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::tally::{Tally, percentile};

/// `USER_HZ`, the unit of `/proc/PID/stat`: 100 on every Linux that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// The wall clock and the processor clocks at one moment.
pub struct Clocks {
    at: Instant,
    own: Option<f64>,
    watched: Vec<(String, Option<f64>)>,
}

/// What a run has shown.
pub struct Report {
    run_id: String,
    tally: Tally,
    seconds: f64,
    cpu_seconds: Option<f64>,
    watched: Vec<(String, Option<f64>)>,
}

// === impl Clocks ===

impl Clocks {
    pub fn read(watched: &[(String, u32)]) -> Clocks {
        let watched = watched
            .iter()
            .map(|(name, pid)| (name.clone(), cpu_seconds(&pid.to_string())));
        Clocks {
            at: Instant::now(),
            own: cpu_seconds("self"),
            watched: watched.collect(),
        }
    }
}

fn cpu_seconds(process: &str) -> Option<f64> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// User and system time: the 14th and 15th field, counted after the name, which may hold anything.
fn parse_stat(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

// === impl Report ===

impl Report {
    pub fn new(run_id: &str, tallies: Vec<Tally>, before: &Clocks, after: &Clocks) -> Report {
        let mut tally = Tally::default();
        tallies.into_iter().for_each(|other| tally.merge(other));
        tally.latencies.sort_unstable();
        tally.first_bytes.sort_unstable();
        tally.gaps.sort_unstable();
        let spent = |before: Option<f64>, after: Option<f64>| Some(after? - before?);
        let pairs = before.watched.iter().zip(&after.watched);
        Report {
            run_id: run_id.to_owned(),
            tally,
            seconds: after.at.duration_since(before.at).as_secs_f64(),
            cpu_seconds: spent(before.own, after.own),
            watched: pairs
                .map(|((name, before), (_, after))| (name.clone(), spent(*before, *after)))
                .collect(),
        }
    }

    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.seconds.max(1e-9)
    }

    /// Microseconds of processor per request, as all comparisons want it.
    fn cpu_us_per_request(&self, seconds: Option<f64>) -> Option<f64> {
        Some(seconds? * 1e6 / self.tally.requests.max(1) as f64)
    }

    fn value(&self) -> Value {
        let tally = &self.tally;
        let watched: Map<String, Value> = self.watched.iter().map(|(name, seconds)| {
            (name.clone(), json!({"cpu_seconds": seconds, "cpu_us_per_request": self.cpu_us_per_request(*seconds)}))
        }).collect();
        json!({
            "run_id": self.run_id,
            "requests": tally.requests,
            "ok": tally.ok,
            "kinds": tally.kinds,
            "outcomes": tally.outcomes,
            "statuses": tally.statuses,
            "codes": tally.codes,
            "connection_errors": tally.connection_errors,
            "seconds": self.seconds,
            "requests_per_second": self.per_second(tally.requests),
            "latency_us": spread(&tally.latencies),
            "first_byte_us": spread(&tally.first_bytes),
            "longest_gap_us": spread(&tally.gaps),
            "chunks": tally.chunks,
            "chunks_per_second": self.per_second(tally.chunks),
            "bytes": tally.bytes,
            "cpu_seconds": self.cpu_seconds,
            "cpu_us_per_request": self.cpu_us_per_request(self.cpu_seconds),
            "watched": watched,
        })
    }

    pub fn json(&self) -> String {
        self.value().to_string()
    }

    /// Two columns; nested values as `name.part`.
    pub fn table(&self) -> String {
        let mut table = String::new();
        rows("", &self.value(), &mut table);
        table
    }
}

fn spread(sorted: &[u32]) -> Value {
    let at = |per_mille| percentile(sorted, per_mille);
    json!({"p50": at(500), "p90": at(900), "p99": at(990), "max": at(1_000)})
}

fn rows(name: &str, value: &Value, table: &mut String) {
    let shown = match value {
        Value::Object(parts) => {
            for (part, value) in parts {
                let name = if name.is_empty() {
                    part.clone()
                } else {
                    format!("{name}.{part}")
                };
                rows(&name, value, table);
            }
            return;
        }
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            format!("{:.3}", number.as_f64().unwrap_or(0.0))
        }
        other => other.to_string(),
    };
    // Writing to a String cannot fail.
    writeln!(table, "{name:<32} {shown:>16}").unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_past_any_name() {
        let stat = "42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1";
        assert_eq!(parse_stat(stat), Some(2.0));
    }

    #[test]
    fn a_table_names_nested_values() {
        let mut table = String::new();
        rows("", &json!({"a": {"b": 1}, "c": 0.5}), &mut table);
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines, [["a.b", "1"], ["c", "0.500"]]);
    }
}
