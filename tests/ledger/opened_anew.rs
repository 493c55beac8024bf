//! What a store keeps when its process ends.

use std::sync::Arc;

use tollgate::clock::Clock;
use tollgate::ledger::Ledger;
use tollgate::ledger::hold::{HoldRef, Quote, Refusal};
use tollgate::ledger::key::Key;
use tollgate::ledger::object::{Object, ObjectKind, ObjectQuery};
use tollgate::ledger::receipt::{Receipt, ReceiptQuery};
use tollgate::ledger::wallet::WalletView;
use tollgate::money::Nano;

use crate::bench::{Bench, missing};
use crate::differential::Pair;
use crate::differential::coverage::Coverage;
use crate::kit::*;
use crate::stores::Store;

/// Everything that a ledger tells.
#[derive(Debug, PartialEq)]
struct Told {
    wallets: Vec<WalletView>,
    keys: Vec<Arc<Key>>,
    receipts: Vec<Arc<Receipt>>,
    objects: Vec<Object>,
    pending: Vec<Object>,
    credits: u64,
}

async fn told(ledger: &dyn Ledger) -> Told {
    let (mut wallets, mut objects) = (Vec::new(), Vec::new());
    for id in ledger.wallets().await.expect("the store answers") {
        for kind in ObjectKind::ALL {
            let list = ledger.objects(ObjectQuery {
                wallet: id.clone(),
                kind,
                after: None,
                limit: 100,
            });
            objects.extend(list.await.expect("the store answers"));
        }
        let view = ledger.wallet(id).await.expect("the store answers");
        wallets.push(at_rest(view.expect("it is listed")));
    }
    let report = ledger.audit().await.expect("the store answers");
    assert_eq!(report.findings, Vec::<String>::new());
    Told {
        wallets,
        keys: ledger.keys().await.expect("the store answers"),
        receipts: ledger
            .receipts(ReceiptQuery::default())
            .await
            .expect("the store answers"),
        objects,
        pending: ledger
            .pending_objects(None, 1_000)
            .await
            .expect("the store answers"),
        credits: report.credits,
    }
}

/// A wallet without its holds, which end with the process, and without counters but those for ever:
/// of the others it depends on the time whether there is anything to keep.
fn at_rest(mut view: WalletView) -> WalletView {
    view.held = Nano::ZERO;
    view.available = Nano::ZERO;
    view.holds = 0;
    for state in &mut view.grants {
        state.held = 0;
    }
    for counter in &mut view.counters {
        counter.held = 0;
    }
    view.counters.retain(|counter| {
        let forever = counter.key.ends_with("/spend") || counter.key.ends_with("/tokens");
        forever && counter.used > 0
    });
    view
}

async fn a_store_opened_anew_is_the_same(store: Store) {
    let clock = Clock::manual(START);
    let mut opened = store.open(&clock).await;
    for round in 0..6 {
        let mut coverage = Coverage::default();
        let mut pair = Pair::new(&*opened.ledger, clock.clone(), &mut coverage);
        for seed in 1_000 + 10 * round..1_005 + 10 * round {
            if let Err(fault) = pair.schedule(seed).await {
                panic!("seed {seed}: {fault}");
            }
        }
        let before = told(&*opened.ledger).await;
        assert!(
            before.receipts.len() > 5,
            "{} receipts",
            before.receipts.len()
        );
        opened = opened.again(&clock).await;
        assert_eq!(told(&*opened.ledger).await, before);
    }
}

#[tokio::test]
async fn a_file_opened_anew_is_the_same() {
    a_store_opened_anew_is_the_same(Store::File).await;
}

#[tokio::test]
async fn a_store_in_redis_opened_anew_is_the_same() {
    a_store_opened_anew_is_the_same(Store::Redis).await;
}

