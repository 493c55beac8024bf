//! A response body as a script: send this, wait, send that, then end or break off.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::book::Ticket;
use super::script::{Script, Step};
use super::wire::Wire;

/// A body, and the ticket that closes when its last byte has gone.
pub struct AnswerBody {
    script: Script,
    /// The announced length; without one the body is chunked.
    length: Option<u64>,
    wait: Wait,
    paced: Option<Instant>,
    ticket: Option<Ticket>,
    wire: Rc<Wire>,
}

enum Wait {
    Nothing,
    Flush { seen: u64 },
    Sleep(Pin<Box<Sleep>>),
}

// === impl AnswerBody ===

impl AnswerBody {
    pub fn new(
        script: Script,
        length: Option<u64>,
        ticket: Option<Ticket>,
        wire: Rc<Wire>,
    ) -> AnswerBody {
        let mut body = AnswerBody {
            script,
            length,
            wait: Wait::Nothing,
            paced: None,
            ticket,
            wire,
        };
        body.hand_over_if_last();
        body
    }

    /// A body of known length, sent in one go.
    pub fn whole(bytes: Bytes, ticket: Option<Ticket>, wire: Rc<Wire>) -> AnswerBody {
        let length = Some(bytes.len() as u64);
        let script = Script::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()));
        AnswerBody::new(script, length, ticket, wire)
    }

    /// Nothing follows what was just yielded: the next flush ends the request. hyper may drop a body of known
    /// length right here, without polling for its end.
    fn hand_over_if_last(&mut self) {
        if self.script.is_empty()
            && let Some(ticket) = self.ticket.take()
        {
            self.wire.close_on_flush(ticket);
        }
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.wait {
            Wait::Nothing => {}
            Wait::Flush { seen } if self.wire.flushes() == *seen => {
                self.wire.wake_on_flush(cx.waker());
                return Poll::Pending;
            }
            Wait::Flush { .. } => {}
            Wait::Sleep(sleep) => ready!(sleep.as_mut().poll(cx)),
        }
        self.wait = Wait::Nothing;
        Poll::Ready(())
    }

    fn wait_for_flush(&mut self) {
        self.wait = Wait::Flush {
            seen: self.wire.flushes(),
        };
    }

    /// The next beat of the pace, or now if we are late.
    fn wait_for_pace(&mut self, pace: Duration) {
        let now = Instant::now();
        let due = self.paced.unwrap_or(now) + pace;
        self.paced = Some(due.max(now));
        self.wait = Wait::Sleep(Box::pin(sleep_until(due)));
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            ready!(self.poll_wait(cx));
            match self.script.next() {
                Some(Step::Send(bytes)) => {
                    self.hand_over_if_last();
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Pace(pace)) => self.wait_for_pace(pace),
                Some(Step::Flush) => self.wait_for_flush(),
                Some(Step::Cut) => {
                    if let Some(ticket) = self.ticket.take() {
                        ticket.close(self.wire.events());
                    }
                    return Poll::Ready(Some(Err(io::Error::other("cut, as directed"))));
                }
                Some(Step::Hang) => {
                    self.script = Script::Steps(VecDeque::from([Step::Hang]));
                    return Poll::Pending;
                }
                None => return Poll::Ready(None),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    fn is_end_stream(&self) -> bool {
        self.length == Some(0)
    }
}

/// A body dropped with its ticket was left by its client.
impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            ticket.gone(self.wire.events());
        }
    }
}
