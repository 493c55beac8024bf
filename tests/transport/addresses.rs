//! Proxies in front: whose word on a client's address counts.

use serde_json::{Value, json};

use crate::support::setup::ALICE;
use crate::support::{Proxy, Retry, Setup, chat, refusal, start_with};

/// A proxy whose key alice may be used from 192.0.2.7 only.
fn with_proxies(trusted: Option<Value>) -> (crate::support::Mock, Proxy) {
    start_with(|setup: Setup| {
        let setup = setup.key(json!({ "name": "alice", "allowed_ips": ["192.0.2.7"] }));
        match trusted {
            Some(trusted) => setup.set("server", "trusted_proxies", trusted),
            None => setup,
        }
    })
}

#[test]
fn a_trusted_proxy_tells_the_clients_address_and_its_client_cannot() {
    let (_mock, proxy) = with_proxies(Some(json!(["127.0.0.0/8"])));
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-for", "198.51.100.9, 192.0.2.7, 127.0.0.9"),
        ("forwarded", "for=\"192.0.2.7:4711\";proto=https"),
    ] {
        let answer = proxy.send(ALICE, chat(json!({})).header(name, value));
        assert_eq!(answer.status, 200, "{value}: {}", answer.text());
    }
    for (value, seen) in [
        ("192.0.2.7, 198.51.100.9", "198.51.100.9"),
        ("192.0.2.7, unknown", "127.0.0.1"),
        ("", "127.0.0.1"),
    ] {
        let answer = proxy.send(ALICE, chat(json!({})).header("x-forwarded-for", value));
        let message = refusal(&answer, 403, "ip_not_allowed", Retry::ByStatus);
        assert!(message.contains(&format!("from {seen}.")), "{message}");
    }
    // The customer's own view goes by the same address.
    let own = crate::support::Call::get("/v1/balance").header("x-forwarded-for", "192.0.2.7");
    assert_eq!(proxy.send(ALICE, own).status, 200);
}

#[test]
fn nobody_else_is_believed() {
    for trusted in [None, Some(json!(["10.0.0.0/8"]))] {
        let (_mock, proxy) = with_proxies(trusted);
        for name in ["x-forwarded-for", "forwarded"] {
            let value = if name == "forwarded" {
                "for=192.0.2.7"
            } else {
                "192.0.2.7"
            };
            let answer = proxy.send(ALICE, chat(json!({})).header(name, value));
            let message = refusal(&answer, 403, "ip_not_allowed", Retry::ByStatus);
            assert!(message.contains("from 127.0.0.1."), "{message}");
        }
    }
}
