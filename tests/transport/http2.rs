//! HTTP/2 by prior knowledge: the same answers, receipts and refusals as over HTTP/1.1.

use serde_json::json;

use crate::OF_HTTP1;
use crate::support::http2::head;
use crate::support::setup::ALICE;
use crate::support::{
    Call, Connection, Http2, RawUpstream, Retry, chat, curl, image, refusal, start, start_with,
    stream,
};

const PRIOR: &[&str] = &["--http2-prior-knowledge"];

fn sized(call: Call) -> Call {
    call.header("x-mock-prompt", 40)
        .header("x-mock-completion", 30)
}

#[test]
fn curl_gets_the_same_answers_over_both_versions_on_one_port() {
    let (mock, proxy) = start();
    let url = format!("http://{}", proxy.address);
    for call in [
        sized(chat(json!({}))),
        sized(stream(json!({}))),
        image(json!({ "n": 2 })),
    ] {
        let call = call.key(ALICE);
        let old = curl(&["--http1.1"], &url, &call).expect("an answer");
        let new = curl(PRIOR, &url, &call).expect("an answer");
        assert_eq!((old.version.as_str(), new.version.as_str()), ("1.1", "2"));
        assert_eq!((old.answer.status, new.answer.status), (200, 200));
        let [old, new] = [old.answer, new.answer].map(|answer| {
            let mut names = answer.headers.names("");
            names.retain(|name| !OF_HTTP1.contains(name));
            (names.join(" "), answer.body.len())
        });
        assert_eq!(old, new);
    }
    let answer = curl(PRIOR, &url, &sized(chat(json!({}))).key(ALICE))
        .expect("an answer")
        .answer;
    assert_eq!(answer.header("x-tollgate-usage"), "input=40, output=30");
    assert_eq!(answer.header("x-tollgate-cost"), "0.00064");
    assert_eq!(
        answer.header("content-length"),
        answer.body.len().to_string()
    );
    assert_eq!(mock.totals()["complete"], 7);
    proxy.audit();
}

