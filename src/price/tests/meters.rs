//! Meters beside plain input and output: what they fall back to, and what happens where that has no price either.

use super::*;

fn with(usage: Usage, meters: &[(Meter, u64)]) -> Usage {
    meters
        .iter()
        .fold(usage, |usage, (meter, count)| usage.with(*meter, *count))
}

#[test]
fn every_meter_has_its_own_price() {
    let version = chat(
        "per: 1M tokens, input: 1, cached_input: 2, cache_write: 3, cache_write_1h: 4, audio_input: 5, image_input: 6, \
         output: 10, reasoning: 20, audio_output: 30, image_output: 40",
    );
    let usage = with(
        Usage::tokens(1, 1),
        &[
            (Meter::CachedInput, 1),
            (Meter::CacheWrite, 1),
            (Meter::CacheWriteHour, 1),
            (Meter::AudioInput, 1),
            (Meter::ImageInput, 1),
            (Meter::Reasoning, 1),
            (Meter::AudioOutput, 1),
            (Meter::ImageOutput, 1),
        ],
    );
    assert_eq!(cost(&version, usage), (21 + 100) * 1_000);
    assert!(!charge(&version, usage).fell_back);
    let dearest: Vec<i64> = parts(&version, worst(1, 1, 1))
        .iter()
        .map(|part| part.3)
        .collect();
    assert_eq!(dearest, [6_000, 40_000]);
}

#[test]
fn a_meter_without_a_price_falls_back_and_the_charge_says_so() {
    let version = chat("per: 1M tokens, input: 1, cache_write: 3, output: 10");
    for (meter, nano, told) in [
        (Meter::CachedInput, 1_000, true),
        (Meter::CacheWrite, 3_000, false),
        (Meter::CacheWriteHour, 3_000, true),
        (Meter::AudioInput, 1_000, true),
        (Meter::ImageInput, 1_000, true),
        (Meter::Reasoning, 10_000, false),
        (Meter::AudioOutput, 10_000, true),
        (Meter::ImageOutput, 10_000, true),
    ] {
        let charge = charge(&version, Usage::NONE.with(meter, 1));
        assert_eq!(
            (charge.priced.get(), charge.fell_back),
            (nano, told),
            "{meter:?}"
        );
        assert_eq!(charge.unpriced, None);
    }
    let plain = chat("per: 1M tokens, input: 1, output: 10");
    assert_eq!(
        cost(&plain, Usage::NONE.with(Meter::CacheWriteHour, 1)),
        1_000
    );
}

#[test]
fn a_meter_with_neither_price_nor_fallback_is_told_of() {
    let unpriced = |version: &Arc<PriceVersion>, usage| charge(version, usage).unpriced;
    let tokens = chat("per: 1M tokens, input: 1, output: 10");
    let seconds = Usage::NONE.with(Meter::Seconds, 60);
    assert_eq!(unpriced(&tokens, seconds), Some(Meter::Seconds));
    // Beside what has a price, another unit is only another view of the same.
    assert_eq!(
        unpriced(&tokens, Usage::tokens(1, 1).with(Meter::Seconds, 60)),
        None
    );
    let input = version("embedding", "per: 1M tokens, input: 1");
    assert_eq!(unpriced(&input, Usage::tokens(1, 0)), None);
    assert_eq!(unpriced(&input, Usage::tokens(1, 1)), Some(Meter::Output));
    assert_eq!(
        unpriced(&image("image: 1"), Usage::images(1).with(Meter::Output, 9)),
        None
    );
    assert_eq!(
        unpriced(&image("image: 1"), Usage::tokens(1, 1)),
        Some(Meter::Input)
    );
    assert_eq!(unpriced(&chat("request: 1"), Usage::tokens(1, 1)), None);
    assert_eq!(unpriced(&chat("free: true"), seconds), None);
    assert_eq!(unpriced(&tokens, Usage::NONE), None);
}

