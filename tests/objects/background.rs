//! Responses that are written in the background: charged once, by what they came to, or by what was shown of them.

use serde_json::{Value, json};

use super::support::setup::{ALICE, BOB};
use super::support::{Call, Proxy, until};
use super::{COST, ask, id, not_found, setup, start};
use crate::support::keeper::Keeper;

#[test]
fn a_response_in_the_background_is_charged_once_when_it_is_done() {
    let (keeper, proxy) = start();
    let asked = proxy.send(ALICE, ask(json!({ "background": true })));
    let id = id(&asked);
    assert_eq!(asked.json()["status"], "queued");
    assert!(!asked.headers.has("x-tollgate-cost"), "{asked:?}");
    let path = format!("/v1/responses/{id}");
    let early = proxy.send(ALICE, Call::get(&path));
    assert_eq!(early.json()["status"], "queued");
    not_found(&proxy.send(BOB, Call::get(&path)));
    let replay = proxy.send(ALICE, Call::get(&format!("{path}?stream=true")));
    assert_eq!(replay.status, 400, "{replay:?}");
    let deleted = proxy.send(ALICE, Call::new("DELETE", &path, ""));
    assert_eq!(deleted.status, 409, "{deleted:?}");
    assert!(proxy.receipts("alice").is_empty());
    assert_ne!(proxy.wallet("alice")["held"], "0");

    let usage = json!({ "input_tokens": 20, "output_tokens": 5, "total_tokens": 25 });
    keeper.finish(&id, "completed", usage);
    // Who sees its end has been charged for it.
    let done = proxy.send(ALICE, Call::get(&path));
    assert_eq!(done.json()["status"], "completed");
    let receipts = proxy.receipts("alice");
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0]["cost"], COST);
    assert_eq!(receipts[0]["counted"], "exact");
    assert_eq!(
        receipts[0]["request_id"],
        asked.header("x-tollgate-request-id")
    );
    for _ in 0..3 {
        let again = proxy.send(ALICE, Call::get(&path));
        assert_eq!(again.status, 200, "{again:?}");
    }
    assert_eq!(proxy.receipts("alice").len(), 1);
    assert_eq!(proxy.wallet("alice")["held"], "0");
    proxy.audit();
}

#[test]
fn a_response_in_the_background_whose_stream_breaks_off_is_followed() {
    let (keeper, proxy) = start();
    let asked = proxy.send(ALICE, ask(json!({ "background": true, "stream": true })));
    assert!(asked.text().contains("response.created"), "{asked:?}");
    assert!(proxy.receipts("alice").is_empty());
    keeper.finish(
        "resp_1",
        "completed",
        json!({ "input_tokens": 20, "output_tokens": 5 }),
    );
    let receipt = until("the charge", || proxy.receipts("alice").pop());
    assert_eq!(receipt["cost"], COST);
}

#[test]
fn a_cancelled_response_without_usage_costs_what_was_written() {
    let (keeper, proxy) = start();
    let id = id(&proxy.send(ALICE, ask(json!({ "background": true }))));
    keeper.finish(&id, "cancelled", Value::Null);
    let receipt = until("the charge", || proxy.receipts("alice").pop());
    assert_eq!(receipt["counted"], "partial");
    assert_eq!(receipt["usage"]["output"], 2);
    proxy.audit();
}

#[test]
fn a_response_that_fails_before_anything_was_written_costs_nothing_and_says_so() {
    let (keeper, proxy) = start();
    let id = id(&proxy.send(ALICE, ask(json!({ "background": true }))));
    keeper.write(&id, "failed", "");
    let path = format!("/v1/responses/{id}");
    for _ in 0..2 {
        let answer = proxy.send(ALICE, Call::get(&path));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["status"], "failed");
    }
    assert!(proxy.receipts("alice").is_empty());
    assert_eq!(proxy.wallet("alice")["held"], "0");
    let deleted = proxy.send(ALICE, Call::new("DELETE", &path, ""));
    assert_eq!(deleted.status, 200, "{deleted:?}");
    proxy.audit();
}

#[test]
fn what_was_shown_of_a_response_is_charged_though_it_is_cancelled_and_gone() {
    let (keeper, proxy) = start();
    let id = id(&proxy.send(ALICE, ask(json!({ "background": true }))));
    let path = format!("/v1/responses/{id}");
    for text in ["One two", "One two three four"] {
        keeper.write(&id, "in_progress", text);
        let shown = proxy.send(ALICE, Call::get(&path));
        assert!(shown.text().contains(text), "{shown:?}");
    }
    keeper.write(&id, "in_progress", "");
    let cancelled = proxy.send(ALICE, Call::post(&format!("{path}/cancel"), ""));
    assert_eq!(cancelled.json()["status"], "cancelled");
    let receipt = proxy.receipts("alice").pop().expect("a receipt");
    assert_eq!(receipt["counted"], "partial");
    // "Hello" in a message, and four words.
    assert_eq!(receipt["usage"], json!({ "input": 8, "output": 4 }));
    proxy.audit();
}

#[test]
fn a_stream_in_the_background_that_comes_to_its_end_is_charged_by_it() {
    let (keeper, proxy) = start();
    keeper.complete_streams();
    let asked = proxy.send(ALICE, ask(json!({ "background": true, "stream": true })));
    assert!(asked.text().contains("response.completed"), "{asked:?}");
    let receipts = proxy.receipts("alice");
    assert_eq!((receipts.len(), &receipts[0]["cost"]), (1, &json!(COST)));
    let answer = proxy.send(ALICE, Call::get("/v1/responses/resp_1?stream=true"));
    assert_eq!(id(&answer), "resp_1");
    assert_eq!(proxy.receipts("alice").len(), 1);
    proxy.audit();
}

#[test]
fn answers_that_are_looked_at_take_room_from_the_memory_of_all() {
    let keeper = Keeper::start();
    let mut setup = setup(&keeper);
    setup.0["caps"] = json!({ "answer_hold_bytes": 4096, "answer_memory_bytes": 4096 });
    let proxy = Proxy::start(&setup);
    let id = id(&proxy.send(ALICE, ask(json!({ "background": true }))));
    keeper.write(&id, "in_progress", &"long ".repeat(1_000));
    let answer = proxy.send(ALICE, Call::get(&format!("/v1/responses/{id}")));
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.json()["error"]["code"], "overloaded");
}
