//! Many clients at once, each over a connection of its own, let go at one moment; and a watch on their wallet.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Answer, Call, Connection, DEADLINE, Proxy, nano};

/// Between two attempts of a client that waits for others' holds to end.
const PATIENCE: Duration = Duration::from_millis(20);

/// What one client does.
#[derive(Clone, Debug)]
pub struct Visit {
    pub call: Call,
    /// Try again while others' holds are in the way.
    pub retry: bool,
    /// Close the connection once this much of the answer's body came.
    pub leave_after: Option<usize>,
}

/// How it went.
#[derive(Debug)]
pub enum Seen {
    /// The last answer.
    Answered(Box<Answer>),
    /// The client left in the middle of its answer.
    Left,
}

/// A floor and caps that must hold at every moment.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pub wallet: String,
    /// How far below zero the wallet may go, in nano units.
    pub credit_line: i64,
    /// The most that each limit may show as used and held.
    pub cap: Option<u64>,
}

impl Visit {
    pub fn new(call: Call) -> Visit {
        Visit {
            call,
            retry: false,
            leave_after: None,
        }
    }
}

/// Sends all at once, in turn to each proxy; every connection is open before the first byte is sent. Watches the wallet
/// meanwhile, in turn through each proxy.
pub fn storm(proxies: &[Proxy], visits: &[Visit], watch: &Watch, round: &str) -> Vec<Seen> {
    let gate = Barrier::new(visits.len());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (gate, over) = (&gate, &over);
        let watching = scope.spawn(move || {
            let mut looks = 0;
            while !over.load(Ordering::Relaxed) {
                let proxy = &proxies[looks % proxies.len()];
                watch.look(&proxy.wallet(&watch.wallet), round);
                looks += 1;
            }
            looks
        });
        let clients: Vec<_> = visits
            .iter()
            .zip(proxies.iter().cycle())
            .map(|(visit, proxy)| scope.spawn(move || client(proxy, visit, gate)))
            .collect();
        let seen: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        over.store(true, Ordering::Relaxed);
        let looks = watching.join().expect("the wallet was watched to the end");
        assert!(looks > 0, "{round}: the wallet was never looked at");
        seen.into_iter()
            .map(|seen| seen.expect("a client came to its end"))
            .collect()
    })
}

fn client(proxy: &Proxy, visit: &Visit, gate: &Barrier) -> Seen {
    let end = Instant::now() + DEADLINE;
    let mut connection = Connection::open(&proxy.address);
    gate.wait();
    loop {
        connection.write(&visit.call.bytes());
        let mut exchange = connection.answer();
        if let Some(bytes) = visit.leave_after.filter(|_| exchange.status == 200) {
            while exchange.body().len() < bytes && exchange.more() {}
            return Seen::Left;
        }
        let (answer, kept) = exchange.finish_and_keep();
        let is_held = answer.status == 429 && code(&answer).ends_with("_held");
        if !(visit.retry && is_held && Instant::now() < end) {
            return Seen::Answered(Box::new(answer));
        }
        std::thread::sleep(PATIENCE);
        connection = kept;
    }
}

/// `error.code` of a refusal.
pub fn code(answer: &Answer) -> String {
    let body = answer.json();
    body["error"]["code"].as_str().unwrap_or("null").to_owned()
}

/// How often each outcome came: `200`, `402 insufficient_quota`, `left`.
pub fn outcomes(seen: &[Seen]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for seen in seen {
        let outcome = match seen {
            Seen::Answered(answer) if answer.status == 200 => "200".to_owned(),
            Seen::Answered(answer) => format!("{} {}", answer.status, code(answer)),
            Seen::Left => "left".to_owned(),
        };
        *counts.entry(outcome).or_default() += 1;
    }
    counts
}

/// Adds up the outcomes of all rounds, and prints them.
#[derive(Default)]
pub struct Tally(BTreeMap<String, usize>);

impl Tally {
    pub fn add(&mut self, seen: &[Seen]) {
        for (outcome, count) in outcomes(seen) {
            *self.0.entry(outcome).or_default() += count;
        }
    }

    /// A storm is one only if each of these came.
    pub fn close(&self, test: &str, needed: &[&str]) {
        eprintln!("{test}: {:?}", self.0);
        for outcome in needed {
            assert!(
                self.0.contains_key(*outcome),
                "{test}: no {outcome}: the storm was a breeze"
            );
        }
    }
}

/// The answers with this status.
pub fn with_status(seen: &[Seen], status: u16) -> impl Iterator<Item = &Answer> {
    seen.iter().filter_map(move |seen| match seen {
        Seen::Answered(answer) if answer.status == status => Some(&**answer),
        _ => None,
    })
}

/// A field of money, in nano units.
#[track_caller]
pub fn money(value: &Value, field: &str) -> i64 {
    let text = value[field].as_str();
    nano(text.unwrap_or_else(|| panic!("no {field} in {value}")))
}

impl Watch {
    fn look(&self, wallet: &Value, round: &str) {
        let rest = money(wallet, "balance") - money(wallet, "held");
        assert!(
            rest >= -self.credit_line,
            "{round}: below the floor: {wallet}"
        );
        for grant in wallet["grants"].as_array().expect("grants") {
            let count = |field: &str| grant[field].as_u64().expect("a count");
            assert!(
                count("used") + count("held") <= count("amount"),
                "{round}: past the quota: {wallet}"
            );
        }
        let Some(cap) = self.cap else { return };
        for limit in wallet["limits"].as_array().expect("limits") {
            // Units are numbers, money is a decimal string.
            let count = |field: &str| {
                let units = limit[field].as_u64();
                units.unwrap_or_else(|| money(limit, field) as u64)
            };
            assert!(
                count("cap") == cap && count("used") + count("held") <= cap,
                "{round}: past the limit of {cap}: {wallet}"
            );
        }
    }
}
