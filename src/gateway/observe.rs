//! What is noted of every request, for logs and metrics: who asked, for what, how it ended, how long it took.
//!
//! Nothing in here is a prompt, an answer or a secret. What clients wrote is in [`Observed::message`] only.

mod record;
#[cfg(not(feature = "otel"))]
#[path = "observe/no_trace.rs"]
mod trace;
#[cfg(feature = "otel")]
mod trace;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::refusal::Code;
use crate::ledger::id::RequestId;
use crate::ledger::key::Key;
use crate::ledger::receipt::Receipt;
use crate::money::Nano;
use crate::upstream::SendErrorKind;

pub use record::{Attempt, Record};

/// The endpoint of requests whose path is not served.
pub const OTHER: &str = "other";
/// The endpoints of probes, which come every few seconds and mean nothing.
pub const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Is told of every request that ended, for those who watch.
pub trait Observer: Send + Sync {
    /// A request ended. Called once for each, by the task that ended it: it must not block.
    fn ended(&self, request: &Observed);
}

/// One request, as it was when it ended.
#[derive(Debug)]
pub struct Observed {
    /// The proxy's own name for it.
    pub request: RequestId,
    /// Where it came from.
    pub client: IpAddr,
    /// Its method; `other` where that is none of HTTP's own.
    pub method: &'static str,
    /// The path that was called, without `/v1`, where it is served; else [`OTHER`].
    pub endpoint: &'static str,
    /// Whose key it was sent with; `None` where that is not known.
    pub key: Option<Arc<Key>>,
    /// The model, by canonical id; `None` where it is unknown.
    pub model: Option<Arc<str>>,
    /// The money that was reserved; `None` where nothing was held.
    pub hold: Option<Nano>,
    /// Who was asked last.
    pub upstream: Option<Arc<str>>,
    /// How often an upstream was asked.
    pub attempts: u32,
    /// What became of the last attempt, once that is known.
    pub last: Option<Outcome>,
    /// Whether the answer was a stream.
    pub streamed: bool,
    /// The status that was sent; 499 where nobody was there, 503 where the process ended first, 500 after a panic.
    pub status: u16,
    /// The error that the client was told of, in the body or in the stream.
    pub code: Option<Code>,
    /// That error in words. It can quote what the client wrote.
    pub message: Option<String>,
    /// What it was charged, where it was, and the balance after it.
    pub settled: Option<(Arc<Receipt>, Nano)>,
    /// Whether its hold ended without a charge although an upstream answered.
    pub uncharged: bool,
    /// When things happened.
    pub times: Times,
}

/// The moments of a request. Those that it did not reach are `None`.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Its head was read.
    pub begun: Instant,
    /// Its body was read.
    pub read: Option<Instant>,
    /// It left for an upstream, first.
    pub sent: Option<Instant>,
    /// The head of the last upstream's answer came.
    pub head: Option<Instant>,
    /// The first byte of a stream came.
    pub first_byte: Option<Instant>,
    /// The last byte of the upstream's answer came.
    pub upstream_ended: Option<Instant>,
    /// The ledger had booked the charge.
    pub settled: Option<Instant>,
    /// It ended: its answer left, or, with a stream, the end of it was free to leave.
    pub ended: Instant,
}

/// What became of one attempt at an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A head came, with this status.
    Answered(u16),
    /// A head came, with this status, and refuses the operator's own credential or account.
    OperatorFault(u16),
    /// No head came.
    Failed(SendErrorKind),
    /// Nobody waited for it any longer.
    Abandoned,
}

impl Times {
    /// From the first attempt to the last byte from upstream, retries included.
    pub fn upstream(&self) -> Option<Duration> {
        Some(self.upstream_ended?.duration_since(self.sent?))
    }

    /// From the client's last byte to the first of the stream.
    pub fn first_byte(&self) -> Option<Duration> {
        Some(self.first_byte?.duration_since(self.read?))
    }

    /// What Tollgate itself took: from the client's last byte to the first attempt, and from the upstream's
    /// last byte to the booked charge. Its work on the chunks of a stream is not in it.
    pub fn added(&self) -> Option<Duration> {
        let before = self.sent?.duration_since(self.read?);
        let after = self.settled?.duration_since(self.upstream_ended?);
        Some(before + after)
    }

    /// From the head of the request to its end.
    pub fn total(&self) -> Duration {
        self.ended.duration_since(self.begun)
    }
}

impl Observed {
    /// Why an upstream gave its client no answer, in a word: one of [`Outcome::WORDS`], or `answer` where one
    /// began that broke off or could not be metered.
    pub fn reason(&self) -> Option<&'static str> {
        if self.code != Some(Code::UpstreamUnavailable) {
            return None;
        }
        Some(match self.last? {
            Outcome::Answered(_) => "answer",
            other => Outcome::WORDS[other.index()],
        })
    }
}

impl Outcome {
    /// What they are called.
    pub const WORDS: [&'static str; 10] = [
        "1xx",
        "2xx",
        "3xx",
        "4xx",
        "5xx",
        "connect",
        "timeout",
        "closed",
        "abandoned",
        "operator_fault",
    ];

    /// Which of [`Outcome::WORDS`] it is. What broke the protocol counts as closed.
    pub fn index(self) -> usize {
        match self {
            Outcome::Answered(status) => usize::from(status / 100).clamp(1, 5) - 1,
            Outcome::Failed(SendErrorKind::Connect) => 5,
            Outcome::Failed(SendErrorKind::Timeout) => 6,
            Outcome::Failed(SendErrorKind::Closed | SendErrorKind::Protocol) => 7,
            Outcome::Abandoned => 8,
            Outcome::OperatorFault(_) => 9,
        }
    }

    /// The status of the head that came.
    pub fn status(self) -> Option<u16> {
        match self {
            Outcome::Answered(status) | Outcome::OperatorFault(status) => Some(status),
            Outcome::Failed(_) | Outcome::Abandoned => None,
        }
    }
}
