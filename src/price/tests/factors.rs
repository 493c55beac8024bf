//! What prices are multiplied by: hours, and a key's multiplier.

use super::*;

const NIGHT: &str = "per: 1M tokens, input: 4, output: 16, \
     hours: [{ from: \"22:30\", to: \"06:00\", times: 0.5 }, { from: \"12:00\", to: \"13:00\", times: 2 }]";

/// In the time zone of the config, a quarter of a day before UTC.
fn zoned(prices: &str) -> PriceBook {
    let text = format!(
        "currency: CNY\nserver: {{ timezone: Asia/Dhaka }}\nupstreams: {{ demo: {{ kind: simulator }} }}\nmodels:\n  \
         - {{ id: m, upstream: demo, prices: [{{ {prices} }}] }}\n"
    );
    let config = Config::parse(&text, "config.yaml", &|_| None).expect("a valid config");
    PriceBook::new(&config).expect("a book")
}

fn at(local: &str) -> UnixMs {
    let time = format!("2026-11-22T{local}+06:00");
    let time: jiff::Timestamp = time.parse().expect("a time");
    UnixMs(time.as_millisecond())
}

#[test]
fn the_factor_is_that_of_the_hour_of_the_hold_and_may_wrap_midnight() {
    let book = zoned(NIGHT);
    let version = &book.find("m").expect("there").versions[0];
    let cost = |local: &str| {
        let terms = version.terms(at(local), Factor::ONE, worst(9, 9, 9));
        let usage = Usage::tokens(1, 1);
        let charge = terms.charge(&usage, &FreeUnits::default(), &ImageShape::default());
        let charge = charge.expect("in range");
        (
            charge.priced.get(),
            charge.applied.hours.map(|times| times.to_string()),
        )
    };
    let half = || (10_000, Some("0.5".to_owned()));
    assert_eq!(cost("22:29:59"), (20_000, None));
    assert_eq!(cost("22:30:00"), half());
    assert_eq!(cost("00:00:00"), half());
    assert_eq!(cost("05:59:59"), half());
    assert_eq!(cost("06:00:00"), (20_000, None));
    assert_eq!(cost("12:30:00"), (40_000, Some("2".to_owned())));
    let night = version.terms(at("23:00:00"), Factor::ONE, worst(9, 9, 9));
    let prices: Vec<i64> = night
        .quote()
        .expect("within bounds")
        .iter()
        .map(|part| part.unit_price.get())
        .collect();
    assert_eq!(prices, [2_000, 8_000]);
}

#[test]
fn of_hours_that_overlap_the_larger_factor_counts_and_lint_says_so() {
    let overlap = NIGHT.replace("12:00", "05:00");
    let book = zoned(&overlap);
    let version = &book.find("m").expect("there").versions[0];
    let factor = |local| version.hours().factor(at(local)).to_string();
    assert_eq!(factor("04:59:00"), "0.5");
    assert_eq!(factor("05:00:00"), "2");
    assert_eq!(factor("06:00:00"), "2");
    let found = |prices: &str| {
        let found = lint(&zoned(prices));
        found
            .into_iter()
            .map(|f| (f.field, f.severity))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&overlap), [("hours", Severity::Warning)]);
    assert_eq!(found(NIGHT), []);
}

#[test]
fn a_factor_applies_to_the_exact_sum_before_it_is_rounded_once() {
    let version = chat("per: 1M tokens, input: 0.001, output: 0.0015, request: 0.000000001");
    let multiplier: Factor = "0.3333".parse().expect("a factor");
    let terms = version.terms(START, multiplier, worst(9, 9, 9));
    // (1 + 1.5 + 1) * 0.3333 = 1.16655
    let charge = terms.charge(
        &Usage::tokens(1, 1),
        &FreeUnits::default(),
        &ImageShape::default(),
    );
    let charge = charge.expect("in range");
    assert_eq!(charge.priced.get(), 1);
    assert_eq!(charge.applied.multiplier, Some(multiplier));
    let prices: Vec<i64> = terms
        .quote()
        .expect("within bounds")
        .iter()
        .map(|part| part.unit_price.get())
        .collect();
    // Each price is rounded up after it.
    assert_eq!(prices, [1, 1, 1]);
}

#[test]
fn a_factor_of_nothing_makes_a_request_free_and_burns_no_grant() {
    let version = chat("per: 1M tokens, input: 4, output: 16, request: 1");
    let free: Factor = "0".parse().expect("a factor");
    let terms = version.terms(START, free, worst(9, 9, 9));
    let quote = terms.quote().expect("within bounds");
    assert!(
        quote.iter().all(|part| part.unit_price.is_zero()),
        "{quote:?}"
    );
    let took = FreeUnits {
        tokens: 5,
        images: 0,
        requests: 1,
    };
    // Also of what has no price.
    let usage = Usage::tokens(9, 9).with(Meter::Seconds, 60);
    let charge = terms
        .charge(&usage, &took, &ImageShape::default())
        .expect("in range");
    assert_eq!(
        (charge.priced, charge.free),
        (Nano::ZERO, FreeUnits::default())
    );
    assert_eq!(charge.unpriced, None);
    assert_eq!(charge.applied.multiplier, Some(free));
}

#[test]
fn hours_are_in_a_books_name_with_their_zone() {
    let night = |rules: &str| format!("per: 1M tokens, input: 4, output: 16, hours: [{rules}]");
    let one = zoned(&night(
        "{ from: \"22:00\", to: \"24:00\", times: 0.5 }, { from: \"00:00\", to: \"01:00\", times: 2 }",
    ));
    let same = zoned(&night(
        "{ from: \"00:00\", to: \"01:00\", times: 2.0 }, { from: \"22:00\", to: \"00:00\", times: 0.50 }",
    ));
    assert_eq!(one.content(), same.content());
    assert!(one.content().contains("Asia/Dhaka"), "{}", one.content());
    let plain = zoned("per: 1M tokens, input: 4, output: 16");
    assert!(
        !plain.content().contains("Asia/Dhaka"),
        "{}",
        plain.content()
    );
}
