//! Images, speech and recordings.

use super::{flag, image, maybe, several, word};
use crate::gateway::tests::dice::Dice;
use crate::gateway::tests::json::{Json, object, raw, text};
use crate::gateway::tests::row::{QUALITIES, SIZES};

pub fn images(dice: &mut Dice<'_>) -> Json {
    let is_stream = dice.one_in(4);
    let link = |dice: &mut Dice<'_>| match dice.one_in(2) {
        true => object([("image_url", Some(image(dice)))]),
        false => image(dice),
    };
    object([
        ("model", Some(text("m"))),
        ("prompt", Some(text(dice.text()))),
        (
            "n",
            match is_stream {
                true => maybe(dice, 4, |_| raw(1)),
                false => maybe(dice, 2, |dice| raw(1 + dice.below(5))),
            },
        ),
        (
            "size",
            maybe(dice, 2, |dice| {
                text(dice.pick(&["1x1", "2x2", "9x9", "auto", "1X1"]))
            }),
        ),
        (
            "quality",
            maybe(dice, 2, |dice| {
                text(dice.pick(&["low", "high", "best", "auto"]))
            }),
        ),
        (
            "image_size",
            maybe(dice, 10, |dice| text(dice.pick(&SIZES))),
        ),
        ("width", maybe(dice, 20, |_| raw(2))),
        ("response_format", maybe(dice, 4, |_| text("b64_json"))),
        ("stream", is_stream.then(|| raw("true"))),
        ("partial_images", maybe(dice, 4, |dice| raw(dice.below(4)))),
        ("image", maybe(dice, 3, image)),
        ("images", maybe(dice, 5, |dice| several(dice, link))),
        ("mask", maybe(dice, 8, image)),
        ("background", maybe(dice, 8, |_| text("transparent"))),
        ("style", maybe(dice, 8, |_| text(QUALITIES[2]))),
        ("seed", maybe(dice, 8, |_| raw(7))),
        (
            "service_tier",
            maybe(dice, 12, |dice| word(dice, &["auto"], "priority")),
        ),
    ])
}

pub fn speech(dice: &mut Dice<'_>) -> Json {
    object([
        ("model", Some(text("m"))),
        ("input", Some(text(dice.text()))),
        ("voice", Some(text("alloy"))),
        ("instructions", maybe(dice, 3, |dice| text(dice.text()))),
        ("response_format", maybe(dice, 3, |_| text("wav"))),
        ("speed", maybe(dice, 4, |_| raw("1.25"))),
        (
            "stream_format",
            maybe(dice, 2, |dice| text(dice.pick(&["sse", "audio"]))),
        ),
        ("n", maybe(dice, 20, |dice| raw(1 + dice.below(2)))),
        ("stream", maybe(dice, 6, flag)),
    ])
}

/// A form with a recording.
pub fn recording(dice: &mut Dice<'_>) -> String {
    let mut fields = vec![
        ("model".to_owned(), "m".to_owned()),
        ("file\"; filename=\"a.wav".to_owned(), "RIFF".repeat(9)),
    ];
    let mut more = |dice: &mut Dice<'_>, name: &str, words: &[&str]| {
        if dice.one_in(3) {
            fields.push((name.to_owned(), dice.pick(words).to_owned()));
        }
    };
    more(dice, "response_format", &["json", "verbose_json"]);
    more(dice, "stream", &["true", "false"]);
    more(dice, "prompt", &["Grüße", "天气"]);
    more(dice, "language", &["de"]);
    more(dice, "service_tier", &["auto", "default"]);
    if dice.one_in(2) {
        fields.reverse();
    }
    let part = |(name, value): (String, String)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    fields.into_iter().map(part).collect::<String>() + "--b--\r\n"
}
