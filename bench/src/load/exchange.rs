//! One request and its answer, seen with a client's eyes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::connection::Connection;
use super::plan::Plan;
use super::sse::StreamReader;

/// How the exchange ended for the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The whole answer came, whatever its status.
    Complete,
    /// A stream ended well-formed, with an error event in place of `[DONE]`.
    ErrorEvent,
    /// The answer broke off, or a stream ended without `[DONE]`.
    Truncated,
    /// We left in the middle of a stream, as planned.
    Disconnected,
    /// We left before the answer, as planned.
    Abandoned,
    Timeout,
    /// No answer at all.
    #[default]
    ConnectionError,
}

/// All that was seen of one answer; filled in as it comes, so that a timeout loses nothing.
#[derive(Debug, Default)]
pub struct Seen {
    pub outcome: Outcome,
    pub status: u16,
    pub streamed: bool,
    /// `[DONE]`, or the last byte of a body that is no stream.
    pub end: bool,
    pub headers: HeaderMap,
    pub trailers: Option<HeaderMap>,
    /// `error.code`, or `error.type` where that is null.
    pub code: Option<String>,
    pub stream: StreamReader,
    /// The body of an answer that is no stream, if it was to be kept.
    pub body: Vec<u8>,
    pub bytes: u64,
    pub first_byte: Option<Duration>,
    /// When the last piece of the body came.
    last_piece: Option<Duration>,
    /// The longest wait between two pieces of the body.
    pub gap: Duration,
    pub latency: Duration,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorFields,
}

#[derive(Deserialize)]
struct ErrorFields {
    code: Option<Value>,
    r#type: Option<String>,
}

/// Sends one request and reads its answer as far as the plan wants it. `keep` also keeps what receipts show.
pub async fn exchange(
    connection: &mut Connection,
    request: Request<Full<Bytes>>,
    plan: &Plan,
    keep: bool,
    started: Instant,
    seen: &mut Seen,
) {
    let sending = connection.sender.send_request(request);
    let answer = match plan.abandon_after {
        None => sending.await,
        Some(patience) => match tokio::time::timeout(patience, sending).await {
            Ok(answer) => answer,
            Err(_) => {
                seen.outcome = Outcome::Abandoned;
                return;
            }
        },
    };
    if let Ok(answer) = answer {
        read(answer, plan, keep, started, seen).await;
    }
    seen.latency = started.elapsed();
}

async fn read(
    answer: Response<Incoming>,
    plan: &Plan,
    keep: bool,
    started: Instant,
    seen: &mut Seen,
) {
    let (head, mut body) = answer.into_parts();
    seen.status = head.status.as_u16();
    seen.outcome = Outcome::Truncated;
    let content_type = head.headers.get(CONTENT_TYPE);
    seen.streamed =
        content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
    seen.headers = head.headers;
    seen.stream = StreamReader::new(keep);
    let keep_body = keep || seen.status >= 400;
    let mut whole = true;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            whole = false;
            break;
        };
        match frame.into_data() {
            Ok(data) => take(&data, keep_body, started, seen),
            Err(frame) => seen.trailers = frame.into_trailers().ok(),
        }
        if plan
            .leave_after
            .is_some_and(|chunks| seen.stream.chunks() >= chunks && !seen.stream.done)
        {
            seen.outcome = Outcome::Disconnected;
            return;
        }
    }
    seen.end = if seen.streamed {
        seen.stream.done
    } else {
        whole
    };
    seen.outcome = match (whole, seen.streamed) {
        (true, false) => Outcome::Complete,
        (true, true) if seen.stream.done => Outcome::Complete,
        (true, true) if seen.stream.error.is_some() => Outcome::ErrorEvent,
        _ => Outcome::Truncated,
    };
    seen.code = error_code(seen);
}

fn take(data: &[u8], keep_body: bool, started: Instant, seen: &mut Seen) {
    let now = started.elapsed();
    seen.first_byte.get_or_insert(now);
    let before = seen.last_piece.replace(now).unwrap_or(now);
    seen.gap = seen.gap.max(now.saturating_sub(before));
    seen.bytes += data.len() as u64;
    if seen.streamed {
        seen.stream.read(data);
    } else if keep_body {
        seen.body.extend_from_slice(data);
    }
}

fn error_code(seen: &Seen) -> Option<String> {
    let text = match &seen.stream.error {
        Some(error) => error.as_slice(),
        None if seen.status >= 400 => seen.body.as_slice(),
        None => return None,
    };
    let Ok(body) = serde_json::from_slice::<ErrorBody>(text) else {
        return Some("not_an_error_body".to_owned());
    };
    match body.error.code {
        None | Some(Value::Null) => body.error.r#type,
        Some(Value::String(code)) => Some(code),
        Some(other) => Some(other.to_string()),
    }
}

// === impl Seen ===

impl Seen {
    /// A whole answer that is no error.
    pub fn ok(&self) -> bool {
        self.outcome == Outcome::Complete
            && (200..300).contains(&self.status)
            && self.code.is_none()
    }

    /// Content chunks, capped at what was asked for: the finish and usage chunks follow them.
    pub fn chunks(&self, plan: &Plan) -> u64 {
        self.stream
            .chunks()
            .min(plan.completion.unwrap_or(u64::MAX))
    }

    /// The answer's own usage object, for comparing it with the receipt.
    pub fn usage(&self) -> Option<Value> {
        let text = if self.streamed {
            &self.stream.last
        } else {
            &self.body
        };
        let mut answer: Value = serde_json::from_slice(text).ok()?;
        Some(answer.get_mut("usage")?.take()).filter(|usage| !usage.is_null())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> Option<String> {
        error_code(&Seen {
            status: 402,
            body: body.as_bytes().to_vec(),
            ..Seen::default()
        })
    }

    #[test]
    fn the_code_of_an_error_is_found_in_any_shape() {
        assert_eq!(
            refused(r#"{"error":{"code":"insufficient_quota"}}"#).as_deref(),
            Some("insufficient_quota")
        );
        assert_eq!(
            refused(r#"{"error":{"code":null,"type":"server_error"}}"#).as_deref(),
            Some("server_error")
        );
        assert_eq!(refused(r#"{"error":{"code":429}}"#).as_deref(), Some("429"));
        assert_eq!(refused("<html>").as_deref(), Some("not_an_error_body"));
    }

    #[test]
    fn usage_is_read_from_the_last_event() {
        let mut seen = Seen {
            streamed: true,
            stream: StreamReader::new(true),
            ..Seen::default()
        };
        seen.stream.read(b"data: {\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"a\":1}}\n\ndata: [DONE]\n\n");
        assert_eq!(seen.usage(), Some(serde_json::json!({"a": 1})));
    }
}
