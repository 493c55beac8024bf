//! An upstream inside this process: deterministic answers, true usage, and faults on demand.
//!
//! It speaks `/chat/completions` and `/completions` (streamed and not), `/embeddings` and
//! `/images/generations` as a vendor would, errors included. The same request gets the same answer, whatever the time and the process. Its
//! usage is true by its own count: pieces of up to six letters or digits. A [`Fault`] is asked for by the header
//! `x-simulator-fault` or by the model's suffix (`model#fault`); the header wins.
//! `x-simulator-delay-ms` sets the time between two events of a stream, and before any other answer.

mod body;
mod chat;
mod completion;
mod embedding;
mod fault;
mod image;
mod png;
mod prompts;
mod said;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::error::{SendError, SendErrorKind};
use super::{Call, Source, UpstreamBody};
use body::End;
pub use body::SimulatedBody;
pub use fault::{Fault, split_fault};

/// The request header that asks for a fault.
pub const FAULT_HEADER: &str = "x-simulator-fault";
/// The request header that sets the pace of a stream, or the delay of another answer.
pub const DELAY_HEADER: &str = "x-simulator-delay-ms";

/// Answers are the same at any time, so the time in them is fixed.
const CREATED: u32 = 1_750_000_000;
const PACE: Duration = Duration::from_millis(25);
const PACE_SLOW: Duration = Duration::from_millis(250);
const DELAY_SLOW: Duration = Duration::from_secs(2);
const DELAY_MS_MAX: u64 = 600_000;

/// What an endpoint answers, before faults of the wire.
enum Answer {
    /// One JSON document.
    Json(StatusCode, Bytes),
    /// A stream of events, each with its blank line.
    Events(Vec<Bytes>),
}

/// An answer that is an error: its status, and what goes into the body's `error`.
struct Refused {
    status: StatusCode,
    error: ErrorFields,
}

/// An error as vendors write it: all four keys, always.
#[derive(Serialize)]
struct ErrorFields {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'static str>,
    code: Option<&'static str>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a ErrorFields,
}

/// What every request has.
#[derive(Deserialize)]
struct AnyRequest {
    model: Option<String>,
}

/// How one request is to be answered.
struct Plan {
    fault: Option<Fault>,
    /// The model without a fault's suffix.
    model: String,
    /// As asked for by header.
    delay: Option<Duration>,
    /// Distinguishes requests; the same for the same bytes.
    hash: u64,
}

