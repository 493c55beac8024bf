//! An upstream's answer to the client: errors pass uncharged, short answers are held back until
//! they are charged, streams and long answers flow with their end held back.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::Gateway;
use super::background;
use super::client_body::ClientBody;
use super::conclude::{Conclusion, End, abandon, conclude};
use super::facts::whole;
use super::forward::Answer;
use super::headers;
use super::job::Job;
use super::meter::{DocumentTap, EventTap, MeteredBody, Tap};
use super::passage::Passage;
use super::receipt;
use super::refusal::Refused;
use super::service::Counts;
use super::signal::Signal;
use crate::ledger::key::OnDisconnect;
use crate::upstream::UpstreamBody;
use crate::workers::{LONG_BYTES, apart};

/// Turns an upstream's answer into the client's, and sees to its charge.
pub async fn deliver(
    gateway: &Arc<Gateway>,
    mut answer: Answer,
    mut job: Box<Job>,
    strip_usage: bool,
    gone: &Signal,
) -> Result<Response<ClientBody>, Refused> {
    let status = answer.response.status();
    let detail = &mut job.reservation.detail;
    detail.upstream = Arc::clone(answer.endpoint.upstream());
    detail.status = status.as_u16();
    detail.attempts = answer.attempts;
    detail.tries = std::mem::take(&mut answer.tries);
    headers::towards_client(answer.response.headers_mut());
    let response = &answer.response;
    if let Some(why) = unmeterable(response, &job) {
        tracing::error!(
            upstream = %answer.endpoint.upstream(), %status, path = job.service.path(),
            request_id = %job.reservation.request(),
            "the upstream {why}: that cannot be metered"
        );
        job.reservation.void().await;
        return Err(not_understood());
    }
    if !status.is_success() {
        return Ok(pass_error(answer, job).await);
    }
    if is_event_stream(response) {
        job.reservation.detail.streamed = true;
        let tap = EventTap::new(job.service, job.choices, strip_usage);
        let tap = Tap::Events(Box::new(tap));
        return Ok(flow(gateway, answer.response, Bytes::new(), tap, job));
    }
    let opaque = matches!(job.service.counts(), Counts::Characters | Counts::Requests);
    if opaque && !is_json(response) {
        // What it costs is known; who listens need not wait for its end.
        let tail = gateway.caps.answer_tail_bytes;
        let tap = Tap::Document(Box::new(DocumentTap::opaque(job.service, tail)));
        return Ok(flow(gateway, answer.response, Bytes::new(), tap, job));
    }
    document(gateway, answer.response, job, gone).await
}

/// Holds an answer back until it is charged, as far as it can be held.
async fn document(
    gateway: &Arc<Gateway>,
    response: Response<UpstreamBody>,
    job: Box<Job>,
    gone: &Signal,
) -> Result<Response<ClientBody>, Refused> {
    let (parts, mut upstream) = response.into_parts();
    let collected = tokio::select! {
        collected = collect(gateway, &mut upstream, job.idle) => collected,
        () = stopped(gateway, gone, job.on_disconnect) => {
            abandon(job).await;
            return Err(Refused::unawaited(&gateway.stop));
        }
    };
    match collected {
        Collected::Whole(body) => {
            job.reservation.record.upstream_ended();
            let response = Response::from_parts(parts, ());
            charge(gateway, response, body, job, gone).await
        }
        Collected::Unfinished(head) => {
            let tail = gateway.caps.answer_tail_bytes;
            let tap = Tap::Document(Box::new(DocumentTap::new(job.service, tail)));
            let response = Response::from_parts(parts, upstream);
            Ok(flow(gateway, response, head, tap, job))
        }
        Collected::Cut(error) => {
            // Nothing of it has reached the client, so nothing is charged.
            tracing::warn!(%error, request_id = %job.reservation.request(), "answer cut");
            job.reservation.void().await;
            Err(Refused::upstream_unavailable(
                StatusCode::BAD_GATEWAY,
                "The provider of this model broke off its answer. Nothing was charged.",
            ))
        }
    }
}

/// Why an answer cannot be metered, if that can be seen from its head.
fn unmeterable(response: &Response<UpstreamBody>, job: &Job) -> Option<&'static str> {
    let status = response.status();
    // A client that followed a redirect would take its prompt, and its key, past the meter.
    if status.is_redirection() {
        return Some("redirects");
    }
    if !status.is_success() {
        return None;
    }
    if is_encoded(response) {
        return Some("encodes its answer, though asked not to");
    }
    let may_stream = match job.service.counts() {
        Counts::Images => job.streams_images,
        _ => job.service.streams(),
    };
    (is_event_stream(response) && !may_stream).then_some("streams, which nobody asked it for")
}

/// Resolves when an answer is to be given up: nobody waits for it, or the process ends.
pub async fn stopped(gateway: &Gateway, gone: &Signal, policy: OnDisconnect) {
    let left = async {
        gone.raised().await;
        if policy == OnDisconnect::Drain {
            tokio::time::sleep(gateway.caps.drain_client).await;
        }
    };
    tokio::select! {
        () = left => {}
        () = gateway.stop.raised() => {}
    }
}

/// What cannot be metered is not delivered.
fn not_understood() -> Refused {
    Refused::upstream_unavailable(
        StatusCode::BAD_GATEWAY,
        "The provider of this model answered in a form that cannot be metered. Nothing was charged.",
    )
}

fn is_encoded(response: &Response<UpstreamBody>) -> bool {
    let encodings = response.headers().get_all(header::CONTENT_ENCODING);
    encodings.iter().any(|encoding| encoding != "identity")
}

