//! One request to the endpoints of its model, one after another, until one answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::observe::Record;
use super::refusal::{Refused, Retry};
use crate::upstream::retry::{self, Attempt, Next};
use crate::upstream::{Call, Endpoint, SendError, SendErrorKind, UpstreamBody, Upstreams};

/// How much of an error's body is read to understand it.
const ERROR_PEEK_BYTES: usize = 64 * 1024;

/// An upstream's answer, and how it was come by.
pub struct Answer {
    /// The answer's head and the rest of its body.
    pub response: Response<UpstreamBody>,
    /// What was already read of its body.
    pub head: Bytes,
    /// Who answered.
    pub endpoint: Arc<Endpoint>,
    /// Attempts made, this one included.
    pub attempts: u32,
}

/// What is sent, apart from what differs between endpoints.
pub struct Request<F> {
    /// What follows an upstream's base.
    pub path: &'static str,
    /// The client's headers, cleaned.
    pub headers: HeaderMap,
    /// The most attempts.
    pub attempts_max: u32,
    /// The body for one endpoint.
    pub body: F,
}

/// Sends a request to the first endpoint that answers. Errors of an upstream are answers,
/// but where another endpoint may do better, or where they blame the operator.
///
/// **Cancellation**: dropping it closes the connection in use; the upstream may have done the work.
pub async fn forward<F: Fn(&Endpoint) -> Bytes>(
    upstreams: &Upstreams,
    route: Vec<Arc<Endpoint>>,
    mut request: Request<F>,
    record: &Record,
) -> Result<Answer, Refused> {
    let last = route.len().min(request.attempts_max.max(1) as usize);
    let mut failure = no_endpoint();
    for (index, endpoint) in route.into_iter().take(last).enumerate() {
        let is_last = index + 1 == last;
        let mut call = Call {
            method: Method::POST,
            path: request.path,
            headers: match is_last {
                true => std::mem::take(&mut request.headers),
                false => request.headers.clone(),
            },
            body: (request.body)(&endpoint),
        };
        let mut attempt = record.attempt(&endpoint, &mut call.headers);
        match upstreams.send(&endpoint, call).await {
            Err(error) => {
                attempt.failed(error.kind);
                tracing::warn!(request_id = %record.id(), %error, "no answer");
                let next = retry::decide(Attempt::Failed(&error));
                failure = refused(&error);
                if next != Next::Retry {
                    return Err(failure);
                }
            }
            Ok(mut response) => {
                let status = response.status();
                attempt.answered(status.as_u16());
                let head = match retry::needs_body(status) {
                    true => peek(response.body_mut(), endpoint.idle_timeout()).await?,
                    false => Bytes::new(),
                };
                let next = retry::decide(Attempt::Answered {
                    status,
                    body: &head,
                });
                if matches!(next, Next::OperatorFault | Next::AccountEmpty) {
                    attempt.blames_operator();
                }
                drop(attempt);
                match next {
                    Next::OperatorFault | Next::AccountEmpty => {
                        tracing::error!(
                            request_id = %record.id(), upstream = %endpoint.upstream(), %status,
                            "the upstream refuses the operator's credential or account"
                        );
                        failure = Refused::operator_fault();
                        if next == Next::OperatorFault {
                            return Err(failure);
                        }
                    }
                    Next::Retry if !is_last => {
                        tracing::warn!(
                            request_id = %record.id(), upstream = %endpoint.upstream(), %status,
                            "trying another endpoint"
                        );
                    }
                    _ => {
                        return Ok(Answer {
                            response,
                            head,
                            endpoint,
                            attempts: index as u32 + 1,
                        });
                    }
                }
            }
        }
    }
    Err(failure)
}

async fn peek(body: &mut UpstreamBody, idle: Duration) -> Result<Bytes, Refused> {
    let mut read = BytesMut::new();
    while read.len() < ERROR_PEEK_BYTES && !body.is_end_stream() {
        match timeout(idle, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    read.extend_from_slice(&data);
                }
            }
            Ok(Some(Err(_)) | None) => break,
            Err(_) => return Err(too_late()),
        }
    }
    Ok(read.freeze())
}

fn no_endpoint() -> Refused {
    Refused::upstream_unavailable(
        StatusCode::BAD_GATEWAY,
        "No upstream serves this model. Nothing was charged.",
    )
}

fn too_late() -> Refused {
    Refused::upstream_unavailable(
        StatusCode::GATEWAY_TIMEOUT,
        "The provider of this model did not answer in time. Nothing was charged.",
    )
}

fn refused(error: &SendError) -> Refused {
    match error.kind {
        SendErrorKind::Timeout => too_late(),
        SendErrorKind::Connect => Refused::upstream_unavailable(
            StatusCode::BAD_GATEWAY,
            "The provider of this model cannot be reached. Nothing was charged.",
        )
        .retry(Retry::AfterMs(1_000)),
        SendErrorKind::Closed | SendErrorKind::Protocol => Refused::upstream_unavailable(
            StatusCode::BAD_GATEWAY,
            "The provider of this model broke off before it answered. Nothing was charged.",
        ),
    }
}
