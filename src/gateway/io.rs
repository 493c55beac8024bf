//! A client's socket that does not wait for ever: a client that takes no byte for too long is gone.
//!
//! A body cannot see this itself: while the socket is full, hyper does not poll it.
//!
//! After an early refusal it closes in two steps. Closed at once, with bytes of the request unread,
//! the kernel would reset the connection, and many clients lose the answer by that, and try again.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::request_body::{LINGER, LINGER_PAUSE, Unread};

const LINGER_BUFFER_BYTES: usize = 8 * 1024;

pin_project_lite::pin_project! {
    /// A TCP stream whose writes fail once the peer has taken nothing for `limit`.
    pub struct ClientSocket {
        stream: TcpStream,
        limit: Duration,
        stalled: bool,
        unread: Unread,
        lingers_until: Option<Instant>,
        #[pin]
        timer: Sleep,
    }
}

impl ClientSocket {
    /// Wraps an accepted stream.
    pub fn new(stream: TcpStream, limit: Duration, unread: Unread) -> Self {
        ClientSocket {
            stream,
            limit,
            stalled: false,
            unread,
            lingers_until: None,
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

    /// Reads and forgets what still comes; ready when that ends, or lasts too long.
    fn poll_linger(self: Pin<&mut Self>, cx: &mut Context<'_>, until: Instant) -> Poll<()> {
        let mut this = self.project();
        let mut buffer = [0; LINGER_BUFFER_BYTES];
        loop {
            let now = Instant::now();
            let mut read = ReadBuf::new(&mut buffer);
            match Pin::new(&mut *this.stream).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() && now < until => {
                    this.timer.as_mut().reset(until.min(now + LINGER_PAUSE));
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return this.timer.poll(cx),
            }
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
        let mut this = self.as_mut().project();
        let until = match *this.lingers_until {
            Some(until) => until,
            None => {
                ready!(Pin::new(&mut *this.stream).poll_shutdown(cx))?;
                if !this.unread.is_set() {
                    return Poll::Ready(Ok(()));
                }
                let now = Instant::now();
                this.timer.as_mut().reset(now + LINGER_PAUSE);
                *this.lingers_until.insert(now + LINGER)
            }
        };
        self.poll_linger(cx, until).map(Ok)
    }
}
