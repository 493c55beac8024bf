//! Acknowledged means committed; what comes together is committed together.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::support::{
    START, TempDir, admit, began, charge, claim, digest, entry, furnish, hold_ref, open, options,
    quote, request, serve, stall, wallet_id,
};
use crate::clock::Clock;
use crate::ledger::embedded::committer::OnFatal;
use crate::ledger::embedded::{Embedded, open as opening};
use crate::ledger::hold::{Quote, Refusal};
use crate::ledger::key::Freshness;
use crate::ledger::{Ledger, LedgerError};

#[tokio::test]
async fn concurrent_settles_share_a_commit() {
    let dir = TempDir::new();
    let ledger = open(&dir.store(), &Clock::manual(START));
    furnish(&ledger, 8).await;
    let mut admitted = Vec::new();
    for n in 0..64 {
        admitted.push(admit(&ledger, n, n % 8, 5).await);
    }
    let before = ledger.commits();
    let stalled = stall(&ledger);
    let mut settles = join_all(
        admitted
            .into_iter()
            .map(|(hold, charge)| ledger.settle(hold, charge)),
    );
    // Nothing is acknowledged while nothing can be written.
    assert!((&mut settles).now_or_never().is_none());
    drop(stalled);
    let settled = settles.await;
    assert!(settled.iter().all(Result::is_ok));
    assert_eq!(ledger.commits() - before, 1);
    assert_eq!(ledger.audit().await.unwrap().findings, Vec::<String>::new());
}

#[tokio::test]
async fn a_repeat_waits_for_the_commit_of_what_it_repeats() {
    let dir = TempDir::new();
    let ledger = open(&dir.store(), &Clock::manual(START));
    furnish(&ledger, 1).await;
    let (hold, charge) = admit(&ledger, 1, 0, 5).await;
    let stalled = stall(&ledger);
    let mut first = ledger.settle(hold.clone(), charge.clone());
    assert!((&mut first).now_or_never().is_none());
    let mut again = ledger.settle(hold, charge);
    assert!((&mut again).now_or_never().is_none());
    let mut credit = ledger.credit(entry("a", 0, 5));
    assert!((&mut credit).now_or_never().is_none());
    let mut credit_again = ledger.credit(entry("a", 0, 5));
    assert!((&mut credit_again).now_or_never().is_none());
    drop(stalled);
    assert_eq!(first.await.unwrap().receipt, again.await.unwrap().receipt);
    assert!(credit.await.unwrap().applied);
    assert!(!credit_again.await.unwrap().applied);
}

#[tokio::test]
async fn holds_voids_and_renewals_do_not_wait_for_the_disk() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let ledger = open(&dir.store(), &clock);
    furnish(&ledger, 1).await;
    clock.advance(2_000);
    let key = ledger.key(digest(0), Freshness::Shown).await;
    let asked = Quote {
        // Its id tells that it is new: nobody has to look for its receipt.
        request: began(clock.now(), 1),
        ..quote(1, 0, &key.unwrap().unwrap(), START)
    };
    let stalled = stall(&ledger);
    let held = ledger.hold(asked).now_or_never().unwrap();
    let hold = held.unwrap().unwrap().id;
    let renewed = ledger.renew(vec![hold.clone()], 1_000).now_or_never();
    renewed.unwrap().unwrap();
    ledger.void(hold).now_or_never().unwrap().unwrap();
    drop(stalled);
}

#[tokio::test]
async fn a_refusal_that_shows_a_receipt_waits_for_its_commit() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let ledger = open(&dir.store(), &clock);
    furnish(&ledger, 1).await;
    let key = ledger
        .key(digest(0), Freshness::Shown)
        .await
        .unwrap()
        .unwrap();
    let claimed = |n| {
        let mut quote = quote(n, 0, &key, START);
        quote.idempotency = claim("once");
        quote
    };
    let hold = ledger.hold(claimed(1)).await.unwrap().unwrap();
    let stalled = stall(&ledger);
    let mut settle = ledger.settle(hold.id.clone(), charge(&hold, 3));
    assert!((&mut settle).now_or_never().is_none());
    let mut repeat = ledger.hold(claimed(2));
    assert!((&mut repeat).now_or_never().is_none());
    drop(stalled);
    let receipt = settle.await.unwrap().receipt;
    assert_eq!(repeat.await.unwrap(), Err(Refusal::AlreadyCharged(receipt)));
}

