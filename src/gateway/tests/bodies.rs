//! Requests of every service, made of their documented members. Some ask for what has no price here.

mod chat;
mod media;
mod messages;
mod prompts;
mod responses;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::dice::Dice;
use super::json::{Json, object, raw, text};
use crate::gateway::service::Service;

/// A request on its way.
pub struct Body {
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

pub fn body(service: Service, dice: &mut Dice<'_>) -> Body {
    let (kind, text) = match service {
        Service::Transcriptions => ("multipart/form-data; boundary=b", media::recording(dice)),
        _ => ("application/json", json(service, dice).written(dice)),
    };
    let kind = HeaderValue::from_static(kind);
    Body {
        headers: HeaderMap::from_iter([(CONTENT_TYPE, kind)]),
        bytes: text.into(),
    }
}

fn json(service: Service, dice: &mut Dice<'_>) -> Json {
    match service {
        Service::Chat => chat::body(dice),
        Service::Completions => prompts::completion(dice),
        Service::Responses => responses::body(dice),
        Service::Messages => messages::body(dice),
        Service::Embeddings => prompts::embeddings(dice),
        Service::Rerank => prompts::rerank(dice),
        Service::Moderations => prompts::moderation(dice),
        Service::Images | Service::ImageEdits => media::images(dice),
        _ => media::speech(dice),
    }
}

/// Sometimes there, and sometimes as a null that says nothing.
fn maybe(
    dice: &mut Dice<'_>,
    times: u64,
    value: impl FnOnce(&mut Dice<'_>) -> Json,
) -> Option<Json> {
    if !dice.one_in(times) {
        return None;
    }
    match dice.one_in(12) {
        true => Some(raw("null")),
        false => Some(value(dice)),
    }
}

/// A maximum of output tokens that fits most rows.
fn maximum(dice: &mut Dice<'_>) -> Json {
    raw(dice.pick(&[1_u64, 16, 7, 500, 9_000]))
}

fn flag(dice: &mut Dice<'_>) -> Json {
    raw(dice.one_in(2))
}

/// A word that has no price, once in a while, else one of the others.
fn word(dice: &mut Dice<'_>, priced: &[&str], unpriced: &str) -> Json {
    match dice.one_in(16) {
        true => text(unpriced),
        false => text(dice.pick(priced)),
    }
}

/// An image of the web, or one that is written out.
fn image(dice: &mut Dice<'_>) -> Json {
    match dice.one_in(2) {
        true => text(format!("data:image/png;base64,{}", "iVBORw0K".repeat(4))),
        false => text("https://example.com/cat.png?size=large"),
    }
}

/// The parameters of a function, as a JSON schema.
fn schema(dice: &mut Dice<'_>) -> Json {
    let place = object([
        ("type", Some(text("string"))),
        ("description", Some(text(dice.text()))),
    ]);
    object([
        ("type", Some(text("object"))),
        ("properties", Some(object([("place", Some(place))]))),
        ("required", Some(Json::List(vec![text("place")]))),
    ])
}

/// Up to three of something.
fn several(dice: &mut Dice<'_>, mut one: impl FnMut(&mut Dice<'_>) -> Json) -> Json {
    let count = 1 + dice.below(3);
    Json::List((0..count).map(|_| one(dice)).collect())
}
