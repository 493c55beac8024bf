//! Responses.

use super::{flag, image, maximum, maybe, schema, several, word};
use crate::gateway::tests::dice::Dice;
use crate::gateway::tests::json::{Json, object, raw, text};

pub fn body(dice: &mut Dice<'_>) -> Json {
    object([
        ("model", Some(text("m"))),
        (
            "input",
            Some(match dice.one_in(3) {
                true => text(dice.text()),
                false => several(dice, item),
            }),
        ),
        ("instructions", maybe(dice, 3, |dice| text(dice.text()))),
        ("max_output_tokens", maybe(dice, 2, maximum)),
        ("stream", maybe(dice, 2, flag)),
        ("store", maybe(dice, 2, flag)),
        (
            "service_tier",
            maybe(dice, 6, |dice| word(dice, &["auto", "default"], "flex")),
        ),
        ("n", maybe(dice, 30, |dice| raw(1 + dice.below(2)))),
        ("tools", maybe(dice, 4, |dice| several(dice, tool))),
        (
            "reasoning",
            maybe(dice, 5, |_| object([("effort", Some(text("low")))])),
        ),
        (
            "text",
            maybe(dice, 6, |dice| object([("format", Some(schema(dice)))])),
        ),
        (
            "include",
            maybe(dice, 8, |_| {
                Json::List(vec![text("reasoning.encrypted_content")])
            }),
        ),
        ("previous_response_id", maybe(dice, 20, |_| text("resp_1"))),
    ])
}

fn item(dice: &mut Dice<'_>) -> Json {
    match dice.below(8) {
        5 => object([
            ("type", Some(text("function_call"))),
            ("call_id", Some(text("c"))),
            ("name", Some(text("weather"))),
            ("arguments", Some(text(dice.text()))),
        ]),
        6 => object([
            ("type", Some(text("function_call_output"))),
            ("call_id", Some(text("c"))),
            (
                "output",
                Some(match dice.one_in(2) {
                    true => several(dice, part),
                    false => text(dice.text()),
                }),
            ),
        ]),
        7 => object([
            ("type", Some(text("reasoning"))),
            ("summary", Some(Json::List(Vec::new()))),
            (
                "encrypted_content",
                maybe(dice, 2, |dice| text(dice.text())),
            ),
        ]),
        kind => object([
            ("type", maybe(dice, 2, |_| text("message"))),
            ("role", Some(text(dice.pick(&["user", "developer"])))),
            (
                "content",
                Some(match kind {
                    0 => text(dice.text()),
                    _ => several(dice, part),
                }),
            ),
        ]),
    }
}

fn part(dice: &mut Dice<'_>) -> Json {
    match dice.below(12) {
        0..=6 => object([
            ("type", Some(text("input_text"))),
            ("text", Some(text(dice.text()))),
        ]),
        7..=10 => object([
            ("type", Some(text("input_image"))),
            ("image_url", Some(image(dice))),
            ("detail", maybe(dice, 3, |_| text("high"))),
        ]),
        _ => object([
            ("type", Some(text("input_file"))),
            ("file_url", Some(text("https://example.com/a.pdf"))),
        ]),
    }
}

fn tool(dice: &mut Dice<'_>) -> Json {
    match dice.below(30) {
        28 => object([("type", Some(text("local_shell")))]),
        29 => object([("type", Some(text("web_search")))]),
        _ => object([
            ("type", Some(text("function"))),
            ("name", Some(text("weather"))),
            ("description", Some(text(dice.text()))),
            ("parameters", Some(schema(dice))),
        ]),
    }
}
