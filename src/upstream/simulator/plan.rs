//! How one request is to be answered: its model, its fault, its pace, and whether it is a form.

use std::time::Duration;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};

use super::form::Form;
use super::refused::Refused;
use super::{
    Answer, Call, DELAY_HEADER, FAULT_HEADER, Fault, JSON, json, parse, split_fault, text,
};

const DELAY_MS_MAX: u64 = 600_000;
/// Where requests may be forms.
const FORMS: [&str; 4] = [
    "/images/edits",
    "/images/variations",
    "/audio/transcriptions",
    "/audio/translations",
];

/// How one request is to be answered.
pub(super) struct Plan {
    pub(super) fault: Option<Fault>,
    /// The model without a fault's suffix.
    pub(super) model: String,
    /// As asked for by header.
    pub(super) delay: Option<Duration>,
    /// Distinguishes requests; the same for the same content.
    pub(super) hash: u64,
}

/// A request's body.
pub(super) enum Sent<'a> {
    Json(&'a [u8]),
    Form(Form<'a>),
}

/// What every request has.
#[derive(Deserialize)]
struct AnyRequest {
    model: Option<String>,
}

impl<'a> Sent<'a> {
    /// Reads as much as can be told without knowing the API.
    pub(super) fn of(call: &'a Call<'_>) -> Result<Self, Refused> {
        let kind = call.headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        match FORMS.contains(&call.path) && kind.starts_with("multipart/form-data") {
            true => Form::read(kind, &call.body).map(Sent::Form),
            false => Ok(Sent::Json(&call.body)),
        }
    }

    fn model(&self) -> Result<Option<String>, Refused> {
        match self {
            Sent::Json(body) => parse::<AnyRequest>(body).map(|request| request.model),
            Sent::Form(form) => Ok(form.text("model").map(str::to_owned)),
        }
    }

    /// Boundaries are random, so that a form is told from others by its parts.
    fn hash(&self, path: &str) -> u64 {
        match self {
            Sent::Json(body) => text::hash(&[path.as_bytes(), body]),
            Sent::Form(form) => {
                let parts = form.parts().iter();
                let parts = parts.flat_map(|part| [part.name.as_bytes(), part.value]);
                let all: Vec<&[u8]> = std::iter::once(path.as_bytes()).chain(parts).collect();
                text::hash(&all)
            }
        }
    }
}

impl Plan {
    pub(super) fn of(call: &Call<'_>, sent: &Sent<'_>) -> Result<Plan, Refused> {
        let model = sent.model()?.filter(|model| !model.is_empty());
        let model = model.ok_or_else(|| {
            let message = "you must provide a model parameter".to_owned();
            Refused::bad(message, Some("model"))
        })?;
        let (model, suffix) = split_fault(&model);
        let fault = header(call, FAULT_HEADER)?
            .or(suffix)
            .map(|text| text.parse().map_err(|wrong| Refused::bad(wrong, None)))
            .transpose()?;
        Ok(Plan {
            fault,
            model: model.to_owned(),
            delay: delay(call)?,
            hash: sent.hash(call.path),
        })
    }

    /// The plan of a request that could not be read.
    pub(super) fn unread(call: &Call<'_>) -> Plan {
        Plan {
            fault: None,
            model: String::new(),
            delay: None,
            hash: text::hash(&[call.path.as_bytes(), &call.body]),
        }
    }

    /// An id that begins as this API's ids do.
    pub(super) fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:016x}", self.hash)
    }

    /// An answer that is one JSON document, or the fault that takes its place.
    pub(super) fn document(&self, document: &impl Serialize) -> Result<Answer, Refused> {
        match self.fault {
            Some(Fault::ErrorEvent) => Err(Refused::fault()),
            _ => Ok(Answer::Whole(StatusCode::OK, JSON, json(document))),
        }
    }
}

fn header<'a>(call: &'a Call<'_>, name: &str) -> Result<Option<&'a str>, Refused> {
    let Some(value) = call.headers.get(name) else {
        return Ok(None);
    };
    let text = value.to_str();
    text.map(Some)
        .map_err(|_| Refused::bad(format!("{name} is not plain text"), None))
}

fn delay(call: &Call<'_>) -> Result<Option<Duration>, Refused> {
    let Some(text) = header(call, DELAY_HEADER)? else {
        return Ok(None);
    };
    match text.trim().parse() {
        Ok(ms @ 0..=DELAY_MS_MAX) => Ok(Some(Duration::from_millis(ms))),
        _ => Err(Refused::bad(
            format!("{DELAY_HEADER} is not a number of milliseconds from 0 to {DELAY_MS_MAX}"),
            None,
        )),
    }
}
