//! Streams that are left, or not taken: the same as a client that goes, and no other stream is harmed.

use std::time::Instant;

use h2::client::Builder;
use serde_json::{Value, json};

use crate::support::setup::ALICE;
use crate::support::{DEADLINE, Http2, Mock, Proxy, chat, start, start_with, stream, until};

/// The only receipt of alice that says that its client left, once it is there.
fn left(proxy: &Proxy) -> Value {
    let left = |receipt: &Value| receipt["flags"].to_string().contains("client_gone");
    let receipt = until("a receipt", || {
        proxy.receipts("alice").into_iter().find(left)
    });
    let all = proxy.receipts("alice");
    assert_eq!(all.iter().filter(|receipt| left(receipt)).count(), 1);
    assert_eq!(proxy.idle_wallet("alice")["held"], "0");
    proxy.audit();
    receipt
}

fn cancelling(stall_ms: u64) -> (Mock, Proxy) {
    start_with(|setup| {
        setup
            .cap("client_stall_ms", stall_ms)
            .key(json!({ "name": "alice", "on_disconnect": "cancel" }))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_is_read_on_and_charged_and_its_neighbour_flows() {
    let (mock, proxy) = start();
    let client = Http2::open(&proxy.address).await;
    let call = stream(json!({}))
        .header("x-mock-prompt", 40)
        .header("x-mock-completion", 30)
        .header("x-mock-chunk-ms", 10)
        .key(ALICE);
    let mut leaves = client.request(&call).await;
    let stays = client.request(&call).await;
    leaves.until("data: ").await;
    drop(leaves);
    let receipt = left(&proxy);
    assert_eq!(receipt["usage"], json!({ "input": 40, "output": 30 }));
    assert_eq!(receipt["counted"], "exact");
    let stays = stays.finish().await;
    assert!(stays.whole && stays.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(mock.totals()["complete"], 2);
    assert_eq!(proxy.receipts("alice").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_is_stopped_where_the_key_says_so() {
    let (mock, proxy) = cancelling(60_000);
    let client = Http2::open(&proxy.address).await;
    let hangs = stream(json!({}))
        .header("x-mock-fault", "hang-after=5")
        .key(ALICE);
    let mut leaves = client.request(&hangs).await;
    for _ in 0..2 {
        leaves.until("data: ").await;
    }
    drop(leaves);
    let receipt = left(&proxy);
    assert_eq!(receipt["counted"], "partial");
    assert!(receipt["usage"]["output"].as_u64() <= Some(5));
    assert_eq!(mock.totals()["client_gone"], 1);
    assert_eq!(client.send(&chat(json!({})).key(ALICE)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_before_its_answer_costs_its_input() {
    let (mock, proxy) = cancelling(60_000);
    let client = Http2::open(&proxy.address).await;
    let hangs = chat(json!({})).header("x-mock-fault", "hang").key(ALICE);
    let answer = client.start(&hangs).await;
    until("the request to arrive", || {
        (mock.arrived() == 1).then_some(())
    });
    drop(answer);
    let receipt = left(&proxy);
    assert_eq!(receipt["counted"], "partial");
    assert_eq!(receipt["usage"].get("output"), None);
    assert_eq!(mock.totals()["client_gone"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_the_end_of_all_its_streams() {
    let (mock, proxy) = cancelling(60_000);
    let client = Http2::open(&proxy.address).await;
    let hangs = stream(json!({}))
        .header("x-mock-fault", "hang-after=5")
        .key(ALICE);
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = client.request(&hangs).await;
        stream.until("data: ").await;
        streams.push(stream);
    }
    client.connection.abort();
    until("three receipts", || {
        (proxy.receipts("alice").len() == 3).then_some(())
    });
    assert_eq!(proxy.idle_wallet("alice")["held"], "0");
    assert_eq!(mock.totals()["client_gone"], 3);
    proxy.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_window_stays_shut_is_given_up_and_its_neighbours_flow() {
    let (mock, proxy) = cancelling(400);
    let mut windows = Builder::new();
    windows
        .initial_window_size(2_000)
        .initial_connection_window_size(1 << 24);
    let client = Http2::with(&proxy.address, &windows).await;
    let endless = stream(json!({}))
        .header("x-mock-completion", 1_000_000)
        .header("x-mock-burst", 100)
        .header("x-mock-chunk-ms", 1)
        .key(ALICE);
    // Its head is read, and none of its body. The connection itself goes on all the time.
    let mut shut = client.request(&endless).await;
    let begun = Instant::now();
    let receipt = loop {
        let answer = client.send(&stream(json!({})).key(ALICE)).await;
        assert!(answer.whole && answer.text().ends_with("data: [DONE]\n\n"));
        let all = proxy.receipts("alice");
        let gone = |receipt: &&Value| receipt["flags"].to_string().contains("client_gone");
        if let Some(receipt) = all.iter().find(gone) {
            break receipt.clone();
        }
        assert!(begun.elapsed() < DEADLINE, "the stream is never given up");
    };
    assert_eq!(receipt["counted"], "partial");
    assert_eq!(receipt["shortfall"], "0");
    // What had its place in the window came; then the reset.
    let mut came = 0;
    let error = loop {
        match shut.body.data().await {
            Some(Ok(piece)) => came += piece.len(),
            Some(Err(error)) => break error,
            None => panic!("a stream that was given up ended as if it were whole"),
        }
    };
    assert!(error.is_reset(), "{error}");
    assert!(came <= 2_000, "{came}");
    assert_eq!(mock.totals()["client_gone"], 1);
    assert_eq!(proxy.idle_wallet("alice")["held"], "0");
    proxy.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_that_opens_its_window_again_and_again_gets_all_of_it() {
    let (_mock, proxy) = cancelling(1_500);
    let mut windows = Builder::new();
    windows.initial_window_size(20_000);
    let client = Http2::with(&proxy.address, &windows).await;
    let call = chat(json!({})).header("x-mock-bytes", 80_000).key(ALICE);
    let mut reader = client.request(&call).await;
    let mut came = 0;
    while let Some(piece) = reader.piece().await {
        came += piece.expect("a piece").len();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(came >= 80_000, "{came}");
    assert_eq!(proxy.receipts("alice")[0]["flags"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_taken_gives_its_memory_back() {
    const MIB: u64 = 1 << 20;
    let mock = Mock::start();
    let setup = crate::support::Setup::new(&mock)
        .cap("answer_hold_bytes", 4 * MIB)
        .cap("answer_memory_bytes", 4 * MIB)
        .cap("client_stall_ms", 400);
    let proxy = Proxy::start(&setup);
    let client = Http2::open(&proxy.address).await;
    let large = chat(json!({})).header("x-mock-bytes", 3 * MIB).key(ALICE);
    // Charged, and its head received; its body waits for a window that does not open.
    let shut = client.request(&large).await;
    assert!(shut.headers.has("x-tollgate-cost"));
    // There is no room to hold a second one back until the first is given up.
    let neighbour = Http2::open(&proxy.address).await;
    let begun = Instant::now();
    loop {
        let answer = neighbour.send(&large).await;
        assert!(answer.whole, "{}", answer.status);
        if answer.headers.has("x-tollgate-cost") {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "the memory is never given back");
    }
    drop(shut);
}
