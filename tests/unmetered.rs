//! What the mock cannot answer: shapes of answers that would pass uncounted. None of them is delivered for nothing.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};
use support::setup::ALICE;
use support::{Call, DEADLINE, Mock, Proxy, Setup};

/// An upstream that answers every request with these bytes. It leaves the connection open until the other side goes,
/// and ends with the test's process. Its base URL.
fn answering(bytes: impl Into<Vec<u8>>) -> String {
    let bytes = bytes.into();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, bytes) = (stream.expect("a connection"), bytes.clone());
            std::thread::spawn(move || answer(stream, &bytes));
        }
    });
    format!("http://{address}/v1")
}

fn answer(mut stream: TcpStream, bytes: &[u8]) {
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let (mut read, mut chunk) = (Vec::new(), [0; 16_384]);
    // The body of every request here ends with two braces.
    while !read.ends_with(b"}}") {
        match stream.read(&mut chunk) {
            Ok(length) if length > 0 => read.extend_from_slice(&chunk[..length]),
            _ => return,
        }
    }
    // An error means that the proxy left, which is its right.
    stream.write_all(bytes).unwrap_or_default();
    while matches!(stream.read(&mut chunk), Ok(1..)) {}
}

fn whole(kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn serving(upstream: &str, change: impl FnOnce(Setup) -> Setup) -> Proxy {
    // Never asked: the setup needs an address.
    let mock = Mock::start();
    let setup = Setup::new(&mock).upstream("mock", json!({ "base_url": upstream }));
    Proxy::start(&change(setup))
}

fn image(n: u64) -> Call {
    let body = json!({ "model": "image", "n": n, "prompt": "a cat", "zz": {} });
    Call::json("/v1/images/generations", &body)
}

/// `vendor/image`, priced by tokens: 5 in, 40 out per million; a hold of (context, n x 1000) tokens.
fn by_token(setup: Setup) -> Setup {
    setup.model(json!({
        "id": "vendor/image", "context_tokens": 1000, "max_output_tokens": 1000,
        "prices": [{ "per": "1M tokens", "input": 5, "output": 40 }],
    }))
}

fn token_answer(usage: Value) -> String {
    let body = json!({ "created": 1, "data": [{ "b64_json": "iVBOR" }], "usage": usage });
    whole("application/json", &body.to_string())
}

#[test]
fn images_that_are_priced_by_token_are_charged_by_token() {
    let usage = json!({ "input_tokens": 100, "output_tokens": 900, "total_tokens": 1000,
                        "input_tokens_details": { "text_tokens": 100, "image_tokens": 0 } });
    let proxy = serving(&answering(token_answer(usage)), by_token);
    let answer = proxy.send(ALICE, image(1));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.headers.get("x-tollgate-usage"),
        Some("input=100, output=900, images=1")
    );
    assert_eq!(answer.headers.get("x-tollgate-counted"), Some("exact"));
    assert_eq!(answer.headers.get("x-tollgate-cost"), Some("0.0365"));
    proxy.audit();
}

/// Rivals: litellm #36561 #30715 #26863 #36914 #36646, new-api #1797, sub2api #5456: an image model that is priced
/// by tokens, and did not report them, was free.
#[test]
fn images_by_token_without_a_report_cost_what_was_held() {
    let proxy = serving(&answering(token_answer(Value::Null)), by_token);
    let answer = proxy.send(ALICE, image(2));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let cost = answer.headers.get("x-tollgate-cost");
    assert_eq!(cost, answer.headers.get("x-tollgate-hold"));
    assert_ne!(cost, Some("0"));
    assert_eq!(answer.headers.get("x-tollgate-counted"), Some("estimated"));
}

#[test]
fn a_stream_of_images_that_nobody_asked_for_is_not_delivered() {
    let event = "data: {\"data\":[{\"b64_json\":\"iVBOR\"}]}\n\ndata: [DONE]\n\n";
    let proxy = serving(&answering(whole("text/event-stream", event)), |setup| setup);
    let answer = proxy.send(ALICE, image(1));
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(proxy.idle_wallet("alice")["balance"], "10");
}

/// Rivals: litellm #36561 #30715 #26863 #36914 #36646, new-api #1797, sub2api #5456: an image model whose answers
/// looked new was free.
#[test]
fn images_in_a_shape_that_is_not_known_are_not_delivered() {
    for body in [
        json!({ "images": ["https://host/a.png"] }),
        json!({ "output": { "results": [{ "url": "https://host/a.png" }] } }),
        json!({ "data": [{ "image": "iVBOR" }] }),
        json!({ "data": { "url": "https://host/a.png" } }),
    ] {
        let upstream = answering(whole("application/json", &body.to_string()));
        let proxy = serving(&upstream, |setup| setup);
        let answer = proxy.send(ALICE, image(1));
        assert_eq!(answer.status, 502, "{body}: {}", answer.text());
        assert!(!answer.text().contains("a.png"));
        assert_eq!(proxy.idle_wallet("alice")["balance"], "10");
    }
}

#[test]
fn an_answer_that_says_it_has_no_image_is_passed_and_free() {
    for body in [
        json!({ "created": 1, "data": [] }),
        json!({ "data": [{ "error": { "code": "moderated" } }] }),
        json!({ "error": { "message": "no" } }),
    ] {
        let upstream = answering(whole("application/json", &body.to_string()));
        let proxy = serving(&upstream, |setup| setup);
        let answer = proxy.send(ALICE, image(1));
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        assert_eq!(answer.headers.get("x-tollgate-cost"), Some("0"));
    }
}

#[test]
fn leaving_before_the_end_of_a_large_answer_does_not_make_its_images_free() {
    let first = "i".repeat(200_000);
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 400000\r\n\r\n";
    let half = format!(r#"{head}{{"created":1,"data":[{{"b64_json":"{first}"}},{{"b64_json":""#);
    let proxy = serving(&answering(half), |setup| {
        setup
            .cap("answer_hold_bytes", 1_024)
            .key(json!({ "name": "alice", "on_disconnect": "cancel" }))
    });
    let mut exchange = proxy.open(ALICE, image(2));
    while exchange.body().len() < 150_000 {
        assert!(exchange.more());
    }
    drop(exchange);
    let wallet = proxy.idle_wallet("alice");
    assert_eq!(wallet["balance"], "9.3");
    let receipt = &proxy.receipts("alice")[0];
    assert_eq!(receipt["counted"], "partial");
    proxy.audit();
}

#[test]
fn an_error_that_never_ends_does_not_keep_the_hold() {
    let head =
        "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    let upstream = answering(head);
    let proxy = serving(&upstream, |setup| {
        setup.upstream("mock", json!({ "idle_timeout_ms": 200 }))
    });
    let exchange = proxy.open(ALICE, image(1));
    assert_eq!(exchange.status, 504);
    assert_eq!(proxy.idle_wallet("alice")["balance"], "10");
}
