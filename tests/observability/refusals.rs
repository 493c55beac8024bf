//! Every code that a client can be refused with: its log line, and its metric.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tollgate::gateway::refusal::Code;

use crate::lines::{line, lines};
use crate::page::Page;
use crate::support::setup::{ALICE, BOB};
use crate::support::{
    Answer, Call, Connection, Mock, Proxy, RawUpstream, chat, image, occupy, start_with, until,
};

/// What a sound proxy that goes on cannot be brought to say. The first two are provoked with a broken ledger,
/// through the same listener, in `src/gateway/server/tests/observing.rs`, the last in `tests/wire/ending.rs`.
const ELSEWHERE: [Code; 3] = [
    Code::LedgerUnavailable,
    Code::InternalError,
    Code::ShuttingDown,
];

fn secret(name: &str) -> String {
    format!("{name}-0123456789-abcdefghij-XYZ")
}

/// A proxy with a key for each way to be refused.
fn strict() -> (Mock, Proxy) {
    let keys = [
        ("picky", json!({ "models": ["chat"] })),
        ("far", json!({ "allowed_ips": ["10.0.0.0/8"] })),
        ("poor", json!({ "balance": "0" })),
        ("short", json!({ "balance": "0.02" })),
        (
            "thrifty",
            json!({ "limits": [{ "spend": "0.0001", "per": "total" }] }),
        ),
        (
            "counted",
            json!({ "limits": [{ "images": 1, "per": "total" }] }),
        ),
        (
            "narrow",
            json!({ "limits": [{ "spend": "0.02", "per": "total" }] }),
        ),
        ("slow", json!({ "limits": [{ "concurrent": 1 }] })),
        ("hasty", json!({})),
        ("large", json!({})),
    ];
    start_with(|setup| {
        let setup = setup
            .cap("body_timeout_ms", 300)
            .cap("request_body_bytes", 60_000)
            .cap("request_memory_bytes", 100_000)
            .upstream("nowhere", json!({ "base_url": RawUpstream::nowhere() }))
            .model(json!({ "id": "lost", "upstream": "nowhere", "prices": [{ "free": true }] }));
        keys.into_iter().fold(setup, |setup, (name, terms)| {
            let mut key = json!({
                "name": name, "secret": secret(name), "balance": "10", "on_disconnect": "cancel",
            });
            key.as_object_mut()
                .expect("an object")
                .extend(terms.as_object().expect("an object").clone());
            setup.key(key)
        })
    })
}

/// Answers of a proxy that refuses; the last is the one that counts.
fn simple(proxy: &Proxy) -> Vec<Answer> {
    let expensive = || chat(json!({ "max_tokens": 1000 }));
    let send = |name: &str, call: Call| proxy.send(&secret(name), call);
    let once = |call: Call| call.header("idempotency-key", "once");
    proxy.send(ALICE, once(chat(json!({}))));
    vec![
        proxy.send("unknown-0123456789", chat(json!({}))),
        send("picky", image(json!({}))),
        send("far", chat(json!({}))),
        proxy.send(ALICE, chat(json!({ "model": "nobody/knows" }))),
        proxy.send(ALICE, Call::get("/v1/nothing")),
        proxy.send(
            ALICE,
            Call::get("/v1/receipts/req_00000000000000000000000000000000"),
        ),
        proxy.send(ALICE, Call::get("/v1/responses/resp_none")),
        proxy.send(ALICE, chat(json!({ "max_tokens": -1 }))),
        send("poor", chat(json!({}))),
        send("thrifty", expensive()),
        send("counted", image(json!({ "n": 2 }))),
        proxy.send(ALICE, once(chat(json!({})))),
        proxy.send(ALICE, once(expensive())),
        proxy.send(ALICE, chat(json!({ "model": "lost" }))),
        paused(proxy),
    ]
}

/// A body that pauses for too long.
fn paused(proxy: &Proxy) -> Answer {
    let bytes = chat(json!({})).key(ALICE).bytes();
    let mut connection = Connection::open(&proxy.address);
    connection.write(&bytes[..bytes.len() - 5]);
    connection.answer().finish()
}

/// Answers to a second request while the first holds what it needs; the first ones' connections are closed then.
fn crowded(mock: &Mock, proxy: &Proxy) -> Vec<Answer> {
    let half = || chat(json!({ "max_tokens": 1000 }));
    let large = || chat(json!({ "user": "a".repeat(55_000), "max_tokens": 1 }));
    let once = || chat(json!({})).header("idempotency-key", "twice");
    let pairs = [
        ("short", half()),
        ("narrow", half()),
        ("slow", half()),
        ("hasty", once()),
        ("large", large()),
    ];
    pairs
        .into_iter()
        .map(|(name, call)| {
            let holding = occupy(mock, proxy, &secret(name), call.clone());
            let answer = proxy.send(&secret(name), call);
            drop(holding);
            proxy.idle_wallet(name);
            answer
        })
        .collect()
}

#[test]
fn every_refusal_has_a_log_line_and_a_metric() {
    let (mock, proxy) = strict();
    let mut answers = simple(&proxy);
    answers.extend(crowded(&mock, &proxy));
    let gone = until("the clients that left to be noticed", || {
        let mut lines = lines(&proxy);
        lines.retain(|line| line["code"] == "client_gone");
        Some(lines).filter(|lines| lines.len() == 5)
    });
    for line in gone {
        assert_eq!(line["status"], 499, "{line}");
    }

    let mut told: BTreeMap<String, u64> = BTreeMap::from([("client_gone".to_owned(), 5)]);
    for answer in &answers {
        let code = answer.json()["error"]["code"].clone();
        let line = line(&proxy, answer.header("x-request-id"));
        assert_eq!(line["code"], code, "{line}");
        assert_eq!(line["status"], answer.status, "{line}");
        assert_eq!(line["cost"], Value::Null, "{line}");
        *told
            .entry(code.as_str().expect("a code").to_owned())
            .or_default() += 1;
    }
    let page = Page::of(&proxy);
    for code in Code::ALL {
        let count = told.get(code.word()).copied().unwrap_or(0);
        let sample = format!("tollgate_refusals_total{{code=\"{code}\"}}");
        assert_eq!(page.count(&sample), count, "{code}");
        assert_eq!(
            count == 0,
            ELSEWHERE.contains(code),
            "{code} was not provoked"
        );
    }
    let refused = page.sum("tollgate_requests_total");
    assert_eq!(refused, lines(&proxy).len() as u64, "one line each");
    assert_eq!(proxy.send(BOB, chat(json!({}))).status, 200);
}
