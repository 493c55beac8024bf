use super::{SMALL, parse, refuses};
use crate::config::{HoursRow, PriceField};
use crate::money::Factor;

const PRICES: &str = "per: 1M tokens, input: 0.80, output: \"3.2\"";
const AT: &str = "config.yaml:12: models[0].prices[1]";

/// The message for the second version of the small config with these fields added.
#[track_caller]
fn refuses_added(added: &str, message: &str) {
    refuses(
        PRICES,
        &format!("{PRICES}, {added}"),
        &format!("{AT}{message}"),
    );
}

/// The message for a model of a category with these prices.
#[track_caller]
fn refuses_prices(category: &str, prices: &str, message: &str) {
    let text = SMALL.replacen(
        "upstream: demo",
        &format!("upstream: demo\n    category: {category}"),
        1,
    );
    let error = parse(&text.replacen(PRICES, prices, 1)).expect_err(prices);
    let problems: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [format!("config.yaml:13: models[0].prices[1]{message}")]
    );
}

fn fine(category: &str, prices: &str) {
    let text = SMALL.replacen(
        "upstream: demo",
        &format!("upstream: demo\n    category: {category}"),
        1,
    );
    if let Err(error) = parse(&text.replacen(PRICES, prices, 1)) {
        panic!("{category}: {prices}: {error}");
    }
}

#[test]
fn tiers_that_no_request_reaches_or_that_have_no_price_are_refused() {
    for (tiers, message) in [
        (
            "[]",
            ".tiers: is empty; remove the field if no requests with a long input have prices of their own",
        ),
        (
            "[{ input: 8 }]",
            ".tiers[0]: has no `above_input_tokens`; write one, such as `above_input_tokens: 128000`",
        ),
        (
            "[{ above_input_tokens: 9 }]",
            ".tiers[0]: has no price; write what costs more (or less) there, such as input",
        ),
        (
            "[{ above_input_tokens: 131072, input: 8 }]",
            ".tiers[0].above_input_tokens: is 131072, which no request passes: context_tokens is 131072; \
             raise that to what the model takes, or remove the tier",
        ),
        (
            "[{ above_input_tokens: 9, input: 8 }, { above_input_tokens: 9, input: 9 }]",
            ".tiers[1].above_input_tokens: is 9, as in another tier; write one of the two",
        ),
        (
            "[{ above_input_tokens: 9, image: 8, input: 8 }]",
            ".tiers[0].image: is no known field; known here: above_input_tokens, audio_input, audio_output, cache_write, \
             cache_write_1h, cached_input, image_input, image_output, input, output, reasoning",
        ),
        (
            "[{ above_input_tokens: 9, input: 80000000 }]",
            ".tiers[0].input: \"80000000\" is too large: times context_tokens (131072) it leaves exact arithmetic, \
             which ends at 9007199.254740992 a request; is the unit right?",
        ),
    ] {
        refuses_added(&format!("tiers: {tiers}"), message);
    }
    refuses_prices(
        "chat",
        "request: 1, tiers: [{ above_input_tokens: 9, input: 8 }]",
        ": has a tier with a price for input, but none for input beside `tiers`: what does a shorter request cost?",
    );
}

#[test]
fn tiers_are_read_the_lowest_first() {
    let text = SMALL.replacen(
        PRICES,
        &format!("{PRICES}, tiers: [{{ above_input_tokens: 9, input: 3 }}, {{ above_input_tokens: 5, output: 7 }}]"),
        1,
    );
    let config = parse(&text).expect("valid");
    let tiers = &config.models[0].prices[1].tiers;
    let read: Vec<_> = tiers
        .iter()
        .map(|tier| {
            (
                tier.above_input_tokens,
                tier.rates.get(PriceField::Output).is_some(),
            )
        })
        .collect();
    assert_eq!(read, [(5, true), (9, false)]);
}

