//! Sizes and times: what is too large, too deep, too many or too slow ends, and takes nothing with it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::setup::{ALICE, BOB};
use crate::support::{Call, Connection, Retry, chat, refusal, start, start_with, until};

#[test]
fn a_head_has_a_size() {
    let (mock, proxy) = start_with(|setup| setup.cap("header_bytes", 16_384));
    let fine = chat(json!({})).header("x-long", "a".repeat(8_000));
    assert_eq!(proxy.send(ALICE, fine).status, 200);
    let long = chat(json!({}))
        .header("x-long", "a".repeat(40_000))
        .key(ALICE);
    let answer = long.start(&proxy.address).try_answer();
    let status = answer.map(|answer| answer.status);
    assert!(matches!(status, None | Some(431)), "{status:?}");
    let uri = Call::get(&format!("/v1/{}", "a".repeat(40_000))).key(ALICE);
    let answer = uri.start(&proxy.address).try_answer();
    let status = answer.map(|answer| answer.status);
    assert!(matches!(status, None | Some(414 | 431)), "{status:?}");
    assert_eq!(mock.arrived(), 1);
}

#[test]
fn a_head_has_a_number_of_headers() {
    let (mock, proxy) = start_with(|setup| setup.cap("header_count", 20));
    let many = |count: usize| {
        (0..count).fold(chat(json!({})), |call, index| {
            call.header(&format!("x-{index}"), "a")
        })
    };
    assert_eq!(proxy.send(ALICE, many(10)).status, 200);
    let answer = many(30).key(ALICE).start(&proxy.address).try_answer();
    let status = answer.map(|answer| answer.status);
    assert!(matches!(status, None | Some(431)), "{status:?}");
    assert_eq!(mock.arrived(), 1);
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let (_mock, proxy) = start_with(|setup| setup.cap("header_timeout_ms", 200));
    for bytes in ["", "GET /v1/mod", "GET /v1/models HTTP/1.1\r\nx-a: b\r\n"] {
        let begun = Instant::now();
        let mut connection = Connection::open(&proxy.address);
        connection.write(bytes.as_bytes());
        connection.read_to_end();
        assert!(begun.elapsed() < Duration::from_secs(10), "{bytes:?}");
    }
    // A connection that was used has no longer to wait for its next head.
    let call = Call::get("/v1/models").key(ALICE);
    let (answer, mut connection) = call.open(&proxy.address).finish_and_keep();
    assert_eq!(answer.status, 200);
    assert!(connection.is_closed());
}

#[test]
fn a_body_has_a_size() {
    let (mock, proxy) = start_with(|setup| setup.cap("request_body_bytes", 4_096));
    let text = "a".repeat(10_000);
    let large = chat(json!({ "user": text }));
    let message = refusal(
        &proxy.send(ALICE, large),
        413,
        "invalid_request_error",
        Retry::ByStatus,
    );
    assert!(message.contains("4096 bytes"), "{message}");
    // Declared only: refused before it comes.
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {ALICE}\r\ncontent-length: 99999999999\r\n\r\n"
    );
    let mut connection = Connection::open(&proxy.address);
    connection.write(head.as_bytes());
    assert_eq!(connection.answer().status, 413);
    // In chunks, its size not known before.
    let chunk = format!("800\r\n{}\r\n", "a".repeat(0x800));
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {ALICE}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let mut connection = Connection::open(&proxy.address);
    connection.write(format!("{head}{}", chunk.repeat(3)).as_bytes());
    assert_eq!(connection.answer().status, 413);
    assert_eq!(mock.arrived(), 0);
    let fine = chat(json!({ "user": "a".repeat(3_000) }));
    assert_eq!(proxy.send(ALICE, fine).status, 200);
}

#[test]
fn a_body_that_pauses_is_given_up() {
    let (mock, proxy) = start_with(|setup| setup.cap("body_timeout_ms", 200));
    let bytes = chat(json!({})).key(ALICE).bytes();
    let mut connection = Connection::open(&proxy.address);
    connection.write(&bytes[..bytes.len() - 5]);
    let answer = connection.answer().finish();
    let message = refusal(&answer, 408, "request_timeout", Retry::ByStatus);
    assert!(message.contains("200 ms"), "{message}");
    assert_eq!(mock.arrived(), 0);
}

#[test]
fn a_body_is_not_read_without_a_key() {
    let (_mock, proxy) = start();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer wrong\r\ncontent-length: 60000000\r\n\r\n";
    let mut connection = Connection::open(&proxy.address);
    connection.write(head.as_bytes());
    let answer = connection.answer().finish();
    refusal(&answer, 401, "invalid_api_key", Retry::ByStatus);
}

#[test]
fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let (mock, proxy) = start_with(|setup| setup.cap("request_body_bytes", 100_000));
    for bytes in [50_000, 90_000, 300_000, 3_000_000] {
        for _ in 0..10 {
            let large = chat(json!({ "user": "a".repeat(bytes) }));
            let answer = large.clone().key("wrong").send(&proxy.address);
            refusal(&answer, 401, "invalid_api_key", Retry::ByStatus);
            if bytes > 100_000 {
                let answer = proxy.send(ALICE, large);
                refusal(&answer, 413, "invalid_request_error", Retry::ByStatus);
            }
        }
    }
    assert_eq!(mock.arrived(), 0);
}

