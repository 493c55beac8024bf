//! An upstream inside this process: deterministic answers, true usage, and faults on demand.
//!
//! It speaks what the proxy serves, as a vendor would, streams and errors included. The same request gets the same
//! answer, whatever the time and the process. Its
//! usage is true by its own count: pieces of up to six letters or digits. A [`Fault`] is asked for by the header
//! `x-simulator-fault` or by the model's suffix (`model#fault`); the header wins.
//! `x-simulator-delay-ms` sets the time between two events of a stream, and before any other answer.

mod body;
mod chat;
mod completion;
mod count;
mod embedding;
mod fault;
mod form;
mod image;
mod messages;
mod moderation;
mod plan;
mod png;
mod prompts;
mod refused;
mod rerank;
mod responses;
mod said;
mod speech;
mod talk;
#[cfg(test)]
mod tests;
mod text;
mod tools;
mod transcription;
mod wav;

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
use plan::{Plan, Sent};
use refused::{Refused, Vendor};

/// The request header that asks for a fault.
pub const FAULT_HEADER: &str = "x-simulator-fault";
/// The request header that sets the pace of a stream, or the delay of another answer.
pub const DELAY_HEADER: &str = "x-simulator-delay-ms";

/// Answers are the same at any time, so the time in them is fixed.
const CREATED: u32 = 1_750_000_000;
const PACE: Duration = Duration::from_millis(25);
const PACE_SLOW: Duration = Duration::from_millis(250);
const DELAY_SLOW: Duration = Duration::from_secs(2);
const JSON: &str = "application/json";

/// What an endpoint answers, before faults of the wire.
enum Answer {
    /// One document of this content type.
    Whole(StatusCode, &'static str, Bytes),
    /// A stream of events, each with its blank line.
    Events(Vec<Bytes>),
}

/// Answers one request as an upstream would.
pub(super) async fn send(
    upstream: &Arc<str>,
    call: &Call<'_>,
) -> Result<Response<UpstreamBody>, SendError> {
    let vendor = Vendor::of(call.path);
    let read = match call.method {
        Method::POST => Sent::of(call).and_then(|sent| Ok((Plan::of(call, &sent)?, sent))),
        // Nothing is kept here that could be fetched.
        _ => Err(Refused::unknown_url(&call.method, call.path)),
    };
    let (plan, answer) = match read {
        Ok((plan, sent)) => {
            broken_before_head(upstream, plan.fault).await?;
            let answer = answer(call.path, &sent, &plan);
            (
                plan,
                answer.unwrap_or_else(|refused| refused.into_answer(vendor)),
            )
        }
        Err(refused) => (Plan::unread(call), refused.into_answer(vendor)),
    };
    let delay = match (&answer, plan.fault) {
        (Answer::Events(_), _) => Duration::ZERO,
        (Answer::Whole(..), Some(Fault::Slow)) => plan.delay.unwrap_or(DELAY_SLOW),
        (Answer::Whole(..), _) => plan.delay.unwrap_or(Duration::ZERO),
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    Ok(respond(&plan, vendor, answer))
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

fn answer(path: &str, sent: &Sent<'_>, plan: &Plan) -> Result<Answer, Refused> {
    if let Some(Fault::Status(status)) = plan.fault {
        return Err(Refused::on_demand(status));
    }
    match (path, sent) {
        ("/images/edits", _) => image::answer(image::Work::Edit, sent, plan),
        ("/images/variations", _) => image::answer(image::Work::Variation, sent, plan),
        ("/audio/transcriptions", Sent::Form(form)) => transcription::transcribed(form, plan),
        ("/audio/translations", Sent::Form(form)) => transcription::translated(form, plan),
        ("/audio/transcriptions" | "/audio/translations", Sent::Json(_)) => {
            let message = "send a form (multipart/form-data) with the field file".to_owned();
            Err(Refused::bad(message, Some("file")))
        }
        ("/images/generations", _) => image::answer(image::Work::Generation, sent, plan),
        (path, Sent::Json(body)) => answer_json(path, body, plan),
        (path, Sent::Form(_)) => Err(Refused::unknown_url(&Method::POST, path)),
    }
}

fn answer_json(path: &str, body: &[u8], plan: &Plan) -> Result<Answer, Refused> {
    match path {
        "/chat/completions" => chat::answer(body, plan),
        "/completions" => completion::answer(body, plan),
        "/responses" => responses::answer(body, plan),
        "/responses/input_tokens" => count::of_response(body, plan),
        "/messages" => messages::answer(body, plan),
        "/messages/count_tokens" => count::of_message(body, plan),
        "/embeddings" => embedding::answer(body, plan),
        "/rerank" => rerank::answer(body, plan),
        "/moderations" => moderation::answer(body, plan),
        "/audio/speech" => speech::answer(body, plan),
        path => Err(Refused::unknown_url(&Method::POST, path)),
    }
}

/// The answer on the wire, with the faults that show there.
fn respond(plan: &Plan, vendor: Vendor, answer: Answer) -> Response<UpstreamBody> {
    let pace = match plan.fault {
        Some(Fault::Slow) => plan.delay.unwrap_or(PACE_SLOW),
        _ => plan.delay.unwrap_or(PACE),
    };
    let mut headers = HeaderMap::new();
    let id_header = match vendor {
        Vendor::OpenAi => "x-request-id",
        Vendor::Anthropic => "request-id",
    };
    if let Ok(id) = HeaderValue::from_str(&plan.id("sim_")) {
        headers.insert(id_header, id);
    }
    let (status, body) = match answer {
        Answer::Whole(status, kind, document) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(document.len()));
            let broken = plan.fault.filter(|_| status.is_success());
            let (end, keep) = break_off(broken, document.len());
            (status, SimulatedBody::whole(document.slice(..keep), end))
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

/// One event of a stream; some APIs name theirs.
fn event(name: Option<&str>, data: &[u8]) -> Bytes {
    let mut event = Vec::with_capacity(data.len() + 64);
    if let Some(name) = name {
        event.extend_from_slice(b"event: ");
        event.extend_from_slice(name.as_bytes());
        event.push(b'\n');
    }
    event.extend_from_slice(b"data: ");
    event.extend_from_slice(data);
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// Puts a fault's error event in the place of a stream's second half.
fn break_off_with(events: &mut Vec<Bytes>, error: impl FnOnce(usize) -> Bytes) {
    events.truncate(events.len() / 2);
    let event = error(events.len());
    events.push(event);
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|cause| Refused::bad(format!("the body is not a valid request: {cause}"), None))
}