#[tokio::test]
async fn claims_outlive_a_restart_by_a_day() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let ledger = open(&dir.store(), &clock);
    furnish(&ledger, 1).await;
    let key = ledger
        .key(digest(0), Freshness::Shown)
        .await
        .unwrap()
        .unwrap();
    let claimed = |n| {
        let mut quote = quote(n, 0, &key, clock.now());
        quote.idempotency = claim("once");
        quote
    };
    let hold = ledger.hold(claimed(1)).await.unwrap().unwrap();
    let settled = ledger
        .settle(hold.id.clone(), charge(&hold, 3))
        .await
        .unwrap();
    ledger.close().await.unwrap();

    clock.advance(23 * 3_600_000);
    let ledger = open(&dir.store(), &clock);
    assert_eq!(ledger.trim_receipts(clock.now()).await.unwrap(), 0);
    ledger.close().await.unwrap();
    let ledger = open(&dir.store(), &clock);
    let again = ledger.hold(claimed(2)).await.unwrap();
    assert_eq!(again, Err(Refusal::AlreadyCharged(settled.receipt)));

    clock.advance(3_600_001);
    assert!(ledger.hold(claimed(3)).await.unwrap().is_ok());
    assert_eq!(ledger.trim_receipts(clock.now()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_settle_is_answered_the_same_after_the_book_forgot_it_and_after_a_restart() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let ledger = open(&dir.store(), &clock);
    furnish(&ledger, 1).await;
    let (hold, charge) = admit(&ledger, 1, 0, 5).await;
    let settled = ledger.settle(hold.clone(), charge.clone()).await.unwrap();
    for _ in 0..400 {
        clock.advance(3_000);
        ledger.wallets().await.unwrap();
    }
    let again = ledger.settle(hold.clone(), charge.clone()).await.unwrap();
    assert_eq!(
        (again.receipt, again.balance),
        (settled.receipt.clone(), settled.balance)
    );
    ledger.close().await.unwrap();
    let ledger = open(&dir.store(), &clock);
    let again = ledger.settle(hold, charge.clone()).await.unwrap();
    assert_eq!(again.receipt, settled.receipt);
    let unknown = ledger.settle(hold_ref(99, 0), charge).await;
    assert!(matches!(unknown, Err(LedgerError::NotFound(_))));
}

#[tokio::test]
async fn counters_of_past_periods_go_and_others_stay() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let ledger = open(&dir.store(), &clock);
    furnish(&ledger, 1).await;
    serve(&ledger, 1, 0, 5).await;
    let count = || {
        ledger.committer.run(|connection| {
            connection.query_row("SELECT count(*) FROM counters", [], |row| {
                row.get::<_, i64>(0)
            })
        })
    };
    assert_eq!(count().await.unwrap(), 3);
    clock.advance(86_400_000 + 700_000);
    for _ in 0..20_000 {
        ledger.ask(|_, _| ()).unwrap();
    }
    assert_eq!(count().await.unwrap(), 2);
}

/// A ledger, and how often it tried to end the process.
fn watched(dir: &TempDir) -> (Embedded, Arc<AtomicU64>) {
    let ends = Arc::new(AtomicU64::new(0));
    let on_fatal: OnFatal = {
        let ends = ends.clone();
        Box::new(move || {
            ends.fetch_add(1, Ordering::SeqCst);
        })
    };
    let opened = opening::open_file(&options(&dir.store(), &Clock::manual(START))).unwrap();
    (Embedded::start(opened, on_fatal).unwrap(), ends)
}

/// The same, with a file that cannot grow any more.
async fn full_disk(dir: &TempDir) -> (Embedded, Arc<AtomicU64>) {
    let (ledger, ends) = watched(dir);
    furnish(&ledger, 1).await;
    let no_more_pages = ledger.committer.run(|connection| {
        let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
    });
    no_more_pages.await.unwrap();
    (ledger, ends)
}

