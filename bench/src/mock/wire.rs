//! One connection's way out, counted: how many stream events the socket has taken, and when all was flushed.
//!
//! hyper buffers what a body yields, so that "yielded" is not "sent". The count is therefore taken where bytes
//! enter the socket: an event is sent once its closing blank line is.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::book::Ticket;

/// What a connection's body and its socket tell each other.
#[derive(Default)]
pub struct Wire {
    counting: Cell<bool>,
    after_newline: Cell<bool>,
    events: Cell<u64>,
    flushes: Cell<u64>,
    waker: RefCell<Option<Waker>>,
    /// The request whose last byte was handed to hyper, but not yet to the socket.
    unflushed: RefCell<Option<Ticket>>,
}

/// The socket, reporting to its [`Wire`].
pub struct CountedIo {
    stream: TcpStream,
    wire: Rc<Wire>,
}

// === impl Wire ===

impl Wire {
    /// A new answer begins; only a stream's events are counted.
    pub fn begin(&self, streamed: bool) {
        self.counting.set(streamed);
        self.after_newline.set(false);
        self.events.set(0);
    }

    /// Events of this answer that the socket has taken whole.
    pub fn events(&self) -> u64 {
        self.events.get()
    }

    /// Grows each time that everything buffered has reached the socket.
    pub fn flushes(&self) -> u64 {
        self.flushes.get()
    }

    /// Wakes `waker` at the next flush.
    pub fn wake_on_flush(&self, waker: &Waker) {
        *self.waker.borrow_mut() = Some(waker.clone());
    }

    /// The answer's last byte was handed over: `ticket` closes as planned when it is flushed, and as a client gone
    /// if the connection dies first.
    pub fn close_on_flush(&self, ticket: Ticket) {
        *self.unflushed.borrow_mut() = Some(ticket);
    }

    fn wrote(&self, bytes: &[u8]) {
        if !self.counting.get() || bytes.is_empty() {
            return;
        }
        let (ended, after_newline) = blank_lines(bytes, self.after_newline.get());
        self.events.set(self.events.get() + ended);
        self.after_newline.set(after_newline);
    }

    fn flushed(&self) {
        self.flushes.set(self.flushes.get() + 1);
        if let Some(ticket) = self.unflushed.borrow_mut().take() {
            ticket.close(self.events());
        }
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// How many `\n\n` end in `bytes`, and whether these end in `\n`. No text of ours holds three newlines in a row.
fn blank_lines(bytes: &[u8], after_newline: bool) -> (u64, bool) {
    let across = u64::from(after_newline && bytes.first() == Some(&b'\n'));
    let pairs = bytes.iter().zip(bytes.iter().skip(1));
    let within = pairs.filter(|(a, b)| **a == b'\n' && **b == b'\n').count();
    (across + within as u64, bytes.last() == Some(&b'\n'))
}

// === impl CountedIo ===

impl CountedIo {
    pub fn new(stream: TcpStream, wire: Rc<Wire>) -> CountedIo {
        CountedIo { stream, wire }
    }
}

impl Drop for CountedIo {
    fn drop(&mut self) {
        if let Some(ticket) = self.wire.unflushed.borrow_mut().take() {
            ticket.gone(self.wire.events());
        }
    }
}

impl AsyncRead for CountedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

/// Not vectored: hyper then gathers small frames into one buffer, so that a burst is exactly one write.
impl AsyncWrite for CountedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(n)) = written {
            self.wire.wrote(&bytes[..n]);
        }
        written
    }

    /// hyper calls this once its own buffer is empty, which is what makes it a report of delivery.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.flushed();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_events_across_every_split() {
        let text = b"data: 1\n\ndata: 2\n\n\r\ndata: [DONE]\n\n";
        for cut in 0..=text.len() {
            let wire = Wire::default();
            wire.begin(true);
            wire.wrote(&text[..cut]);
            wire.wrote(&text[cut..]);
            assert_eq!(wire.events(), 3, "split at {cut}");
        }
    }

    #[test]
    fn an_unfinished_event_is_not_sent() {
        let wire = Wire::default();
        wire.begin(true);
        wire.wrote(b"data: 1\n\ndata: 2\n");
        assert_eq!(wire.events(), 1);
    }

    #[test]
    fn answers_that_are_not_streams_are_not_scanned() {
        let wire = Wire::default();
        wire.begin(false);
        wire.wrote(b"a\n\nb\n\n");
        assert_eq!(wire.events(), 0);
    }
}
