//! Receipts trimmed, and an audit that finds what was tampered with.

use futures_util::FutureExt;
use rusqlite::Connection;

use super::support::{START, TempDir, admit, entry, furnish, open, serve, stall, wallet_id};
use crate::clock::{Clock, UnixMs};
use crate::ledger::Ledger;
use crate::ledger::embedded::{Embedded, audit_file};
use crate::money::Nano;

const HOUR_MS: u64 = 3_600_000;

/// Two wallets, 60 requests an hour apart, a top-up.
async fn some_history(ledger: &Embedded, clock: &Clock) {
    furnish(ledger, 2).await;
    for n in 0..60 {
        serve(ledger, n, n % 2, n % 51).await;
        clock.advance(HOUR_MS);
    }
    ledger.credit(entry("topup", 1, 777)).await.unwrap();
}

async fn assert_clean(ledger: &Embedded) {
    let report = ledger.audit().await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
}

#[tokio::test]
async fn trimming_folds_receipts_and_keeps_the_audit_clean() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let ledger = open(&dir.store(), &clock);
    some_history(&ledger, &clock).await;
    let before = ledger.wallet(wallet_id(0)).await.unwrap();
    let cut = START.plus(20 * HOUR_MS);
    assert_eq!(ledger.trim_receipts(cut).await.unwrap(), 20);
    assert_eq!(ledger.trim_receipts(cut).await.unwrap(), 0);
    assert_clean(&ledger).await;
    assert_eq!(
        ledger
            .trim_receipts(START.plus(30 * HOUR_MS))
            .await
            .unwrap(),
        10
    );
    serve(&ledger, 100, 0, 3).await;
    assert_clean(&ledger).await;
    assert_eq!(ledger.trim_receipts(UnixMs(i64::MAX)).await.unwrap(), 31);
    assert_clean(&ledger).await;
    ledger.close().await.unwrap();
    let report = audit_file(&dir.store()).unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!((report.wallets, report.receipts, report.credits), (2, 0, 3));
    let after = open(&dir.store(), &clock)
        .wallet(wallet_id(0))
        .await
        .unwrap();
    assert_ne!(after, before);
}

#[tokio::test]
async fn trimming_goes_in_pieces_and_counts_them_all() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let ledger = open(&dir.store(), &clock);
    furnish(&ledger, 1).await;
    ledger
        .credit(entry("rich", 0, 1_000_000_000))
        .await
        .unwrap();
    for n in 0..1_203 {
        serve(&ledger, n, 0, 1).await;
        clock.advance(1_000);
    }
    assert_eq!(ledger.trim_receipts(clock.now()).await.unwrap(), 1_203);
    assert_clean(&ledger).await;
}

#[tokio::test]
async fn an_audit_under_load_compares_one_moment() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let ledger = open(&dir.store(), &clock);
    furnish(&ledger, 2).await;
    for n in 0..20 {
        let (hold, charge) = admit(&ledger, n, n % 2, 5).await;
        let stalled = stall(&ledger);
        let mut audit = ledger.audit();
        assert!((&mut audit).now_or_never().is_none());
        let mut settle = ledger.settle(hold, charge);
        assert!((&mut settle).now_or_never().is_none());
        drop(stalled);
        settle.await.unwrap();
        let report = audit.await.unwrap();
        assert_eq!(report.findings, Vec::<String>::new());
        assert_eq!((report.receipts, report.live_holds), (n, 1));
    }
}

/// What an audit says of a store after `sql` was done to its file; and that a running ledger, whose
/// book still knows better, says so too.
async fn findings_after(sql: &str) -> (Vec<String>, Vec<String>) {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let ledger = open(&dir.store(), &clock);
    some_history(&ledger, &clock).await;
    ledger
        .trim_receipts(START.plus(10 * HOUR_MS))
        .await
        .unwrap();
    let tamper = Connection::open(dir.store()).unwrap();
    assert!(tamper.execute(sql, []).unwrap() > 0, "{sql}");
    drop(tamper);
    let running = ledger.audit().await.unwrap().findings;
    ledger.close().await.unwrap();
    (running, audit_file(&dir.store()).unwrap().findings)
}

#[tokio::test]
async fn an_audit_names_what_was_tampered_with() {
    let cases = [
        (
            "UPDATE wallets SET balance = balance + 1 WHERE id = 'wallet-0'",
            "wallet wallet-0: its balance is",
        ),
        (
            "UPDATE wallets SET charged = charged - 1 WHERE id = 'wallet-1'",
            "wallet wallet-1: its charged total",
        ),
        (
            "UPDATE wallets SET shortfall = 9 WHERE id = 'wallet-1'",
            "wallet wallet-1: its shortfall total is 0.000000009",
        ),
        (
            "DELETE FROM receipts WHERE wallet = 'wallet-0' AND settled_at = (SELECT max(settled_at) FROM receipts WHERE wallet = 'wallet-0')",
            "wallet wallet-0: its charged total",
        ),
        (
            "UPDATE receipts SET charged = charged + 1 WHERE wallet = 'wallet-0'",
            "wallet wallet-0: receipt req_",
        ),
        (
            "UPDATE receipts SET shortfall = -1, charged = charged + 1 WHERE wallet = 'wallet-0'",
            "negative shortfall",
        ),
        (
            "INSERT INTO entries SELECT 'again', wallet, amount, json_set(record, '$.id', 'again') FROM entries WHERE id = 'topup'",
            "wallet wallet-1: its credited total",
        ),
        (
            "DELETE FROM entries WHERE id = 'topup'",
            "wallet wallet-1: its credited total",
        ),
        (
            "UPDATE grants SET used = used - 1 WHERE wallet = 'wallet-1' AND name = 'chat'",
            "wallet wallet-1: its grants say that 999 tokens",
        ),
        (
            "UPDATE checkpoints SET charged = charged + 5 WHERE wallet = 'wallet-0'",
            "wallet wallet-0: its balance is",
        ),
        (
            "UPDATE receipts SET detail = 'x' WHERE wallet = 'wallet-0'",
            "a row of the table `receipts` cannot be read",
        ),
    ];
    for (sql, words) in cases {
        let (running, closed) = findings_after(sql).await;
        for findings in [running, closed] {
            let found = findings.iter().any(|finding| finding.contains(words));
            assert!(found, "{sql}: {findings:#?}");
        }
    }
}

#[tokio::test]
async fn an_audit_compares_the_running_book_with_the_file() {
    // Consistent in itself, so that only the book in memory can tell.
    let (running, _) = findings_after("UPDATE wallets SET credit_line = 50").await;
    let words = "wallet wallet-0: its credit line is 0 in memory, but 0.00000005 in the store";
    assert!(
        running.iter().any(|finding| finding == words),
        "{running:#?}"
    );
    assert_eq!(Nano::new(50).to_string(), "0.00000005");
}
