//! Headers that are written piece by piece are those that `core::fmt` would write.

use proptest::prelude::*;

use super::*;
use crate::ledger::grant::ModelSet;

const MEASURES: [Measure; 5] = [
    Measure::Spend,
    Measure::Tokens,
    Measure::Images,
    Measure::Requests,
    Measure::Concurrent,
];

/// The headers of one limit, by formatting.
fn slowly(limit: &Limit, state: &CounterState, now: UnixMs) -> HeaderMap {
    let mut map = HeaderMap::new();
    let amount = |count: u64| match limit.measure {
        Measure::Spend => format!("\"{}\"", nano(count)),
        _ => count.to_string(),
    };
    let mut standing = format!(
        "cap={}, remaining={}",
        amount(state.cap),
        amount(state.remaining)
    );
    if let Some(at) = state.reset_at {
        standing.push_str(&format!(", reset={}", at.since(now).div_ceil(1_000)));
    }
    let name = format!("x-tollgate-limit-{}", limit.name).replace(':', "-");
    if let Ok(name) = HeaderName::try_from(name) {
        map.insert(name, standing.parse().expect("a value"));
    }
    let kind = match (limit.measure, limit.per) {
        (Measure::Requests, Per::Minute) => "requests",
        (Measure::Tokens, Per::Minute) => "tokens",
        _ => return map,
    };
    let seconds = state.reset_at.map_or(0, |at| at.since(now)).div_ceil(1_000);
    let wait = match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    };
    let values = [state.cap.to_string(), state.remaining.to_string(), wait];
    for (part, value) in ["limit", "remaining", "reset"].iter().zip(values) {
        let name: HeaderName = format!("x-ratelimit-{part}-{kind}")
            .parse()
            .expect("a name");
        map.insert(name, value.parse().expect("a value"));
    }
    map
}

proptest! {
    #[test]
    fn the_headers_of_a_limit_are_its_standing(
        name in "[A-Za-z0-9_.:-]{1,64}",
        measure in prop::sample::select(&MEASURES[..]),
        per in prop::sample::select(&[Per::Total, Per::Minute, Per::Day][..]),
        (cap, remaining) in (any::<u64>(), 0_u64..5_000_000_000),
        reset in prop::option::of(-5_000_i64..10_000_000),
    ) {
        let limit = Limit { name: name.parse().expect("a name"), measure, cap, per, models: ModelSet::All };
        let now = UnixMs(1_700_000_000_000);
        let reset_at = reset.map(|reset| UnixMs(now.0 + reset));
        let state = CounterState { cap, remaining, reset_at };
        let mut map = HeaderMap::new();
        put_limits(&mut map, std::slice::from_ref(&limit), std::slice::from_ref(&state), now);
        prop_assert_eq!(map, slowly(&limit, &state, now));
    }

    #[test]
    fn what_was_free_is_written_as_it_is_displayed(tokens: u64, images: u64, requests: u64, money: i64, made in 0_u64..3) {
        let units = FreeUnits { tokens, images, requests };
        let usage = Usage::images(made);
        let free = Free(&units, Nano::new(money), &usage);
        let all = [("tokens", tokens, made == 0), ("images", images, made > 0), ("requests", requests, false)];
        let told = all.iter().filter(|(_, count, always)| *count > 0 || *always);
        let mut told: Vec<String> = told.map(|(unit, count, _)| format!("{unit}={count}")).collect();
        if money != 0 {
            told.push(format!("money=\"{}\"", Nano::new(money)));
        }
        prop_assert_eq!(free.to_string(), told.join(", "));
    }
}