#[test]
fn a_client_that_waits_for_permission_is_asked_only_if_it_may_send() {
    let (mock, proxy) = start();
    let call = chat(json!({})).header("expect", "100-continue");
    assert_eq!(proxy.send(ALICE, call.clone()).status, 200);
    assert_eq!(mock.headers().get("expect"), None);
    let bytes = call.bytes();
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let mut connection = Connection::open(&proxy.address);
    connection.write(&bytes[..head.expect("a head") + 4]);
    // Nothing but the refusal comes, although the body never does.
    let all = String::from_utf8(connection.answer_bytes()).expect("ASCII");
    assert!(all.starts_with("HTTP/1.1 401"), "{all}");
}

#[test]
fn json_has_a_depth() {
    let (mock, proxy) = start_with(|setup| setup.cap("json_depth", 16));
    let deep = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        Call::post(
            "/v1/chat/completions",
            format!(
                r#"{{"model":"vendor/chat","messages":[{{"role":"user","content":"a"}}],"x":{open}{close}}}"#
            ),
        )
    };
    assert_eq!(proxy.send(ALICE, deep(10)).status, 200);
    for depth in [17, 1_000, 1_000_000] {
        let answer = proxy.send(ALICE, deep(depth));
        refusal(&answer, 400, "invalid_request_error", Retry::ByStatus);
    }
    assert_eq!(mock.arrived(), 1);
    assert_eq!(proxy.send(BOB, chat(json!({}))).status, 200);
}

#[test]
fn the_memory_of_all_requests_has_a_size_and_is_given_back() {
    let (mock, proxy) = start_with(|setup| {
        setup
            .cap("request_body_bytes", 60_000)
            .cap("request_memory_bytes", 100_000)
            .key(json!({ "name": "alice", "on_disconnect": "cancel" }))
    });
    let large = chat(json!({ "user": "a".repeat(55_000), "max_tokens": 1 })).key(ALICE);
    let hanging = large.clone().header("x-mock-fault", "hang");
    let hanging = hanging.start(&proxy.address);
    until("it to hang", || (mock.arrived() == 1).then_some(()));
    let answer = large.send(&proxy.address);
    refusal(&answer, 503, "overloaded", Retry::Later);
    // A small one still fits.
    assert_eq!(proxy.send(BOB, chat(json!({}))).status, 200);
    drop(hanging);
    until("the memory to be given back", || {
        (large.send(&proxy.address).status == 200).then_some(())
    });
    for _ in 0..5 {
        assert_eq!(large.send(&proxy.address).status, 200);
    }
}

#[test]
fn connections_have_a_number() {
    let (_mock, proxy) = start_with(|setup| setup.cap("connections", 2));
    let first = Call::get("/v1/models").key(ALICE);
    let (_, kept) = first.open(&proxy.address).finish_and_keep();
    let (_, other) = first.open(&proxy.address).finish_and_keep();
    // The third waits for a place instead of being turned away.
    let waiting = first.start(&proxy.address);
    drop((kept, other));
    assert_eq!(waiting.answer().status, 200);
}

#[test]
fn a_million_blanks_do_not_stop_the_tokenizer() {
    let (_mock, proxy) = start();
    let call = chat(json!({
        "messages": [{ "role": "user", "content": " ".repeat(1_000_000) }],
        "max_tokens": 1,
    }));
    let answer = proxy.send(ALICE, call.header("x-mock-fault", "no-usage"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-tollgate-counted"), "estimated");
    assert_eq!(proxy.send(BOB, chat(json!({}))).status, 200);
}

#[test]
fn a_header_cannot_have_the_upstream_read_more_than_was_held() {
    let (mock, proxy) = start_with(|setup| {
        setup.model(json!({
            "id": "vendor/long", "upstream": "mock", "context_tokens": 1_000_000,
            "prices": [{ "per": "1M tokens", "input": 4, "output": 16 }],
        }))
    });
    let long = "a ".repeat(40_000);
    let asks = |model: &str, content: &str| {
        let messages = json!([{ "role": "user", "content": content }]);
        chat(json!({ "model": model, "max_tokens": 20, "messages": messages }))
            .header("anthropic-beta", "interleaved-thinking-2025-05-14")
            .header("anthropic-beta", "tools-2024-05-16, context-1m-2025-08-07")
    };
    let answer = proxy.send(ALICE, asks("vendor/chat", &long));
    let message = refusal(&answer, 400, "invalid_request_error", Retry::ByStatus);
    for named in [
        "anthropic-beta",
        "`context-1m-2025-08-07`",
        "65536",
        "`context_tokens`",
    ] {
        assert!(message.contains(named), "{named} is not in: {message}");
    }
    assert_eq!(mock.arrived(), 0);
    for call in [asks("vendor/long", &long), asks("vendor/chat", "Hello")] {
        assert_eq!(proxy.send(ALICE, call).status, 200);
    }
    assert_eq!(mock.arrived(), 2);
}
