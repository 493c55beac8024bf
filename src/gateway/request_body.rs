//! A client's body on its way in, and what becomes of the part that nobody reads, after an early refusal.
//!
//! Over HTTP/1 the next request stands behind it, so the connection must end with it. Over HTTP/2 it
//! stands alone: what still comes is forgotten for a while. Reset at once, with its body half
//! sent, many clients lose the answer, and try again.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

/// How long a refused request may still send before its connection, or its stream, is closed.
pub const LINGER: Duration = Duration::from_secs(5);
/// How long it may pause meanwhile.
pub const LINGER_PAUSE: Duration = Duration::from_secs(1);

/// Whether the body of an HTTP/1 connection's last request was left unread.
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
    /// There until it is dropped.
    inner: Option<Incoming>,
    unread: Option<Unread>,
}

impl RequestBody {
    /// A body of HTTP/1, which tells `unread` when its end is reached.
    pub fn in_line(inner: Incoming, unread: Unread) -> Self {
        let left = !inner.is_end_stream();
        let body = RequestBody {
            inner: Some(inner),
            unread: Some(unread),
        };
        body.note(left);
        body
    }

    /// A body of HTTP/2, whose unread part is read and forgotten for a while in a task of its own.
    pub fn alone(inner: Incoming) -> Self {
        RequestBody {
            inner: Some(inner),
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
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(&mut *inner).poll_frame(cx));
        let left = frame.is_some() && !inner.is_end_stream();
        self.note(left);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let rest = self.inner.take().filter(|rest| !rest.is_end_stream());
        let (Some(rest), None) = (rest, &self.unread) else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(timeout(LINGER, forget(rest)));
        }
    }
}

/// Reads until the end, or until nothing comes for a while.
async fn forget(mut rest: Incoming) {
    while let Ok(Some(Ok(_))) = timeout(LINGER_PAUSE, rest.frame()).await {}
}
