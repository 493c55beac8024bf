//! What a store keeps when its process ends.

use std::sync::Arc;

use tollgate::clock::Clock;
use tollgate::ledger::Ledger;
use tollgate::ledger::key::Key;
use tollgate::ledger::receipt::{Receipt, ReceiptQuery};
use tollgate::ledger::wallet::WalletView;
use tollgate::money::Nano;

use crate::differential::Pair;
use crate::differential::coverage::Coverage;
use crate::kit::START;
use crate::stores::Store;

/// Everything that a ledger tells.
#[derive(Debug, PartialEq)]
struct Told {
    wallets: Vec<WalletView>,
    keys: Vec<Arc<Key>>,
    receipts: Vec<Arc<Receipt>>,
    credits: u64,
}

async fn told(ledger: &dyn Ledger) -> Told {
    let mut wallets = Vec::new();
    for id in ledger.wallets().await.expect("the store answers") {
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
