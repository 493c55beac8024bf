//! The metered body: an answer on its way to the client, whose end leaves only after it is charged.
//!
//! It passes bytes through a [`Tap`], which reads along and holds the end back. When the
//! upstream ends, the request is concluded, and the held end leaves with the receipt. Dropped
//! early (the client went), it goes on in a task until the hold has ended.

mod document;
mod events;
mod flow;

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::Frame;

use super::conclude::{End, Facts};
use super::job::Job;
use super::passage::BodyError;
use super::refusal::Refused;
use crate::ledger::hold::Settled;
use crate::upstream::UpstreamBody;

pub use document::DocumentTap;
pub use events::EventTap;
use flow::Flow;

/// Reads along, and keeps the end back.
pub enum Tap {
    /// An event stream.
    Events(Box<EventTap>),
    /// Any other body, too large or too slow to be held back whole.
    Document(Box<DocumentTap>),
}

impl Tap {
    /// Takes a chunk of the upstream's; what may leave at once goes to `out`.
    fn push(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) {
        match self {
            Tap::Events(tap) => tap.push(chunk, out),
            Tap::Document(tap) => tap.push(chunk, out),
        }
    }

    /// Whether the end marker came, and whether the usage did.
    fn progress(&self) -> Progress {
        match self {
            Tap::Events(tap) => tap.progress(),
            Tap::Document(_) => Progress::Flowing,
        }
    }

    /// Reads what is left unfinished at the end.
    fn close(&mut self) {
        match self {
            Tap::Events(tap) => tap.close(),
            Tap::Document(_) => {}
        }
    }

    /// How it ended, where the bytes themselves say so.
    fn verdict(&self, end: End) -> End {
        match self {
            Tap::Events(tap) => tap.verdict(end),
            Tap::Document(_) => end,
        }
    }

    /// Whether the client has already been told of the upstream's failure.
    fn told_error(&self) -> bool {
        match self {
            Tap::Events(tap) => tap.told_error(),
            Tap::Document(_) => false,
        }
    }

    /// The id of the response that streams, once it is known.
    fn response(&self) -> Option<&str> {
        match self {
            Tap::Events(tap) => tap.response(),
            Tap::Document(_) => None,
        }
    }

    fn facts(&mut self) -> Facts {
        match self {
            Tap::Events(tap) => tap.facts(),
            Tap::Document(tap) => tap.facts(),
        }
    }

    /// What was held back, with the receipt where there is one.
    fn tail(
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

/// An answer under way.
pub struct MeteredBody {
    state: State,
    out: VecDeque<Bytes>,
}

enum State {
    Flowing(Box<Flow>),
    Concluding(BoxFuture<'static, Concluded>),
    Trailers(http::HeaderMap),
    Ended,
}

/// What is left to send.
struct Concluded {
    tail: VecDeque<Bytes>,
    trailers: Option<http::HeaderMap>,
    /// Why the body must break off instead of ending.
    abort: Option<&'static str>,
}

impl MeteredBody {
    /// Meters `upstream`, whose first bytes `head` were read already.
    pub fn new(upstream: UpstreamBody, head: Bytes, mut tap: Tap, job: Job) -> Self {
        let mut out = VecDeque::new();
        if !head.is_empty() {
            tap.push(head, &mut out);
        }
        let flow = Flow::new(upstream, tap, job);
        MeteredBody {
            state: State::Flowing(Box::new(flow)),
            out,
        }
    }

    /// Whether everything was sent.
    pub fn is_ended(&self) -> bool {
        self.out.is_empty() && matches!(self.state, State::Ended)
    }

    /// The next frame for the client.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let State::Flowing(flow) = &mut self.state {
                ready!(flow.poll_noting(cx));
            }
            if let Some(bytes) = self.out.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            match &mut self.state {
                State::Flowing(flow) => {
                    let Some(end) = ready!(flow.poll(cx, &mut self.out)) else {
                        continue;
                    };
                    if let State::Flowing(flow) = std::mem::replace(&mut self.state, State::Ended) {
                        self.state = State::Concluding(Box::pin(flow.conclude(end, false)));
                    }
                }
                State::Concluding(_) => {
                    let concluded = ready!(self.poll_conclusion(cx));
                    if let Some(reason) = concluded.abort {
                        return Poll::Ready(Some(Err(reason.into())));
                    }
                    self.out = concluded.tail;
                    if let Some(trailers) = concluded.trailers {
                        self.state = State::Trailers(trailers);
                    }
                }
                State::Trailers(trailers) => {
                    let trailers = std::mem::take(trailers);
                    self.state = State::Ended;
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }

    /// Taken out while it runs: a conclusion that panics is not to be polled again by anyone.
    fn poll_conclusion(&mut self, cx: &mut Context<'_>) -> Poll<Concluded> {
        let State::Concluding(mut work) = std::mem::replace(&mut self.state, State::Ended) else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.state = State::Concluding(work);
        }
        polled
    }
}

impl Drop for MeteredBody {
    fn drop(&mut self) {
        let work: BoxFuture<'static, ()> = match std::mem::replace(&mut self.state, State::Ended) {
            State::Flowing(flow) => Box::pin(flow.finish_alone()),
            State::Concluding(work) => Box::pin(async move { drop(work.await) }),
            State::Trailers(_) | State::Ended => return,
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(work);
        }
    }
}