#[test]
fn images_that_are_ambiguous_or_decide_nothing_are_refused() {
    for (prices, message) in [
        (
            "images: []",
            ".images: is empty; remove the field if no sizes and qualities have prices of their own",
        ),
        (
            "images: [{ image: 1 }]",
            ".images[0]: names neither size nor quality; the price of all others is `image:` beside `images:`",
        ),
        (
            "images: [{ size: 1x1 }]",
            ".images[0]: has no `image`; write one, such as `image: 0.5`",
        ),
        (
            "images: [{ size: auto, image: 1 }]",
            ".images[0].size: \"auto\" leaves the choice to the endpoint; write what it takes then, or leave the field out for any",
        ),
        (
            "images: [{ size: 1x1, image: 1 }, { size: 1*1, image: 2 }]",
            ".images[1]: has the size and quality of another entry; write one of the two",
        ),
        (
            "image: 1, default_size: 1x1",
            ": has default_size but no `images`, so that it decides nothing; remove it",
        ),
        (
            "images: [{ size: 1x1, image: 1 }, { size: 2x2, image: 1 }], default_size: 9x9",
            ": has default_size: 9x9, which has no price; `images` has 1x1, 2x2",
        ),
    ] {
        refuses_prices("text-to-image", prices, message);
    }
    refuses_added(
        "images: [{ size: 1x1, image: 1 }]",
        ": has `images`, but is for a chat model, which makes none; remove them",
    );
    fine(
        "text-to-image",
        "images: [{ size: 1x1, image: 1 }], default_size: 1x1",
    );
    fine(
        "text-to-image",
        "image: 1, images: [{ size: 1x1, image: 1 }], default_size: 9x9",
    );
}

#[test]
fn hours_are_times_of_day_and_factors() {
    for (rule, message) in [
        (
            "to: \"08:30\", times: 1",
            "[0]: has no `from`; write one, such as `from: \"00:30\"`",
        ),
        (
            "from: \"25:00\", to: \"08:30\", times: 1",
            "[0].from: \"25:00\" is no time of day such as \"08:30\"",
        ),
        (
            "from: \"8:30\", to: \"09:30\", times: 1",
            "[0].from: \"8:30\" is no time of day such as \"08:30\"",
        ),
        (
            "from: \"08:30\", to: \"08:30\", times: 1",
            "[0]: ends when it begins; write 00:00 and 24:00 for all day",
        ),
        (
            "from: \"24:00\", to: \"08:30\", times: 1",
            "[0]: begins at 24:00; write 00:00",
        ),
        (
            "from: \"00:30\", to: \"08:30\", times: 1001",
            "[0].times: \"1001\" is no factor: 0 to 1000, with at most 4 digits after the point",
        ),
        (
            "from: \"00:30\", to: \"08:30\", times: half",
            "[0].times: \"half\" is not a decimal number such as 0.8",
        ),
    ] {
        refuses_added(
            &format!("hours: [{{ {rule} }}]"),
            &format!(".hours{message}"),
        );
    }
    // A price that an hour makes too large is too large.
    refuses_prices(
        "chat",
        "request: 1000000, hours: [{ from: \"00:00\", to: \"01:00\", times: 10 }]",
        ".request: \"1000000\" is too large: times one request (1) it leaves exact arithmetic, \
         which ends at 9007199.254740992 a request; is the unit right?",
    );
    let text = SMALL.replacen(
        PRICES,
        &format!("{PRICES}, hours: [{{ from: 00:30, to: 24:00, times: 0.5 }}]"),
        1,
    );
    let hours = parse(&text).expect("valid").models[0].prices[1]
        .hours
        .clone();
    let times: Factor = "0.5".parse().expect("a factor");
    assert_eq!(
        hours,
        [HoursRow {
            from: 30,
            to: 1_440,
            times
        }]
    );
}

