//! The metered body: an answer on its way to the client, whose end leaves only after it is charged.
//!
//! It passes bytes through a [`Tap`], which reads along and holds the end back. When the
//! upstream ends, the request is concluded, and the held end leaves with the receipt. Dropped
//! early (the client went), it goes on in a task until the hold has ended.

mod document;
mod events;
mod flow;
mod tap;

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::Frame;

use super::job::Job;
use super::passage::BodyError;
use crate::upstream::UpstreamBody;

pub use document::DocumentTap;
pub use events::EventTap;
use flow::Flow;
pub use tap::{Progress, Tap};

/// An answer under way.
pub struct MeteredBody {
    state: State,
    out: VecDeque<Bytes>,
}

enum State {
    Flowing(Box<Flow>),
    Concluding(BoxFuture<'static, Concluded>),
    Trailers(http::HeaderMap),
    /// What was written leaves first, then the body breaks off for this reason.
    Breaking {
        reason: &'static str,
        flushed: bool,
    },
    Ended,
}

/// What is left to send.
struct Concluded {
    tail: VecDeque<Bytes>,
    trailers: Option<http::HeaderMap>,
    /// Why the body must break off after the tail instead of ending.
    abort: Option<&'static str>,
}

impl MeteredBody {
    /// Meters `upstream`, whose first bytes `head` were read already.
    pub fn new(upstream: UpstreamBody, head: Bytes, mut tap: Tap, job: Box<Job>) -> Self {
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
                    self.out = concluded.tail;
                    if let Some(reason) = concluded.abort {
                        self.state = State::Breaking {
                            reason,
                            flushed: false,
                        };
                        continue;
                    }
                    if let Some(trailers) = concluded.trailers {
                        self.state = State::Trailers(trailers);
                    }
                }
                State::Trailers(trailers) => {
                    let trailers = std::mem::take(trailers);
                    self.state = State::Ended;
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                State::Breaking { reason, flushed } => {
                    // An error drops what its connection has not written yet: that gets a turn before.
                    if !std::mem::replace(flushed, true) {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    let reason = *reason;
                    self.state = State::Ended;
                    return Poll::Ready(Some(Err(reason.into())));
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
            State::Trailers(_) | State::Breaking { .. } | State::Ended => return,
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(work);
        }
    }
}
