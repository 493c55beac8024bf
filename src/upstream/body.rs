//! The body of an upstream's answer: where it comes from, and when it must have ended.

mod decoded;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::error::BodyError;
use super::pool::PooledBody;
use super::simulator::SimulatedBody;
use decoded::Decoded;
pub(super) use decoded::decoded;

/// The body of an upstream's answer. After an error nothing follows.
#[derive(Debug)]
pub struct UpstreamBody {
    source: Source,
    deadline: Option<Deadline>,
    /// Whether it was given up.
    broken: bool,
}

/// Where its bytes come from.
#[derive(Debug)]
pub(super) enum Source {
    /// From the network.
    Http(Box<PooledBody>),
    /// From the simulator.
    Simulated(SimulatedBody),
    /// From either, through a coding.
    Decoded(Box<Decoded>),
}

/// When a body must have ended.
#[derive(Debug)]
struct Deadline {
    at: Instant,
    /// How long that is after the beginning of the try, to be told.
    limit: Duration,
    /// Made when there is something to wait for: most bodies come with their head.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl UpstreamBody {
    /// A body that may take as long as it likes.
    pub(super) fn new(source: Source) -> Self {
        UpstreamBody {
            source,
            deadline: None,
            broken: false,
        }
    }

    /// Breaks off where it has not ended at this time, which is `limit` after the beginning of the try.
    pub(super) fn until(mut self, at: Instant, limit: Duration) -> Self {
        self.deadline = Some(Deadline {
            at,
            limit,
            alarm: None,
        });
        self
    }

    /// The same from another source.
    fn map(self, change: impl FnOnce(Source) -> Source) -> Self {
        UpstreamBody {
            source: change(self.source),
            ..self
        }
    }
}

impl Source {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Source::Http(body) => Pin::new(&mut **body)
                .poll_frame(cx)
                .map_err(|cause| BodyError::new(cause.to_string())),
            Source::Simulated(body) => Pin::new(body).poll_frame(cx),
            Source::Decoded(body) => body.poll(cx),
        }
    }
}

impl Deadline {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let at = self.at;
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        alarm.as_mut().poll(cx).map(|()| self.missed())
    }

    fn missed(&self) -> BodyError {
        BodyError::new(format!("it took longer than {} ms", self.limit.as_millis()))
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.broken {
            return Poll::Ready(None);
        }
        let next = match (this.source.poll(cx), &mut this.deadline) {
            (Poll::Pending, Some(deadline)) => deadline.poll(cx).map(|error| Some(Err(error))),
            // One that never pauses is never waited for.
            (Poll::Ready(Some(Ok(_))), Some(deadline)) if Instant::now() >= deadline.at => {
                Poll::Ready(Some(Err(deadline.missed())))
            }
            (next, _) => next,
        };
        this.broken = matches!(next, Poll::Ready(Some(Err(_))));
        next
    }

    fn is_end_stream(&self) -> bool {
        self.broken
            || match &self.source {
                Source::Http(body) => body.is_end_stream(),
                Source::Simulated(body) => body.is_end_stream(),
                Source::Decoded(body) => body.is_ended(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Http(body) => body.size_hint(),
            Source::Simulated(body) => body.size_hint(),
            Source::Decoded(_) => SizeHint::default(),
        }
    }
}
