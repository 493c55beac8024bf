//! Clients that leave: the key's policy says what becomes of the upstream, and the hold ends exactly once.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cost;
use crate::support::scripted::SCRIPT;
use crate::support::setup::ALICE;
use crate::support::{
    Call, Connection, Ending, Framing, Mock, Proxy, Script, Scripted, chat, image, start,
    start_with, stream, until,
};

fn cancelling() -> (Mock, Proxy) {
    start_with(|setup| setup.key(json!({ "name": "alice", "on_disconnect": "cancel" })))
}

/// The only receipt of alice, once it is there.
fn only_receipt(proxy: &Proxy) -> Value {
    let receipt = until("a receipt", || proxy.receipts("alice").pop());
    assert_eq!(proxy.receipts("alice").len(), 1);
    let wallet = proxy.idle_wallet("alice");
    assert_eq!(wallet["held"], "0");
    assert_eq!(wallet["charged"], receipt["cost"]);
    proxy.audit();
    receipt
}

fn sized(call: Call) -> Call {
    call.header("x-mock-prompt", 40)
        .header("x-mock-completion", 30)
}

/// Rivals: litellm #14457 #33736, new-api #5235 #7241 #4168, sub2api #4408: a stream whose client went was not
/// recorded.
#[test]
fn an_abandoned_stream_is_read_on_and_charged_as_the_upstream_reports() {
    let (mock, proxy) = start();
    let call = sized(stream(json!({}))).header("x-mock-chunk-ms", 10);
    let seen = proxy.open(ALICE, call).leave_after(3);
    assert_eq!(seen.len(), 3);
    let receipt = only_receipt(&proxy);
    assert_eq!(receipt["usage"], json!({ "input": 40, "output": 30 }));
    assert_eq!(receipt["cost"], cost(40, 30));
    assert_eq!(receipt["counted"], "exact");
    assert_eq!(receipt["flags"], json!(["client_gone"]));
    assert_eq!(mock.totals()["complete"], 1);
}

/// Rivals: litellm #14457 #33736, new-api #5235 #7241 #4168, sub2api #4408: a stream whose client went was charged
/// by its whole estimate.
#[test]
fn a_cancelled_stream_is_stopped_and_charged_by_what_was_delivered() {
    let (mock, proxy) = cancelling();
    let call = sized(stream(json!({}))).header("x-mock-fault", "hang-after=5");
    proxy.open(ALICE, call).leave_after(6);
    let receipt = only_receipt(&proxy);
    assert_eq!(receipt["counted"], "partial");
    assert_eq!(receipt["usage"]["output"], 5);
    assert!(receipt["usage"]["input"].as_u64() > Some(0));
    assert_eq!(mock.totals()["client_gone"], 1);
}

#[test]
fn a_stream_cancelled_before_its_first_token_costs_its_input() {
    let (mock, proxy) = cancelling();
    let call = stream(json!({})).header("x-mock-fault", "hang-after=0");
    proxy.open(ALICE, call).leave_after(1);
    let receipt = only_receipt(&proxy);
    assert_eq!(receipt["counted"], "partial");
    assert_eq!(receipt["usage"].get("output"), None);
    assert!(receipt["usage"]["input"].as_u64() > Some(0));
    assert_eq!(mock.totals()["client_gone"], 1);
}

#[test]
fn reading_on_has_an_end() {
    let (mock, proxy) = start_with(|setup| setup.cap("drain_client_ms", 200));
    let call = sized(stream(json!({}))).header("x-mock-fault", "hang-after=5");
    proxy.open(ALICE, call).leave_after(2);
    let receipt = only_receipt(&proxy);
    assert_eq!(receipt["counted"], "partial");
    assert_eq!(receipt["usage"]["output"], 5);
    assert_eq!(mock.totals()["client_gone"], 1);
}

#[test]
fn reading_on_has_a_size() {
    let (mock, proxy) = start_with(|setup| setup.cap("drain_client_bytes", 20_000));
    let call = stream(json!({}))
        .header("x-mock-completion", 4_000)
        .header("x-mock-burst", 10)
        .header("x-mock-chunk-ms", 5);
    proxy.open(ALICE, call).leave_after(2);
    let receipt = only_receipt(&proxy);
    assert_eq!(receipt["counted"], "partial");
    let output = receipt["usage"]["output"].as_u64().expect("a count");
    assert!((50..2_000).contains(&output), "{output}");
    assert_eq!(mock.totals()["client_gone"], 1);
}

