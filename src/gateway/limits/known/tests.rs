use proptest::prelude::*;

use super::*;
use crate::config::Words as _;
use crate::gateway::window::asks;
use crate::ledger::grant::ModelSet;
use crate::ledger::key::{OnDisconnect, OnShort};
use crate::ledger::limit::{Measure, Per};
use crate::money::{Factor, Nano};

const MEASURES: [Measure; 5] = [
    Measure::Spend,
    Measure::Tokens,
    Measure::Images,
    Measure::Requests,
    Measure::Concurrent,
];
const PERIODS: [Per; 6] = [
    Per::Total,
    Per::Minute,
    Per::Hour,
    Per::Day,
    Per::Week,
    Per::Month,
];
/// Clocks that change at midnight, after it (once back into the day before), or not at all.
const ZONES: [&str; 6] = [
    "UTC",
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Pacific/Apia",
];

fn limit(measure: Measure, per: Per, only: Option<&str>) -> Limit {
    let models = only.map_or(ModelSet::All, |model| ModelSet::Only([model.into()].into()));
    Limit {
        name: format!("l:{}-{}", measure.name(), per.name())
            .parse()
            .expect("a name"),
        measure,
        cap: 1_000,
        per,
        models,
    }
}

fn key(id: &str, limits: Vec<Limit>) -> Arc<Key> {
    Arc::new(Key {
        id: id.parse().expect("an id"),
        wallet: "w".parse().expect("an id"),
        name: "k".to_owned(),
        revision: 0,
        enabled: true,
        expires_at: None,
        models: ModelSet::All,
        allowed_ips: Vec::new(),
        limits,
        on_short: OnShort::Refuse,
        on_disconnect: OnDisconnect::Drain,
        offline_allowance: Nano::ZERO,
        multiplier: Factor::ONE,
        created_at: UnixMs(0),
    })
}

/// What is remembered is what would be made anew.
fn check(known: &KnownLimits, zone: &TimeZone, key: &Arc<Key>, model: &Model, now: UnixMs) {
    let demand = Demand {
        tokens: 7,
        images: 3,
    };
    let (limits, counters) = known.of(key, model, demand, now);
    let applies = |limit: &&Limit| limit.models.has_any(&model.id, &model.aliases);
    let expected: Vec<Limit> = key.limits.iter().filter(applies).cloned().collect();
    assert_eq!(*limits, *expected);
    assert_eq!(
        counters,
        asks(&key.id, &expected, demand, now, zone),
        "{now}"
    );
    let headers = Limits::from(expected);
    assert_eq!(limits.headers(), headers.headers());
}

proptest! {
    #[test]
    fn remembered_limits_are_those_of_the_moment(
        zone in prop::sample::select(&ZONES[..]),
        limits in prop::collection::vec(
            (prop::sample::select(&MEASURES[..]), prop::sample::select(&PERIODS[..]), prop::option::of(prop::sample::select(&["m", "n"][..]))),
            0..5,
        ),
        start in 1_000_000_000_000_i64..1_800_000_000_000,
        steps in prop::collection::vec((0_usize..3, any::<bool>(), -7_200_000_i64..90_000_000), 1..40),
    ) {
        let zone = TimeZone::get(zone).expect("a zone");
        let known = KnownLimits::new(zone.clone());
        let limits: Vec<Limit> = limits.into_iter().map(|(measure, per, only)| limit(measure, per, only)).collect();
        let mut fewer = limits.clone();
        fewer.pop();
        // Two records of one key, as before and after an edit, and another key.
        let keys = [key("a", limits.clone()), key("a", fewer), key("b", limits)];
        let mut now = start;
        for (which, of_m, step) in steps {
            let model = Model::unlisted(if of_m { "m" } else { "n" });
            check(&known, &zone, &keys[which], &model, UnixMs(now));
            now += step;
        }
    }
}

/// Where clocks go back at one past midnight, the day before comes again after its end.
#[test]
fn what_is_remembered_ends_where_clocks_change() {
    let at = |text: &str| {
        let time: jiff::Timestamp = text.parse().expect("a time");
        time.as_millisecond()
    };
    let days = [
        limit(Measure::Spend, Per::Day, None),
        limit(Measure::Tokens, Per::Hour, None),
    ];
    let model = Model::unlisted("m");
    for (zone, from, to) in [
        (
            "America/St_Johns",
            "2010-11-07T01:00:00Z",
            "2010-11-07T06:00:00Z",
        ),
        (
            "America/Sao_Paulo",
            "2018-11-04T01:00:00Z",
            "2018-11-04T05:00:00Z",
        ),
        (
            "Pacific/Apia",
            "2011-12-29T08:00:00Z",
            "2011-12-31T12:00:00Z",
        ),
    ] {
        let zone = TimeZone::get(zone).expect("a zone");
        let known = KnownLimits::new(zone.clone());
        let key = key("a", days.to_vec());
        for now in (at(from)..at(to)).step_by(10_000) {
            check(&known, &zone, &key, &model, UnixMs(now));
        }
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let known = KnownLimits::new(TimeZone::UTC);
    let model = Model::unlisted("m");
    for number in 0..KEYS_MAX + 10 {
        let key = key(&format!("k{number}"), Vec::new());
        check(&known, &TimeZone::UTC, &key, &model, UnixMs(1));
    }
    assert!(known.keys.read().len() <= KEYS_MAX);
}
