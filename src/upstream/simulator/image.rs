//! The simulator's `/images/generations`, with and without images to edit.
//!
//! The pictures are tiny, whatever size is asked for.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::png::picture;
use super::{Answer, CREATED, Fault, Plan, Refused, json, parse, text};
use http::StatusCode;

const IMAGES_MAX: i64 = 10;

#[derive(Deserialize)]
struct Request {
    prompt: Option<String>,
    n: Option<i64>,
    response_format: Option<String>,
}

#[derive(Serialize)]
struct Images {
    created: u32,
    data: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Url(String),
    B64Json(String),
    Error(EntryError),
}

#[derive(Serialize)]
struct EntryError {
    code: &'static str,
    message: &'static str,
}

/// The vendor's usage says nothing: images are counted.
#[derive(Serialize)]
struct Usage {
    input_tokens_details: Empty,
}

#[derive(Serialize)]
struct Empty {}

/// Answers one request for images.
pub(super) fn answer(body: &[u8], plan: &Plan) -> Result<Answer, Refused> {
    let request: Request = parse(body)?;
    let prompt = request.prompt.filter(|prompt| !prompt.trim().is_empty());
    let prompt = prompt
        .ok_or_else(|| Refused::bad("you must provide a prompt".to_owned(), Some("prompt")))?;
    let n = match request.n.unwrap_or(1) {
        n @ 1..=IMAGES_MAX => n,
        n => {
            let message = format!("n is {n}; it must be from 1 to {IMAGES_MAX}");
            return Err(Refused::bad(message, Some("n")));
        }
    };
    let entry = match request.response_format.as_deref() {
        None | Some("url") => |image| Entry::Url(format!("data:image/png;base64,{image}")),
        Some("b64_json") => Entry::B64Json,
        Some(_) => {
            let message = "response_format must be url or b64_json".to_owned();
            return Err(Refused::bad(message, Some("response_format")));
        }
    };
    let data = (1..=n).map(|index| match plan.fault {
        Some(Fault::ImageError) if index == n => Entry::Error(EntryError {
            code: "content_policy_violation",
            message: "simulated fault: this image was not made",
        }),
        _ => {
            let seed = [
                plan.model.as_bytes(),
                prompt.as_bytes(),
                &index.to_le_bytes(),
            ];
            entry(BASE64_STANDARD.encode(picture(text::hash(&seed))))
        }
    });
    let images = Images {
        created: CREATED,
        data: data.collect(),
        usage: (plan.fault != Some(Fault::NoUsage)).then_some(Usage {
            input_tokens_details: Empty {},
        }),
    };
    match plan.fault {
        Some(Fault::ErrorEvent) => Err(Refused::on_demand(StatusCode::INTERNAL_SERVER_ERROR)),
        _ => Ok(Answer::Json(StatusCode::OK, json(&images))),
    }
}