#[test]
fn a_client_that_leaves_before_the_first_byte_is_charged_as_the_upstream_reports() {
    for call in [chat(json!({})), stream(json!({}))] {
        let (mock, proxy) = start();
        let call = sized(call).header("x-mock-delay-ms", 300).key(ALICE);
        let connection = call.start(&proxy.address);
        until("the request to arrive", || {
            (mock.arrived() == 1).then_some(())
        });
        drop(connection);
        let receipt = only_receipt(&proxy);
        assert_eq!(receipt["usage"], json!({ "input": 40, "output": 30 }));
        assert_eq!(receipt["counted"], "exact");
        assert_eq!(receipt["flags"], json!(["client_gone"]));
        assert_eq!(mock.totals()["complete"], 1);
    }
}

/// Rivals: litellm #27639 #30330, new-api #4429, one-api #518: a hold outlived the client that went.
#[test]
fn a_client_that_leaves_before_the_first_byte_and_cancels_pays_for_the_input() {
    for call in [chat(json!({})), stream(json!({}))] {
        let (mock, proxy) = cancelling();
        let call = call.header("x-mock-fault", "hang").key(ALICE);
        let connection = call.start(&proxy.address);
        until("the request to arrive", || {
            (mock.arrived() == 1).then_some(())
        });
        drop(connection);
        let receipt = only_receipt(&proxy);
        assert_eq!(receipt["counted"], "partial");
        assert_eq!(receipt["usage"].get("output"), None);
        assert!(receipt["usage"]["input"].as_u64() > Some(0));
        assert_eq!(mock.totals()["client_gone"], 1);
    }
}

/// Rivals: sub2api #5411, one-api, new-api: an image that was made was logged as a 502, and not billed.
#[test]
fn images_that_nobody_waited_for_are_charged_if_they_came() {
    let (mock, proxy) = start();
    let call = image(json!({ "n": 2 }))
        .header("x-mock-delay-ms", 300)
        .key(ALICE);
    let connection = call.start(&proxy.address);
    until("the request to arrive", || {
        (mock.arrived() == 1).then_some(())
    });
    drop(connection);
    assert_eq!(only_receipt(&proxy)["cost"], "0.7");

    let (mock, proxy) = cancelling();
    let call = image(json!({})).header("x-mock-fault", "hang").key(ALICE);
    let connection = call.start(&proxy.address);
    until("the request to arrive", || {
        (mock.arrived() == 1).then_some(())
    });
    drop(connection);
    until("the upstream to be stopped", || {
        (mock.totals_now()["client_gone"] == 1).then_some(())
    });
    assert_eq!(proxy.idle_wallet("alice")["balance"], "10");
}

#[test]
fn closing_right_after_the_end_is_no_abort() {
    let (mock, proxy) = start();
    for _ in 0..20 {
        let call = sized(stream(json!({}))).header("x-mock-burst", 100);
        let mut exchange = proxy.open(ALICE, call);
        let id = exchange
            .headers
            .get("x-request-id")
            .expect("an id")
            .to_owned();
        while exchange.event().as_deref() != Some("data: [DONE]\n\n") {}
        drop(exchange);
        let receipt = proxy.view(ALICE, &format!("/v1/receipts/{id}"));
        assert_eq!(receipt["counted"], "exact");
        assert_eq!(receipt["cost"], cost(40, 30));
        assert_eq!(receipt["flags"], json!([]));
    }
    assert_eq!(mock.totals()["complete"], 20);
    proxy.audit();
}

/// Five tokens and the finish, then a pause, then the usage and the end.
fn pausing_before_its_end() -> Scripted {
    let text = |text: &str, finish: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let words = [" one", " two", " three", " four", " five"];
    let mut body: String = words.iter().map(|word| text(word, "null")).collect();
    body.push_str(&text("", "\"stop\""));
    let pause = body.len();
    let usage = json!({ "prompt_tokens": 40, "completion_tokens": 30, "total_tokens": 70 });
    let end = json!({ "choices": [], "usage": usage });
    body.push_str(&format!("data: {end}\n\ndata: [DONE]\n\n"));
    let script = Script {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/event-stream".to_owned())],
        body: body.into(),
        pauses: vec![(pause, Duration::from_millis(400))],
        framing: Framing::Chunked,
        ending: Ending::Whole,
    };
    Scripted::start([("pauses".to_owned(), script)].into())
}

