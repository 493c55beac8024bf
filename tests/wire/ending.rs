//! SIGTERM: what runs may finish, nothing new begins, and every hold ends.

use std::net::TcpStream;

use serde_json::{Value, json};

use crate::cost;
use crate::support::setup::ALICE;
use crate::support::{Call, Connection, Retry, chat, refusal, start, start_with, stream, until};

/// Rivals: new-api, batch mode: the same of requests that were still running.
#[test]
fn running_requests_finish_and_new_ones_are_refused() {
    let (mock, mut proxy) = start();
    let slow = stream(json!({}))
        .header("x-mock-prompt", 40)
        .header("x-mock-completion", 40)
        .header("x-mock-chunk-ms", 20);
    let mut streaming = proxy.open(ALICE, slow);
    streaming.event().expect("its first event");
    let waiting = chat(json!({}))
        .header("x-mock-delay-ms", 500)
        .key(ALICE)
        .start(&proxy.address);
    until("both to arrive", || (mock.arrived() == 2).then_some(()));
    let mut idle = Connection::open(&proxy.address);
    proxy.ask_to_end();
    until("new connections to be refused", || {
        TcpStream::connect(&proxy.address).err()
    });
    assert!(idle.is_closed(), "an idle connection is closed");
    let streamed = streaming.finish();
    assert!(streamed.whole && streamed.text().ends_with("data: [DONE]\n\n"));
    let answered = waiting.answer().finish();
    assert!(answered.whole && answered.headers.has("x-tollgate-cost"));
    let ended = proxy.wait();
    assert_eq!(ended.code(), Some(0));
    proxy.serve();
    let id = streamed.header("x-tollgate-request-id");
    let receipt = proxy.view(ALICE, &format!("/v1/receipts/{id}"));
    assert_eq!(
        (&receipt["cost"], &receipt["counted"]),
        (&json!(cost(40, 40)), &json!("exact"))
    );
    assert_eq!(proxy.wallet("alice")["held"], "0");
    assert_eq!(proxy.audit()["receipts"], 2);
}

#[test]
fn what_does_not_finish_in_time_is_charged_by_what_was_delivered() {
    let (mock, mut proxy) = start_with(|setup| setup.set("server", "drain_seconds", 0));
    let hangs = stream(json!({})).header("x-mock-fault", "hang-after=5");
    let mut streaming = proxy.open(ALICE, hangs);
    for _ in 0..6 {
        streaming.event().expect("an event");
    }
    let silent = chat(json!({})).header("x-mock-fault", "hang").key(ALICE);
    let silent = silent.start(&proxy.address);
    until("both to arrive", || (mock.arrived() == 2).then_some(()));
    proxy.ask_to_end();
    // Who has no answer yet is told so; nobody says that the client went.
    let told = silent.answer().finish();
    refusal(&told, 503, "shutting_down", Retry::Later);
    assert_eq!(proxy.wait().code(), Some(0));
    assert!(!streaming.finish().whole);
    let lines: Vec<Value> = proxy
        .log()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["target"] == "tollgate::request")
        .collect();
    let mut ends: Vec<_> = lines
        .iter()
        .map(|line| (line["status"].as_u64(), line["code"].as_str()))
        .collect();
    ends.sort_unstable();
    let code = Some("shutting_down");
    assert_eq!(ends, [(Some(200), code), (Some(503), code)], "{lines:?}");
    proxy.serve();
    let wallet = proxy.wallet("alice");
    assert_eq!(
        (&wallet["held"], &wallet["holds"]),
        (&json!("0"), &json!(0))
    );
    let receipts = proxy.receipts("alice");
    let outputs: Vec<_> = receipts
        .iter()
        .map(|receipt| &receipt["usage"]["output"])
        .collect();
    // Who was still waiting for a first byte got nothing, and pays nothing.
    assert_eq!(outputs, [5], "{receipts:?}");
    assert!(
        receipts
            .iter()
            .all(|receipt| receipt["counted"] == "partial"),
        "{receipts:?}"
    );
    proxy.audit();
    assert_eq!(mock.totals()["client_gone"], 2);
}

/// Rivals: new-api, batch mode: charges that were gathered in memory were lost at SIGTERM.
#[test]
fn a_restart_forgets_nothing_that_was_charged() {
    let (_mock, mut proxy) = start();
    let answer = proxy.send(ALICE, chat(json!({})).header("x-mock-prompt", 10));
    let balance = proxy.view(ALICE, "/v1/balance");
    let id = answer.header("x-tollgate-request-id").to_owned();
    proxy.restart();
    assert_eq!(proxy.view(ALICE, "/v1/balance"), balance);
    assert_eq!(
        proxy.view(ALICE, &format!("/v1/receipts/{id}"))["cost"],
        cost(10, 16)
    );
    assert_eq!(proxy.wallet("alice")["credited"], "10");
    let answer = Call::get("/v1/balance").send(&proxy.address);
    refusal(&answer, 401, "invalid_api_key", Retry::ByStatus);
}