fn is_event_stream(response: &Response<UpstreamBody>) -> bool {
    is_of_type(response, "text/event-stream")
}

fn is_json(response: &Response<UpstreamBody>) -> bool {
    is_of_type(response, "application/json")
}

fn is_of_type(response: &Response<UpstreamBody>, essence: &str) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            let kind = value.split(';').next().unwrap_or_default();
            kind.trim().eq_ignore_ascii_case(essence)
        })
}

/// An upstream's error, as it is. Nothing is charged.
async fn pass_error(answer: Answer, job: Box<Job>) -> Response<ClientBody> {
    let request = job.reservation.request();
    job.reservation.void_answered().await;
    let (parts, rest) = answer.response.into_parts();
    let body = ClientBody::Passage(Passage::new(answer.head, Some(rest), job.idle));
    let mut response = Response::from_parts(parts, body);
    receipt::put_request_id(response.headers_mut(), request);
    response
}

/// Lets an answer flow, its end held back.
fn flow(
    gateway: &Gateway,
    response: Response<UpstreamBody>,
    head: Bytes,
    tap: Tap,
    job: Box<Job>,
) -> Response<ClientBody> {
    let (mut parts, upstream) = response.into_parts();
    let now = gateway.ledger.now();
    receipt::put_early(&mut parts.headers, &job.reservation, &gateway.currency, now);
    if job.trailers {
        parts
            .headers
            .insert(header::TRAILER, receipt::trailer_names());
    }
    let body = ClientBody::Metered(Box::new(MeteredBody::new(upstream, head, tap, job)));
    Response::from_parts(parts, body)
}

/// How far an answer was read. Its bytes carry their reservation.
enum Collected {
    Whole(Bytes),
    Unfinished(Bytes),
    Cut(String),
}

/// Reads an answer to its end; gives up where it is too large, or only keeps the connection alive.
async fn collect(gateway: &Gateway, body: &mut UpstreamBody, idle: Duration) -> Collected {
    let caps = &gateway.caps;
    let declared = body.size_hint().exact();
    if declared.is_some_and(|length| length > caps.answer_hold_bytes) {
        return Collected::Unfinished(Bytes::new());
    }
    let Ok(mut memory) = gateway.answer_memory.reserve(declared.unwrap_or(0)) else {
        return Collected::Unfinished(Bytes::new());
    };
    let patience = Instant::now() + caps.answer_hold;
    let (mut chunks, mut length, mut blank) = (Vec::new(), 0_u64, true);
    loop {
        let silent = Instant::now() + idle;
        let until = if blank && length > 0 {
            silent.min(patience)
        } else {
            silent
        };
        let frame = match timeout_at(until, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Collected::Cut(error.to_string()),
            Ok(None) => return Collected::Whole(memory.of(join(chunks))),
            Err(_) if until < silent => return Collected::Unfinished(memory.of(join(chunks))),
            Err(_) => return Collected::Cut("the upstream fell silent".to_owned()),
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len() as u64;
        blank &= data.iter().all(u8::is_ascii_whitespace);
        chunks.push(data);
        let dribbles = blank && Instant::now() >= patience;
        if dribbles || length > caps.answer_hold_bytes || memory.grow_to(length).is_err() {
            return Collected::Unfinished(memory.of(join(chunks)));
        }
    }
}

fn join(mut chunks: Vec<Bytes>) -> Bytes {
    if chunks.len() == 1 {
        return chunks.swap_remove(0);
    }
    let mut joined = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in chunks {
        joined.extend_from_slice(&chunk);
    }
    joined.freeze()
}

/// Charges a whole answer, and then lets it go.
async fn charge(
    gateway: &Gateway,
    response: Response<()>,
    body: Bytes,
    job: Box<Job>,
    gone: &Signal,
) -> Result<Response<ClientBody>, Refused> {
    let request = job.reservation.request();
    let limits = job.reservation.limits.clone();
    let (long, service, choices) = (body.clone(), job.service, job.choices);
    let facts = match body.len() > LONG_BYTES {
        true => apart(async move { whole(&long, service, choices) }).await,
        false => whole(&body, service, choices),
    };
    let Some(mut facts) = facts else {
        job.reservation.void().await;
        return Err(not_understood());
    };
    facts.client_gone = gone.is_raised();
    let mut early = HeaderMap::new();
    if job.background {
        let now = gateway.ledger.now();
        receipt::put_early(&mut early, &job.reservation, &gateway.currency, now);
    }
    let outcome = conclude(job, facts, End::Complete).await;
    let mut response = response.map(|()| ClientBody::full(body));
    match outcome {
        Err(_) => return Err(Refused::ledger_unavailable()),
        Ok(Conclusion::Free) => put_uncharged(&mut response, request),
        Ok(Conclusion::Later(job, written)) => {
            let followed = background::follow(job, &written.id).await;
            followed.map_err(|_| Refused::ledger_unavailable())?;
            response.headers_mut().extend(early);
        }
        Ok(Conclusion::Charged(settled)) => {
            let now = gateway.ledger.now();
            receipt::put_final(
                response.headers_mut(),
                &settled,
                &limits,
                &gateway.currency,
                now,
            );
        }
    }
    Ok(response)
}

/// An answer that delivered nothing: it costs nothing, and says so.
fn put_uncharged(response: &mut Response<ClientBody>, request: crate::ledger::id::RequestId) {
    receipt::put_request_id(response.headers_mut(), request);
    response
        .headers_mut()
        .insert("x-tollgate-cost", HeaderValue::from_static("0"));
}
