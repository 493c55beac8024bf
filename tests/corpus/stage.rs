//! The proxy before an upstream that knows every exchange by heart, and the comparison of what comes of one with what is
//! to come of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::exchange::Exchange;
use super::outcome::Outcome;
use crate::support::http::Headers;
use crate::support::scripted::CUTS;
use crate::support::setup::{ALICE, UPSTREAM_KEY};
use crate::support::{Answer, Call, Connection, Ending, Proxy, Scripted, Setup};

/// How many clients ask at once.
const CLIENTS: usize = 8;
/// How many failures are told of.
const SHOWN: usize = 20;

/// A proxy and its upstream.
pub struct Stage {
    pub upstream: Scripted,
    pub proxy: Proxy,
}

/// One request of a client, and where the upstream cuts its answer.
pub struct Turn<'e> {
    pub exchange: &'e Exchange,
    /// Offsets, or `all`; empty for one write.
    pub cuts: String,
}

impl Stage {
    /// Starts both. The models and their prices are those of `models.json`.
    pub fn start(exchanges: &[Exchange]) -> Stage {
        let scripts = exchanges
            .iter()
            .map(|exchange| (exchange.name.clone(), exchange.script.clone()));
        let upstream = Scripted::start(scripts.collect::<HashMap<_, _>>());
        let models: Value =
            serde_json::from_str(include_str!("models.json")).expect("models in JSON");
        let at = |idle_ms: u64| {
            json!({
                "base_url": upstream.base_url(), "api_key": UPSTREAM_KEY,
                "idle_timeout_ms": idle_ms,
            })
        };
        let proxy = Proxy::start_quiet(&Setup(json!({
            "server": { "listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", "drain_seconds": 20 },
            "ledger": { "path": "tollgate.db", "durability": "process" },
            "currency": "CNY",
            "upstreams": { "vendor": at(30_000), "impatient": at(300) },
            "models": models,
            "keys": [{ "name": "alice", "secret": ALICE, "balance": "1000000" }],
        })));
        Stage { upstream, proxy }
    }

    /// Asks the proxy, over a connection that is kept.
    pub fn ask(&self, turn: &Turn<'_>, kept: &mut Option<Connection>) -> Answer {
        let mut call = turn.exchange.call().key(ALICE);
        if !turn.cuts.is_empty() {
            call = call.header(CUTS, &turn.cuts);
        }
        let mut connection = kept
            .take()
            .unwrap_or_else(|| Connection::open(&self.proxy.address));
        connection.write(&call.bytes());
        let (answer, connection) = connection.answer().finish_and_keep();
        // An answer that breaks off takes its connection along.
        *kept = Some(connection).filter(|_| answer.whole);
        answer
    }

    /// Takes all turns, several at once; compares each with what its exchange says, and each receipt; answers how many.
    pub fn play(&self, turns: &[Turn<'_>]) -> usize {
        let next = AtomicUsize::new(0);
        let charged: Mutex<Vec<(String, usize)>> = Mutex::new(Vec::new());
        let failed: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let before = self.proxy.all_receipts("alice").len();
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let mut kept = None;
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(turn) = turns.get(index) else {
                            return;
                        };
                        let answer = self.ask(turn, &mut kept);
                        if let Err(why) = turn.exchange.is_told_by(&answer) {
                            failed.lock().push(format!("{turn}: {why}"));
                            continue;
                        }
                        if let Outcome::Receipt(_) = turn.exchange.outcome {
                            let id = answer.header("x-tollgate-request-id").to_owned();
                            charged.lock().push((id, index));
                        }
                    }
                });
            }
        });
        self.proxy.idle_wallet("alice");
        let receipts = self.proxy.all_receipts("alice");
        let charged = charged.into_inner();
        let mut failed = failed.into_inner();
        for (id, index) in &charged {
            let turn = &turns[*index];
            let compared = match receipts.get(id) {
                Some(receipt) => turn.exchange.outcome.compare(receipt),
                None => Err("no receipt".to_owned()),
            };
            if let Err(why) = compared {
                failed.push(format!("{turn}: {why}"));
            }
        }
        let count = failed.len();
        failed.truncate(SHOWN);
        assert!(failed.is_empty(), "{count} failed:\n{}", failed.join("\n"));
        assert_eq!(
            receipts.len() - before,
            charged.len(),
            "receipts of what is to be free"
        );
        self.proxy.audit();
        turns.len()
    }
}

