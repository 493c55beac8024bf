//! A client's body on its way in, and whether all of it was read.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// Whether the body of a connection's last request was left unread, as an early refusal does.
#[derive(Clone, Debug, Default)]
pub struct Unread(Arc<AtomicBool>);

impl Unread {
    /// Whether it was.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A request's body as it comes in.
pub struct RequestBody {
    inner: Incoming,
    unread: Unread,
}

impl RequestBody {
    /// The body `inner`, which tells `unread` when its end is reached.
    pub fn new(inner: Incoming, unread: Unread) -> Self {
        let body = RequestBody { inner, unread };
        body.note();
        body
    }

    fn note(&self) {
        let unread = !self.inner.is_end_stream();
        self.unread.0.store(unread, Ordering::Relaxed);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match frame {
            None => self.unread.0.store(false, Ordering::Relaxed),
            Some(_) => self.note(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
