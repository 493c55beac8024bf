//! One request to the endpoints of its model, one after another, until one answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use super::observe::Record;
use super::refusal::{Refused, Retry};
use crate::ledger::receipt::{Try, TryFailure, TryOutcome};
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
    /// Each of them, where there was more than one.
    pub tries: Vec<Try>,
}

/// What is sent, apart from what differs between endpoints.
pub struct Request<'p, F> {
    /// `POST`, `GET` or `DELETE`.
    pub method: Method,
    /// What follows an upstream's base.
    pub path: &'p str,
    /// The client's headers, cleaned.
    pub headers: HeaderMap,
    /// The most attempts.
    pub attempts_max: u32,
    /// How long they may take together, up to the head of the answer.
    pub attempts: Duration,
    /// The body for one endpoint.
    pub body: F,
}

/// What one attempt came to.
struct Tried {
    outcome: TryOutcome,
    next: Next,
    /// The answer and what was read of its body; or what the client is told where nobody else is asked.
    answer: Result<(Response<UpstreamBody>, Bytes), Refused>,
}

/// Sends a request to the first endpoint that answers. Errors of an upstream are answers,
/// but where another endpoint may do better, or where they blame the operator.
///
/// **Cancellation**: dropping it closes the connection in use; the upstream may have done the work.
pub async fn forward<F: Fn(&Endpoint) -> Result<Bytes, Refused>>(
    upstreams: &Upstreams,
    mut route: Vec<Arc<Endpoint>>,
    mut request: Request<'_, F>,
    record: &Record,
) -> Result<Answer, Refused> {
    let until = Instant::now() + request.attempts;
    let mut probe = upstreams.admit(&mut route);
    let last = route.len().min(request.attempts_max.max(1) as usize);
    let mut tries = Vec::new();
    for (index, endpoint) in route.into_iter().take(last).enumerate() {
        let call = request.call(&endpoint, index + 1 == last)?;
        let tried = attempt(upstreams, &endpoint, call, record, until).await;
        // What came of it is known by now: the next may find out.
        drop(probe.take());
        let may_go_on = index + 1 < last && Instant::now() < until;
        let goes_on = may_go_on && matches!(tried.next, Next::Retry | Next::AccountEmpty);
        if goes_on || index > 0 {
            tries.push(Try {
                upstream: Arc::clone(endpoint.upstream()),
                outcome: tried.outcome,
            });
        }
        if goes_on {
            tracing::warn!(
                request_id = %record.id(), upstream = %endpoint.upstream(), outcome = ?tried.outcome,
                "trying another endpoint"
            );
            continue;
        }
        let (response, head) = tried.answer?;
        return Ok(Answer {
            response,
            head,
            endpoint,
            attempts: index as u32 + 1,
            tries,
        });
    }
    Err(no_endpoint())
}

impl<'p, F: Fn(&Endpoint) -> Result<Bytes, Refused>> Request<'p, F> {
    /// What one endpoint is sent; nothing may be sent after the last.
    fn call(&mut self, endpoint: &Endpoint, is_last: bool) -> Result<Call<'p>, Refused> {
        Ok(Call {
            method: self.method.clone(),
            path: self.path,
            headers: match is_last {
                true => std::mem::take(&mut self.headers),
                false => self.headers.clone(),
            },
            body: (self.body)(endpoint)?,
        })
    }
}

/// Asks one endpoint, until its answer can be judged.
async fn attempt(
    upstreams: &Upstreams,
    endpoint: &Endpoint,
    mut call: Call<'_>,
    record: &Record,
    until: Instant,
) -> Tried {
    let mut attempt = record.attempt(endpoint, &mut call.headers);
    let mut response = match timeout_at(until, upstreams.send(endpoint, call)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            attempt.failed(error.kind);
            tracing::warn!(request_id = %record.id(), %error, "no answer");
            return Tried {
                outcome: TryOutcome::Failed(failure(error.kind)),
                next: retry::decide(Attempt::Failed(&error)),
                answer: Err(refused(&error)),
            };
        }
        Err(_) => {
            attempt.failed(SendErrorKind::Timeout);
            tracing::warn!(
                request_id = %record.id(), upstream = %endpoint.upstream(),
                "no answer before the time for all attempts was over"
            );
            return Tried::late(TryOutcome::Failed(TryFailure::Timeout));
        }
    };
    let status = response.status();
    attempt.answered(status.as_u16());
    let outcome = TryOutcome::Status(status.as_u16());
    let head = match retry::needs_body(status) {
        true => match peek(response.body_mut(), endpoint.idle_timeout(), until).await {
            Some(head) => head,
            None => return Tried::late(outcome),
        },
        false => Bytes::new(),
    };
    let next = retry::decide(Attempt::Answered {
        status,
        body: &head,
    });
    let blames_operator = matches!(next, Next::OperatorFault | Next::AccountEmpty);
    if blames_operator {
        attempt.blames_operator();
        tracing::error!(
            request_id = %record.id(), upstream = %endpoint.upstream(), %status,
            "the upstream refuses the operator's credential or account"
        );
    }
    Tried {
        outcome,
        next,
        answer: match blames_operator {
            true => Err(Refused::operator_fault()),
            false => Ok((response, head)),
        },
    }
}

impl Tried {
    fn late(outcome: TryOutcome) -> Self {
        Tried {
            outcome,
            next: Next::Fail,
            answer: Err(too_late()),
        }
    }
}

/// The beginning of an error's body; `None` where it does not come in time.
async fn peek(body: &mut UpstreamBody, idle: Duration, until: Instant) -> Option<Bytes> {
    let mut read = BytesMut::new();
    while read.len() < ERROR_PEEK_BYTES && !body.is_end_stream() {
        match timeout_at(until, timeout(idle, body.frame())).await {
            Ok(Ok(Some(Ok(frame)))) => {
                if let Ok(data) = frame.into_data() {
                    read.extend_from_slice(&data);
                }
            }
            Ok(Ok(Some(Err(_)) | None)) => break,
            Ok(Err(_)) | Err(_) => return None,
        }
    }
    Some(read.freeze())
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

/// As a receipt has it.
fn failure(kind: SendErrorKind) -> TryFailure {
    match kind {
        SendErrorKind::Connect => TryFailure::Connect,
        SendErrorKind::Timeout => TryFailure::Timeout,
        SendErrorKind::Closed | SendErrorKind::Protocol => TryFailure::Closed,
    }
}
