//! Limits of a key as counters of a quote: names, amounts, and the calendar periods of now.

use std::sync::Arc;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};

use crate::clock::UnixMs;
use crate::config::Words as _;
use crate::ledger::id::KeyId;
use crate::ledger::limit::{Ask, CounterAsk, Limit, Measure, Per, Window};
use crate::price::Segment;
use crate::usage::Unit;

const MINUTE_MS: u64 = 60_000;

/// What a request asks of its key's limits, at worst.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// Tokens.
    pub tokens: u64,
    /// Images.
    pub images: u64,
}

impl Demand {
    /// What these segments come to.
    pub fn of(segments: &[Segment]) -> Demand {
        let total = |unit| {
            let of_unit = segments
                .iter()
                .filter(|segment| segment.meter.unit() == unit);
            of_unit.fold(0_u64, |sum, segment| sum.saturating_add(segment.count))
        };
        Demand {
            tokens: total(Unit::Tokens),
            images: total(Unit::Images),
        }
    }
}

/// The counter of a limit: what is the same for all requests of a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its name in the wallet.
    pub name: Arc<str>,
    /// How its time runs.
    pub window: Window,
}

impl Counter {
    /// The counter of a limit at `now`.
    pub fn at(key: &KeyId, limit: &Limit, now: UnixMs, zone: &TimeZone) -> Counter {
        let window = window(limit, now, zone);
        Counter {
            name: name(key, limit, window),
            window,
        }
    }

    /// What a request asks of it.
    pub fn ask(&self, limit: &Limit, demand: Demand) -> CounterAsk {
        let ask = match limit.measure {
            Measure::Spend => Ask::Money,
            Measure::Tokens => Ask::Fixed(demand.tokens),
            Measure::Images => Ask::Fixed(demand.images),
            Measure::Requests | Measure::Concurrent => Ask::Fixed(1),
        };
        CounterAsk {
            key: Arc::clone(&self.name),
            ask,
            cap: limit.cap,
            window: self.window,
        }
    }
}

/// The counters of all these limits at `now`.
pub fn asks(
    key: &KeyId,
    limits: &[Limit],
    demand: Demand,
    now: UnixMs,
    zone: &TimeZone,
) -> Vec<CounterAsk> {
    let ask = |limit| Counter::at(key, limit, now, zone).ask(limit, demand);
    limits.iter().map(ask).collect()
}

/// Until when the counters of `now` stay those that they are: one of their periods ends, or the zone's clocks change, as
/// an hour that comes twice may be of a day that has ended.
pub fn steady_until(counters: &[Counter], now: UnixMs, zone: &TimeZone) -> UnixMs {
    let ends = counters.iter().filter_map(|counter| match counter.window {
        Window::Period { end, .. } => Some(end),
        _ => None,
    });
    let Some(end) = ends.min() else {
        return UnixMs(i64::MAX);
    };
    let mut changes = zone.following(now.timestamp());
    let change = changes.next();
    change.map_or(end, |change| {
        end.min(UnixMs(change.timestamp().as_millisecond()))
    })
}

/// With the measure: a limit of the same name that measures something else counts for itself.
fn name(key: &KeyId, limit: &Limit, window: Window) -> Arc<str> {
    let measure = limit.measure.name();
    match window {
        Window::Period { start, .. } => {
            format!("{}/{}/{measure}/{}", key, limit.name, start.0).into()
        }
        _ => format!("{}/{}/{measure}", key, limit.name).into(),
    }
}

fn window(limit: &Limit, now: UnixMs, zone: &TimeZone) -> Window {
    if limit.measure == Measure::Concurrent {
        return Window::Concurrent;
    }
    match limit.per {
        Per::Total => Window::Total,
        Per::Minute => Window::Bucket {
            refill_ms: MINUTE_MS,
        },
        per => period(per, now, zone),
    }
}

/// The calendar period around `now`. A zone whose calendar cannot be computed counts in UTC.
fn period(per: Per, now: UnixMs, zone: &TimeZone) -> Window {
    let local = now.timestamp().to_zoned(zone.clone());
    let (start, end) = bounds(per, &local).unwrap_or_else(|| {
        let utc = now.timestamp().to_zoned(TimeZone::UTC);
        bounds(per, &utc).unwrap_or((now, now.plus(1)))
    });
    Window::Period { start, end }
}

fn bounds(per: Per, local: &Zoned) -> Option<(UnixMs, UnixMs)> {
    let date = local.date();
    let (first, span) = match per {
        Per::Total | Per::Minute => return None,
        // Hours run from the epoch: an hour that a zone repeats or skips is still one hour.
        Per::Hour => {
            let hour_ms = 3_600_000;
            let now = local.timestamp().as_millisecond();
            let start = now - now.rem_euclid(hour_ms);
            return Some((UnixMs(start), UnixMs(start + hour_ms)));
        }
        Per::Day => (date, Span::new().days(1)),
        Per::Week => (monday(date)?, Span::new().days(7)),
        Per::Month => (date.first_of_month(), Span::new().months(1)),
    };
    let at = |day: Date| {
        let midnight = DateTime::from_parts(day, jiff::civil::Time::midnight());
        let zoned = midnight.to_zoned(local.time_zone().clone()).ok()?;
        Some(UnixMs(zoned.timestamp().as_millisecond()))
    };
    Some((at(first)?, at(first.checked_add(span).ok()?)?))
}

fn monday(date: Date) -> Option<Date> {
    let back = date.weekday().since(Weekday::Monday);
    date.checked_sub(Span::new().days(i64::from(back))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period_of(per: Per, now: &str, zone: &str) -> (String, String) {
        let zone = TimeZone::get(zone).expect("a zone");
        let now = UnixMs(
            now.parse::<jiff::Timestamp>()
                .expect("a time")
                .as_millisecond(),
        );
        match period(per, now, &zone) {
            Window::Period { start, end } => (start.to_string(), end.to_string()),
            other => panic!("{other:?} is no period"),
        }
    }

    /// Rivals: litellm #25495 #20688: a budget of a day began anew at another time than told.
    #[test]
    fn calendar_periods_begin_at_local_midnight() {
        let shanghai = |per| period_of(per, "2026-11-22T17:30:00Z", "Asia/Shanghai");
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            shanghai(Per::Day),
            pair("2026-11-22T16:00:00Z", "2026-11-23T16:00:00Z")
        );
        assert_eq!(
            shanghai(Per::Week),
            pair("2026-11-22T16:00:00Z", "2026-11-29T16:00:00Z")
        );
        assert_eq!(
            shanghai(Per::Month),
            pair("2026-10-31T16:00:00Z", "2026-11-30T16:00:00Z")
        );
        assert_eq!(
            shanghai(Per::Hour),
            pair("2026-11-22T17:00:00Z", "2026-11-22T18:00:00Z")
        );
    }

    #[test]
    fn a_day_of_a_clock_change_is_as_long_as_it_is() {
        let (start, end) = period_of(Per::Day, "2026-03-29T12:00:00Z", "Europe/Berlin");
        assert_eq!(
            (start.as_str(), end.as_str()),
            ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")
        );
    }
}