/// Answers one request as an upstream would.
pub(super) async fn send(
    upstream: &Arc<str>,
    call: &Call<'_>,
) -> Result<Response<UpstreamBody>, SendError> {
    let hash = text::hash(&[call.path.as_bytes(), &call.body]);
    let (plan, answer) = match Plan::of(call, hash) {
        Ok(plan) => {
            broken_before_head(upstream, plan.fault).await?;
            let answer = answer(call, &plan).unwrap_or_else(Refused::into_answer);
            (plan, answer)
        }
        Err(refused) => (Plan::plain(hash), refused.into_answer()),
    };
    let delay = match (&answer, plan.fault) {
        (Answer::Events(_), _) => Duration::ZERO,
        (Answer::Json(..), Some(Fault::Slow)) => plan.delay.unwrap_or(DELAY_SLOW),
        (Answer::Json(..), _) => plan.delay.unwrap_or(Duration::ZERO),
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    Ok(respond(&plan, answer))
}

/// The faults that leave the proxy without an answer's head.
async fn broken_before_head(upstream: &Arc<str>, fault: Option<Fault>) -> Result<(), SendError> {
    let failed = |kind, sent| SendError::new(upstream, kind, sent, "a fault that was asked for");
    match fault {
        Some(Fault::Refuse) => Err(failed(SendErrorKind::Connect, false)),
        Some(Fault::Close) => Err(failed(SendErrorKind::Closed, true)),
        Some(Fault::Hang) => std::future::pending().await,
        _ => Ok(()),
    }
}

fn answer(call: &Call<'_>, plan: &Plan) -> Result<Answer, Refused> {
    if let Some(Fault::Status(status)) = plan.fault {
        return Err(Refused::on_demand(status));
    }
    match call.path {
        "/chat/completions" => chat::answer(&call.body, plan),
        "/completions" => completion::answer(&call.body, plan),
        "/embeddings" => embedding::answer(&call.body, plan),
        "/images/generations" => image::answer(&call.body, plan),
        path => Err(Refused::unknown(&call.method, path)),
    }
}

/// The answer on the wire, with the faults that show there.
fn respond(plan: &Plan, answer: Answer) -> Response<UpstreamBody> {
    let pace = match plan.fault {
        Some(Fault::Slow) => plan.delay.unwrap_or(PACE_SLOW),
        _ => plan.delay.unwrap_or(PACE),
    };
    let mut headers = HeaderMap::new();
    if let Ok(id) = HeaderValue::from_str(&format!("sim_{:016x}", plan.hash)) {
        headers.insert("x-request-id", id);
    }
    let (status, body) = match answer {
        Answer::Json(status, json) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(json.len()));
            let broken = plan.fault.filter(|_| status.is_success());
            let (end, keep) = break_off(broken, json.len());
            (status, SimulatedBody::whole(json.slice(..keep), end))
        }
        Answer::Events(mut events) => {
            let stream = HeaderValue::from_static("text/event-stream; charset=utf-8");
            headers.insert(CONTENT_TYPE, stream);
            let (end, keep) = break_off(plan.fault, events.len());
            events.truncate(keep);
            (StatusCode::OK, SimulatedBody::paced(events, pace, end))
        }
    };
    if matches!(status.as_u16(), 429 | 503) {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    let mut response = Response::new(UpstreamBody::new(Source::Simulated(body)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// How a body of `whole` parts (events, or bytes) ends, and after how many of them.
fn break_off(fault: Option<Fault>, whole: usize) -> (End, usize) {
    match fault {
        Some(Fault::Cut(after)) => (End::Cut, after.unwrap_or(whole / 2).min(whole)),
        Some(Fault::Stall(after)) => (End::Stall, after.unwrap_or(whole / 2).min(whole)),
        _ => (End::Whole, whole),
    }
}

/// A JSON document of something that always serializes.
fn json(value: &impl Serialize) -> Bytes {
    // Plain structs of strings and numbers have no way to fail; an empty body would show it.
    serde_json::to_vec(value).unwrap_or_default().into()
}

impl Plan {
    fn of(call: &Call<'_>, hash: u64) -> Result<Plan, Refused> {
        if call.method != Method::POST {
            return Err(Refused::unknown(&call.method, call.path));
        }
        let request: AnyRequest = parse(&call.body)?;
        let model = request
            .model
            .filter(|model| !model.is_empty())
            .ok_or_else(|| {
                Refused::bad(
                    "you must provide a model parameter".to_owned(),
                    Some("model"),
                )
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
            hash,
        })
    }

    /// The plan of a request that could not be read.
    fn plain(hash: u64) -> Plan {
        Plan {
            fault: None,
            model: String::new(),
            delay: None,
            hash,
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|cause| Refused::bad(format!("the body is not a valid request: {cause}"), None))
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

impl Refused {
    /// A 400.
    fn bad(message: String, param: Option<&'static str>) -> Self {
        Refused {
            status: StatusCode::BAD_REQUEST,
            error: ErrorFields {
                message,
                kind: "invalid_request_error",
                param,
                code: None,
            },
        }
    }

    /// A path or method that is not served here.
    fn unknown(method: &Method, path: &str) -> Self {
        Refused {
            status: StatusCode::NOT_FOUND,
            error: ErrorFields {
                message: format!("Invalid URL ({method} {path})"),
                kind: "invalid_request_error",
                param: None,
                code: Some("unknown_url"),
            },
        }
    }

    /// An error that was asked for as a fault.
    fn on_demand(status: StatusCode) -> Self {
        let (kind, code) = match status.as_u16() {
            401 => ("invalid_request_error", Some("invalid_api_key")),
            402 => ("insufficient_quota", Some("insufficient_quota")),
            403 => ("permission_error", Some("permission_denied")),
            429 => ("requests", Some("rate_limit_exceeded")),
            500.. => ("server_error", None),
            _ => ("invalid_request_error", None),
        };
        Refused {
            status,
            error: ErrorFields {
                message: format!("simulated fault: status {}", status.as_u16()),
                kind,
                param: None,
                code,
            },
        }
    }

    fn body(&self) -> Bytes {
        json(&ErrorBody { error: &self.error })
    }

    fn into_answer(self) -> Answer {
        Answer::Json(self.status, self.body())
    }
}
