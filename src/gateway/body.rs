//! Reading a client's body within its bounds.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::budget::{Budget, Reserved};
use super::refusal::Refused;

/// How a request's body may come in.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most bytes.
    pub bytes: u64,
    /// How long it may pause.
    pub idle: Duration,
}

/// Reads a request's whole body. Its bytes are reserved from `memory` before they are read.
///
/// **Cancellation**: dropping it gives the reservation back.
pub async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    bounds: Bounds,
    memory: &Budget,
) -> Result<(Bytes, Reserved), Refused> {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
        return Err(Refused::bad_request(
            "Compressed request bodies are not accepted: send the body without Content-Encoding.",
        ));
    }
    let declared = body.size_hint().exact();
    let too_large = || {
        let limit = bounds.bytes;
        Refused::too_large(format!(
            "The request's body is larger than the limit of {limit} bytes."
        ))
    };
    if declared.is_some_and(|length| length > bounds.bytes) {
        return Err(too_large());
    }
    let full = |_| Refused::overloaded("requests");
    let mut reserved = memory.reserve(declared.unwrap_or(0)).map_err(full)?;
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = next_frame(&mut body, bounds.idle).await? {
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = (first.as_ref().map_or(0, Bytes::len) + rest.len() + data.len()) as u64;
        if length > bounds.bytes {
            return Err(too_large());
        }
        reserved.grow_to(length).map_err(full)?;
        // A body that came in one piece is kept as that piece; only a second one makes a copy.
        match (&first, rest.is_empty()) {
            (None, true) => first = Some(data),
            _ => {
                if let Some(first) = first.take() {
                    rest.reserve(declared.map_or(data.len() + first.len(), |all| all as usize));
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&data);
            }
        }
    }
    Ok((first.unwrap_or_else(|| rest.freeze()), reserved))
}

async fn next_frame(body: &mut Incoming, idle: Duration) -> Result<Option<Frame<Bytes>>, Refused> {
    match tokio::time::timeout(idle, body.frame()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(frame))) => Ok(Some(frame)),
        Ok(Some(Err(error))) => Err(Refused::bad_request(format!(
            "The request's body could not be read: {error}."
        ))),
        Err(_) => Err(Refused::new(
            http::StatusCode::REQUEST_TIMEOUT,
            "invalid_request_error",
            "request_timeout",
            format!(
                "The request's body paused for more than {} ms.",
                idle.as_millis()
            ),
        )),
    }
}
