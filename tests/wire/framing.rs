//! Streams framed as vendors frame them, and clients older than chunks.

use serde_json::{Value, json};

use crate::support::setup::ALICE;
use crate::support::{
    Answer, Connection, Mock, Proxy, RawUpstream, chat, start, start_with, stream,
};

/// A proxy before an upstream that answers with exactly this stream and closes.
fn streaming(body: &str) -> (RawUpstream, Mock, Proxy) {
    let upstream = RawUpstream::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{body}"
    ));
    let (mock, proxy) =
        start_with(|setup| setup.upstream("mock", json!({ "base_url": upstream.base_url() })));
    (upstream, mock, proxy)
}

/// The body without the receipt's comment, and the receipt as stored.
fn read(proxy: &Proxy, answer: &Answer) -> (String, Value) {
    assert!(answer.status == 200 && answer.whole, "{answer:?}");
    let text = answer.text();
    let (before, rest) = text.split_once(": tollgate ").expect("a comment");
    let (_, after) = rest.split_once("\n\n").expect("its end");
    let id = answer.header("x-tollgate-request-id");
    let receipt = proxy.view(ALICE, &format!("/v1/receipts/{id}"));
    (format!("{before}{after}"), receipt)
}

const CHUNK: &str = r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#;

#[test]
fn line_ends_comments_and_blanks_are_the_vendors_own() {
    for (head, end) in [
        (": working\n\n", "\n\n"),
        (": working\r\n\r\n", "\r\n\r\n"),
        ("retry: 100\n\n", "\n\n"),
        ("", "\r\r"),
        ("\n\n\n", "\n\n"),
        ("event: message\nid: 7\n", "\n\n"),
        ("\u{feff}", "\n\n"),
    ] {
        for data in ["data: ", "data:"] {
            let before = format!("{head}{data}{CHUNK}{end}");
            let done = format!("{data}[DONE]{end}");
            let body = format!("{before}{data}{USAGE}{end}{done}");
            let (_upstream, _mock, proxy) = streaming(&body);
            let (seen, receipt) = read(&proxy, &proxy.send(ALICE, stream(json!({}))));
            assert_eq!(seen, format!("{before}{done}"), "{head:?} {end:?}");
            assert_eq!(receipt["usage"], json!({ "input": 5, "output": 1 }));
            assert_eq!(receipt["counted"], "exact");
        }
    }
}

#[test]
fn a_stream_that_ends_without_its_last_line_end_is_whole() {
    for end in ["", "\n"] {
        let body = format!("data: {CHUNK}\n\ndata: {USAGE}\n\ndata: [DONE]{end}");
        let (_upstream, _mock, proxy) = streaming(&body);
        let (seen, receipt) = read(&proxy, &proxy.send(ALICE, stream(json!({}))));
        assert_eq!(seen, format!("data: {CHUNK}\n\ndata: [DONE]{end}"));
        assert_eq!(receipt["counted"], "exact");
    }
}

#[test]
fn a_stream_that_ends_without_a_marker_is_whole_once_its_usage_came() {
    let (_upstream, _mock, proxy) = streaming(&format!("data: {CHUNK}\n\ndata: {USAGE}\n\n"));
    let (seen, receipt) = read(&proxy, &proxy.send(ALICE, stream(json!({}))));
    assert_eq!(seen, format!("data: {CHUNK}\n\n"));
    assert_eq!(receipt["counted"], "exact");
}

#[test]
fn a_usage_chunk_that_the_upstream_sends_unasked_is_not_stripped_where_we_did_not_ask() {
    let body = format!("data: {CHUNK}\n\ndata: {USAGE}\n\ndata: [DONE]\n\n");
    let upstream = RawUpstream::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{body}"
    ));
    let (_mock, proxy) = start_with(|setup| {
        setup.upstream(
            "mock",
            json!({ "base_url": upstream.base_url(), "ask_usage": "never" }),
        )
    });
    let (seen, receipt) = read(&proxy, &proxy.send(ALICE, stream(json!({}))));
    let cost = receipt["cost"].as_str().expect("money");
    let seen = seen.replace(&format!(",\"cost\":\"{cost}\""), "");
    assert_eq!(seen, body);
}