async fn objects_are_there_when_it_is_opened_anew(store: Store) {
    let bench = Bench::open(store).await;
    bench.furnish(100, 0, &[]).await;
    let job = waiting(object("job", "w"), 1);
    for put in [object("r", "w"), object("gone", "w"), job.clone()] {
        bench.keep(put).await;
    }
    let dropped = bench.ledger().drop_object(object_ref("gone", "w")).await;
    dropped.expect("it is dropped");
    let bench = bench.again().await;
    assert_eq!(bench.object("r", "w").await, Some(object("r", "w")));
    assert_eq!(bench.object("gone", "w").await, None);
    assert_eq!(bench.pending().await, std::slice::from_ref(&job));
    bench.later(HOUR_MS);
    let bench = bench.again().await;
    assert_eq!(bench.object("r", "w").await, None);
    assert_eq!(bench.object("job", "w").await, Some(job));
    bench.assert_clean().await;
}

/// A job that a process began and another one settles, which holds it again first: whether or not it was settled before.
async fn a_job_is_charged_once_whoever_settles_it(store: Store) {
    let old = began(START, 7);
    for request in [request(1), old] {
        let id = HoldRef {
            wallet: id("w"),
            request,
        };
        let quote = Quote {
            request,
            ..costs(1, 50)
        };
        let mut job = waiting(object("job", "w"), 1);
        job.pending.as_mut().expect("it waits").request = request;

        let bench = Bench::open(store).await;
        bench.furnish(100, 0, &[]).await;
        bench.admit(quote.clone()).await;
        bench.keep(job.clone()).await;
        let bench = bench.again().await;
        assert_eq!(bench.pending().await, [job]);
        // Where the hold ended with the process it is made anew; where not, it is the same.
        bench.admit(quote.clone()).await;
        assert_eq!(bench.money().await, (100, 50, 50));
        let settled = bench.ledger().settle(id.clone(), charge(30)).await;
        let receipt = settled.expect("it is settled").receipt;
        assert_eq!((receipt.charged, receipt.late), (nano(30), false));
        // The next process sees that it is done; and finds out, if it does not believe it.
        bench.later(1);
        let mut bench = bench.again().await;
        for later in [0, 2 * MINUTE_MS, 26 * HOUR_MS] {
            bench.later(later);
            assert_eq!(bench.pending().await, []);
            assert_eq!(bench.hold(quote.clone()).await, Err(Refusal::Ended));
            let again = bench.ledger().settle(id.clone(), charge(45)).await;
            assert_eq!(again.expect("it was settled").receipt, receipt);
            assert_eq!(bench.money().await, (70, 0, 70));
            bench = bench.again().await;
        }
        bench.assert_clean().await;
    }
}

/// A job whose hold nobody has any more is no charge, until it is held again.
#[tokio::test]
async fn a_job_without_its_hold_is_not_settled_in_a_file() {
    let bench = Bench::open(Store::File).await;
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 50)).await;
    let bench = bench.again().await;
    missing(bench.settle(1, charge(30)).await);
    bench.admit(costs(1, 50)).await;
    bench.settled(1, charge(30)).await;
    assert_eq!(bench.money().await, (70, 0, 70));
    bench.assert_clean().await;
}

/// A lapse is known to the next process too: the hold is not made again, and the settle is late.
#[tokio::test]
async fn a_job_that_lapsed_is_settled_late_and_once_in_redis() {
    let bench = Bench::open(Store::Redis).await;
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 50)).await;
    bench.later(LEASE_MS);
    let bench = bench.again().await;
    assert_eq!(bench.hold(costs(1, 50)).await, Err(Refusal::Ended));
    for _ in 0..2 {
        let receipt = bench.settled(1, charge(30)).await.receipt;
        assert_eq!((receipt.charged, receipt.late), (nano(30), true));
    }
    assert_eq!(bench.money().await, (70, 0, 70));
    bench.assert_clean().await;
}

#[tokio::test]
async fn objects_are_there_in_a_file_opened_anew() {
    objects_are_there_when_it_is_opened_anew(Store::File).await;
}

#[tokio::test]
async fn objects_are_there_in_redis_opened_anew() {
    objects_are_there_when_it_is_opened_anew(Store::Redis).await;
}

#[tokio::test]
async fn a_job_is_charged_once_in_a_file() {
    a_job_is_charged_once_whoever_settles_it(Store::File).await;
}

#[tokio::test]
async fn a_job_is_charged_once_in_redis() {
    a_job_is_charged_once_whoever_settles_it(Store::Redis).await;
}
