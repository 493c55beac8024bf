//! Where faults strike: three proxies over one store, a relay before each of them, and the moment of the strike.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::dice::Dice;
use crate::support::prices::setup;
use crate::support::redis::Server;
use crate::support::{Call, Fleet, Mock, Proxy, Relay, Setup, until};

pub const PROXIES: usize = 3;
/// A fault counts only if so many requests were in flight when it struck.
pub const IN_FLIGHT_MIN: usize = 10;

/// Longer than any fault.
const LEASE_MS: u64 = 60_000;

/// Proxies, their upstream, and what lies between them and their store.
pub struct Stage {
    pub fleet: Fleet,
    /// One before each proxy; none where its servers announce their own addresses.
    pub relays: Vec<Relay>,
    /// When the fault of this round struck, on the upstream's clock in milliseconds.
    struck: Option<u64>,
    /// Which proxy was killed in this round.
    pub killed: Option<usize>,
    /// Whose money this round is about.
    pub wallets: Vec<String>,
}

impl Stage {
    /// Proxies that reach the server through a relay each.
    pub fn behind_relays(server: &Server) -> Stage {
        Stage::with_leases(server, LEASE_MS)
    }

    /// The same, with holds that lapse after so many milliseconds of silence.
    pub fn with_leases(server: &Server, lease_ms: u64) -> Stage {
        let server = server.address().to_string();
        let relays: Vec<Relay> = (0..PROXIES).map(|_| Relay::before(&server)).collect();
        let url = |relay: &Relay| format!("redis://{}", relay.address);
        let ledgers = relays
            .iter()
            .map(|relay| json!({ "url": url(relay), "lease_ms": lease_ms }));
        Stage::of(ledgers.collect(), relays)
    }

    /// Proxies that are told only this about their ledger.
    pub fn direct(ledger: &Value) -> Stage {
        Stage::of(vec![ledger.clone(); PROXIES], Vec::new())
    }

    fn of(ledgers: Vec<Value>, relays: Vec<Relay>) -> Stage {
        let mock = Mock::start();
        let setups: Vec<Setup> = ledgers
            .into_iter()
            .map(|ledger| redis(&mock, ledger))
            .collect();
        Stage {
            fleet: Fleet::start(mock, &setups),
            relays,
            struck: None,
            killed: None,
            wallets: Vec::new(),
        }
    }

    /// Strikes once enough requests are in flight.
    pub fn strike<T>(&mut self, fault: impl FnOnce(&mut Stage) -> T) -> T {
        assert!(self.struck.is_none(), "one fault at a time");
        self.struck = Some(until("enough requests in flight", || {
            let totals = self.fleet.mock.totals_now();
            let enough = number(&totals, "in_flight") >= IN_FLIGHT_MIN as u64;
            enough.then(|| number(&totals, "now_ms"))
        }));
        fault(self)
    }

    /// When the fault struck; forgets it.
    pub fn take_struck(&mut self) -> u64 {
        self.struck.take().expect("the fault has struck")
    }

    /// The relays that a fault strikes: one of them, or all.
    pub fn some_relays(&self, dice: &mut Dice) -> Vec<&Relay> {
        match dice.percent(30) {
            true => vec![&self.relays[dice.within(0, PROXIES as u64 - 1) as usize]],
            false => self.relays.iter().collect(),
        }
    }

    pub fn heal(&self) {
        self.relays.iter().for_each(Relay::heal);
    }

    /// Waits until every proxy is ready, has delivered its journal, and has nothing in flight.
    pub fn settle(&self) {
        self.fleet.mock.totals();
        for proxy in &self.fleet.proxies {
            until("every proxy to be ready", || is_ready(proxy).then_some(()));
            // A connection that broke while nobody used it is found out by who uses it. A wallet that the store lost
            // comes back from the journal of the proxy that opened it, which may be the last to notice.
            for name in &self.wallets {
                let path = format!("/admin/wallets/{name}");
                drop(proxy.admin("GET", &path, None));
            }
        }
        for proxy in &self.fleet.proxies {
            for name in &self.wallets {
                let path = format!("/admin/wallets/{name}");
                until("the wallets to be there", || {
                    (proxy.admin("GET", &path, None).0 == 200).then_some(())
                });
            }
            until("the journals to be delivered", || {
                (metric(proxy, "tollgate_ledger_journal_waiting") == 0).then_some(())
            });
        }
    }
}

/// The shared prices, and a ledger in Redis with short deadlines.
pub fn redis(mock: &Mock, ledger: Value) -> Setup {
    let mut setup = setup(mock);
    setup.0["ledger"] = json!({
        "kind": "redis", "journal": "journal.db", "lease_ms": LEASE_MS,
        "connect_timeout_ms": 500, "response_timeout_ms": 500, "deadline_ms": 1_500,
    });
    let fields = ledger.as_object().expect("fields").clone();
    setup.0["ledger"]
        .as_object_mut()
        .expect("fields")
        .extend(fields);
    setup
}

fn is_ready(proxy: &Proxy) -> bool {
    let asked = [&proxy.address, &proxy.admin_address];
    asked
        .iter()
        .all(|address| Call::get("/readyz").send(address).status == 200)
}

/// The sum of a metric's series.
fn metric(proxy: &Proxy, name: &str) -> u64 {
    let page = proxy.metrics();
    let series = page.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with([' ', '{']))
    });
    let values = series.map(|line| line.rsplit(' ').next().expect("a value"));
    let values: Vec<u64> = values
        .map(|value| value.parse().expect("a count"))
        .collect();
    assert!(!values.is_empty(), "no metric {name}");
    values.iter().sum()
}

pub fn number(value: &Value, field: &str) -> u64 {
    value[field]
        .as_u64()
        .unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// How long a fault lasts: 0.1 to 5 s, short ones more often.
pub fn a_while(dice: &mut Dice) -> Duration {
    let root = dice.within(0, 70);
    Duration::from_millis(100 + root * root)
}
