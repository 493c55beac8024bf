//! Streams of HTTP/2 connections whose client opens no window: such a client is gone, like one
//! that takes nothing from its socket.
//!
//! hyper takes a piece of an answer's body, and polls the body again when the client's window had
//! room for it. So the body cannot see that it waits, and the socket does not: other streams may
//! flow. Here each stream's future, which hyper hands to its executor, is polled by a [`Guarded`],
//! which looks at what the stream's body was asked for meanwhile. A stream that takes no further
//! piece for too long is dropped: the client gets a reset, and the body sees its client go.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Instant, Sleep};

use crate::gateway::client_body::ClientBody;
use crate::gateway::passage::BodyError;
use crate::workers::spread;

/// The largest piece of an answer that is handed over at once, in bytes: a DATA frame's usual size.
const PIECE_BYTES: usize = 16 << 10;

thread_local! {
    /// Of the stream that is being polled on this thread.
    static TAKEN: Cell<Taken> = const { Cell::new(Taken { polls: 0, waits: false }) };
}

/// What was taken of a stream's body.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Taken {
    /// How often a piece was asked for.
    polls: u64,
    /// Whether the last piece still waits for a window.
    waits: bool,
}

/// The streams of one connection, and hyper's way to run them.
#[derive(Clone)]
pub(super) struct Streams {
    stall: Duration,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Streams {
    /// Streams that may take nothing for as long as `stall`.
    pub fn new(stall: Duration) -> Self {
        Streams {
            stall,
            counts: Arc::default(),
        }
    }

    /// Resolves once, for `patience` or up to twice that, no stream was open and none came. Safe to drop.
    pub async fn idle(&self, patience: Duration) {
        loop {
            // In this order: what ended has begun before.
            let ended = self.counts.ended.load(Ordering::Acquire);
            let before = self.counts.begun.load(Ordering::Acquire);
            tokio::time::sleep(patience).await;
            if before == ended && before == self.counts.begun.load(Ordering::Acquire) {
                return;
            }
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.counts.begun.fetch_add(1, Ordering::AcqRel);
        // A gateway may send all it has over one connection.
        spread(Guarded {
            stream,
            limit: self.stall,
            taken: Taken::default(),
            timer: tokio::time::sleep(self.stall),
            counted: Counted(Arc::clone(&self.counts)),
        });
    }
}

/// Counts a stream out when it ends, however it ends.
struct Counted(Arc<Counts>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::AcqRel);
    }
}

pin_project_lite::pin_project! {
    /// A stream that ends when its client takes nothing for `limit`.
    struct Guarded<F> {
        #[pin]
        stream: F,
        limit: Duration,
        taken: Taken,
        #[pin]
        timer: Sleep,
        counted: Counted,
    }
}

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        TAKEN.set(*this.taken);
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let before = std::mem::replace(this.taken, TAKEN.get());
        if !this.taken.waits {
            return Poll::Pending;
        }
        if *this.taken != before {
            this.timer.as_mut().reset(Instant::now() + *this.limit);
        }
        ready!(this.timer.poll(cx));
        tracing::debug!("a stream was given up: its client takes nothing");
        Poll::Ready(())
    }
}

/// An answer's body on its way into a stream, in pieces, so that each can be seen to be taken.
pub(super) struct StreamBody {
    inner: ClientBody,
    rest: Bytes,
}

impl StreamBody {
    /// The body `inner`.
    pub fn new(inner: ClientBody) -> Self {
        StreamBody {
            inner,
            rest: Bytes::new(),
        }
    }

    fn piece(&mut self) -> Bytes {
        if self.rest.len() > PIECE_BYTES {
            return self.rest.split_to(PIECE_BYTES);
        }
        std::mem::take(&mut self.rest)
    }

    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.rest.is_empty() {
            let piece = self.piece();
            // The last piece can wait for its window when this body is gone. It must not keep
            // all of a large answer in memory meanwhile.
            let last = self.rest.is_empty();
            let piece = if last {
                Bytes::copy_from_slice(&piece)
            } else {
                piece
            };
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(Ok(match frame.into_data() {
                Ok(data) => {
                    self.rest = data;
                    Frame::data(self.piece())
                }
                Err(trailers) => trailers,
            })),
            other => other,
        })
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = self.poll_piece(cx);
        let before = TAKEN.get();
        TAKEN.set(Taken {
            polls: before.polls + 1,
            waits: matches!(&polled, Poll::Ready(Some(Ok(frame))) if frame.is_data()),
        });
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() {
            self.inner.size_hint()
        } else {
            SizeHint::default()
        }
    }
}
