//! Exactly once, whatever happens on the way.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tollgate::ledger::redis::outbox::Sent;

use crate::kit::{Storm, add, assert_once, lost, outbox, store, until, until_empty};
use crate::relay::Relay;
use crate::support::TempDir;
use crate::support::redis::Keep;

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_lose_nothing_and_repeat_nothing() {
    let (server, dir) = (store(Keep::Nothing, &[]), TempDir::new());
    let relay = Relay::to(server.address());
    let outbox = Arc::new(outbox(relay.address(), &dir.path().join("journal.db")).await);
    let storm = Storm::start(&outbox, "a");
    for round in 0..6 {
        storm.rages(200).await;
        relay.swallow(true);
        tokio::time::sleep(Duration::from_millis(100 + round * 150)).await;
        relay.cut();
        relay.swallow(false);
    }
    storm.rages(200).await;
    let sent = storm.end().await;
    until_empty(&outbox).await;
    assert_once(&server, &sent);
    assert!(sent.len() > 1_000, "{} were sent", sent.len());
    outbox.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_overtakes_another_is_told_to_wait_for_it() {
    let (server, dir) = (store(Keep::Nothing, &[]), TempDir::new());
    let outbox = outbox(server.address(), &dir.path().join("journal.db")).await;
    let mut sent = Vec::new();
    for round in 0..50 {
        // The server forgets the one script, so that its call is sent twice and the next one overtakes it.
        server.ask(&["SCRIPT", "FLUSH"]);
        let ids = [0, 1, 2].map(|n| format!("{round}-{n}"));
        let warm = outbox.send(add("add", 0, &ids[0], false)).await;
        assert!(matches!(warm, Sent::Answered(_)), "{warm:?}");
        let (slow, fast) = tokio::join!(
            outbox.send(add("other", 0, &ids[1], false)),
            outbox.send(add("add", 0, &ids[2], false)),
        );
        for answer in [slow, fast] {
            assert!(matches!(answer, Sent::Answered(_)), "{answer:?}");
        }
        sent.extend(ids);
    }
    assert_once(&server, &sent);
    until_empty(&outbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_changes_nothing() {
    let (server, dir) = (store(Keep::Nothing, &[]), TempDir::new());
    let outbox = outbox(server.address(), &dir.path().join("journal.db")).await;
    let mut sent = Vec::new();
    for n in 0..500_u16 {
        let id = n.to_string();
        // Polled once, and dropped.
        drop(outbox.send(add("add", n % 4, &id, false)).now_or_never());
        sent.push(id);
    }
    until_empty(&outbox).await;
    assert_once(&server, &sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_leaves_waiting_is_sent_when_it_starts_again() {
    let (server, dir) = (store(Keep::Nothing, &[]), TempDir::new());
    let file = dir.path().join("journal.db");
    let relay = Relay::to(server.address());
    let first = outbox(relay.address(), &file).await;
    let mut sent = vec!["before".to_owned()];
    first.send(add("add", 1, "before", false)).await;
    relay.refuse(true);
    relay.cut();
    for n in 0..40_u16 {
        let id = format!("kept-{n}");
        let kept = first.send(add("add", n % 4, &id, false)).await;
        assert!(matches!(kept, Sent::Kept), "{kept:?}");
        sent.push(id);
    }
    let words = lost(first.send(add("add", 1, "credit", true)).await);
    assert!(
        words.contains("the same call with the same id finds out"),
        "{words}"
    );
    sent.push("credit".to_owned());
    assert_eq!(first.figures().waiting, 41);
    assert!(first.figures().oldest_waiting_ms > 0);
    first.close().await.unwrap();
    drop(first);
    // Two starts on copies of the file: they have the same entries, under the same names.
    let copy = dir.path().join("copy.db");
    std::fs::copy(&file, &copy).unwrap();
    relay.refuse(false);
    let (one, two) = tokio::join!(
        outbox(relay.address(), &file),
        outbox(relay.address(), &copy)
    );
    assert_ne!(one.nonce(), two.nonce());
    for (outbox, id) in [(&one, "one"), (&two, "two")] {
        outbox.check().unwrap();
        assert_eq!(outbox.figures().waiting, 0);
        let answer = outbox.send(add("add", 1, id, true)).await;
        assert!(matches!(answer, Sent::Answered(_)), "{answer:?}");
        sent.push(id.to_owned());
    }
    assert_once(&server, &sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_refuses_waits_and_is_told_of() {
    let (server, dir) = (store(Keep::Nothing, &[]), TempDir::new());
    let outbox = outbox(server.address(), &dir.path().join("journal.db")).await;
    outbox.send(add("add", 1, "before", false)).await;
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let kept = outbox.send(add("add", 1, "settle", false)).await;
    assert!(matches!(kept, Sent::Kept), "{kept:?}");
    let why = outbox.check().unwrap_err().to_string();
    assert!(why.contains("OOM") && why.contains("refuses"), "{why}");
    lost(outbox.send(add("add", 1, "credit", true)).await);
    assert_eq!(outbox.figures().waiting, 2);
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    until_empty(&outbox).await;
    until("it is ready again", async || outbox.check().is_ok()).await;
    let sent = ["before", "settle", "credit"].map(str::to_owned);
    assert_once(&server, &sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_carried_out_later_is_put_aside_for_the_operator() {
    let (server, dir) = (store(Keep::Nothing, &[]), TempDir::new());
    let relay = Relay::to(server.address());
    let outbox = outbox(relay.address(), &dir.path().join("journal.db")).await;
    relay.refuse(true);
    relay.cut();
    for id in ["good", "bad", "fine"] {
        let kept = outbox.send(add("add", 5, id, false)).await;
        assert!(matches!(kept, Sent::Kept), "{kept:?}");
    }
    relay.refuse(false);
    until_empty(&outbox).await;
    assert_once(&server, &["good".to_owned(), "fine".to_owned()]);
    let aside = server.ask(&["LRANGE", "tollgate:{5}:z", "0", "-1"]);
    assert!(
        aside.contains("conflict") && aside.contains(outbox.nonce()),
        "{aside}"
    );
}
