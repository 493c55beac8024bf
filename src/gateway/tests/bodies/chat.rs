//! Chat completions.

use super::{flag, image, maximum, maybe, schema, several, word};
use crate::gateway::tests::dice::Dice;
use crate::gateway::tests::json::{Json, object, raw, text};

pub fn body(dice: &mut Dice<'_>) -> Json {
    let asks_audio = dice.one_in(40);
    object([
        ("model", Some(text("m"))),
        ("messages", Some(several(dice, message))),
        ("n", maybe(dice, 3, |dice| raw(1 + dice.below(4)))),
        ("best_of", maybe(dice, 20, |dice| raw(1 + dice.below(2)))),
        ("max_tokens", maybe(dice, 3, maximum)),
        ("max_completion_tokens", maybe(dice, 3, maximum)),
        ("stream", maybe(dice, 2, flag)),
        (
            "stream_options",
            maybe(dice, 5, |dice| {
                object([("include_usage", Some(flag(dice)))])
            }),
        ),
        ("prediction", maybe(dice, 5, prediction)),
        (
            "service_tier",
            maybe(dice, 6, |dice| word(dice, &["auto", "default"], "priority")),
        ),
        (
            "modalities",
            match asks_audio {
                true => Some(Json::List(vec![text("text"), text("audio")])),
                false => maybe(dice, 8, |_| Json::List(vec![text("text")])),
            },
        ),
        (
            "audio",
            asks_audio.then(|| object([("voice", Some(text("alloy")))])),
        ),
        ("tools", maybe(dice, 4, |dice| several(dice, tool))),
        ("tool_choice", maybe(dice, 8, |_| text("auto"))),
        ("response_format", maybe(dice, 6, format)),
        ("reasoning_effort", maybe(dice, 6, |_| text("high"))),
        ("thinking", maybe(dice, 8, thinking)),
        ("stop", maybe(dice, 8, |_| Json::List(vec![text("\n")]))),
        ("temperature", maybe(dice, 8, |_| raw("0.7"))),
        ("logprobs", maybe(dice, 10, flag)),
        ("user", maybe(dice, 8, |dice| text(dice.text()))),
        ("web_search_options", maybe(dice, 60, |_| object([]))),
    ])
}

fn message(dice: &mut Dice<'_>) -> Json {
    match dice.below(6) {
        4 => object([
            ("role", Some(text("assistant"))),
            ("content", Some(raw("null"))),
            (
                "reasoning_content",
                maybe(dice, 3, |dice| text(dice.text())),
            ),
            ("tool_calls", Some(Json::List(vec![call(dice)]))),
        ]),
        5 => object([
            ("role", Some(text("tool"))),
            ("tool_call_id", Some(text("call_1"))),
            (
                "content",
                Some(match dice.one_in(3) {
                    true => several(dice, part),
                    false => text(dice.text()),
                }),
            ),
        ]),
        kind => object([
            ("role", Some(text(dice.pick(&["user", "system"])))),
            ("name", maybe(dice, 8, |_| text("bob"))),
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
    let typed =
        |name: &str, member, value| object([("type", Some(text(name))), (member, Some(value))]);
    match dice.below(16) {
        0..=7 => typed("text", "text", text(dice.text())),
        8..=11 => {
            let detail = maybe(dice, 3, |dice| text(dice.pick(&["low", "high"])));
            let link = object([("url", Some(image(dice))), ("detail", detail)]);
            typed("image_url", "image_url", link)
        }
        12 | 13 => typed("image_url", "image_url", image(dice)),
        14 => {
            let sound = object([
                ("data", Some(text("UklGRg=="))),
                ("format", Some(text("wav"))),
            ]);
            typed("input_audio", "input_audio", sound)
        }
        _ => {
            let data = text("data:application/pdf;base64,JVBERi0=");
            typed("file", "file", object([("file_data", Some(data))]))
        }
    }
}

fn call(dice: &mut Dice<'_>) -> Json {
    let function = object([
        ("name", Some(text("weather"))),
        ("arguments", Some(text(dice.text()))),
    ]);
    object([
        ("id", Some(text("call_1"))),
        ("type", Some(text("function"))),
        ("function", Some(function)),
    ])
}

fn tool(dice: &mut Dice<'_>) -> Json {
    if dice.one_in(30) {
        return object([("type", Some(text("web_search")))]);
    }
    let function = object([
        ("name", Some(text("weather"))),
        ("description", Some(text(dice.text()))),
        ("parameters", Some(schema(dice))),
    ]);
    object([
        ("type", Some(text("function"))),
        ("function", Some(function)),
    ])
}

fn prediction(dice: &mut Dice<'_>) -> Json {
    let content = match dice.one_in(2) {
        true => Json::List(vec![object([
            ("type", Some(text("text"))),
            ("text", Some(text(dice.text().repeat(4)))),
        ])]),
        false => text(dice.text().repeat(9)),
    };
    object([("type", Some(text("content"))), ("content", Some(content))])
}

fn format(dice: &mut Dice<'_>) -> Json {
    let schema = object([
        ("name", Some(text("answer"))),
        ("schema", Some(schema(dice))),
    ]);
    object([
        ("type", Some(text("json_schema"))),
        ("json_schema", Some(schema)),
    ])
}

fn thinking(_: &mut Dice<'_>) -> Json {
    object([
        ("type", Some(text("enabled"))),
        ("budget_tokens", Some(raw(1_024))),
    ])
}
