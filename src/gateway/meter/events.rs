//! The tap on an event stream: passes whole events, strips the usage that only we asked for,
//! and holds the end back until it is charged.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::Progress;
use crate::gateway::conclude::{End, Facts, Written};
use crate::gateway::receipt;
use crate::gateway::refusal::Refused;
use crate::gateway::service::{Counts, Service};
use crate::ledger::hold::Settled;
use crate::price::ImageShape;
use crate::usage::choices::Choices;
use crate::usage::sse::{Event, Scanner};
use crate::usage::stream::{Kind, StreamMeter, splice_cost};

/// Reads a stream along.
pub struct EventTap {
    scanner: Scanner,
    meter: StreamMeter,
    /// The usage chunk, an error of the upstream's, and everything from the end marker on.
    held: Vec<(Kind, Event)>,
    /// Whether the usage chunk is there for our sake only.
    strip_usage: bool,
    /// The end marker came.
    ended: bool,
    /// It was a `[DONE]`: nothing comes after that.
    marked: bool,
    /// The upstream told of an error of its own.
    failed: bool,
    /// Whose events these are.
    service: Service,
    /// The last `sequence_number` that came.
    sequence: Option<u64>,
    /// The texts of several choices, apart.
    choices: Option<Choices>,
    /// Anything but comments came.
    passed: bool,
    /// An event has begun to flow whose end has not come.
    open: bool,
}

/// The most that is held back: a stream that goes on for longer after its end marker is left there.
const HELD_BYTES_MAX: usize = 256 << 10;

impl EventTap {
    /// A tap; `strip_usage` where the client did not ask for the usage chunk, but we did.
    pub fn new(service: Service, choices: u64, strip_usage: bool) -> Self {
        EventTap {
            scanner: Scanner::new(),
            meter: StreamMeter::new(),
            held: Vec::new(),
            strip_usage,
            ended: false,
            marked: false,
            failed: false,
            service,
            sequence: None,
            choices: (service == Service::Chat && choices > 1).then(Choices::default),
            passed: false,
            open: false,
        }
    }

    /// Takes a chunk; whole events before the end leave in one piece.
    pub fn push(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) {
        self.scanner.push(chunk);
        let mut ready = Ready::default();
        while let Some(event) = self.scanner.next() {
            self.take(event, &mut ready);
        }
        if self.held.is_empty()
            && let Some(unfinished) = self.scanner.overflow()
        {
            self.meter.fragment(&unfinished);
            self.open = true;
            ready.add(unfinished);
        }
        out.extend(ready.into_bytes());
    }

    fn take(&mut self, event: Event, ready: &mut Ready) {
        let kind = self.read(&event);
        self.open &= !event.is_tail;
        // What only keeps the connection alive does not show that the answer goes on.
        let idle = !self.held.is_empty() && event.is_comment_only();
        if self.ended || idle || matches!(kind, Kind::UsageOnly | Kind::Error) {
            self.held.push((kind, event));
            return;
        }
        // The answer goes on after what looked like its last chunk: that one was none.
        for (kind, held) in self.held.drain(..) {
            if !(kind == Kind::UsageOnly && self.strip_usage) {
                ready.add(held.bytes);
            }
        }
        ready.add(event.bytes);
    }

    fn read(&mut self, event: &Event) -> Kind {
        let kind = self.meter.event(event);
        self.ended |= kind == Kind::Done;
        self.marked |= kind == Kind::Done && event.is_done();
        self.failed |= kind == Kind::Error;
        if let Some(choices) = &mut self.choices {
            choices.feed(&event.data());
        }
        self.passed = self.passed || (kind != Kind::Error && !event.is_comment_only());
        kind
    }

    /// The id of the response that streams, once it is known.
    pub fn response(&self) -> Option<&str> {
        self.meter.response()
    }

    /// How far the stream is.
    pub fn progress(&self) -> Progress {
        // Usage may follow the end where it is told in a chunk of its own; elsewhere some send a `[DONE]` after the end.
        let may_follow = match self.service.has_stream_options() {
            true => self.meter.usage().is_none(),
            false => !self.marked,
        };
        let kept = self.held_bytes() + self.scanner.pending_len();
        match self.ended {
            // What goes on and on after what looked like its last chunk is left there.
            false if !self.held.is_empty() && kept > 2 * HELD_BYTES_MAX => Progress::Ended,
            // After an error there is no more, mostly.
            false if self.failed && !self.held.is_empty() => Progress::EndedWithoutUsage,
            false => Progress::Flowing,
            true if may_follow && self.held_bytes() <= HELD_BYTES_MAX => {
                Progress::EndedWithoutUsage
            }
            true => Progress::Ended,
        }
    }

