//! What reads an answer along, be it an event stream or any other body.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{DocumentTap, EventTap};
use crate::gateway::conclude::{End, Facts};
use crate::gateway::refusal::Refused;
use crate::ledger::hold::Settled;

/// Reads along, and keeps the end back.
pub enum Tap {
    /// An event stream.
    Events(Box<EventTap>),
    /// Any other body, too large or too slow to be held back whole.
    Document(Box<DocumentTap>),
}

impl Tap {
    /// Takes a chunk of the upstream's; what may leave at once goes to `out`.
    pub fn push(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) {
        match self {
            Tap::Events(tap) => tap.push(chunk, out),
            Tap::Document(tap) => tap.push(chunk, out),
        }
    }

    /// Whether the end marker came, and whether the usage did.
    pub fn progress(&self) -> Progress {
        match self {
            Tap::Events(tap) => tap.progress(),
            Tap::Document(_) => Progress::Flowing,
        }
    }

    /// Reads what is left unfinished at the end.
    pub fn close(&mut self) {
        match self {
            Tap::Events(tap) => tap.close(),
            Tap::Document(_) => {}
        }
    }

    /// How it ended, where the bytes themselves say so.
    pub fn verdict(&self, end: End) -> End {
        match self {
            Tap::Events(tap) => tap.verdict(end),
            Tap::Document(_) => end,
        }
    }

    /// Whether the client has already been told of the upstream's failure.
    pub fn told_error(&self) -> bool {
        match self {
            Tap::Events(tap) => tap.told_error(),
            Tap::Document(_) => false,
        }
    }

    /// Whether the upstream says that it failed.
    pub fn has_failed(&self) -> bool {
        match self {
            Tap::Events(tap) => tap.has_failed(),
            Tap::Document(_) => false,
        }
    }

    /// The id of the response that streams, once it is known.
    pub fn response(&self) -> Option<&str> {
        match self {
            Tap::Events(tap) => tap.response(),
            Tap::Document(_) => None,
        }
    }

    /// What it said.
    pub fn facts(&mut self) -> Facts {
        match self {
            Tap::Events(tap) => tap.facts(),
            Tap::Document(tap) => tap.facts(),
        }
    }

    /// What was held back, with the receipt where there is one.
    pub fn tail(
        self,
        settled: Option<&Settled>,
        currency: &str,
        cut: Option<&Refused>,
    ) -> VecDeque<Bytes> {
        match self {
            Tap::Events(tap) => tap.tail(settled, currency, cut),
            Tap::Document(tap) => tap.tail(),
        }
    }
}

/// How far a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More is to come.
    Flowing,
    /// The end came; usage, or a marker, may follow it.
    EndedWithoutUsage,
    /// Everything that matters came.
    Ended,
}
