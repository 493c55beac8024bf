//! One worker: next plan, connection, exchange, account; again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::exchange::{Outcome, Seen, exchange};
use super::options::Options;
use super::plan::{Plan, Plans};
use super::receipt::{Receipt, Receipts};
use super::tally::Tally;

/// Between attempts to connect: a restarting server is found soon, and not hammered.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// What all workers share.
pub struct Shared {
    pub plans: Plans,
    authority: String,
    receipts: Option<RefCell<Receipts>>,
    started: Instant,
    sending_max: Duration,
    timeout: Duration,
    requests_max: u64,
    rate: Option<u64>,
    next: Cell<u64>,
    is_told_to_end: Cell<bool>,
}

// === impl Shared ===

impl Shared {
    pub fn new(options: &Options) -> Result<Shared, String> {
        options.check()?;
        let receipts = options
            .receipts
            .as_deref()
            .map(Receipts::open)
            .transpose()?;
        Ok(Shared {
            plans: Plans::new(options)?,
            authority: options.authority()?.to_owned(),
            receipts: receipts.map(RefCell::new),
            started: Instant::now(),
            sending_max: options.sending_max(),
            timeout: Duration::from_secs(options.timeout),
            requests_max: options.requests.unwrap_or(u64::MAX),
            rate: options.rate,
            next: Cell::new(0),
            is_told_to_end: Cell::new(false),
        })
    }

    /// The number of the next request; none when all is sent or time is up. Under a `--rate`, also when it was due
    /// if its worker was too busy to take it in time: its latency counts from there.
    async fn next(&self) -> Option<(u64, Option<Instant>)> {
        let index = self.next.get();
        if index >= self.requests_max || self.is_over() {
            return None;
        }
        self.next.set(index + 1);
        let Some(rate) = self.rate else {
            return Some((index, None));
        };
        let offset = Duration::from_micros(index.saturating_mul(1_000_000) / rate);
        if offset >= self.sending_max {
            return None;
        }
        let due = self.started + offset;
        if due <= Instant::now() {
            return Some((index, Some(due)));
        }
        tokio::time::sleep_until(due.into()).await;
        (!self.is_over()).then_some((index, None))
    }

    /// Nothing new is sent from now on; what is in flight goes on to its end.
    pub fn end(&self) {
        self.is_told_to_end.set(true);
    }

    fn is_over(&self) -> bool {
        self.is_told_to_end.get() || self.started.elapsed() >= self.sending_max
    }

    /// The old connection, or a new one as soon as the server gives one; none when time is up.
    async fn connect(&self, old: Option<Connection>, tally: &mut Tally) -> Option<Connection> {
        if let Some(mut connection) = old
            && connection.is_usable().await
        {
            return Some(connection);
        }
        while !self.is_over() {
            if let Ok(connection) = Connection::open(&self.authority).await {
                return Some(connection);
            }
            tally.connection_errors += 1;
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
        None
    }

    fn account(&self, plan: &Plan, seen: &Seen, tally: &mut Tally) {
        tally.add(plan, seen);
        if let Some(receipts) = &self.receipts {
            let written = receipts.borrow_mut().write(&Receipt::new(plan, seen));
            // A test that compares receipts must not go on without them.
            written.unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

/// Works until there is nothing left to send.
pub async fn work(shared: Rc<Shared>) -> Tally {
    let mut tally = Tally::default();
    let mut idle = None;
    while let Some((index, overdue)) = shared.next().await {
        let Some(mut connection) = shared.connect(idle.take(), &mut tally).await else {
            break;
        };
        let plan = shared.plans.plan(index);
        let request = shared.plans.request(&plan);
        let mut seen = Seen::default();
        let started = overdue.unwrap_or_else(Instant::now);
        let keep = shared.receipts.is_some();
        let exchanging = exchange(&mut connection, request, &plan, keep, started, &mut seen);
        if tokio::time::timeout(shared.timeout, exchanging)
            .await
            .is_err()
        {
            seen.outcome = Outcome::Timeout;
        }
        // A connection is worth keeping only after a whole answer; dropping it is the disconnect.
        idle = (seen.outcome == Outcome::Complete).then_some(connection);
        shared.account(&plan, &seen, &mut tally);
    }
    tally
}
