//! Receipts read back, trimmed and summed; and an audit that finds what was tampered with.

use futures_util::FutureExt;
use rusqlite::Connection;

use super::support::{
    START, TempDir, admit, entry, furnish, open, request, serve, stall, wallet_id,
};
use crate::clock::{Clock, UnixMs};
use crate::ledger::Ledger;
use crate::ledger::embedded::{Embedded, audit_file};
use crate::ledger::receipt::ReceiptQuery;
use crate::money::Nano;
use crate::usage::{Meter, Usage};

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
async fn receipts_are_found_by_wallet_key_and_time_newest_first() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let ledger = open(&dir.store(), &clock);
    some_history(&ledger, &clock).await;
    let find = async |query| {
        let found = ledger.receipts(query).await.unwrap();
        let ids = found.iter().map(|receipt| receipt.request_id);
        ids.collect::<Vec<_>>()
    };
    let all = find(ReceiptQuery::default()).await;
    assert_eq!(all, (0..60).rev().map(request).collect::<Vec<_>>());
    let of_wallet = ReceiptQuery {
        wallet: Some(wallet_id(1)),
        key: Some("key-1".parse().unwrap()),
        from: Some(START.plus(10 * HOUR_MS)),
        to: Some(START.plus(15 * HOUR_MS)),
        limit: Some(2),
        utc_offset_minutes: 0,
    };
    assert_eq!(find(of_wallet).await, [request(13), request(11)]);
    let of_no_key = ReceiptQuery {
        wallet: Some(wallet_id(1)),
        key: Some("key-0".parse().unwrap()),
        ..ReceiptQuery::default()
    };
    assert_eq!(find(of_no_key).await, []);
}

#[tokio::test]
async fn usage_is_summed_by_local_day_and_model() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let ledger = open(&dir.store(), &clock);
    some_history(&ledger, &clock).await;
    let of_wallet = |utc_offset_minutes| ReceiptQuery {
        wallet: Some(wallet_id(0)),
        utc_offset_minutes,
        ..ReceiptQuery::default()
    };
    let rows = ledger.usage(of_wallet(480)).await.unwrap();
    let days: Vec<(&str, u64)> = rows.iter().map(|row| (&*row.day, row.requests)).collect();
    // Even hours from 08:00 local on: 8 of the first day, 12 of the second, 10 of the third.
    assert_eq!(
        days,
        [("2026-01-01", 8), ("2026-01-02", 12), ("2026-01-03", 10)]
    );
    let receipts = ledger.receipts(of_wallet(0)).await.unwrap();
    let sum = |of: fn(&crate::ledger::receipt::Receipt) -> i64| {
        receipts.iter().map(|receipt| of(receipt)).sum::<i64>()
    };
    let total = |of: fn(&crate::ledger::receipt::UsageRow) -> i64| rows.iter().map(of).sum::<i64>();
    assert_eq!(
        total(|row| row.charged.get()),
        sum(|receipt| receipt.charged.get())
    );
    assert_eq!(
        total(|row| row.shortfall.get()),
        sum(|receipt| receipt.shortfall.get())
    );
    let free = total(|row| row.free.tokens as i64);
    assert_eq!(free, sum(|receipt| receipt.free.tokens as i64));
    assert!(free > 0);
    let output = total(|row| row.usage.get(Meter::Output) as i64);
    assert_eq!(
        output,
        sum(|receipt| receipt.usage.get(Meter::Output) as i64)
    );
}

#[tokio::test]
async fn absurd_counts_are_kept_bit_for_bit_and_do_not_break_totals() {
    let dir = TempDir::new();
    let ledger = open(&dir.store(), &Clock::manual(START));
    furnish(&ledger, 1).await;
    for n in 1..4 {
        let (hold, mut charge) = admit(&ledger, n, 0, 5).await;
        charge.usage = Usage::tokens(u64::MAX, 1 << 62);
        let settled = ledger.settle(hold, charge).await.unwrap();
        let read = ledger.receipt(request(n), None).await.unwrap();
        assert_eq!(read, Some(settled.receipt));
    }
    let rows = ledger.usage(ReceiptQuery::default()).await.unwrap();
    // Two of the one model, one of the other.
    let output = |row: usize| rows[row].usage.get(Meter::Output);
    assert_eq!((output(0), output(1)), (1 << 62, 1 << 63));
    assert_eq!(rows[1].usage.get(Meter::Input), u64::MAX);
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
