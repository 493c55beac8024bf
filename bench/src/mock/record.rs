//! What the oracle says of one request, and of all of them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// How a request ended, seen from the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The whole answer was written to the socket.
    Complete,
    /// The mock killed the connection, as directed.
    Cut,
    /// An error status, an error event, or something that is no answer at all.
    Error,
    /// The client closed the connection before the end.
    ClientGone,
}

/// One request, as `/requests` prints it. Token counts are the true ones, whatever a fault made the answer say.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    pub id: Option<String>,
    pub seq: u64,
    pub path: String,
    pub model: String,
    pub status: u16,
    pub prompt_tokens: u64,
    /// What the whole answer holds, or would have held.
    pub completion_tokens: u64,
    pub cached_tokens: u64,
    pub reasoning_tokens: u64,
    /// Entries that carry an image, delivered only if `outcome` is `complete`.
    pub images: u64,
    pub image_errors: u64,
    pub streamed: bool,
    pub outcome: Outcome,
    /// What left: all of a complete answer, the chunks written of one that ended early.
    pub completion_tokens_sent: u64,
    /// A true usage left with it.
    pub had_usage: bool,
    pub fault: Option<String>,
    pub stream_options: Option<Value>,
    pub max_tokens: Option<u64>,
    pub max_completion_tokens: Option<u64>,
    pub n: Option<u64>,
    /// Milliseconds from the mock's start to the request's arrival, and to its end.
    pub arrived_ms: u64,
    pub ended_ms: u64,
}

/// The sums that `/totals` prints.
///
/// `prompt_tokens` and `completion_tokens` are those of complete answers; the `partial_` ones are of streams that
/// were cut, failed or left after at least one content chunk had been written, and count only what was written.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Totals {
    pub requests: u64,
    pub chat: u64,
    pub images: u64,
    pub complete: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub partial_prompt_tokens: u64,
    pub partial_completion_tokens: u64,
    pub images_delivered: u64,
    pub streams: u64,
    pub cut: u64,
    pub errors: u64,
    pub client_gone: u64,
    pub in_flight: u64,
    /// The most that were in flight at once.
    pub in_flight_max: u64,
    pub records_dropped: u64,
    /// Milliseconds from the mock's start to this answer.
    pub now_ms: u64,
    pub status: BTreeMap<u16, u64>,
}

impl Default for Record {
    fn default() -> Record {
        Record {
            id: None,
            seq: 0,
            path: String::new(),
            model: String::new(),
            status: 0,
            prompt_tokens: 0,
            completion_tokens: 0,
            cached_tokens: 0,
            reasoning_tokens: 0,
            images: 0,
            image_errors: 0,
            streamed: false,
            outcome: Outcome::Complete,
            completion_tokens_sent: 0,
            had_usage: false,
            fault: None,
            stream_options: None,
            max_tokens: None,
            max_completion_tokens: None,
            n: None,
            arrived_ms: 0,
            ended_ms: 0,
        }
    }
}