#[test]
fn refusals_and_the_own_view_come_over_http2_too() {
    let (_mock, proxy) = start();
    let url = format!("http://{}", proxy.address);
    let get = |call: &Call| curl(PRIOR, &url, call).expect("an answer").answer;
    refusal(
        &get(&chat(json!({})).key("nobody")),
        401,
        "invalid_api_key",
        Retry::ByStatus,
    );
    refusal(
        &get(&chat(json!({ "model": "none" })).key(ALICE)),
        404,
        "model_not_found",
        Retry::ByStatus,
    );
    refusal(
        &get(&Call::new("DELETE", "/v1/models", "").key(ALICE)),
        404,
        "unknown_url",
        Retry::ByStatus,
    );
    let balance = get(&Call::get("/v1/balance").key(ALICE));
    assert_eq!(balance.json()["balance"], "10");
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_carry_the_receipt_to_those_who_take_them() {
    let (_mock, proxy) = start();
    let client = Http2::open(&proxy.address).await;
    let call = sized(stream(json!({}))).key(ALICE);
    let plain = client.send(&call).await;
    assert!(plain.whole && plain.trailers.0.is_empty(), "{plain:?}");
    assert!(plain.text().ends_with("data: [DONE]\n\n"));
    assert!(!plain.headers.has("trailer"));
    let told = client.send(&call.header("te", "trailers")).await;
    assert!(told.whole);
    assert!(told.header("trailer").contains("x-tollgate-cost"));
    assert_eq!(told.trailers.get("x-tollgate-cost"), Some("0.00064"));
    assert_eq!(
        told.trailers.get("x-tollgate-usage"),
        Some("input=40, output=30")
    );
    for answer in [plain, told] {
        assert!(
            OF_HTTP1.iter().all(|name| !answer.headers.has(name)),
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_share_a_connection_and_each_is_charged_once() {
    let (mock, proxy) = start();
    let client = Http2::open(&proxy.address).await;
    let mut reading = Vec::new();
    for _ in 0..40 {
        let answer = client.start(&sized(stream(json!({}))).key(ALICE)).await;
        // All at once: one that is not read would take the others' room.
        reading.push(tokio::spawn(async { head(answer).await.finish().await }));
    }
    for answer in reading {
        let answer = answer.await.expect("no panic");
        assert!(answer.whole && answer.text().ends_with("data: [DONE]\n\n"));
    }
    assert_eq!(proxy.receipts("alice").len(), 40);
    assert_eq!(proxy.idle_wallet("alice")["charged"], "0.0256");
    assert_eq!(mock.totals()["complete"], 40);
    proxy.audit();
}

#[test]
fn what_an_upstream_says_of_its_own_connection_stays_there() {
    let body = r#"{"error":{"message":"no","type":"t","param":null,"code":null}}"#;
    let length = body.len();
    let upstream = RawUpstream::answering(format!(
        "HTTP/1.1 418 Status\r\nkeep-alive: timeout=5\r\nproxy-connection: close\r\nupgrade: h2c\r\n\
         te: trailers\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    ));
    let (_mock, proxy) =
        start_with(|setup| setup.upstream("mock", json!({ "base_url": upstream.base_url() })));
    let url = format!("http://{}", proxy.address);
    let answer = curl(PRIOR, &url, &chat(json!({})).key(ALICE))
        .expect("an answer")
        .answer;
    assert_eq!((answer.status, answer.text().as_str()), (418, body));
    assert!(
        OF_HTTP1.iter().all(|name| !answer.headers.has(name)),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tunnels_are_refused() {
    let (mock, proxy) = start();
    let client = Http2::open(&proxy.address).await;
    let mut send = client.send.clone().ready().await.expect("open");
    let tunnel = http::Request::connect("api.example.com:443")
        .body(())
        .expect("a request");
    let (answer, _body) = send.send_request(tunnel, false).expect("a stream");
    let answer = head(answer).await.finish().await;
    refusal(&answer, 404, "unknown_url", Retry::ByStatus);
    // Extended CONNECT (WebSockets, RFC 8441) is not even offered.
    assert!(!client.send.is_extended_connect_protocol_enabled());
    assert_eq!(client.send(&chat(json!({})).key(ALICE)).await.status, 200);
    assert_eq!(mock.arrived(), 1);
}

#[test]
fn a_preface_in_pieces_is_a_preface_and_what_only_begins_like_one_is_http1() {
    let (_mock, proxy) = start();
    let mut slow = Connection::open(&proxy.address);
    // The preface, and an empty SETTINGS frame.
    for piece in [
        &b"P"[..],
        b"RI * HTTP/2.0\r\n\r\n",
        b"SM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ] {
        slow.write(piece);
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
    let bytes = slow.answer_bytes();
    assert_eq!(bytes.get(3), Some(&4), "its SETTINGS come first: {bytes:?}");
    let call = chat(json!({})).key(ALICE).bytes();
    let mut post = Connection::open(&proxy.address);
    post.write(&call[..1]);
    std::thread::sleep(std::time::Duration::from_millis(30));
    post.write(&call[1..]);
    assert_eq!(post.answer().finish().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_key_nor_prompt_is_logged() {
    let (_mock, mut proxy) = start();
    let client = Http2::open(&proxy.address).await;
    let prompt = "a-prompt-canary-0123456789";
    let messages = json!([{ "role": "user", "content": prompt }]);
    for call in [
        chat(json!({ "messages": messages })),
        stream(json!({ "messages": messages })),
        chat(json!({ "messages": messages, "n": "many" })),
    ] {
        client.send(&call.key(ALICE)).await;
    }
    drop(client);
    // Lines are written by a thread of their own: the end of the process is the end of the log.
    assert!(proxy.terminate().success());
    let log = proxy.log();
    assert!(
        log.contains("HEADERS") || log.contains("Headers"),
        "it tells of frames"
    );
    assert!(!log.contains(ALICE) && !log.contains(prompt));
}
