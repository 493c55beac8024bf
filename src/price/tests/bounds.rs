//! No charge exceeds what its hold came to, whatever the prices, the usage and the grants.

use proptest::prelude::*;

use super::*;
use crate::usage::Unit;

/// Money that segments come to after units of grants were taken, as a ledger computes it.
fn held(segments: &[Segment], took: &mut FreeUnits) -> i64 {
    let mut left = *took;
    let mut money = 0;
    for segment in segments
        .iter()
        .filter(|segment| !segment.unit_price.is_zero())
    {
        let free = match segment.meter.unit() {
            Unit::Tokens => &mut left.tokens,
            Unit::Images => &mut left.images,
            _ => &mut 0,
        };
        let units = segment.count.min(*free);
        *free -= units;
        money += segment
            .unit_price
            .checked_mul(segment.count - units)
            .expect("below 2^53")
            .get();
    }
    took.tokens -= left.tokens;
    took.images -= left.images;
    if took.requests > 0 { 0 } else { money }
}

/// A price of a token, for the list's 1M.
fn price() -> impl Strategy<Value = String> {
    let units = prop_oneof![Just(0_u64), 1..100_u64, 1..50_000_000_000_u64];
    units.prop_map(|units| {
        let one = 1_000_000_000_000;
        format!("{}.{:012}", units / one, units % one)
    })
}

/// Some fields, each with a price or without.
fn fields(names: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    let maybe = proptest::option::weighted(0.4, price());
    proptest::collection::vec(maybe, names.len()).prop_map(|prices| {
        let written = names.iter().zip(prices);
        written
            .filter_map(|(name, price)| Some(format!("{name}: {}", price?)))
            .collect()
    })
}

const PARTS: &[&str] = &[
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "audio_input",
    "image_input",
    "reasoning",
    "audio_output",
    "image_output",
    "request",
];
const IN_TIERS: &[&str] = &[
    "input",
    "cached_input",
    "image_input",
    "output",
    "reasoning",
];

/// Tiers with a price each at least, none of a threshold of another.
fn tiers() -> impl Strategy<Value = String> {
    let tier = (1..30_000_u64, price(), fields(IN_TIERS));
    proptest::collection::vec(tier, 0..4).prop_map(|mut tiers| {
        tiers.sort_by_key(|(above, _, _)| *above);
        tiers.dedup_by_key(|(above, _, _)| *above);
        let tiers: Vec<String> = tiers
            .into_iter()
            .map(|(above, audio, fields)| {
                let all = [vec![format!("audio_input: {audio}")], fields].concat();
                format!("{{ above_input_tokens: {above}, {} }}", all.join(", "))
            })
            .collect();
        match tiers.is_empty() {
            true => String::new(),
            false => format!(", tiers: [{}]", tiers.join(", ")),
        }
    })
}

/// A factor as it is written, and the rule that makes it one of the whole day.
fn factor() -> impl Strategy<Value = String> {
    let units = prop_oneof![Just(0_u64), Just(10_000), 1..30_000_u64, 1..10_000_000_u64];
    units.prop_map(|units| format!("{}.{:04}", units / 10_000, units % 10_000))
}

/// Prices of a chat; those of the sides are always there.
fn chat_prices() -> impl Strategy<Value = String> {
    (price(), price(), fields(PARTS), tiers(), factor()).prop_map(
        |(input, output, parts, tiers, times)| {
            let parts: String = parts.into_iter().map(|part| format!(", {part}")).collect();
            format!(
                "per: 1M tokens, input: {input}, output: {output}{parts}{tiers}, \
                 hours: [{{ from: \"00:00\", to: \"24:00\", times: {times} }}]"
            )
        },
    )
}

/// Prices of images by some of two sizes and two qualities, perhaps with one of others and defaults.
fn image_prices() -> impl Strategy<Value = String> {
    let entry = proptest::option::weighted(0.6, price());
    let entries = proptest::collection::vec(entry, IMAGES.len());
    let others = proptest::option::of(price());
    (entries, others, any::<bool>()).prop_map(|(entries, others, default)| {
        let mut listed: Vec<String> = IMAGES
            .iter()
            .zip(entries)
            .filter_map(|(words, price)| Some(format!("{{ {words}, image: {} }}", price?)))
            .collect();
        listed.push("{ size: 1x1, quality: low, image: 0.25 }".to_owned());
        let others = others.map_or(String::new(), |price| format!("image: {price}, "));
        let default = if default { ", default_size: 1x1" } else { "" };
        format!("{others}images: [{}]{default}", listed.join(", "))
    })
}

const IMAGES: &[&str] = &[
    "size: 1x1",
    "size: 2x2",
    "quality: low",
    "quality: high",
    "size: 1x1, quality: high",
    "size: 2x2, quality: low",
    "size: 2x2, quality: high",
];

