//! The oracle's count: what each request got, and the totals of it all.
//!
//! Every request holds a [`Ticket`] from its arrival on. A ticket closes exactly once: as planned when its last byte
//! was flushed, or as `client_gone` when it is dropped before.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use super::record::{Outcome, Record, Totals};
use bytes::Bytes;
use hyper::HeaderMap;

/// A ticket's knowledge of its answer, filled in while the answer is planned.
#[derive(Debug, Default, Clone, Copy)]
pub struct Plan {
    /// Content chunks that the stream will write before it ends, whole or not.
    pub chunks: u64,
    /// The event that carries usage is the one of this number.
    pub usage_event: Option<u64>,
}

/// All that the mock remembers.
pub struct Book {
    pub totals: Totals,
    pub records: VecDeque<Record>,
    /// The head and the body of the last request, for tests of what a proxy passes on.
    pub last: (HeaderMap, Bytes),
    keep: usize,
    print: bool,
    next: u64,
    /// Grows at a reset: tickets opened before it no longer count.
    epoch: u64,
    started: Instant,
}

/// A request in flight.
pub struct Ticket {
    book: Rc<RefCell<Book>>,
    epoch: u64,
    open: bool,
    pub record: Record,
    pub plan: Plan,
}

// === impl Book ===

impl Book {
    pub fn new(keep: usize, print: bool) -> Rc<RefCell<Book>> {
        let last = (HeaderMap::new(), Bytes::new());
        let (totals, records) = (Totals::default(), VecDeque::new());
        Rc::new(RefCell::new(Book {
            totals,
            records,
            last,
            keep,
            print,
            next: 0,
            epoch: 0,
            started: Instant::now(),
        }))
    }

    /// The sums as they are at this moment.
    pub fn totals(&self) -> Totals {
        let now_ms = self.now_ms();
        let totals = self.totals.clone();
        Totals { now_ms, ..totals }
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Forgets everything; what is still in flight will not be counted.
    pub fn reset(&mut self) {
        self.totals = Totals::default();
        self.records.clear();
        self.epoch += 1;
    }

    fn open(&mut self, path: &str) -> u64 {
        self.totals.requests += 1;
        self.totals.in_flight += 1;
        self.totals.in_flight_max = self.totals.in_flight_max.max(self.totals.in_flight);
        self.totals.chat += u64::from(path.ends_with("/chat/completions"));
        self.totals.images += u64::from(path.ends_with("/images/generations"));
        self.next += 1;
        self.next
    }

    fn close(&mut self, record: Record) {
        let totals = &mut self.totals;
        totals.in_flight -= 1;
        totals.streams += u64::from(record.streamed);
        match record.outcome {
            Outcome::Complete => totals.complete += 1,
            Outcome::Cut => totals.cut += 1,
            Outcome::Error => totals.errors += 1,
            Outcome::ClientGone => totals.client_gone += 1,
        }
        if record.status != 0 {
            *totals.status.entry(record.status).or_default() += 1;
        }
        if record.outcome == Outcome::Complete {
            totals.prompt_tokens += record.prompt_tokens;
            totals.completion_tokens += record.completion_tokens;
            totals.images_delivered += record.images;
        } else if record.completion_tokens_sent > 0 {
            totals.partial_prompt_tokens += record.prompt_tokens;
            totals.partial_completion_tokens += record.completion_tokens_sent;
        }
        if self.print {
            eprintln!("{}", serde_json::to_string(&record).unwrap_or_default());
        }
        if self.records.len() >= self.keep && self.records.pop_front().is_some() {
            self.totals.records_dropped += 1;
        }
        if self.keep > 0 {
            self.records.push_back(record);
        }
    }
}

// === impl Ticket ===

impl Ticket {
    /// A request has arrived; `record` is what is known of it.
    pub fn open(book: &Rc<RefCell<Book>>, mut record: Record) -> Ticket {
        record.seq = book.borrow_mut().open(&record.path);
        record.arrived_ms = book.borrow().now_ms();
        let epoch = book.borrow().epoch;
        Ticket {
            book: Rc::clone(book),
            epoch,
            open: true,
            record,
            plan: Plan::default(),
        }
    }

    /// The answer ended as planned, with `events` of its stream written.
    pub fn close(mut self, events: u64) {
        self.count(events);
    }

    /// The client left when `events` of the stream had been written.
    pub fn gone(mut self, events: u64) {
        self.record.outcome = Outcome::ClientGone;
        self.count(events);
    }

    /// The first event names the role; each of the next `plan.chunks` holds one token.
    fn count(&mut self, events: u64) {
        self.open = false;
        let record = &mut self.record;
        record.ended_ms = self.book.borrow().now_ms();
        if record.streamed {
            record.completion_tokens_sent = events.saturating_sub(1).min(self.plan.chunks);
            record.had_usage = self.plan.usage_event.is_some_and(|event| events >= event);
        } else if record.outcome == Outcome::Complete {
            record.completion_tokens_sent = record.completion_tokens;
        } else {
            record.had_usage = false;
        }
        let mut book = self.book.borrow_mut();
        if book.epoch == self.epoch {
            book.close(record.clone());
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.open {
            self.record.outcome = Outcome::ClientGone;
            self.count(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(book: &Rc<RefCell<Book>>) -> Ticket {
        let record = Record {
            prompt_tokens: 10,
            completion_tokens: 5,
            streamed: true,
            ..Record::default()
        };
        let mut ticket = Ticket::open(book, record);
        ticket.plan = Plan {
            chunks: 5,
            usage_event: Some(8),
        };
        ticket
    }

    #[test]
    fn a_dropped_ticket_is_a_client_gone_and_counts_nothing_sent() {
        let book = Book::new(10, false);
        drop(ticket(&book));
        let book = book.borrow();
        assert_eq!((book.totals.client_gone, book.totals.in_flight), (1, 0));
        assert_eq!(
            (
                book.totals.partial_prompt_tokens,
                book.totals.partial_completion_tokens
            ),
            (0, 0)
        );
    }

    #[test]
    fn a_stream_left_early_counts_what_was_written() {
        let book = Book::new(10, false);
        ticket(&book).gone(4);
        let book = book.borrow();
        assert_eq!(
            (
                book.totals.partial_prompt_tokens,
                book.totals.partial_completion_tokens
            ),
            (10, 3)
        );
        assert!(!book.records[0].had_usage);
    }

    #[test]
    fn a_whole_stream_counts_once_with_its_usage() {
        let book = Book::new(10, false);
        ticket(&book).close(9);
        let book = book.borrow();
        assert_eq!(
            (book.totals.prompt_tokens, book.totals.completion_tokens),
            (10, 5)
        );
        assert!(book.records[0].had_usage);
    }

    #[test]
    fn a_ticket_from_before_a_reset_is_forgotten() {
        let book = Book::new(10, false);
        let old = ticket(&book);
        book.borrow_mut().reset();
        old.close(9);
        assert_eq!(
            book.borrow().totals.requests + book.borrow().totals.complete,
            0
        );
    }

    #[test]
    fn only_the_last_records_are_kept() {
        let book = Book::new(1, false);
        ticket(&book).close(9);
        ticket(&book).close(9);
        let book = book.borrow();
        assert_eq!(
            (
                book.records.len(),
                book.records[0].seq,
                book.totals.records_dropped
            ),
            (1, 2, 1)
        );
    }
}
