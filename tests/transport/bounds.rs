//! What bounds a connection of HTTP/2: heads, bodies, streams, silence, floods. Others are not harmed.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

use crate::support::http2::head;
use crate::support::setup::ALICE;
use crate::support::{
    Call, Connection, DEADLINE, Http2, Retry, Setup, chat, curl, refusal, start, start_with, until,
};

/// The preface, and an empty SETTINGS frame.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const PRIOR: &[&str] = &["--http2-prior-knowledge"];

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_capped_in_number_and_size() {
    let (mock, proxy) =
        start_with(|setup| setup.cap("header_count", 20).cap("header_bytes", 16_384));
    let client = Http2::open(&proxy.address).await;
    let many = (0..20).fold(chat(json!({})).key(ALICE), |call, n| {
        call.header(&format!("x-{n}"), n)
    });
    let answer = client.send(&many).await;
    let message = refusal(&answer, 431, "invalid_request_error", Retry::ByStatus);
    assert!(message.contains("limit of 20 headers"), "{message}");
    let large = chat(json!({}))
        .key(ALICE)
        .header("x-large", "a".repeat(17_000));
    assert_eq!(client.send(&large).await.status, 431);
    assert_eq!(client.send(&chat(json!({})).key(ALICE)).await.status, 200);
    assert_eq!(mock.arrived(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_and_its_connection_goes_on() {
    let (mock, proxy) = start_with(|setup: Setup| setup.cap("request_body_bytes", 100_000));
    let large = Call::post("/v1/chat/completions", vec![b'a'; 8 << 20]).key(ALICE);
    // With its length, as curl sends it, and without.
    let url = format!("http://{}", proxy.address);
    let answer = curl(PRIOR, &url, &large).expect("an answer").answer;
    refusal(&answer, 413, "invalid_request_error", Retry::ByStatus);
    let client = Http2::open(&proxy.address).await;
    let announced = Call::post("/v1/chat/completions", "").key(ALICE);
    let (answer, mut body) = client.begin(&announced, false).await;
    for _ in 0..20 {
        // An error means that it was refused already.
        drop(body.send_data(Bytes::from(vec![b'a'; 10_000]), false));
    }
    let answer = head(answer).await.finish().await;
    refusal(&answer, 413, "invalid_request_error", Retry::ByStatus);
    assert_eq!(client.send(&chat(json!({})).key(ALICE)).await.status, 200);
    assert_eq!(mock.arrived(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_pauses_for_too_long_is_refused_and_no_other_stream() {
    let (mock, proxy) = start_with(|setup| setup.cap("body_timeout_ms", 300));
    let client = Http2::open(&proxy.address).await;
    let call = chat(json!({})).key(ALICE);
    let (answer, mut body) = client.begin(&call, false).await;
    body.send_data(call.body().slice(..10), false)
        .expect("a piece");
    assert_eq!(client.send(&call).await.status, 200);
    let answer = head(answer).await.finish().await;
    refusal(&answer, 408, "request_timeout", Retry::ByStatus);
    assert_eq!(client.send(&call).await.status, 200);
    assert_eq!(mock.arrived(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_at_once_are_capped() {
    let (mock, proxy) = start_with(|setup| setup.cap("h2_streams", 3));
    let client = Http2::open(&proxy.address).await;
    assert_eq!(client.send(&chat(json!({})).key(ALICE)).await.status, 200);
    assert_eq!(client.send.current_max_send_streams(), 3);
    assert_eq!(mock.arrived(), 1);
}

#[test]
fn a_connection_that_asks_for_nothing_is_closed() {
    let (_mock, proxy) = start_with(|setup| {
        setup
            .cap("header_timeout_ms", 300)
            .cap("client_stall_ms", 300)
    });
    // Nothing at all; half a preface; a preface; half a head (HEADERS without END_HEADERS).
    let half_a_head = [HELLO, b"\0\0\x01\x01\0\0\0\0\x01\x82"].concat();
    for beginning in [&b""[..], b"PRI * HT", HELLO, &half_a_head] {
        let mut connection = Connection::open(&proxy.address);
        connection.write(beginning);
        let begun = Instant::now();
        connection.read_to_end();
        assert!(begun.elapsed() < DEADLINE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_client_is_told_to_come_back_and_a_busy_one_is_not() {
    let (_mock, proxy) = start_with(|setup| setup.cap("header_timeout_ms", 300));
    let client = Http2::open(&proxy.address).await;
    // Longer than an idle connection lives.
    let slow = chat(json!({})).header("x-mock-delay-ms", 1_500).key(ALICE);
    let answer = client.send(&slow).await;
    assert_eq!(answer.status, 200);
    // The connection ends by itself, and in order.
    client.ended().await.expect("GOAWAY without an error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_resets_harms_nobody() {
    let (_mock, proxy) = start();
    let flood = Http2::open(&proxy.address).await;
    let call = chat(json!({})).key(ALICE);
    let mut sent = 0;
    for _ in 0..20_000 {
        // Its connection may be ended for it.
        let Ok(mut send) = flood.send.clone().ready().await else {
            break;
        };
        let Ok((answer, body)) = send.send_request(call.request(), false) else {
            break;
        };
        drop((answer, body));
        sent += 1;
    }
    assert!(sent > 10, "{sent}");
    let client = Http2::open(&proxy.address).await;
    assert_eq!(client.send(&call).await.status, 200);
    until("every hold to end", || {
        (proxy.wallet("alice")["holds"] == 0).then_some(())
    });
    proxy.audit();
}

#[test]
fn a_head_without_end_is_cut_off() {
    let (_mock, proxy) = start();
    let mut connection = Connection::open(&proxy.address);
    connection.write(HELLO);
    // HEADERS without END_HEADERS, then CONTINUATION frames for ever, each with a header of its own.
    connection.write(b"\0\0\x01\x01\0\0\0\0\x01\x82");
    let begun = Instant::now();
    let frame = b"\0\0\x08\x09\0\0\0\0\x01\0\x02ab\x03cde";
    let flood = frame.repeat(1_000);
    while connection.is_open() {
        connection.write(&flood);
        assert!(begun.elapsed() < DEADLINE, "it reads for ever");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(proxy.send(ALICE, chat(json!({}))).status, 200);
}
