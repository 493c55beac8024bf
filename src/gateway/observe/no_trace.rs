//! Without the feature `otel` there are no traces, and this is nothing: a client's own trace context goes upstream
//! as it came.

use http::HeaderMap;

use super::{Observed, Outcome};

/// No span of a request.
pub struct Trace;

/// No span of an attempt.
pub struct AttemptTrace;

impl Trace {
    /// Nothing begins.
    pub fn begin(_headers: &HeaderMap) -> Self {
        Trace
    }

    /// Nothing begins, and the headers stay as they are.
    pub fn attempt(&self, _upstream: &str, _headers: &mut HeaderMap) -> AttemptTrace {
        AttemptTrace
    }

    /// Nothing ends.
    pub fn end(&self, _request: &Observed) {}
}

impl AttemptTrace {
    /// Nothing ends.
    pub fn end(&self, _outcome: Outcome) {}
}
