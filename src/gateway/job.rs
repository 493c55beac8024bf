//! What a request carries through its exchange with the upstream, until its hold ends.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::budget::Reserved;
use super::followed::Claim;
use super::reservation::Reservation;
use super::service::Service;
use super::splice::Span;
use crate::ledger::hold::IdempotencyClaim;
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
    /// Whether a part of its input is kept at the upstream, where nobody here can count it.
    pub names_objects: bool,
    /// Whether the upstream stores the answer.
    pub stored: bool,
    /// Whether the answer is written after the request was answered.
    pub background: bool,
    /// The client's wish that an answer in the background be charged once, for whoever goes on with it.
    pub idempotency: Option<IdempotencyClaim>,
    /// What was counted here before the answer's end, where it is to be followed.
    pub so_far: Option<SoFar>,
    /// The unfinished answer, once it is noted.
    pub claim: Option<Claim>,
}

/// Tokens that were counted here of an answer that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoFar {
    /// Of the request.
    pub input_tokens: u64,
    /// Of what the customer has seen of the answer.
    pub output_tokens: u64,
}
