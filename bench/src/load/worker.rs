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
    fresh: bool,
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
            fresh: options.fresh,
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
        let began = overdue.or(shared.fresh.then(Instant::now));
        let Some(mut connection) = shared.connect(idle.take(), &mut tally).await else {
            break;
        };
        let plan = shared.plans.plan(index);
        let request = shared.plans.request(&plan, index);
        let mut seen = Seen::default();
        let started = began.unwrap_or_else(Instant::now);
        let keep = shared.receipts.is_some();
        let exchanging = exchange(&mut connection, request, &plan, keep, started, &mut seen);
        if tokio::time::timeout(shared.timeout, exchanging)
            .await
            .is_err()
        {
            seen.outcome = Outcome::Timeout;
        }
        // A connection is worth keeping only after a whole answer; dropping it is the disconnect.
        let is_kept = seen.outcome == Outcome::Complete && !shared.fresh;
        idle = is_kept.then_some(connection);
        shared.account(&plan, &seen, &mut tally);
    }
    tally
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    /// Answers whatever comes, one packet a request.
    async fn serve(mut stream: TcpStream) {
        let mut request = [0; 4_096];
        while stream
            .read(&mut request)
            .await
            .is_ok_and(|length| length > 0)
        {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            stream.write_all(answer).await.expect("a client that waits");
        }
    }

    /// How many connections three requests of one worker take.
    async fn connections(more: &[&str]) -> u64 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let accepted = Rc::new(Cell::new(0));
        let count = Rc::clone(&accepted);
        let server = spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.set(count.get() + 1);
                spawn_local(serve(stream));
            }
        });
        let base = [
            "loadgen",
            "--url",
            &url,
            "--requests",
            "3",
            "--get",
            "--path",
            "/x",
        ];
        let options = Options::parse_from(base.iter().chain(more));
        let tally = work(Rc::new(Shared::new(&options).expect("options"))).await;
        server.abort();
        assert_eq!((tally.ok, tally.connection_errors), (3, 0));
        accepted.get()
    }

    #[tokio::test]
    async fn a_connection_is_kept_unless_it_shall_be_fresh() {
        let both = async { (connections(&[]).await, connections(&["--fresh"]).await) };
        assert_eq!(LocalSet::new().run_until(both).await, (1, 3));
    }
}