    fn held_bytes(&self) -> usize {
        self.held.iter().map(|(_, event)| event.bytes.len()).sum()
    }

    /// Reads what the upstream left unfinished at its end.
    pub fn close(&mut self) {
        if let Some(rest) = self.scanner.finish() {
            let (before, has_begun) = (self.meter.mark(), rest.is_tail);
            let kind = self.read(&rest);
            self.held.push((kind, rest));
            // What a stream that was cut left unfinished reaches nobody, unless its beginning has left already.
            if !has_begun && self.verdict(End::Complete) == End::UpstreamCut {
                self.meter.rewind(before);
            }
        }
    }

    /// A stream that closed without its marker, without a finish and without its usage chunk was
    /// cut, and so was one that says so itself.
    pub fn verdict(&self, end: End) -> End {
        let usage_chunk = self.held.iter().any(|(kind, _)| *kind == Kind::UsageOnly);
        let whole = self.ended
            || usage_chunk
            || self.meter.finish_reason_seen()
            || self.meter.pictures() > 0
            // Nothing is known of its events.
            || self.service == Service::Priced;
        match end {
            End::Complete if self.failed || !whole => End::UpstreamCut,
            end => end,
        }
    }

    /// Whether the upstream told the client of its error itself.
    pub fn told_error(&self) -> bool {
        self.failed
    }

    /// Whether the upstream says that it failed, by an error or by its last event.
    pub fn has_failed(&self) -> bool {
        self.failed || self.meter.error_seen()
    }

    /// What the stream said.
    pub fn facts(&mut self) -> Facts {
        let facts = std::mem::take(&mut self.meter).finish();
        self.sequence = facts.sequence;
        Facts {
            usage: facts.usage,
            items: match self.service.counts() {
                // Sound in events is no text, and a recording may have none.
                Counts::Characters | Counts::Seconds => Some(u64::from(self.passed)),
                // What has shown itself is not nothing, though it was not done.
                Counts::Images if facts.pictures == 0 && facts.previews > 0 => None,
                _ => Some(facts.pictures),
            },
            text: facts.transcript,
            choices: self.choices.take(),
            seconds: facts.seconds,
            search_units: None,
            object: facts.response.map(|id| Written {
                id,
                is_unfinished: false,
            }),
            image: ImageShape::read(facts.size.as_deref(), facts.quality.as_deref()),
            client_gone: false,
        }
    }

    /// What was held back, with the receipt as a comment before the end marker, and as a cost in
    /// the usage chunk of a client that asked for one.
    pub fn tail(
        self,
        settled: Option<&Settled>,
        currency: &str,
        cut: Option<&Refused>,
    ) -> VecDeque<Bytes> {
        let mut ready = Ready::default();
        if self.open && cut.is_some() {
            // What is added must not become a part of the event that the upstream left open.
            ready.add(Bytes::from_static(b"\n\n"));
        }
        let mut comment = settled.map(|settled| receipt::comment(settled, currency));
        for (kind, event) in self.held {
            if kind == Kind::UsageOnly {
                if !self.strip_usage {
                    let member = settled.map(receipt::cost_member);
                    let priced = member.and_then(|member| splice_cost(&event, &member));
                    ready.add(priced.unwrap_or(event.bytes));
                }
                continue;
            }
            // An event that the upstream left unfinished cannot be followed by anything.
            if cut.is_some() && !event.is_whole() {
                continue;
            }
            if let Some(comment) = comment.take() {
                ready.add(comment);
            }
            ready.add(event.bytes);
        }
        if let Some(comment) = comment {
            ready.add(comment);
        }
        if let Some(refused) = cut {
            ready.add(refused.event(self.service, self.sequence));
        }
        ready.into_bytes().into_iter().collect()
    }
}

/// Pieces that leave together: one is passed on as it is, more are joined into one write.
#[derive(Default)]
struct Ready {
    first: Option<Bytes>,
    joined: BytesMut,
}

impl Ready {
    fn add(&mut self, piece: Bytes) {
        if self.first.is_none() && self.joined.is_empty() {
            self.first = Some(piece);
            return;
        }
        if let Some(first) = self.first.take() {
            self.joined.extend_from_slice(&first);
        }
        self.joined.extend_from_slice(&piece);
    }

    fn into_bytes(self) -> Option<Bytes> {
        self.first
            .or_else(|| (!self.joined.is_empty()).then(|| self.joined.freeze()))
            .filter(|bytes| !bytes.is_empty())
    }
}
