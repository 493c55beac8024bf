//! A client's socket that does not wait for ever: a client that takes no byte for too long is gone.
//!
//! A body cannot see this itself: while the socket is full, hyper does not poll it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

pin_project_lite::pin_project! {
    /// A TCP stream whose writes fail once the peer has taken nothing for `limit`.
    pub struct ClientSocket {
        stream: TcpStream,
        limit: Duration,
        stalled: bool,
        #[pin]
        timer: Sleep,
    }
}

impl ClientSocket {
    /// Wraps an accepted stream.
    pub fn new(stream: TcpStream, limit: Duration) -> Self {
        ClientSocket {
            stream,
            limit,
            stalled: false,
            timer: tokio::time::sleep(limit),
        }
    }

    /// Passes a write's outcome on, starting the timer when it first blocks.
    fn watch<T>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut this = self.project();
        if outcome.is_ready() {
            *this.stalled = false;
            return outcome;
        }
        if !*this.stalled {
            *this.stalled = true;
            this.timer.as_mut().reset(Instant::now() + *this.limit);
        }
        match this.timer.poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client takes nothing",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.project().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut *self.as_mut().project().stream).poll_write(cx, buf);
        self.watch(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut *self.as_mut().project().stream).poll_write_vectored(cx, bufs);
        self.watch(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.as_mut().project().stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.as_mut().project().stream).poll_shutdown(cx)
    }
}
