//! SIGTERM over HTTP/2: streams that run may finish, clients are told, and every hold ends.

use serde_json::json;

use crate::support::setup::ALICE;
use crate::support::{Connection, Http2, chat, start, start_with, stream, until};

#[tokio::test(flavor = "multi_thread")]
async fn running_streams_finish_and_the_client_is_told_to_go() {
    let (mock, mut proxy) = start();
    let client = Http2::open(&proxy.address).await;
    let slow = stream(json!({}))
        .header("x-mock-prompt", 40)
        .header("x-mock-completion", 40)
        .header("x-mock-chunk-ms", 20)
        .key(ALICE);
    let mut streaming = client.request(&slow).await;
    streaming.until("data: ").await;
    let waiting = chat(json!({})).header("x-mock-delay-ms", 500).key(ALICE);
    let waiting = client.start(&waiting).await;
    until("both to arrive", || (mock.arrived() == 2).then_some(()));
    let idle = Http2::open(&proxy.address).await;
    proxy.ask_to_end();
    idle.ended().await.expect("GOAWAY without an error");
    let streamed = streaming.finish().await;
    assert!(streamed.whole && streamed.text().ends_with("data: [DONE]\n\n"));
    let answered = crate::support::http2::head(waiting).await.finish().await;
    assert!(answered.whole && answered.headers.has("x-tollgate-cost"));
    client.ended().await.expect("GOAWAY without an error");
    assert_eq!(proxy.wait().code(), Some(0));
    proxy.serve();
    assert_eq!(proxy.wallet("alice")["held"], "0");
    assert_eq!(proxy.audit()["receipts"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_finish_in_time_is_charged_by_what_was_delivered() {
    let (_mock, mut proxy) = start_with(|setup| setup.set("server", "drain_seconds", 0));
    let client = Http2::open(&proxy.address).await;
    let hangs = stream(json!({}))
        .header("x-mock-fault", "hang-after=5")
        .key(ALICE);
    let mut streaming = client.request(&hangs).await;
    streaming.until("data: ").await;
    // One that has said nothing yet, and one that said no more than hello.
    let _silent = Connection::open(&proxy.address);
    assert_eq!(proxy.terminate().code(), Some(0));
    assert!(!streaming.finish().await.whole);
    proxy.serve();
    let receipts = proxy.receipts("alice");
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0]["counted"], "partial");
    assert_eq!(proxy.wallet("alice")["held"], "0");
    proxy.audit();
}
