//! Exchanges that other gateways got wrong. `tests/data/rivals.md` lists all such cases.

use super::exchange;
use super::stage::{Stage, Turn};

/// Plays the exchanges whose names begin so.
fn play(names: &[&str]) {
    let mut exchanges = exchange::all();
    exchanges.retain(|exchange| names.iter().any(|name| exchange.name.starts_with(name)));
    for name in names {
        let found = exchanges
            .iter()
            .any(|exchange| exchange.name.starts_with(name));
        assert!(found, "no exchange is called {name}");
    }
    let stage = Stage::start(&exchanges);
    let whole = |exchange| Turn {
        exchange,
        cuts: String::new(),
    };
    stage.play(&exchanges.iter().map(whole).collect::<Vec<_>>());
}

/// Rivals: litellm #14849 #37407, new-api #5005 #7229: cached tokens were charged as cached and as input; more cached
/// than input made a negative charge; tokens that are cached and audio were taken off twice.
#[test]
fn cached_tokens_are_charged_once_and_never_below_nothing() {
    play(&[
        "chat/openai_cached_and_reasoning",
        "chat/openai_cached_audio",
        "chat/cached_images",
        "chat/cache_write",
        "chat/deepseek",
        "chat/moonshot",
        "chat/anthropic_names",
        "chat/usage_contradictory_cache",
        "stream/usage_contradictory",
    ]);
}

/// Rivals: octopus #243, sub2api #6066: negative usage was a credit, and usage of billions of tokens was charged.
#[test]
fn absurd_usage_neither_credits_a_key_nor_ruins_it() {
    play(&[
        "chat/usage_negative",
        "chat/usage_negative_in_the_details",
        "chat/usage_absurd",
        "chat/usage_beyond_64_bits",
        "chat/usage_of_a_billion",
        "stream/usage_negative",
        "stream/usage_absurd",
        "embeddings/usage_negative",
    ]);
}

/// Rivals: litellm #37992, new-api #1602: a usage of 0 was replaced by an estimate; and where there was none, an estimate
/// of 0 was believed, of answers that are all reasoning or calls of tools.
#[test]
fn zero_is_believed_where_it_is_told_and_not_where_it_was_guessed() {
    play(&[
        "chat/usage_zero",
        "chat/usage_zero_but_a_total",
        "chat/reasoning_counted_here",
        "chat/tool_calls_counted_here",
        "stream/usage_zero",
        "stream/reasoning_counted_here",
        "stream/arguments_counted_here",
    ]);
}

/// Rivals: litellm #14457 #33736, new-api #5235 #7241 #4168, sub2api #4408: of a stream that did not end as it should
/// nothing was recorded, or all that had been estimated was charged.
#[test]
fn every_end_of_a_stream_is_charged_by_what_was_delivered() {
    play(&[
        "stream/end/",
        "stream/usage_missing",
        "stream/usage_after_the_marker",
    ]);
}

/// Rivals: litellm #26863, new-api #1797: documents were put in order for nothing, since nobody had priced that.
#[test]
fn documents_that_are_put_in_order_are_charged() {
    play(&["rerank/"]);
}

/// Rivals: litellm #36914: recordings were written down for nothing, since their model had a price by the second, and one
/// of zero for what it writes.
#[test]
fn recordings_that_are_written_down_are_charged() {
    play(&["transcriptions/", "translations/", "encoded/transcription"]);
}

/// Rivals: litellm #30135 #34729 #40002: a long input was held, and charged, at the price of a short one; or what was
/// above the threshold alone at that of its tier.
#[test]
fn a_long_input_is_held_and_charged_at_its_tier() {
    play(&["long/"]);
}
