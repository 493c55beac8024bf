//! One log line for each request, at level `info` under the target [`TARGET`]. Fields that receipts have too are
//! named and written as there. What clients wrote is in none of them.

use std::time::Duration;

use super::observe::{Observed, Observer, PROBES};
use super::receipt;

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
        let receipt = request.settled.as_ref().map(|(receipt, _)| &**receipt);
        let flags = receipt.map(|receipt| receipt.detail.flags.join(","));
        let times = &request.times;
        let micros = |took: Option<Duration>| took.map(micros);
        tracing::info!(
            target: TARGET,
            request_id = %request.request,
            client = %request.client.to_canonical(),
            method = request.method,
            endpoint = request.endpoint,
            status = request.status,
            code = request.code.map(|code| code.word()),
            reason = request.reason(),
            key = request.key.as_ref().map(|key| key.id.as_str()),
            wallet = request.key.as_ref().map(|key| key.wallet.as_str()),
            model = request.model.as_deref(),
            upstream = request.upstream.as_deref(),
            attempts = request.attempts,
            streamed = request.streamed,
            hold = request.hold.map(tracing::field::display),
            usage = receipt.map(|it| tracing::field::display(it.usage)),
            counted = receipt.map(|it| it.counted.name()),
            priced = receipt.map(|it| tracing::field::display(it.priced)),
            free = receipt.map(|it| tracing::field::display(receipt::free(it))),
            cost = receipt.map(|it| tracing::field::display(it.charged)),
            shortfall = receipt.filter(|it| !it.shortfall.is_zero()).map(|it| tracing::field::display(it.shortfall)),
            late = receipt.map(|it| it.late).filter(|late| *late),
            flags = flags.as_deref().filter(|flags| !flags.is_empty()),
            balance = request.settled.as_ref().map(|(_, balance)| tracing::field::display(balance)),
            duration_us = self::micros(times.total()),
            upstream_us = micros(times.upstream()),
            first_byte_us = micros(times.first_byte()),
            added_us = micros(times.added()),
            "request"
        );
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
