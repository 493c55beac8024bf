//! One log line for each request, at level `info` under the target [`TARGET`]. Fields that receipts have too are
//! named and written as there. What clients wrote is in none of them.
//!
//! Where lines are JSON, these go past the log's own machinery, which takes as long for one as all the rest of a
//! request takes.

mod members;

use std::fmt::{self, Display};
use std::time::Duration;

use super::observe::{Observed, Observer, PROBES};
use super::receipt;
use crate::ledger::receipt::Receipt;
use crate::telemetry;
use members::Members;

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
        match telemetry::writes_json() {
            true => telemetry::write_info(TARGET, "request", |line| tell(request, Members(line))),
            false => tracing::info!(target: TARGET, "request{}", Pairs(request)),
        }
    }
}

/// What is told of a request, as members of an object. What there is nothing to say of is left out.
fn tell(request: &Observed, mut line: Members<'_>) {
    let key = request.key.as_ref();
    let times = &request.times;
    line.text("request_id", request.request);
    line.text("client", request.client.to_canonical());
    line.text("method", request.method);
    line.text("endpoint", request.endpoint);
    line.number("status", request.status.into());
    line.known("code", request.code.map(|code| code.word()));
    line.known("reason", request.reason());
    line.known("key", key.map(|key| key.id.as_str()));
    line.known("wallet", key.map(|key| key.wallet.as_str()));
    line.known("model", request.model.as_deref());
    line.known("upstream", request.upstream.as_deref());
    line.number("attempts", request.attempts.into());
    line.flag("streamed", request.streamed);
    line.known("hold", request.hold);
    if let Some((receipt, balance)) = &request.settled {
        charge(&mut line, receipt);
        line.text("balance", *balance);
    }
    line.number("duration_us", micros(times.total()));
    took(&mut line, "upstream_us", times.upstream());
    took(&mut line, "first_byte_us", times.first_byte());
    took(&mut line, "added_us", times.added());
}

fn charge(line: &mut Members<'_>, receipt: &Receipt) {
    line.text("usage", receipt.usage);
    line.text("counted", receipt.counted.name());
    line.text("priced", receipt.priced);
    line.text("free", receipt::free(receipt));
    line.text("cost", receipt.charged);
    let shortfall = Some(receipt.shortfall).filter(|shortfall| !shortfall.is_zero());
    line.known("shortfall", shortfall);
    if receipt.late {
        line.flag("late", true);
    }
    let flags = &receipt.detail.flags;
    line.known("flags", (!flags.is_empty()).then(|| flags.join(",")));
}

fn took(line: &mut Members<'_>, name: &'static str, took: Option<Duration>) {
    if let Some(took) = took {
        line.number(name, micros(took));
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// The members for people, each after a blank.
struct Pairs<'r>(&'r Observed);

impl Display for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Vec::new();
        tell(self.0, Members(&mut line));
        // The first comma makes way for the object's own bracket.
        line[0] = b'{';
        line.push(b'}');
        let line: serde_json::Value = serde_json::from_slice(&line).map_err(|_| fmt::Error)?;
        for (name, value) in line.as_object().into_iter().flatten() {
            match value.as_str() {
                Some(text) => write!(f, " {name}={text}")?,
                None => write!(f, " {name}={value}")?,
            }
        }
        Ok(())
    }
}
