//! Receipts on the wire: headers, trailers, the comment in a stream, the object of the API.
//!
//! One list of fields serves all four, so that their names cannot drift apart.

use std::fmt;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::headers::Writer;
use super::limits::Limits;
use super::plain::Plain;
use super::reservation::Reservation;
use crate::clock::UnixMs;
use crate::ledger::hold::Settled;
use crate::ledger::id::RequestId;
use crate::ledger::limit::{CounterState, Limit, Measure, Per};
use crate::ledger::receipt::Receipt;
use crate::money::Nano;
use crate::price::FreeUnits;
use crate::usage::{Meter, Usage};

const REQUEST_ID: [HeaderName; 2] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-tollgate-request-id"),
];
const MODEL: HeaderName = HeaderName::from_static("x-tollgate-model");
const PRICE_VERSION: HeaderName = HeaderName::from_static("x-tollgate-price-version");
const CURRENCY: HeaderName = HeaderName::from_static("x-tollgate-currency");
const HOLD: HeaderName = HeaderName::from_static("x-tollgate-hold");
const USAGE: HeaderName = HeaderName::from_static("x-tollgate-usage");
const COST: HeaderName = HeaderName::from_static("x-tollgate-cost");
const FREE: HeaderName = HeaderName::from_static("x-tollgate-free");
const BALANCE: HeaderName = HeaderName::from_static("x-tollgate-balance");
const COUNTED: HeaderName = HeaderName::from_static("x-tollgate-counted");

/// OpenAI's own names: limit, remaining, reset.
const RATE_REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const RATE_TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// How many headers a receipt has, and its beginning, apart from limits; and OpenAI's own of a rate limit.
const HEADERS: usize = 11;
const HEADERS_EARLY: usize = 7;
const HEADERS_PER_RATE: usize = 3;

/// What may come in trailers; announced in `Trailer` where the client asks for trailers.
pub const TRAILERS: &str = "x-tollgate-usage, x-tollgate-cost, x-tollgate-free, \
     x-tollgate-balance, x-tollgate-counted";

/// Puts the request's id on any response, under both names.
pub fn put_request_id(map: &mut HeaderMap, request: RequestId) {
    Writer::new(map, REQUEST_ID.len()).put_both(REQUEST_ID, request);
}

/// Puts the request's id under the name that Anthropic's clients read as well, where it has the usual ones.
pub fn repeat_request_id(map: &mut HeaderMap) {
    if let Some(id) = map.get(&REQUEST_ID[0]).cloned() {
        map.insert(HeaderName::from_static("request-id"), id);
    }
}

/// What is known before the answer's usage is: the headers of a stream.
pub fn put_early(map: &mut HeaderMap, reservation: &Reservation, currency: &str, now: UnixMs) {
    let hold = &reservation.hold;
    let mut writer = writer(map, HEADERS_EARLY, &reservation.limits);
    writer.put_both(REQUEST_ID, reservation.request());
    writer.put(MODEL, &*reservation.model.id);
    writer.put(PRICE_VERSION, &**reservation.catalog.prices.version());
    writer.put(CURRENCY, currency);
    writer.put(HOLD, hold.money);
    writer.put(BALANCE, hold.balance);
    limits(&mut writer, &reservation.limits, &hold.counters, now);
}

/// The whole receipt: the headers of an answer that is no stream.
pub fn put_final(
    map: &mut HeaderMap,
    settled: &Settled,
    caps: &Limits,
    currency: &str,
    now: UnixMs,
) {
    let receipt = &settled.receipt;
    let mut writer = writer(map, HEADERS, caps);
    writer.put_both(REQUEST_ID, receipt.request_id);
    writer.put(MODEL, &*receipt.model);
    writer.put(PRICE_VERSION, &*receipt.price_version);
    writer.put(CURRENCY, currency);
    writer.put(HOLD, receipt.held);
    outcome(&mut writer, settled);
    limits(&mut writer, caps, &settled.counters, now);
}

/// What only the settle tells: a stream's trailers.
pub fn trailers(settled: &Settled) -> HeaderMap {
    let mut map = HeaderMap::new();
    outcome(&mut Writer::new(&mut map, HEADERS), settled);
    map
}

/// One header for each limit, and OpenAI's own for the rate limits.
pub fn put_limits(map: &mut HeaderMap, caps: &[Limit], states: &[CounterState], now: UnixMs) {
    limits(
        &mut writer(map, 0, caps),
        &Limits::from(caps.to_vec()),
        states,
        now,
    );
}

/// OpenAI's own names for a rate limit.
fn rate(limit: &Limit) -> Option<[HeaderName; 3]> {
    match (limit.measure, limit.per) {
        (Measure::Requests, Per::Minute) => Some(RATE_REQUESTS),
        (Measure::Tokens, Per::Minute) => Some(RATE_TOKENS),
        _ => None,
    }
}

/// With room for what will be there and no more: a stream keeps its map for as long as it lasts.
fn writer<'m>(map: &'m mut HeaderMap, headers: usize, caps: &[Limit]) -> Writer<'m> {
    let rates = caps.iter().filter(|limit| rate(limit).is_some()).count();
    Writer::new(map, headers + caps.len() + rates * HEADERS_PER_RATE)
}