#[test]
fn a_client_without_chunks_gets_a_stream_that_ends_with_the_connection() {
    let (_mock, proxy) = start();
    for call in [stream(json!({})), chat(json!({}))] {
        let bytes = String::from_utf8(call.key(ALICE).bytes()).expect("UTF-8");
        let mut connection = Connection::open(&proxy.address);
        connection.write(bytes.replace(" HTTP/1.1\r\n", " HTTP/1.0\r\n").as_bytes());
        let answer = connection.answer().finish();
        assert_eq!(answer.status, 200);
        assert!(!answer.headers.has("transfer-encoding"), "{answer:?}");
        let id = answer.header("x-tollgate-request-id");
        let receipt = proxy.view(ALICE, &format!("/v1/receipts/{id}"));
        assert_eq!(receipt["counted"], "exact");
    }
}

#[test]
fn an_event_larger_than_any_buffer_passes_unchanged() {
    let text = "lorem ".repeat(400_000);
    let large = format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#);
    let body = format!("data: {CHUNK}\n\ndata: {large}\n\ndata: {USAGE}\n\ndata: [DONE]\n\n");
    let (_upstream, _mock, proxy) = streaming(&body);
    let (seen, receipt) = read(&proxy, &proxy.send(ALICE, stream(json!({}))));
    assert_eq!(seen.len(), body.len() - USAGE.len() - 8);
    assert!(seen == body.replace(&format!("data: {USAGE}\n\n"), ""));
    assert_eq!(receipt["usage"], json!({ "input": 5, "output": 1 }));
}

#[test]
fn a_comment_between_the_usage_chunk_and_the_marker_lets_neither_go_unpriced() {
    let body = format!("data: {CHUNK}\n\ndata: {USAGE}\n\n: ping\n\ndata: [DONE]\n\n");
    let (_upstream, _mock, proxy) = streaming(&body);
    let (seen, _) = read(&proxy, &proxy.send(ALICE, stream(json!({}))));
    assert_eq!(seen, format!("data: {CHUNK}\n\n: ping\n\ndata: [DONE]\n\n"));
    let asked = stream(json!({ "stream_options": { "include_usage": true } }));
    let (seen, receipt) = read(&proxy, &proxy.send(ALICE, asked));
    let cost = receipt["cost"].as_str().expect("money");
    let priced = USAGE.replace("1}}", &format!("1,\"cost\":\"{cost}\"}}}}"));
    assert_eq!(seen, body.replace(USAGE, &priced));
}

#[test]
fn a_marker_without_its_last_line_end_still_ends_a_stream_without_usage() {
    let (_upstream, _mock, proxy) = streaming(&format!("data: {CHUNK}\n\ndata: [DONE]"));
    let (seen, receipt) = read(&proxy, &proxy.send(ALICE, stream(json!({}))));
    assert_eq!(seen, format!("data: {CHUNK}\n\ndata: [DONE]"));
    assert_eq!(receipt["counted"], "estimated");
    assert_eq!(receipt["flags"], json!(["usage_missing"]));
}

#[test]
fn what_follows_an_event_that_was_cut_off_is_an_event_of_its_own() {
    let text = "lorem ".repeat(100_000);
    let body = format!(r#"data: {{"choices":[{{"index":0,"delta":{{"content":"{text}"#);
    let (_upstream, _mock, proxy) = streaming(&body);
    let answer = proxy.send(ALICE, stream(json!({})));
    let text = answer.text();
    let (before, end) = text
        .split_once("\n\n: tollgate ")
        .unwrap_or_else(|| panic!("a blank line first: {}", &text[text.len() - 700..]));
    assert!(before.len() > 256 << 10, "the event had begun to flow");
    assert!(end.contains("\n\ndata: {\"error\":"), "{end}");
}
