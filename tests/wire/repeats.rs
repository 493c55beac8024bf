//! Idempotency keys: the same request is charged once, however often it is sent.

use serde_json::json;

use crate::support::setup::{ALICE, BOB};
use crate::support::{Call, Retry, chat, refusal, start, start_with, stream, until};

fn named(call: Call, name: &str) -> Call {
    call.header("idempotency-key", name)
}

#[test]
fn a_charged_request_is_not_charged_again_and_its_receipt_is_shown() {
    let (mock, proxy) = start();
    for call in [chat(json!({})), stream(json!({}))] {
        let name = format!("order-{}", mock.arrived());
        let first = proxy.send(ALICE, named(call.clone(), &name));
        assert_eq!(first.status, 200);
        let again = proxy.send(ALICE, named(call, &name));
        refusal(&again, 409, "already_charged", Retry::Never);
        let receipt = &again.json()["error"]["receipt"];
        let id = first.header("x-tollgate-request-id");
        assert_eq!(receipt["request_id"], id);
        assert_eq!(*receipt, proxy.view(ALICE, &format!("/v1/receipts/{id}")));
        assert_ne!(again.header("x-request-id"), id);
    }
    assert_eq!(mock.arrived(), 2);
    assert_eq!(proxy.receipts("alice").len(), 2);
}

#[test]
fn a_request_in_flight_is_not_begun_twice() {
    let (mock, proxy) =
        start_with(|setup| setup.key(json!({ "name": "alice", "on_disconnect": "cancel" })));
    let call = named(chat(json!({})), "once");
    let hanging = call.clone().header("x-mock-fault", "hang").key(ALICE);
    let hanging = hanging.start(&proxy.address);
    until("it to hang", || (mock.arrived() == 1).then_some(()));
    let answer = proxy.send(ALICE, call.clone());
    refusal(&answer, 409, "request_in_flight", Retry::Later);
    drop(hanging);
    proxy.idle_wallet("alice");
    let answer = proxy.send(ALICE, call);
    refusal(&answer, 409, "already_charged", Retry::Never);
    assert_eq!(mock.arrived(), 1);
}

#[test]
fn another_body_under_the_same_name_is_refused() {
    let (mock, proxy) = start();
    assert_eq!(proxy.send(ALICE, named(chat(json!({})), "a")).status, 200);
    let other = named(chat(json!({ "temperature": 1 })), "a");
    let answer = proxy.send(ALICE, other);
    refusal(&answer, 422, "idempotency_key_reused", Retry::Never);
    assert_eq!(mock.arrived(), 1);
}

#[test]
fn a_request_that_was_not_charged_runs_anew() {
    let (mock, proxy) = start();
    for fault in ["status=500", "cut-before", "empty"] {
        let call = named(chat(json!({})), fault);
        proxy.send(ALICE, call.clone().header("x-mock-fault", fault));
        proxy.idle_wallet("alice");
        let answer = proxy.send(ALICE, call);
        assert_eq!(answer.status, 200, "{fault}: {answer:?}");
    }
    assert_eq!(mock.arrived(), 6);
    assert_eq!(proxy.receipts("alice").len(), 3);
}

#[test]
fn a_name_is_its_keys_own_and_does_not_go_upstream() {
    let (mock, proxy) = start();
    for secret in [ALICE, BOB] {
        let answer = proxy.send(secret, named(chat(json!({})), "shared"));
        assert_eq!(answer.status, 200);
    }
    assert_eq!(mock.headers().get("idempotency-key"), None);
}

#[test]
fn a_name_is_remembered_through_a_restart() {
    let (mock, mut proxy) = start();
    let call = named(chat(json!({})), "kept");
    assert_eq!(proxy.send(ALICE, call.clone()).status, 200);
    proxy.restart();
    let answer = proxy.send(ALICE, call);
    refusal(&answer, 409, "already_charged", Retry::Never);
    assert_eq!(mock.arrived(), 1);
}

#[test]
fn a_name_has_a_length() {
    let (mock, proxy) = start();
    for name in [String::new(), "x".repeat(256)] {
        let answer = proxy.send(ALICE, named(chat(json!({})), &name));
        refusal(&answer, 400, "invalid_request_error", Retry::ByStatus);
    }
    assert_eq!(
        proxy
            .send(ALICE, named(chat(json!({})), &"x".repeat(255)))
            .status,
        200
    );
    assert_eq!(mock.arrived(), 1);
}
