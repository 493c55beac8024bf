//! Reading a client's body within its bounds.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use http_body_util::BodyExt;

use super::budget::{Budget, Reserved};
use super::refusal::{Code, Refused};
use super::request_body::RequestBody;

/// How a request's body may come in.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most bytes.
    pub bytes: u64,
    /// How long it may pause.
    pub idle: Duration,
}

/// A body up to this size is copied out of what the connection read it into, which then has room for what comes next.
const COPIED_BYTES_MAX: usize = 4096;
/// A body that comes slower than this, after the time that it may pause, is given up.
const RATE_MIN_BYTES_PER_S: u64 = 1024;

/// Reads a request's whole body. Its bytes are reserved from `memory` as they come, and before they are kept:
/// a length that is only declared takes no room from those who send theirs.
///
/// **Cancellation**: dropping it gives the reservation back.
pub async fn read(
    headers: &HeaderMap,
    mut body: RequestBody,
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
    let mut reserved = memory.reserve(0).map_err(full)?;
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let begun = Instant::now();
    while let Some(frame) = next_frame(&mut body, bounds.idle).await? {
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = (first.as_ref().map_or(0, Bytes::len) + rest.len() + data.len()) as u64;
        if length > bounds.bytes {
            return Err(too_large());
        }
        reserved.grow_to(length).map_err(full)?;
        let patience = bounds.idle + Duration::from_secs(length / RATE_MIN_BYTES_PER_S);
        if begun.elapsed() > patience {
            return Err(too_slow(format!(
                "The request's body came at less than {RATE_MIN_BYTES_PER_S} bytes a second."
            )));
        }
        // A body that came in one piece is kept as that piece; only a second one makes a copy.
        match (&first, rest.is_empty()) {
            (None, true) => first = Some(data),
            _ => {
                if let Some(first) = first.take() {
                    rest.reserve(data.len() + first.len());
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&data);
            }
        }
    }
    let body = match first {
        Some(small) if small.len() <= COPIED_BYTES_MAX => Bytes::copy_from_slice(&small),
        Some(whole) => whole,
        None => rest.freeze(),
    };
    Ok((body, reserved))
}

async fn next_frame(
    body: &mut RequestBody,
    idle: Duration,
) -> Result<Option<Frame<Bytes>>, Refused> {
    match tokio::time::timeout(idle, body.frame()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(frame))) => Ok(Some(frame)),
        Ok(Some(Err(error))) => Err(Refused::bad_request(format!(
            "The request's body could not be read: {error}."
        ))),
        Err(_) => Err(too_slow(format!(
            "The request's body paused for more than {} ms.",
            idle.as_millis()
        ))),
    }
}

fn too_slow(message: String) -> Refused {
    let status = http::StatusCode::REQUEST_TIMEOUT;
    Refused::new(
        status,
        "invalid_request_error",
        Code::RequestTimeout,
        message,
    )
}
