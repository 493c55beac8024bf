//! Where a key may stand: as a bearer, in `x-api-key`, in `api-key`, and never as two keys at once.

use serde_json::json;

use crate::support::refusal::names;
use crate::support::setup::{ALICE, BOB, UPSTREAM_KEY};
use crate::support::{Call, Retry, chat, refusal, start};

#[test]
fn a_key_is_taken_from_each_place_and_reaches_no_upstream() {
    let (mock, proxy) = start();
    for name in ["authorization", "x-api-key", "api-key"] {
        let value = match name {
            "authorization" => format!("Bearer {ALICE}"),
            _ => ALICE.to_owned(),
        };
        let answer = chat(json!({})).header(name, value).send(&proxy.address);
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let headers = mock.headers();
        assert_eq!(headers["authorization"], format!("Bearer {UPSTREAM_KEY}"));
        assert!(!headers.to_string().contains(ALICE), "{name}: {headers}");
        let balance = Call::get("/v1/balance").header(
            name,
            match name {
                "authorization" => format!("Bearer {ALICE}"),
                _ => ALICE.to_owned(),
            },
        );
        assert_eq!(balance.send(&proxy.address).status, 200, "{name}");
    }
    assert_eq!(proxy.receipts("alice").len(), 3);
    let everywhere = chat(json!({}))
        .key(ALICE)
        .header("x-api-key", ALICE)
        .header("api-key", ALICE);
    assert_eq!(everywhere.send(&proxy.address).status, 200);
}

#[test]
fn two_keys_are_nobodys() {
    let (mock, proxy) = start();
    for call in [
        chat(json!({})).key(ALICE).header("x-api-key", BOB),
        chat(json!({})).key(ALICE).header("api-key", BOB),
        chat(json!({}))
            .header("api-key", ALICE)
            .header("x-api-key", "unknown"),
        chat(json!({})).key(ALICE).key(BOB),
        chat(json!({}))
            .header("api-key", ALICE)
            .header("api-key", BOB),
    ] {
        let answer = call.send(&proxy.address);
        let message = refusal(&answer, 401, "invalid_api_key", Retry::ByStatus);
        names(
            &message,
            &["differ", "Authorization: Bearer", "x-api-key", "api-key"],
        );
    }
    let none = chat(json!({}))
        .header("x-api-key", "unknown")
        .send(&proxy.address);
    let message = refusal(&none, 401, "invalid_api_key", Retry::ByStatus);
    names(&message, &["Authorization: Bearer", "x-api-key", "api-key"]);
    assert_eq!(mock.arrived(), 0);
}

#[test]
fn what_steers_a_gateway_upstream_or_tells_of_the_client_stays_here() {
    let (mock, proxy) = start();
    let steering = [
        "x-portkey-config",
        "helicone-fallbacks",
        "cf-aig-cache-ttl",
        "x-litellm-tags",
        "x-goog-user-project",
        "x-real-ip",
        "true-client-ip",
        "via",
        "x-http-method-override",
        "x-rewrite-url",
    ];
    let call = steering
        .iter()
        .fold(chat(json!({})), |call, name| call.header(name, "1"));
    let call = call
        .header("x-title", "kept")
        .header("traceparent", "00-1-1-00");
    let answer = proxy.send(ALICE, call);
    assert_eq!(answer.status, 200, "{answer:?}");
    let headers = mock.headers();
    for name in steering {
        assert!(headers.get(name).is_none(), "{headers}");
    }
    assert_eq!(headers["x-title"], "kept");
    assert!(headers.get("traceparent").is_some(), "{headers}");
}