fn outcome(writer: &mut Writer<'_>, settled: &Settled) {
    let receipt = &settled.receipt;
    match receipt.usage.iter().next() {
        // A structured-field dictionary may be empty, but a header cannot be.
        None => writer.put(USAGE, "input=0, output=0"),
        Some(_) => writer.put(USAGE, receipt.usage),
    }
    writer.put(COST, receipt.charged);
    writer.put(FREE, free(receipt));
    writer.put(BALANCE, settled.balance);
    writer.put(COUNTED, receipt.counted.name());
}

/// What was free, as the header and the log have it.
pub fn free(receipt: &Receipt) -> impl fmt::Display + Plain {
    Free(&receipt.free, receipt.free_money, &receipt.usage)
}

fn limits(writer: &mut Writer<'_>, caps: &Limits, states: &[CounterState], now: UnixMs) {
    for ((limit, name), state) in caps.iter().zip(caps.headers()).zip(states) {
        if let Some(name) = name {
            writer.put(name.clone(), Standing(limit, state, now));
        }
        let Some([cap, remaining, reset]) = rate(limit) else {
            continue;
        };
        writer.put_absent(cap, state.cap);
        writer.put_absent(remaining, state.remaining);
        let wait = state.reset_at.map_or(0, |at| at.since(now));
        writer.put_absent(reset, Wait(wait));
    }
}

/// What was free, as a structured-field dictionary, in the unit of the request at least.
struct Free<'r>(&'r FreeUnits, Nano, &'r Usage);

impl fmt::Display for Free<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl Plain for Free<'_> {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let Free(free, money, usage) = self;
        let images = usage.get(Meter::Images) > 0;
        let units = [
            ("tokens", free.tokens, !images),
            ("images", free.images, images),
            ("requests", free.requests, false),
        ];
        let mut comma = "";
        for (unit, count, always) in units {
            if count > 0 || always {
                out.write_str(comma)?;
                out.write_str(unit)?;
                out.write_str("=")?;
                count.write(out)?;
                comma = ", ";
            }
        }
        if !money.is_zero() {
            out.write_str(comma)?;
            out.write_str("money=\"")?;
            money.write(out)?;
            out.write_str("\"")?;
        }
        Ok(())
    }
}

/// How a limit stands at a time.
struct Standing<'r>(&'r Limit, &'r CounterState, UnixMs);

impl Plain for Standing<'_> {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let Standing(limit, state, now) = *self;
        out.write_str("cap=")?;
        Amount(limit.measure, state.cap).write(out)?;
        out.write_str(", remaining=")?;
        Amount(limit.measure, state.remaining).write(out)?;
        match state.reset_at {
            Some(at) => {
                out.write_str(", reset=")?;
                at.since(now).div_ceil(1_000).write(out)
            }
            None => Ok(()),
        }
    }
}

/// An amount of a limit: money as a quoted decimal, anything else as an integer.
struct Amount(Measure, u64);

impl Plain for Amount {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self.0 {
            Measure::Spend => {
                out.write_str("\"")?;
                nano(self.1).write(out)?;
                out.write_str("\"")
            }
            _ => self.1.write(out),
        }
    }
}

/// Milliseconds to wait, as OpenAI writes them: `0s`, `59s`, `6m0s`.
struct Wait(u64);

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl Plain for Wait {
    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let seconds = self.0.div_ceil(1_000);
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        if minutes > 0 {
            minutes.write(out)?;
            out.write_str("m")?;
        }
        seconds.write(out)?;
        out.write_str("s")
    }
}

/// A spend limit's amount as money.
pub fn nano(count: u64) -> Nano {
    Nano::new(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The receipt as the API shows it.
pub fn object(receipt: &Receipt, currency: &str) -> Value {
    let mut fields = summary(receipt, currency);
    let more = json!({
        "object": "receipt",
        "wallet": receipt.wallet,
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
        "pricing": receipt.detail.pricing,
        "held_at": receipt.held_at.to_string(),
        "settled_at": receipt.settled_at.to_string(),
    });
    if let Value::Object(more) = more {
        fields.extend(more);
    }
    if !receipt.detail.tries.is_empty() {
        fields.insert("tries".to_owned(), json!(receipt.detail.tries));
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
mod alike;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_written_as_openai_writes_them() {
        assert_eq!(Wait(0).to_string(), "0s");
        assert_eq!(Wait(1).to_string(), "1s");
        assert_eq!(Wait(59_000).to_string(), "59s");
        assert_eq!(Wait(360_000).to_string(), "6m0s");
    }

    #[test]
    fn what_was_free_is_told_in_the_requests_own_unit() {
        let none = FreeUnits::default();
        assert_eq!(
            Free(&none, Nano::ZERO, &Usage::tokens(1, 1)).to_string(),
            "tokens=0"
        );
        assert_eq!(
            Free(&none, Nano::ZERO, &Usage::images(2)).to_string(),
            "images=0"
        );
        let some = FreeUnits { tokens: 7, ..none };
        assert_eq!(
            Free(&some, Nano::new(5), &Usage::tokens(7, 1)).to_string(),
            "tokens=7, money=\"0.000000005\""
        );
    }
}
