//! What a request carries through its exchange with the upstream, until its hold ends.

use std::time::Duration;

use bytes::Bytes;

use super::budget::Reserved;
use super::reservation::Reservation;
use super::service::Service;
use super::splice::Span;
use crate::ledger::id::KeyId;
use crate::ledger::key::OnDisconnect;

/// What is needed to conclude a request.
pub struct Job {
    /// The hold.
    pub reservation: Reservation,
    /// What it is for.
    pub service: Service,
    /// The client's body, to be counted if need be.
    pub request_body: Bytes,
    /// The memory that the body takes; given back with the job.
    pub request_memory: Option<Reserved>,
    /// What happens when the client goes.
    pub on_disconnect: OnDisconnect,
    /// How long the upstream may be silent.
    pub idle: Duration,
    /// Whether the client takes trailers.
    pub trailers: bool,
    /// The key that it was sent with.
    pub key: KeyId,
    /// Whether images were asked for as a stream.
    pub streams_images: bool,
    /// How many texts were asked for.
    pub choices: u64,
    /// Where the recording is in the body, if there is one.
    pub recording: Option<Span>,
    /// Whether the upstream stores the answer.
    pub stored: bool,
    /// Whether the answer is written after the request was answered.
    pub background: bool,
}
