//! What can go wrong between the proxy and an upstream. No message holds a key or a URL's secret part.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why no head of an answer came.
#[derive(Debug, Clone, thiserror::Error)]
#[error("upstream `{upstream}` {kind}: {detail}")]
pub struct SendError {
    /// The upstream's name in the config.
    pub upstream: Arc<str>,
    /// What happened.
    pub kind: SendErrorKind,
    /// Whether the upstream may have seen any of the request, and so may be working on it.
    pub sent: bool,
    detail: String,
}

/// What kept the head of an answer away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendErrorKind {
    /// No connection: not found, refused, no TLS, or too slow.
    Connect,
    /// Connected, but no head within the response timeout.
    Timeout,
    /// The connection closed before a whole head.
    Closed,
    /// What came, or what was to be sent, is not HTTP.
    Protocol,
}

/// Why the rest of an answer's body cannot be had: the connection broke, the body is not HTTP or not of the coding
/// that it says, it expands too far, or it took too long.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the upstream's answer broke off: {0}")]
pub struct BodyError(String);

/// Why an upstream cannot be set up as configured.
#[derive(Debug, Clone, thiserror::Error)]
#[error("upstream `{upstream}`: {reason}")]
pub struct SetupError {
    /// The upstream's name in the config.
    pub upstream: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl SendError {
    pub(super) fn new(
        upstream: &Arc<str>,
        kind: SendErrorKind,
        sent: bool,
        detail: impl Into<String>,
    ) -> Self {
        SendError {
            upstream: upstream.clone(),
            kind,
            sent,
            detail: detail.into(),
        }
    }

    /// No head in time. Whether the request had left by then is not known, so it counts as sent.
    pub(super) fn timeout(upstream: &Arc<str>, limit: Duration) -> Self {
        let detail = format!("no answer within {} ms", limit.as_millis());
        SendError::new(upstream, SendErrorKind::Timeout, true, detail)
    }
}

/// An error and all that caused it, each said once.
pub(super) fn causes(error: Option<&(dyn Error + 'static)>) -> String {
    let mut causes = Vec::new();
    let mut next = error;
    while let Some(cause) = next {
        let text = cause.to_string();
        if causes.last() != Some(&text) {
            causes.push(text);
        }
        next = cause.source();
    }
    causes.join(": ")
}

impl fmt::Display for SendErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendErrorKind::Connect => "cannot be connected",
            SendErrorKind::Timeout => "timed out",
            SendErrorKind::Closed => "closed the connection before it answered",
            SendErrorKind::Protocol => "broke the HTTP protocol",
        })
    }
}

impl BodyError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        BodyError(reason.into())
    }

    /// What is wrong, without the sentence around it.
    pub(super) fn into_reason(self) -> String {
        self.0
    }
}

impl SetupError {
    pub(super) fn new(upstream: &str, reason: impl Into<String>) -> Self {
        SetupError {
            upstream: upstream.to_owned(),
            reason: reason.into(),
        }
    }
}