#[test]
fn what_costs_something_in_a_free_version_is_refused() {
    for (field, name) in [
        ("second: 1", "second"),
        ("tiers: [{ above_input_tokens: 9, input: 8 }]", "tiers"),
        ("images: [{ size: 1x1, image: 1 }]", "images"),
        (
            "hours: [{ from: \"00:00\", to: \"01:00\", times: 2 }]",
            "hours",
        ),
    ] {
        let message = format!(": is free and has a price ({name}); remove one of the two");
        refuses(
            PRICES,
            &format!("free: true, {field}"),
            &format!("{AT}{message}"),
        );
    }
}

#[test]
fn each_category_needs_prices_of_what_it_consumes() {
    let needs = |category: &str, prices: &str, needs: &str| {
        let message = format!(
            ": is for a {category} model and has no price for {needs}; write 0 where something is free"
        );
        refuses_prices(category, prices, &message);
    };
    let speech = "characters (such as million_characters), or for input and output";
    needs("speech", "second: 1", speech);
    needs("speech", "per: 1M tokens, input: 1", speech);
    needs(
        "transcription",
        "per: 1M tokens, input: 1",
        "second or minute, or for input and output",
    );
    needs("rerank", "second: 1", "input");
    needs("moderation", "character: 1", "input");
    for (category, prices) in [
        ("speech", "character: 0.00001"),
        ("speech", "thousand_characters: 0.01"),
        (
            "speech",
            "per: 1M tokens, input: 1, output: 2, audio_output: 12",
        ),
        ("transcription", "second: 0.0001"),
        ("transcription", "minute: 0.0043"),
        ("transcription", "per: 1M tokens, input: 1, output: 2"),
        ("rerank", "per: 1M tokens, input: 1"),
        ("rerank", "request: 0.002"),
        ("moderation", "request: 0.002"),
        ("moderation", "free: true"),
    ] {
        fine(category, prices);
    }
    refuses_prices(
        "transcription",
        "second: 1, minute: 60",
        ": has a price for second and one for minute; write one of the two",
    );
    refuses_prices(
        "speech",
        "character: 1, million_characters: 60",
        ": has a price for character and one for million_characters; write one of the two",
    );
    refuses_prices(
        "transcription",
        "minute: 0.0000000000000000001",
        ".minute: \"0.0000000000000000001\" has more than 18 digits after the point",
    );
    refuses_prices(
        "text-to-image",
        "per: 1M tokens, image: 1, cache_write_1h: 1",
        ": has a price for cache_write_1h but none for input; other tokens of that side would be free",
    );
}

#[test]
fn bounds_of_audio_and_speech_have_defaults() {
    let bounds = parse(SMALL).expect("valid").models[0].bounds.clone();
    assert_eq!((bounds.seconds_max, bounds.characters_max), (10_800, 4_096));
    let text = SMALL.replacen("upstream: demo", "upstream: demo\n    seconds_max: 60", 1);
    assert_eq!(
        parse(&text).expect("valid").models[0].bounds.seconds_max,
        60
    );
}

#[test]
fn a_keys_multiplier_is_a_factor_and_one_by_default() {
    let key = |text: &str| parse(text).expect("valid").keys[0].multiplier;
    assert!(key(SMALL).is_one());
    let text = SMALL.replacen("balance: \"1.5\"", "multiplier: 0.80", 1);
    assert_eq!(key(&text).to_string(), "0.8");
    const KEY: &str = "config.yaml:16: keys[0].multiplier:";
    for (factor, message) in [
        ("-1", "\"-1\" is negative; it must be 0 or more"),
        (
            "0.12345",
            "\"0.12345\" is no factor: 0 to 1000, with at most 4 digits after the point",
        ),
        (
            "1000.1",
            "\"1000.1\" is no factor: 0 to 1000, with at most 4 digits after the point",
        ),
    ] {
        let by = format!("multiplier: {factor}");
        refuses("balance: \"1.5\"", &by, &format!("{KEY} {message}"));
    }
}
