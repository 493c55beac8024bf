//! One log line for each request, at level `info` under the target [`TARGET`]. Fields that receipts have too are
//! named and written as there. What clients wrote is in none of them.
//!
//! Where lines are JSON, these go past the log's own machinery, which takes as long for one as all the rest of a
//! request takes.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::observe::{Observed, Observer, PROBES};
use super::receipt;
use crate::ledger::receipt::Receipt;
use crate::telemetry;

/// What `TOLLGATE_LOG` calls these lines.
pub const TARGET: &str = "tollgate::request";

/// Writes the lines.
#[derive(Debug)]
pub struct RequestLog;

impl Observer for RequestLog {
    fn ended(&self, request: &Observed) {
        if PROBES.contains(&request.endpoint)
            || !tracing::enabled!(target: TARGET, tracing::Level::INFO)
        {
            return;
        }
        let line = Line(request);
        match telemetry::writes_json() {
            true => telemetry::write_info(TARGET, "request", &line),
            false => tracing::info!(target: TARGET, "request{}", Pairs(&line)),
        }
    }
}

/// What is told of a request, as members of an object. What there is nothing to say of is left out.
struct Line<'r>(&'r Observed);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let request = self.0;
        let key = request.key.as_ref();
        let times = &request.times;
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("request_id", &Shown(request.request))?;
        line.serialize_entry("client", &Shown(request.client.to_canonical()))?;
        line.serialize_entry("method", request.method)?;
        line.serialize_entry("endpoint", request.endpoint)?;
        line.serialize_entry("status", &request.status)?;
        known(&mut line, "code", request.code.map(|code| code.word()))?;
        known(&mut line, "reason", request.reason())?;
        known(&mut line, "key", key.map(|key| key.id.as_str()))?;
        known(&mut line, "wallet", key.map(|key| key.wallet.as_str()))?;
        known(&mut line, "model", request.model.as_deref())?;
        known(&mut line, "upstream", request.upstream.as_deref())?;
        line.serialize_entry("attempts", &request.attempts)?;
        line.serialize_entry("streamed", &request.streamed)?;
        known(&mut line, "hold", request.hold)?;
        if let Some((receipt, balance)) = &request.settled {
            charge(&mut line, receipt)?;
            line.serialize_entry("balance", balance)?;
        }
        line.serialize_entry("duration_us", &micros(times.total()))?;
        known(&mut line, "upstream_us", times.upstream().map(micros))?;
        known(&mut line, "first_byte_us", times.first_byte().map(micros))?;
        known(&mut line, "added_us", times.added().map(micros))?;
        line.end()
    }
}

fn charge<M: SerializeMap>(line: &mut M, receipt: &Receipt) -> Result<(), M::Error> {
    line.serialize_entry("usage", &Shown(receipt.usage))?;
    line.serialize_entry("counted", receipt.counted.name())?;
    line.serialize_entry("priced", &receipt.priced)?;
    line.serialize_entry("free", &Shown(receipt::free(receipt)))?;
    line.serialize_entry("cost", &receipt.charged)?;
    let shortfall = Some(receipt.shortfall).filter(|shortfall| !shortfall.is_zero());
    known(line, "shortfall", shortfall)?;
    known(line, "late", Some(true).filter(|_| receipt.late))?;
    let flags = &receipt.detail.flags;
    known(line, "flags", (!flags.is_empty()).then(|| flags.join(",")))
}

fn known<M: SerializeMap>(
    line: &mut M,
    name: &'static str,
    value: Option<impl Serialize>,
) -> Result<(), M::Error> {
    match value {
        Some(value) => line.serialize_entry(name, &value),
        None => Ok(()),
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// A value as its text.
struct Shown<T>(T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The members for people, each after a blank.
struct Pairs<'l>(&'l Line<'l>);

impl Display for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = serde_json::to_value(self.0).map_err(|_| fmt::Error)?;
        for (name, value) in line.as_object().into_iter().flatten() {
            match value.as_str() {
                Some(text) => write!(f, " {name}={text}")?,
                None => write!(f, " {name}={value}")?,
            }
        }
        Ok(())
    }
}
