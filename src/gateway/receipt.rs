//! Receipts on the wire: headers, trailers, the comment in a stream, the object of the API.
//!
//! One list of fields serves all four, so that their names cannot drift apart.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::headers;
use super::reservation::Reservation;
use crate::clock::UnixMs;
use crate::ledger::hold::Settled;
use crate::ledger::id::RequestId;
use crate::ledger::limit::{CounterState, Limit, Measure, Per};
use crate::ledger::receipt::Receipt;
use crate::money::Nano;
use crate::price::FreeUnits;
use crate::usage::{Meter, Usage};

const PREFIX: &str = "x-tollgate-";

/// What may come in trailers; announced in `Trailer` where the client asks for trailers.
pub const TRAILERS: &str = "x-tollgate-usage, x-tollgate-cost, x-tollgate-free, \
     x-tollgate-balance, x-tollgate-counted";

/// Puts the request's id on any response, under both names.
pub fn put_request_id(map: &mut HeaderMap, request: RequestId) {
    let id = headers::value(&request.to_string());
    map.insert(HeaderName::from_static("x-request-id"), id.clone());
    map.insert(HeaderName::from_static("x-tollgate-request-id"), id);
}

/// What is known before the answer's usage is: the headers of a stream.
pub fn put_early(map: &mut HeaderMap, reservation: &Reservation, currency: &str, now: UnixMs) {
    let hold = &reservation.hold;
    put_request_id(map, reservation.request());
    put(map, "model", &reservation.model.id);
    put(map, "price-version", reservation.gateway().prices.version());
    put(map, "currency", currency);
    put(map, "hold", &hold.money.to_string());
    put(map, "balance", &hold.balance.to_string());
    put_limits(map, &reservation.limits, &hold.counters, now);
}

/// The whole receipt: the headers of an answer that is no stream.
pub fn put_final(
    map: &mut HeaderMap,
    settled: &Settled,
    limits: &[Limit],
    currency: &str,
    now: UnixMs,
) {
    let receipt = &settled.receipt;
    put_request_id(map, receipt.request_id);
    put(map, "model", &receipt.model);
    put(map, "price-version", &receipt.price_version);
    put(map, "currency", currency);
    put(map, "hold", &receipt.held.to_string());
    put_outcome(map, settled);
    put_limits(map, limits, &settled.counters, now);
}

/// What only the settle tells: a stream's trailers.
pub fn trailers(settled: &Settled) -> HeaderMap {
    let mut map = HeaderMap::new();
    put_outcome(&mut map, settled);
    map
}

fn put_outcome(map: &mut HeaderMap, settled: &Settled) {
    let receipt = &settled.receipt;
    put(map, "usage", &usage_text(&receipt.usage));
    put(map, "cost", &receipt.charged.to_string());
    put(
        map,
        "free",
        &free_text(&receipt.free, receipt.free_money, &receipt.usage),
    );
    put(map, "balance", &settled.balance.to_string());
    put(map, "counted", receipt.counted.name());
}

fn put(map: &mut HeaderMap, name: &str, value: &str) {
    if let Ok(name) = HeaderName::try_from(format!("{PREFIX}{name}")) {
        map.insert(name, headers::value(value));
    }
}

/// A structured-field dictionary; never empty, since a header cannot be.
fn usage_text(usage: &Usage) -> String {
    if usage.iter().next().is_none() {
        return "input=0, output=0".to_owned();
    }
    usage.to_string()
}

/// What was free, as a structured-field dictionary, in the unit of the request at least.
fn free_text(free: &FreeUnits, money: Nano, usage: &Usage) -> String {
    let mut parts = Vec::with_capacity(2);
    let images = usage.get(Meter::Images) > 0;
    if free.tokens > 0 || !images {
        parts.push(format!("tokens={}", free.tokens));
    }
    if free.images > 0 || images {
        parts.push(format!("images={}", free.images));
    }
    if free.requests > 0 {
        parts.push(format!("requests={}", free.requests));
    }
    if !money.is_zero() {
        parts.push(format!("money=\"{money}\""));
    }
    parts.join(", ")
}

/// One header for each limit, and OpenAI's own for the rate limits.
pub fn put_limits(map: &mut HeaderMap, limits: &[Limit], states: &[CounterState], now: UnixMs) {
    for (limit, state) in limits.iter().zip(states) {
        let reset = state.reset_at.map(|at| at.since(now).div_ceil(1_000));
        let amount = |count| amount_text(limit, count);
        let mut text = format!(
            "cap={}, remaining={}",
            amount(state.cap),
            amount(state.remaining)
        );
        if let Some(seconds) = reset {
            text.push_str(&format!(", reset={seconds}"));
        }
        // A colon is fine in a limit's name, but not in a header's.
        let name = limit.name.as_str().replace(':', "-");
        put(map, &format!("limit-{name}"), &text);
        put_rate(map, limit, state, now);
    }
}

