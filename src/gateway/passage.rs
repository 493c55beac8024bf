//! An upstream's body on its way to the client, unmetered: errors, which are never charged.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::upstream::UpstreamBody;

/// A body that was cut short: hyper closes the connection on it.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

pin_project_lite::pin_project! {
    /// What was already read of a body, then the rest of it.
    pub struct Passage {
        head: Option<Bytes>,
        #[pin]
        rest: Option<UpstreamBody>,
    }
}

impl Passage {
    /// `head` first, then `rest`.
    pub fn new(head: Bytes, rest: Option<UpstreamBody>) -> Self {
        Passage {
            head: Some(head).filter(|head| !head.is_empty()),
            rest,
        }
    }
}

impl Body for Passage {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.project();
        if let Some(head) = this.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        let Some(rest) = this.rest.as_pin_mut() else {
            return Poll::Ready(None);
        };
        Poll::Ready(match ready!(rest.poll_frame(cx)) {
            None => None,
            Some(Ok(frame)) if frame.is_trailers() => None,
            Some(Ok(frame)) => Some(Ok(frame)),
            Some(Err(error)) => Some(Err(error.into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.head.is_none() && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let head = self.head.as_ref().map_or(0, Bytes::len) as u64;
        match &self.rest {
            None => SizeHint::with_exact(head),
            Some(rest) => match rest.size_hint().exact() {
                Some(rest) => SizeHint::with_exact(head + rest),
                None => SizeHint::default(),
            },
        }
    }
}
