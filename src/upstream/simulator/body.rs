//! The body of a simulated answer: its parts, their pace, and how it ends.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Interval, MissedTickBehavior};

use crate::upstream::error::BodyError;

/// The body of a simulated answer.
#[derive(Debug)]
pub struct SimulatedBody {
    parts: std::vec::IntoIter<Bytes>,
    /// The first tick is at once.
    pace: Option<Interval>,
    end: End,
    /// What is left of a body whose length is known.
    left: Option<u64>,
}

/// What comes after the last part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The body is complete.
    Whole,
    /// The connection breaks.
    Cut,
    /// Nothing, for ever.
    Stall,
}

impl SimulatedBody {
    /// A body that is there at once.
    pub(super) fn whole(body: Bytes, end: End) -> Self {
        SimulatedBody {
            left: (end == End::Whole).then_some(body.len() as u64),
            parts: vec![body].into_iter(),
            pace: None,
            end,
        }
    }

    /// A body of parts that are there at once, and then an end, or nothing.
    #[cfg(test)]
    pub(in crate::upstream) fn of(parts: Vec<Bytes>, stalls: bool) -> Self {
        let end = if stalls { End::Stall } else { End::Whole };
        SimulatedBody::paced(parts, Duration::ZERO, end)
    }

    /// A body of parts that come one `pace` after another.
    pub(super) fn paced(parts: Vec<Bytes>, pace: Duration, end: End) -> Self {
        let pace = (!pace.is_zero()).then(|| {
            let mut interval = tokio::time::interval(pace);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        SimulatedBody {
            parts: parts.into_iter(),
            pace,
            end,
            left: None,
        }
    }
}

impl Body for SimulatedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.parts.len() > 0
            && let Some(pace) = &mut self.pace
        {
            ready!(pace.poll_tick(cx));
        }
        match (self.parts.next(), self.end) {
            (Some(part), _) => {
                let length = part.len() as u64;
                self.left = self.left.map(|left| left.saturating_sub(length));
                Poll::Ready(Some(Ok(Frame::data(part))))
            }
            (None, End::Whole) => Poll::Ready(None),
            (None, End::Cut) => {
                self.end = End::Whole;
                Poll::Ready(Some(Err(BodyError::new("the simulator cut it"))))
            }
            // Nothing will wake this task: the reader's idle timeout must.
            (None, End::Stall) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.parts.len() == 0 && self.end == End::Whole
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
