//! Random schedules: the store answers as the book does, and is the same after it was opened anew.

use std::sync::Arc;

use super::schedule::{Op, Said, Schedule, perform};
use super::support::{START, TempDir, new_key, new_wallet, open};
use crate::clock::{Clock, UnixMs};
use crate::ledger::book::Book;
use crate::ledger::embedded::Embedded;
use crate::ledger::receipt::Receipt;
use crate::ledger::wallet::WalletView;
use crate::ledger::{Ledger, LedgerError};
use crate::money::Nano;

/// Does one operation on the bare book.
fn perform_bare(book: &mut Book, now: UnixMs, op: Op) -> Said {
    let words = |error: LedgerError| error.to_string();
    let changes = &mut Vec::new();
    match op {
        Op::OpenWallet(wallet) => {
            Said::Opened(book.open_wallet(now, wallet, changes).map_err(words))
        }
        Op::PutKey(key, digest) => Said::Key(book.put_key(key, digest, changes).map_err(words)),
        Op::RevokeKey(n) => {
            let id = new_key(n).id;
            Said::Key(book.revoke_key(&id, changes).map_err(words))
        }
        Op::CreditLine(n, line) => Said::Done(
            book.set_credit_line(now, &new_wallet(n).id, Nano::new(line), changes)
                .map_err(words),
        ),
        Op::Credit(entry) => Said::Credited(book.credit(now, entry, changes).map_err(words)),
        Op::Hold(quote) => Said::Held(book.hold(now, quote)),
        Op::Settle(hold, charge) => {
            Said::Settled(book.settle(now, &hold, charge, changes).map_err(words))
        }
        Op::Void(hold) => Said::Done(book.void(now, &hold).map_err(words)),
        Op::Renew(hold) => {
            book.renew(now, &hold, 3_000);
            Said::Done(Ok(()))
        }
        Op::Advance(_) => Said::Done(Ok(())),
    }
}

/// What is durable of a wallet: no holds, and no counters that say nothing.
fn at_rest(mut view: WalletView) -> WalletView {
    view.held = crate::money::Nano::ZERO;
    view.available = view.balance;
    view.holds = 0;
    for grant in &mut view.grants {
        grant.held = 0;
    }
    for counter in &mut view.counters {
        counter.held = 0;
    }
    view.counters.retain(|counter| counter.used > 0);
    view.counters.sort_by(|a, b| a.key.cmp(&b.key));
    view
}

async fn views(ledger: &Embedded) -> Vec<WalletView> {
    let mut views = Vec::new();
    for id in ledger.wallets().await.unwrap() {
        views.push(at_rest(ledger.wallet(id).await.unwrap().unwrap()));
    }
    views
}

async fn receipts(ledger: &Embedded) -> Vec<Arc<Receipt>> {
    ledger.receipts(Default::default()).await.unwrap()
}

#[tokio::test]
async fn the_store_answers_as_the_book_does() {
    let mut settled = 0;
    for seed in 0..40 {
        let clock = Clock::manual(START);
        let ledger = Embedded::in_memory("CNY", Some(clock.clone())).unwrap();
        let mut book = Book::new();
        let mut schedule = Schedule::new(seed, 3);
        for step in 0..250 {
            let op = schedule.draw(clock.now());
            let expected = perform_bare(&mut book, clock.now(), op.clone());
            let said = perform(&ledger, &clock, op.clone()).await;
            assert_eq!(said, expected, "seed {seed}, step {step}, {op:?}");
            schedule.heard(&said);
        }
        let now = clock.now();
        for id in book.wallets() {
            let expected = book.wallet(now, &id);
            assert_eq!(ledger.wallet(id).await.unwrap(), expected, "seed {seed}");
        }
        let report = ledger.audit().await.unwrap();
        assert_eq!(report.findings, Vec::<String>::new(), "seed {seed}");
        settled += report.receipts;
    }
    assert!(settled > 800, "only {settled} were settled");
}

#[tokio::test]
async fn a_store_opened_anew_is_the_same() {
    for seed in 100..108 {
        let dir = TempDir::new();
        let clock = Clock::manual(START);
        let mut schedule = Schedule::new(seed, 4);
        let mut settled = 0;
        for _ in 0..3 {
            let ledger = open(&dir.store(), &clock);
            for _ in 0..150 {
                let op = schedule.draw(clock.now());
                let said = perform(&ledger, &clock, op).await;
                schedule.heard(&said);
            }
            let before = (
                views(&ledger).await,
                ledger.keys().await.unwrap(),
                receipts(&ledger).await,
            );
            settled = before.2.len();
            // Holds end with the process; so do the schedule's.
            schedule.admitted.clear();
            if schedule.random.below(2) == 0 {
                ledger.close().await.unwrap();
            }
            drop(ledger);
            let ledger = open(&dir.store(), &clock);
            let after = (
                views(&ledger).await,
                ledger.keys().await.unwrap(),
                receipts(&ledger).await,
            );
            assert_eq!(after, before, "seed {seed}");
            let report = ledger.audit().await.unwrap();
            assert_eq!(report.findings, Vec::<String>::new(), "seed {seed}");
        }
        assert!(settled > 20, "seed {seed} settled only {settled}");
    }
}
