//! Prices by the length of the input.

use super::*;

const TIERED: &str = "per: 1M tokens, input: 4, cached_input: 0.4, output: 16, \
     tiers: [{ above_input_tokens: 100000, input: 8, output: 24 }, { above_input_tokens: 1000, cached_input: 1 }]";

#[test]
fn a_whole_request_is_priced_by_the_tier_that_its_input_reaches() {
    let version = chat(TIERED);
    // At a threshold is not above it.
    assert_eq!(
        cost(&version, Usage::tokens(1_000, 10)),
        1_000 * 4_000 + 10 * 16_000
    );
    let cached = |input| Usage::tokens(input, 10).with(Meter::CachedInput, 500);
    // 501 + 500 of them are above 1,000: what the tier does not name is as in the row.
    assert_eq!(
        cost(&version, cached(500)),
        500 * 4_000 + 500 * 400 + 10 * 16_000
    );
    assert_eq!(
        cost(&version, cached(501)),
        501 * 4_000 + 500 * 1_000 + 10 * 16_000
    );
    // The highest tier is no heir of the one below: its cached input is that of the row.
    assert_eq!(
        cost(&version, cached(99_501)),
        99_501 * 8_000 + 500 * 400 + 10 * 24_000
    );
    let applied = |usage| charge(&version, usage).applied.above_input_tokens;
    assert_eq!(applied(cached(500)), None);
    assert_eq!(applied(cached(501)), Some(1_000));
    assert_eq!(applied(cached(99_501)), Some(100_000));
}

#[test]
fn a_quote_is_at_the_dearest_tier_that_the_worst_case_reaches() {
    let version = chat(TIERED);
    assert_eq!(
        parts(&version, worst(100_000, 5, 5)),
        [
            (Meter::Input, 100_000, 100_000, 4_000),
            (Meter::Output, 5, 5, 16_000)
        ]
    );
    assert_eq!(
        parts(&version, worst(100_001, 5, 5)),
        [
            (Meter::Input, 100_001, 100_001, 8_000),
            (Meter::Output, 5, 5, 24_000)
        ]
    );
    let falling = chat(
        "per: 1M tokens, input: 4, output: 16, tiers: [{ above_input_tokens: 1000, input: 1, output: 1 }]",
    );
    // A longer input may turn out shorter than it could be.
    assert_eq!(
        parts(&falling, worst(5_000, 5, 5)),
        [
            (Meter::Input, 5_000, 5_000, 4_000),
            (Meter::Output, 5, 5, 16_000)
        ]
    );
    assert_eq!(cost(&falling, Usage::tokens(2_000, 5)), 2_005 * 1_000);
}

#[test]
fn tiers_are_in_a_books_name_however_they_are_written() {
    let row = |tiers: &str| {
        let text = format!(
            "  - {{ id: m, upstream: demo, prices: [{{ per: 1M tokens, input: 4, output: 16{tiers} }}] }}\n"
        );
        book(&text).version().to_string()
    };
    let one =
        row(", tiers: [{ above_input_tokens: 5, input: 8 }, { above_input_tokens: 9, input: 9 }]");
    let same = row(
        ", tiers: [{ above_input_tokens: 9, input: 9.0, output: 16 }, { above_input_tokens: 5, input: 8 }]",
    );
    assert_eq!(one, same);
    assert_ne!(one, row(""));
    assert_ne!(
        one,
        row(", tiers: [{ above_input_tokens: 6, input: 8 }, { above_input_tokens: 9, input: 9 }]")
    );
}

#[test]
fn lint_notes_a_tier_that_is_cheaper_than_the_one_below() {
    let row = |price| {
        format!(
            "  - {{ id: m, upstream: demo, prices: [{{ per: 1M tokens, input: 4, output: 16, tiers: [{{ above_input_tokens: 9, input: {price} }}] }}] }}\n"
        )
    };
    assert_eq!(findings(&row("4")), []);
    assert_eq!(
        findings(&row("3.9")),
        [("m".to_owned(), "tiers", Severity::Note)]
    );
}