#[test]
fn a_client_that_leaves_between_the_last_token_and_the_end_is_charged_as_its_key_says() {
    let upstream = pausing_before_its_end();
    for (policy, usage, counted, flags) in [
        (
            "drain",
            json!({ "input": 40, "output": 30 }),
            "exact",
            json!(["client_gone"]),
        ),
        (
            "cancel",
            json!({ "input": 10, "output": 5 }),
            "partial",
            json!(["usage_missing", "client_gone"]),
        ),
    ] {
        let (_mock, proxy) = start_with(|setup| {
            setup
                .upstream("mock", json!({ "base_url": upstream.base_url() }))
                .key(json!({ "name": "alice", "on_disconnect": policy }))
        });
        let call = stream(json!({})).header(SCRIPT, "pauses");
        let seen = proxy.open(ALICE, call).leave_after(6);
        assert!(seen[5].contains("\"stop\""), "{seen:?}");
        let receipt = only_receipt(&proxy);
        assert_eq!(receipt["usage"], usage, "{policy}");
        assert_eq!(receipt["counted"], counted, "{policy}");
        assert_eq!(receipt["flags"], flags, "{policy}");
    }
}

#[test]
fn a_slow_reader_gets_all_of_it_and_is_charged_as_the_upstream_reports() {
    let (mock, proxy) = start_with(|setup| {
        setup
            .cap("client_stall_ms", 2_000)
            .model(json!({ "id": "vendor/chat", "max_output_tokens": 32_768 }))
    });
    let call = stream(json!({}))
        .header("x-mock-prompt", 40)
        .header("x-mock-completion", 20_000)
        .header("x-mock-burst", 1_000);
    let mut exchange = proxy.open(ALICE, call);
    let (mut read, mut pauses) = (0, 0);
    while exchange.more() {
        // It takes nothing for a while, again and again, but never for as long as a client that is gone.
        if exchange.body().len() > read + 800_000 {
            read = exchange.body().len();
            pauses += 1;
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    assert!(pauses >= 4, "{pauses} pauses in {read} bytes");
    let answer = exchange.finish();
    assert!(answer.whole && answer.text().ends_with("data: [DONE]\n\n"));
    let receipt = only_receipt(&proxy);
    assert_eq!(receipt["usage"], json!({ "input": 40, "output": 20_000 }));
    assert_eq!(receipt["cost"], cost(40, 20_000));
    assert_eq!(receipt["counted"], "exact");
    assert_eq!(mock.totals()["complete"], 1);
}

#[test]
fn a_client_that_takes_nothing_is_gone() {
    let (mock, proxy) = start_with(|setup| {
        setup
            .cap("client_stall_ms", 300)
            .key(json!({ "name": "alice", "on_disconnect": "cancel" }))
    });
    let call = stream(json!({}))
        .header("x-mock-completion", 1_000_000)
        .header("x-mock-burst", 1_000);
    // It stays connected, but reads no more than the head.
    let exchange = proxy.open(ALICE, call);
    let receipt = only_receipt(&proxy);
    assert_eq!(receipt["counted"], "partial");
    assert_eq!(receipt["flags"], json!(["usage_missing", "client_gone"]));
    // An own count is never above the hold.
    assert_eq!(receipt["shortfall"], "0");
    assert_eq!(mock.totals()["client_gone"], 1);
    drop(exchange);
}

#[test]
fn half_a_request_is_no_request() {
    let (mock, proxy) = start();
    let bytes = chat(json!({})).key(ALICE).bytes();
    let mut connection = Connection::open(&proxy.address);
    connection.write(&bytes[..bytes.len() - 5]);
    connection.shut_write();
    connection.read_to_end();
    assert_eq!(mock.arrived(), 0);
    let wallet = proxy.idle_wallet("alice");
    assert_eq!(wallet["balance"], "10");
}