/// What a request asks for, or an answer states.
fn shape() -> impl Strategy<Value = ImageShape> {
    let size = proptest::sample::select(vec![None, Some("1x1"), Some("2x2"), Some("9x9")]);
    let quality = proptest::sample::select(vec![None, Some("low"), Some("high"), Some("best")]);
    (size, quality).prop_map(|(size, quality)| ImageShape::read(size, quality))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_charge_exceeds_what_its_hold_came_to(
        prices in chat_prices(),
        multiplier in factor(),
        input in proptest::array::uniform6(0..5_000_u64),
        output in proptest::array::uniform4(0..5_000_u64),
        slack in (0..3_000_u64, 0..3_000_u64),
        tokens in prop_oneof![Just(0), 0..40_000_u64],
        requests in prop_oneof![4 => Just(0_u64), 1 => Just(1_u64)],
        units in (0..50_u64, 0..50_u64),
    ) {
        let version = chat(&prices);
        let usage = super::super::rates::INPUT_SIDE
            .into_iter().zip(input)
            .chain(super::super::rates::OUTPUT_SIDE.into_iter().zip(output))
            .fold(Usage::NONE.with(Meter::Requests, units.0), |usage, (meter, count)| usage.with(meter, count));
        let worst = WorstCase {
            input_tokens: input.iter().sum::<u64>() + slack.0,
            output_tokens: output.iter().sum::<u64>() + slack.1,
            output_tokens_min: 1,
            requests: units.0 + units.1,
            ..WorstCase::default()
        };
        let terms = version.terms(START, multiplier.parse().expect("a factor"), worst);
        let segments = terms.quote().expect("within bounds");
        let mut took = FreeUnits { tokens, images: 0, requests };
        let held = held(&segments, &mut took);
        let charge = terms.charge(&usage, &took, &ImageShape::default()).expect("in range");
        prop_assert!(charge.priced.get() <= held, "{} > {held} at {prices}", charge.priced);
        prop_assert!(charge.free.tokens <= took.tokens && charge.free.requests <= took.requests);
        prop_assert_eq!(charge.unpriced, None);
        let (bound, free) = bound(&segments, &took).expect("in range");
        prop_assert_eq!(bound.get(), held);
        prop_assert!(free.tokens <= took.tokens && free.requests <= took.requests);
    }

    #[test]
    fn no_image_charge_exceeds_what_its_hold_came_to(
        prices in image_prices(), multiplier in factor(), asked in shape(), stated in shape(),
        any_size in any::<bool>(), n in 1..5_u64, delivered in 0..5_u64, images in 0..10_u64,
    ) {
        let version = image(&prices);
        let worst = WorstCase { images: n, shape: asked, any_size, ..WorstCase::default() };
        let known = version.images().asked(&worst);
        let terms = version.terms(START, multiplier.parse().expect("a factor"), worst);
        let Ok(segments) = terms.quote() else {
            // Then there is nothing to forward, and only what has no price is refused.
            prop_assert!(!prices.starts_with("image:"), "{prices}");
            return Ok(());
        };
        let mut took = FreeUnits { images, ..FreeUnits::default() };
        let held = held(&segments, &mut took);
        let charge = terms.charge(&Usage::images(delivered.min(n)), &took, &stated).expect("in range");
        prop_assert!(charge.priced.get() <= held || charge.dearer_image, "{} > {held} at {prices}", charge.priced);
        prop_assert!(charge.free.images <= took.images);
        prop_assert_eq!(charge.unpriced, None);
        // Who makes what was asked for makes nothing dearer than that.
        let same = |a: &Option<Arc<str>>, b: &Option<Arc<str>>| a.is_none() || b.is_none() || a == b;
        if same(&known.size, &stated.size) && same(&known.quality, &stated.quality) {
            prop_assert!(!charge.dearer_image, "{prices} {known:?} {stated:?}");
        }
    }

    #[test]
    fn no_charge_for_audio_exceeds_what_its_hold_came_to(
        price in price(), per_minute in any::<bool>(), speech in any::<bool>(),
        multiplier in factor(), most in 1..10_800_u64, used in 0..10_800_u64,
    ) {
        let version = match (speech, per_minute) {
            (true, _) => version("speech", &format!("million_characters: {price}")),
            (false, true) => version("transcription", &format!("minute: {price}")),
            (false, false) => version("transcription", &format!("second: {price}")),
        };
        let (seconds, characters) = if speech { (0, most) } else { (most, 0) };
        let worst = WorstCase { seconds, characters, ..WorstCase::default() };
        let terms = version.terms(START, multiplier.parse().expect("a factor"), worst);
        let segments = terms.quote().expect("within bounds");
        let held = held(&segments, &mut FreeUnits::default());
        let meter = if speech { Meter::Characters } else { Meter::Seconds };
        let usage = Usage::NONE.with(meter, used.min(most));
        let charge = terms.charge(&usage, &FreeUnits::default(), &ImageShape::default());
        let charge = charge.expect("in range");
        prop_assert!(charge.priced.get() <= held, "{} > {held}", charge.priced);
    }
}
