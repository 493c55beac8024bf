//! What is done at one proxy counts at the next one at once: they remember nothing that decides.

use serde_json::json;

use crate::support::redis::{Keep, Server};
use crate::support::setup::ALICE;
use crate::support::{Call, Fleet, Mock, Retry, Setup, chat, image, refusal};

/// Three proxies on a store, which is waited for however busy the machine is.
fn three(server: &Server, limits: serde_json::Value) -> Fleet {
    let mock = Mock::start();
    let mut setup =
        Setup::new(&mock).key(json!({ "name": "alice", "balance": "0.35", "limits": limits }));
    setup.0["ledger"] = json!({
        "kind": "redis", "url": server.url(), "journal": "journal.db",
        "response_timeout_ms": 10_000, "deadline_ms": 20_000,
    });
    Fleet::start(mock, &[setup.clone(), setup.clone(), setup])
}

fn free() -> Call {
    chat(json!({ "model": "free/chat" }))
}

/// Rivals: new-api #1542, one-api #1236: the proxies beside the one that booked a top-up went on refusing.
#[test]
fn a_topup_at_one_proxy_is_spent_at_the_next() {
    let server = Server::with(Keep::EverySecond, &[]);
    let fleet = three(&server, json!([]));
    for proxy in &fleet.proxies {
        assert_eq!(proxy.send(ALICE, free()).status, 200);
    }
    assert_eq!(fleet.at(0).send(ALICE, image(json!({}))).status, 200);
    for round in 0..6 {
        let (here, next) = (fleet.at(round), fleet.at(round + 1));
        let answer = next.send(ALICE, image(json!({})));
        refusal(&answer, 402, "insufficient_quota", Retry::Never);
        assert!(here.top_up("alice", &format!("invoice-{round}"), "0.35"));
        let answer = next.send(ALICE, image(json!({})));
        assert_eq!(answer.status, 200, "round {round}: {answer:?}");
    }
    fleet.first().audit();
}

/// Rivals: litellm #16011: limits were counted by each worker for itself, and so allowed as many times as there were workers.
#[test]
fn a_rate_is_one_for_all_proxies() {
    let server = Server::with(Keep::EverySecond, &[]);
    let fleet = three(&server, json!([{ "requests": 6, "per": "minute" }]));
    for number in 0..6 {
        let answer = fleet.at(number).send(ALICE, free());
        assert_eq!(answer.status, 200, "{number}: {answer:?}");
    }
    for proxy in &fleet.proxies {
        let answer = proxy.send(ALICE, free());
        // One place comes back every ten seconds.
        if answer.status != 200 {
            refusal(&answer, 429, "rate_limit_exceeded", Retry::Later);
        }
    }
    let last = fleet.at(0).send(ALICE, free());
    refusal(&last, 429, "rate_limit_exceeded", Retry::Later);
}

/// Rivals: litellm #28247: every replica that started added what it believed to be spent to the shared counter, so that
/// N replicas counted it N times.
#[test]
fn proxies_that_start_add_nothing_to_what_was_spent_or_given() {
    let server = Server::with(Keep::EverySecond, &[]);
    let mut fleet = three(
        &server,
        json!([{ "name": "day", "spend": "5", "per": "day" }]),
    );
    assert!(fleet.first().top_up("alice", "invoice", "1"));
    assert_eq!(fleet.at(1).send(ALICE, image(json!({}))).status, 200);
    let seen = |fleet: &Fleet| {
        let all = fleet.proxies.iter().map(|proxy| {
            let wallet = proxy.idle_wallet("alice");
            let day = proxy.view(ALICE, "/v1/balance")["limits"][0]["used"].clone();
            (wallet["balance"].clone(), wallet["charged"].clone(), day)
        });
        all.collect::<Vec<_>>()
    };
    let before = seen(&fleet);
    assert_eq!(before[0], (json!("1"), json!("0.35"), json!("0.35")));
    for _ in 0..2 {
        fleet
            .proxies
            .iter_mut()
            .for_each(super::support::Proxy::restart);
        assert_eq!(seen(&fleet), before);
    }
    fleet.first().audit();
}