#[tokio::test]
async fn a_log_of_writes_that_is_long_is_begun_anew_while_the_store_is_open() {
    let dir = TempDir::new();
    let ledger = open(&dir.store(), &Clock::manual(START));
    furnish(&ledger, 1).await;
    let funds = entry("funds", 0, 1_000_000_000_000);
    ledger.credit(funds).await.unwrap();
    // What is drawn whenever a log is begun.
    let salts = || {
        let mut header = [0; 24];
        let mut log = std::fs::File::open(dir.store().with_file_name("tollgate.db-wal")).unwrap();
        log.read_exact(&mut header).unwrap();
        u64::from_be_bytes(header[16..].try_into().unwrap())
    };
    let before = salts();
    let mut n = 0;
    while salts() == before {
        assert!(n < 2_000, "200 MB, and it only grows");
        let (hold, mut charge) = admit(&ledger, n, 0, 5).await;
        charge.detail.upstream = "x".repeat(100_000).into();
        ledger.settle(hold, charge).await.unwrap();
        n += 1;
    }
    assert!(n > 100, "it was not long yet");
    assert_eq!(ledger.audit().await.unwrap().findings.len(), 0);
}

#[tokio::test]
async fn a_commit_that_fails_is_never_acknowledged_and_ends_the_process() {
    let dir = TempDir::new();
    let (ledger, ends) = full_disk(&dir).await;
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for n in 1..40 {
        if ends.load(Ordering::SeqCst) > 0 {
            break;
        }
        // Larger than what the pages in use have room for, soon.
        let (hold, mut charge) = admit(&ledger, n, 0, 5).await;
        charge.detail.upstream = "x".repeat(2_000).into();
        match ledger.settle(hold, charge).await {
            Ok(settled) => acknowledged.push(settled.receipt),
            Err(error) => {
                assert!(matches!(error, LedgerError::Unavailable(_)), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "the disk was not full enough");
    assert_eq!(ends.load(Ordering::SeqCst), 1);
    assert!(ledger.wallet(wallet_id(0)).await.is_err());
    drop(ledger);

    let ledger = open(&dir.store(), &Clock::manual(START));
    let stored = ledger.receipts(Default::default()).await.unwrap();
    assert_eq!(stored.len(), acknowledged.len());
    for receipt in acknowledged {
        let found = ledger.receipt(receipt.request_id, None).await.unwrap();
        assert_eq!(found, Some(receipt));
    }
    assert_eq!(ledger.audit().await.unwrap().findings, Vec::<String>::new());
    assert_eq!(ledger.receipt(request(999), None).await.unwrap(), None);
}

#[tokio::test]
async fn prices_are_kept_once() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let ledger = open(&dir.store(), &clock);
    for _ in 0..2 {
        ledger.keep_prices("abc".into(), "{}".into()).await.unwrap();
        clock.advance(5);
    }
    let seen = ledger.committer.run(|connection| {
        connection.query_row("SELECT first_seen FROM prices", [], |row| {
            row.get::<_, i64>(0)
        })
    });
    assert_eq!(seen.await.unwrap(), START.0);
}

#[tokio::test]
async fn a_panic_in_the_book_or_the_committer_ends_the_process() {
    let dir = TempDir::new();
    let (ledger, ends) = watched(&dir);
    furnish(&ledger, 1).await;
    let broken = ledger.change(|_, _, _| -> Result<(), LedgerError> { panic!("planted") });
    let caught = std::panic::AssertUnwindSafe(broken).catch_unwind().await;
    assert!(caught.is_err());
    assert_eq!(ends.load(Ordering::SeqCst), 1);
    assert!(ledger.credit(entry("a", 0, 5)).await.is_err());
    drop(ledger);

    let (ledger, ends) = watched(&dir);
    let broken = ledger
        .committer
        .run(|_| -> rusqlite::Result<()> { panic!("planted") });
    assert!(broken.await.is_err());
    drop(ledger.credit(entry("a", 0, 5)).await.err().unwrap());
    drop(ledger);
    assert_eq!(ends.load(Ordering::SeqCst), 1);
}