#[test]
fn all_of_a_hold_is_each_part_at_its_price_less_what_grants_covered() {
    let version = chat("per: 1M tokens, input: 4, output: 16, request: 1");
    let segments = terms(&version, worst(100, 50, 50))
        .quote()
        .expect("within bounds");
    let bound = |took| {
        let (money, free) = bound(&segments, &took).expect("in range");
        (money.get(), free.tokens, free.requests)
    };
    let tokens = |tokens| FreeUnits {
        tokens,
        ..FreeUnits::default()
    };
    assert_eq!(bound(tokens(0)), (1_000_000_000 + 1_200_000, 0, 0));
    assert_eq!(bound(tokens(110)), (1_000_000_000 + 40 * 16_000, 110, 0));
    assert_eq!(
        bound(FreeUnits {
            requests: 1,
            ..FreeUnits::default()
        }),
        (0, 0, 1)
    );
}

#[test]
fn seconds_and_characters_are_quoted_and_charged_exactly() {
    let audio = version("transcription", "minute: 0.0043");
    let worst_seconds = WorstCase {
        seconds: 61,
        ..WorstCase::default()
    };
    // 4,300,000 / 60 is 71,666.67 nano a second.
    assert_eq!(
        parts(&audio, worst_seconds),
        [(Meter::Seconds, 61, 61, 71_667)]
    );
    assert_eq!(
        cost(&audio, Usage::NONE.with(Meter::Seconds, 60)),
        4_300_000
    );
    assert_eq!(
        cost(&audio, Usage::NONE.with(Meter::Seconds, 61)),
        4_371_667
    );
    let speech = version("speech", "thousand_characters: 0.12");
    let worst_characters = WorstCase {
        characters: 7,
        ..WorstCase::default()
    };
    assert_eq!(
        parts(&speech, worst_characters),
        [(Meter::Characters, 7, 7, 120_000)]
    );
    assert_eq!(
        cost(&speech, Usage::NONE.with(Meter::Characters, 7)),
        840_000
    );
    // By tokens, seconds are not counted, and by seconds, tokens are not.
    let tokens = version("transcription", "per: 1M tokens, input: 2.5, output: 10");
    let both = || WorstCase {
        seconds: 61,
        ..worst(1, 1, 1)
    };
    assert_eq!(
        parts(&tokens, both()),
        [(Meter::Input, 1, 1, 2_500), (Meter::Output, 1, 1, 10_000)]
    );
    assert_eq!(parts(&audio, both()), [(Meter::Seconds, 61, 61, 71_667)]);
    let by_request = version("transcription", "request: 1");
    assert_eq!(
        parts(&by_request, both()),
        [
            (Meter::Seconds, 61, 61, 0),
            (Meter::Requests, 1, 1, 1_000_000_000)
        ]
    );
}

#[test]
fn the_same_price_in_another_unit_makes_the_same_version() {
    let row = |category: &str, prices: &str| {
        let text = format!(
            "  - {{ id: m, category: {category}, upstream: demo, prices: [{{ {prices} }}] }}\n"
        );
        book(&text).content().to_owned()
    };
    assert_eq!(
        row("transcription", "minute: 0.006"),
        row("transcription", "second: 0.0001")
    );
    let inexact = row("transcription", "minute: 0.01");
    assert!(
        inexact.contains(r#""rates":{"seconds":"0.01/60"}"#),
        "{inexact}"
    );
    assert_eq!(
        row("speech", "thousand_characters: 0.1"),
        row("speech", "million_characters: 100")
    );
    assert_eq!(
        row("speech", "character: 0.0001"),
        row("speech", "million_characters: 100")
    );
}

#[test]
fn what_counts_tokens_is_no_part_of_the_price() {
    let row = |tokenizer: &str| {
        let prices = "prices: [{ per: 1M tokens, input: 4, output: 16 }]";
        book(&format!(
            "  - {{ id: chat, upstream: demo, {tokenizer} {prices} }}\n"
        ))
    };
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/vocabularies/byte_level.json"
    );
    let (plain, disk) = (row(""), row(&format!("tokenizer: {{ file: \"{file}\" }},")));
    assert_eq!(plain.version(), disk.version());
    let counted_by = |book: &PriceBook| book.find("chat").map(|model| model.tokenizer.clone());
    assert_ne!(counted_by(&plain), counted_by(&disk));
}
