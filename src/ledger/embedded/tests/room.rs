//! A file system that fills up: nothing new begins, and what has begun is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::support::{START, TempDir, admit, digest, entry, furnish, options, quote, wallet_id};
use crate::clock::Clock;
use crate::ledger::disk::space;
use crate::ledger::embedded::{Embedded, OpenOptions, open as opening};
use crate::ledger::key::Freshness;
use crate::ledger::{Ledger, LedgerError};

const MIB: u64 = 1024 * 1024;

/// A store on a file system that has as many bytes left as the number says.
fn with_room(options: &OpenOptions, free: &Arc<AtomicU64>) -> Embedded {
    let mut opened = opening::open_file(options).unwrap();
    let free = free.clone();
    opened.room = Box::new(move || match free.load(Ordering::SeqCst) {
        u64::MAX => Err(std::io::Error::other("nobody knows")),
        free => Ok(free),
    });
    Embedded::start(opened, Box::new(|| panic!("it ended"))).unwrap()
}

/// Waits until the store has looked, and is ready or not.
async fn until_ready(store: &Embedded, ready: bool) {
    let since = Instant::now();
    while store.ready().is_ok() != ready {
        assert!(since.elapsed() < Duration::from_secs(60), "it never looked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn words(refused: Result<impl Sized, LedgerError>) -> String {
    match refused {
        Err(LedgerError::Unavailable(words)) => words,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

#[tokio::test]
async fn where_little_room_is_left_nothing_begins_and_what_runs_is_charged() {
    let dir = TempDir::new();
    let free = Arc::new(AtomicU64::new(64 * MIB));
    let store = with_room(&options(&dir.store(), &Clock::manual(START)), &free);
    furnish(&store, 1).await;
    let (hold, cost) = admit(&store, 1, 0, 5).await;
    store.ready().unwrap();
    free.store(64 * MIB - 1, Ordering::SeqCst);
    until_ready(&store, false).await;

    let said = "the file system of the ledger has only 63 MiB left";
    let why = words(store.ready());
    assert!(why.contains(said), "{why}");
    let key = store
        .key(digest(0), Freshness::Shown)
        .await
        .unwrap()
        .unwrap();
    let asked = quote(2, 0, &key, store.now());
    let why = words(store.hold(asked).await);
    assert!(why.contains(said), "{why}");
    store.renew(vec![hold.clone()], 60_000).await.unwrap();
    let settled = store.settle(hold, cost).await.unwrap();
    assert!(!settled.receipt.charged.is_negative());
    store.credit(entry("topup", 0, 700)).await.unwrap();
    store.revoke_key("key-0".parse().unwrap()).await.unwrap();
    assert!(store.wallet(wallet_id(0)).await.unwrap().is_some());
    assert_eq!(store.audit().await.unwrap().findings, Vec::<String>::new());

    free.store(64 * MIB, Ordering::SeqCst);
    until_ready(&store, true).await;
    store.close().await.unwrap();

    // It is so from the first moment on.
    free.store(0, Ordering::SeqCst);
    let store = with_room(&options(&dir.store(), &Clock::manual(START)), &free);
    let why = words(store.ready());
    assert!(why.contains("has only 0 MiB left"), "{why}");
    // And nobody is turned away because nobody knows.
    free.store(u64::MAX, Ordering::SeqCst);
    until_ready(&store, true).await;
}

#[test]
fn the_room_of_a_real_file_is_told() {
    let dir = TempDir::new();
    std::fs::write(dir.store(), "").unwrap();
    let free = space::of_file(dir.store())().unwrap();
    assert!(0 < free && free < u64::MAX, "{free}");
    space::of_file(dir.store().with_file_name("absent"))().unwrap_err();
    assert_eq!(space::endless()().unwrap(), u64::MAX);
}
