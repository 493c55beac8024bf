//! A client's body on its way in, and whether all of it was read: over HTTP/1 the next request stands behind it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// Whether the body of an HTTP/1 connection's last request was left unread, as an early refusal does.
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
    unread: Option<Unread>,
}

impl RequestBody {
    /// A body with other requests behind it: it tells `unread` when its end is reached.
    pub fn in_line(inner: Incoming, unread: Unread) -> Self {
        let body = RequestBody {
            inner,
            unread: Some(unread),
        };
        body.note(!body.inner.is_end_stream());
        body
    }

    /// A body that nothing stands behind: a stream of HTTP/2.
    pub fn alone(inner: Incoming) -> Self {
        RequestBody {
            inner,
            unread: None,
        }
    }

    fn note(&self, left: bool) {
        if let Some(unread) = &self.unread {
            unread.0.store(left, Ordering::Relaxed);
        }
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
        self.note(frame.is_some() && !self.inner.is_end_stream());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
