//! Anthropic's Messages.

use super::{flag, maximum, maybe, schema, several, word};
use crate::gateway::tests::dice::Dice;
use crate::gateway::tests::json::{Json, object, raw, text};

pub fn body(dice: &mut Dice<'_>) -> Json {
    object([
        ("model", Some(text("m"))),
        ("messages", Some(several(dice, message))),
        ("system", maybe(dice, 3, content)),
        (
            "max_tokens",
            match dice.one_in(5) {
                true => None,
                false => Some(maximum(dice)),
            },
        ),
        ("stream", maybe(dice, 2, flag)),
        ("tools", maybe(dice, 4, |dice| several(dice, tool))),
        (
            "thinking",
            maybe(dice, 4, |_| {
                object([
                    ("type", Some(text("enabled"))),
                    ("budget_tokens", Some(raw(1_024))),
                ])
            }),
        ),
        (
            "service_tier",
            maybe(dice, 6, |dice| {
                word(dice, &["auto", "standard_only"], "priority")
            }),
        ),
        (
            "speed",
            maybe(dice, 20, |dice| word(dice, &["standard"], "fast")),
        ),
        (
            "metadata",
            maybe(dice, 8, |_| object([("user_id", Some(text("u")))])),
        ),
        (
            "stop_sequences",
            maybe(dice, 8, |_| Json::List(vec![text("\n")])),
        ),
    ])
}

fn message(dice: &mut Dice<'_>) -> Json {
    object([
        ("role", Some(text(dice.pick(&["user", "assistant"])))),
        ("content", Some(content(dice))),
    ])
}

fn content(dice: &mut Dice<'_>) -> Json {
    match dice.one_in(3) {
        true => text(dice.text()),
        false => several(dice, block),
    }
}

fn block(dice: &mut Dice<'_>) -> Json {
    let cache = maybe(dice, 5, |_| object([("type", Some(text("ephemeral")))]));
    match dice.below(16) {
        8..=11 => object([
            ("type", Some(text("image"))),
            ("source", Some(source(dice, "image/png"))),
            ("cache_control", cache),
        ]),
        12 => object([
            ("type", Some(text("document"))),
            ("source", Some(source(dice, "application/pdf"))),
        ]),
        13 => object([
            ("type", Some(text("tool_result"))),
            ("tool_use_id", Some(text("t"))),
            ("content", Some(content(dice))),
        ]),
        14 => object([
            ("type", Some(text("tool_use"))),
            ("id", Some(text("t"))),
            ("name", Some(text("weather"))),
            ("input", Some(object([("place", Some(text(dice.text())))]))),
        ]),
        15 => object([
            ("type", Some(text("thinking"))),
            ("thinking", Some(text(dice.text()))),
            ("signature", Some(text("c2ln"))),
        ]),
        _ => object([
            ("type", Some(text("text"))),
            ("text", Some(text(dice.text()))),
            ("cache_control", cache),
        ]),
    }
}

fn source(dice: &mut Dice<'_>, media_type: &str) -> Json {
    match dice.one_in(2) {
        true => object([
            ("type", Some(text("base64"))),
            ("media_type", Some(text(media_type))),
            ("data", Some(text("iVBORw0K".repeat(4)))),
        ]),
        false => object([
            ("type", Some(text("url"))),
            ("url", Some(text("https://example.com/a"))),
        ]),
    }
}

fn tool(dice: &mut Dice<'_>) -> Json {
    match dice.below(30) {
        28 => object([
            ("type", Some(text("bash_20250124"))),
            ("name", Some(text("bash"))),
        ]),
        29 => object([
            ("type", Some(text("web_search_20250305"))),
            ("name", Some(text("web_search"))),
        ]),
        _ => object([
            ("name", Some(text("weather"))),
            ("description", Some(text(dice.text()))),
            ("input_schema", Some(schema(dice))),
        ]),
    }
}