impl std::fmt::Display for Turn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Turn { exchange, cuts } = self;
        match cuts.is_empty() {
            true => write!(f, "{}", exchange.name),
            false => write!(f, "{}, cut at {cuts}", exchange.name),
        }
    }
}

impl Exchange {
    /// Whether an answer of the proxy is the one that the exchange tells of.
    fn is_told_by(&self, answer: &Answer) -> Result<(), String> {
        if let Outcome::Refused(status, code) = &self.outcome {
            let found = (answer.status, answer.json()["error"]["code"].clone());
            return match found == (*status, json!(code)) {
                true => Ok(()),
                false => Err(format!("not refused with {status} {code}: {answer:?}")),
            };
        }
        if answer.status != self.script.status {
            return Err(format!("status {}: {answer:?}", answer.status));
        }
        // What is flowing when the upstream breaks off breaks off too, but a stream, which can say it.
        let is_whole = self.is_stream() || self.script.ending == Ending::Whole;
        if answer.whole != is_whole {
            return Err(format!("whole: {}", answer.whole));
        }
        let told = self.answer.compare(&answer.body, self.cost())?;
        if let Some(told) = told {
            self.outcome.compare(&with_flags_of(&self.outcome, told))?;
        }
        let is_early = self.is_stream() || self.is_late;
        if !is_early {
            self.is_told_by_headers(&answer.headers)?;
        } else if answer.headers.has("x-tollgate-cost") {
            return Err("a cost before the charge".to_owned());
        }
        match (is_early, self.header("te")) {
            (true, Some("trailers")) => self.is_told_by_headers(&answer.trailers),
            _ if answer.trailers.0.is_empty() => Ok(()),
            _ => Err("trailers that nobody takes".to_owned()),
        }
    }

    /// Whether the receipt is in these headers, of an answer that is no stream or in trailers.
    fn is_told_by_headers(&self, headers: &Headers) -> Result<(), String> {
        let told = |name: &str| headers.get(&format!("x-tollgate-{name}"));
        match &self.outcome {
            Outcome::Receipt(fields) => {
                for (name, expected) in fields {
                    let found = match name.as_str() {
                        "cost" | "counted" => told(name),
                        _ => continue,
                    };
                    if found != Some(expected) {
                        return Err(format!("x-tollgate-{name} is {found:?}"));
                    }
                }
                Ok(())
            }
            _ if matches!(told("cost"), None | Some("0")) => Ok(()),
            _ => Err(format!("a cost of {:?}", told("cost"))),
        }
    }

    /// The headers that the client must get of those that came directly, without the receipt's own.
    pub fn passed_on(direct: &Headers) -> Vec<(String, String)> {
        const DROPPED: [&str; 6] = [
            "set-cookie",
            "openai-organization",
            "connection",
            "transfer-encoding",
            "content-length",
            // It arrives decoded.
            "content-encoding",
        ];
        let stays = |name: &str| !DROPPED.contains(&name) && !name.starts_with("x-ratelimit-");
        let mut headers: Vec<(String, String)> = direct
            .0
            .iter()
            .filter(|(name, _)| stays(name))
            .map(|(name, value)| match name.as_str() {
                "x-request-id" => ("x-tollgate-upstream-request-id".to_owned(), value.clone()),
                _ => (name.clone(), value.clone()),
            })
            .collect();
        headers.sort_unstable();
        headers
    }

    /// Asks the upstream itself.
    pub fn ask_directly(&self, upstream: &Scripted) -> Option<Answer> {
        // An upstream that falls silent would be waited for.
        let call: Call = self.call();
        (self.script.ending != Ending::Silent).then(|| call.send(&upstream.address))
    }
}

/// A stream's comment has every field of its receipt but these.
fn with_flags_of(outcome: &Outcome, mut told: Value) -> Value {
    if let Outcome::Receipt(fields) = outcome {
        for (name, value) in fields {
            match name.as_str() {
                "flags" => told["flags"] = json!(value),
                "shortfall" | "hold" | "priced" | "pricing" => told[name.as_str()] = json!(value),
                _ => {}
            }
        }
    }
    if told["flags"].is_null() {
        told["flags"] = json!([]);
    }
    told
}