/// OpenAI's own names, for the clients that read them.
fn put_rate(map: &mut HeaderMap, limit: &Limit, state: &CounterState, now: UnixMs) {
    let what = match (limit.measure, limit.per) {
        (Measure::Requests, Per::Minute) => "requests",
        (Measure::Tokens, Per::Minute) => "tokens",
        _ => return,
    };
    let reset_ms = state.reset_at.map_or(0, |at| at.since(now));
    let pairs = [
        ("limit", state.cap.to_string()),
        ("remaining", state.remaining.to_string()),
        ("reset", reset_text(reset_ms)),
    ];
    for (name, text) in pairs {
        if let Ok(name) = HeaderName::try_from(format!("x-ratelimit-{name}-{what}")) {
            map.entry(name).or_insert_with(|| headers::value(&text));
        }
    }
}

/// An amount of a limit: money as a quoted decimal, anything else as an integer.
fn amount_text(limit: &Limit, count: u64) -> String {
    match limit.measure {
        Measure::Spend => format!("\"{}\"", nano(count)),
        _ => count.to_string(),
    }
}

/// A spend limit's amount as money.
pub fn nano(count: u64) -> Nano {
    Nano::new(i64::try_from(count).unwrap_or(i64::MAX))
}

/// A time to wait, as OpenAI writes it: `0s`, `59s`, `6m0s`.
fn reset_text(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

/// The receipt as the API shows it.
pub fn object(receipt: &Receipt, currency: &str) -> Value {
    let mut fields = summary(receipt, currency);
    let more = json!({
        "object": "receipt",
        "key": receipt.key,
        "hold": receipt.held,
        "priced": receipt.priced,
        "shortfall": receipt.shortfall,
        "late": receipt.late,
        "endpoint": receipt.detail.endpoint,
        "upstream": receipt.detail.upstream,
        "status": receipt.detail.status,
        "streamed": receipt.detail.streamed,
        "attempts": receipt.detail.attempts,
        "flags": receipt.detail.flags,
        "held_at": receipt.held_at.to_string(),
        "settled_at": receipt.settled_at.to_string(),
    });
    if let Value::Object(more) = more {
        fields.extend(more);
    }
    Value::Object(fields)
}

fn summary(receipt: &Receipt, currency: &str) -> Map<String, Value> {
    let mut free = json!(receipt.free);
    if !receipt.free_money.is_zero() {
        free["money"] = json!(receipt.free_money);
    }
    let fields = json!({
        "request_id": receipt.request_id,
        "model": receipt.model,
        "price_version": receipt.price_version,
        "usage": receipt.usage,
        "counted": receipt.counted,
        "currency": currency,
        "cost": receipt.charged,
        "free": free,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The receipt as one comment of an event stream, which clients pass over.
pub fn comment(settled: &Settled, currency: &str) -> Bytes {
    let mut fields = summary(&settled.receipt, currency);
    fields.insert("balance".to_owned(), json!(settled.balance));
    Bytes::from(format!(": tollgate {}\n\n", Value::Object(fields)))
}

/// What is put into the `usage` object of a stream's usage chunk.
pub fn cost_member(settled: &Settled) -> String {
    format!(",\"cost\":\"{}\"", settled.receipt.charged)
}

/// The header that announces trailers.
pub fn trailer_names() -> HeaderValue {
    HeaderValue::from_static(TRAILERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_written_as_openai_writes_them() {
        assert_eq!(reset_text(0), "0s");
        assert_eq!(reset_text(1), "1s");
        assert_eq!(reset_text(59_000), "59s");
        assert_eq!(reset_text(360_000), "6m0s");
    }

    #[test]
    fn what_was_free_is_told_in_the_requests_own_unit() {
        let none = FreeUnits::default();
        assert_eq!(
            free_text(&none, Nano::ZERO, &Usage::tokens(1, 1)),
            "tokens=0"
        );
        assert_eq!(free_text(&none, Nano::ZERO, &Usage::images(2)), "images=0");
        let some = FreeUnits { tokens: 7, ..none };
        assert_eq!(
            free_text(&some, Nano::new(5), &Usage::tokens(7, 1)),
            "tokens=7, money=\"0.000000005\""
        );
    }
}
