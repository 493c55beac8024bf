//! Completions, embeddings, the order of documents, moderations: one text or several.

use super::{flag, image, maximum, maybe, several, word};
use crate::gateway::tests::dice::Dice;
use crate::gateway::tests::json::{Json, object, raw, text};

pub fn completion(dice: &mut Dice<'_>) -> Json {
    object([
        ("model", Some(text("m"))),
        ("prompt", Some(prompt(dice))),
        ("suffix", maybe(dice, 4, |dice| text(dice.text()))),
        ("n", maybe(dice, 3, |dice| raw(1 + dice.below(4)))),
        ("best_of", maybe(dice, 4, |dice| raw(1 + dice.below(5)))),
        ("echo", maybe(dice, 4, flag)),
        (
            "max_tokens",
            maybe(dice, 2, |dice| match dice.one_in(6) {
                true => raw(0),
                false => maximum(dice),
            }),
        ),
        ("stream", maybe(dice, 3, flag)),
        (
            "stream_options",
            maybe(dice, 5, |dice| {
                object([("include_usage", Some(flag(dice)))])
            }),
        ),
        ("logprobs", maybe(dice, 8, |_| raw(2))),
        ("stop", maybe(dice, 8, |_| text("\n"))),
        (
            "service_tier",
            maybe(dice, 8, |dice| word(dice, &["auto"], "priority")),
        ),
    ])
}

pub fn embeddings(dice: &mut Dice<'_>) -> Json {
    object([
        ("model", Some(text("m"))),
        ("input", Some(prompt(dice))),
        ("instruct", maybe(dice, 5, |dice| text(dice.text()))),
        ("dimensions", maybe(dice, 5, |_| raw(256))),
        ("encoding_format", maybe(dice, 5, |_| text("float"))),
        ("user", maybe(dice, 8, |_| text("u"))),
        (
            "service_tier",
            maybe(dice, 8, |dice| word(dice, &["auto"], "flex")),
        ),
    ])
}

pub fn rerank(dice: &mut Dice<'_>) -> Json {
    let words = |dice: &mut Dice<'_>| match dice.one_in(6) {
        // So long that it counts as many.
        true => text("word ".repeat(dice.below(20_000) as usize)),
        false => text(dice.text()),
    };
    let document = |dice: &mut Dice<'_>| match dice.one_in(3) {
        true => object([("text", Some(words(dice)))]),
        false => words(dice),
    };
    object([
        ("model", Some(text("m"))),
        ("query", Some(text(dice.text()))),
        ("documents", Some(several(dice, document))),
        ("instruct", maybe(dice, 5, |dice| text(dice.text()))),
        ("top_n", maybe(dice, 3, |_| raw(2))),
        ("return_documents", maybe(dice, 4, flag)),
    ])
}

pub fn moderation(dice: &mut Dice<'_>) -> Json {
    let part = |dice: &mut Dice<'_>| match dice.one_in(3) {
        true => object([
            ("type", Some(text("image_url"))),
            ("image_url", Some(object([("url", Some(image(dice)))]))),
        ]),
        false => object([
            ("type", Some(text("text"))),
            ("text", Some(text(dice.text()))),
        ]),
    };
    let input = match dice.below(3) {
        0 => text(dice.text()),
        1 => several(dice, |dice| text(dice.text())),
        _ => several(dice, part),
    };
    object([("model", Some(text("m"))), ("input", Some(input))])
}

fn prompt(dice: &mut Dice<'_>) -> Json {
    let ids = |dice: &mut Dice<'_>| several(dice, |dice| raw(dice.below(100_000)));
    match dice.below(4) {
        0 => text(dice.text()),
        1 => several(dice, |dice| text(dice.text())),
        2 => ids(dice),
        _ => several(dice, ids),
    }
}
