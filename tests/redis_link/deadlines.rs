//! Whatever becomes of Redis, no caller waits longer than was agreed.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use tollgate::ledger::redis::error::{LinkError, LinkState, OpenError};

use crate::support::redis::Server;
use crate::{append, linked, options, refusal, when, when_up};

/// Far above every limit here, far below what a caller would call hanging.
const SOON: Duration = Duration::from_secs(10);

/// Rivals: litellm PR #35273: the same while connecting.
#[tokio::test]
async fn a_listener_that_never_answers_is_given_up_in_time() {
    let hole = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = hole.local_addr().expect("an address");
    let mut options = options(&format!("redis://{address}"));
    options.connect_timeout_ms = 100;
    let begun = Instant::now();
    let error = refusal(&options).await;
    assert!(begun.elapsed() < SOON);
    assert_eq!(
        error.to_string(),
        format!(
            "the ledger's Redis cannot be used now: {address} took the connection, but did not answer within 100 ms: \
             is it Redis, and is it stopped or overloaded?"
        )
    );
    assert!(matches!(error, OpenError::Away(_)));
}

#[tokio::test]
async fn a_server_that_is_held_up_is_given_up_in_time_and_taken_back() {
    let server = Server::start();
    let mut options = options(&server.url());
    options.response_timeout_ms = 100;
    options.connect_timeout_ms = 100;
    let link = linked(&options).await;
    append(&link, "list", 1).await.expect("it answers");
    server.pause();
    let begun = Instant::now();
    let late = append(&link, "list", 2).await.expect_err("no answer");
    assert!(begun.elapsed() < SOON);
    let words = format!("Redis at {} did not answer within 100 ms", server.address());
    assert_eq!(late, LinkError::Away(words));
    // Then it is known to be away, and nothing is waited for.
    when("the link says so", async || {
        (link.state() != LinkState::Up).then_some(())
    })
    .await;
    let begun = Instant::now();
    for _ in 0..1_000 {
        append(&link, "list", 3).await.expect_err("away");
    }
    assert!(
        begun.elapsed() < SOON,
        "a hundred times shorter than waiting for each"
    );
    server.resume();
    when_up(&link).await;
    append(&link, "list", 4).await.expect("it answers again");
}

#[tokio::test]
async fn a_link_that_nobody_uses_sees_that_its_server_hangs() {
    let server = Server::start();
    let mut options = options(&server.url());
    options.response_timeout_ms = 200;
    let link = linked(&options).await;
    server.pause();
    when("the link says so", async || {
        (link.state() != LinkState::Up).then_some(())
    })
    .await;
    server.resume();
    when_up(&link).await;
}
