//! Receipts and totals against a plain list of what was answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate::clock::UnixMs;
use tollgate::ledger::Ledger;
use tollgate::ledger::receipt::{Receipt, ReceiptQuery, UsageRow};
use tollgate::ledger::tally::{Tally, day};

use crate::kit::{DAY_MS, HOUR_MS, START, id};
use crate::store::{Store, WALLETS, place, request};

/// Requests over four days; some of them in one millisecond.
async fn history(store: &Store, requests: u64) -> Vec<Arc<Receipt>> {
    store.furnish().await;
    let mut receipts = Vec::new();
    for number in 0..requests {
        receipts.push(store.serve(number).await);
        if number % 4 == 3 {
            store.clock.advance(number % 13 * HOUR_MS / 5);
        }
    }
    receipts
}

fn asked(query: &ReceiptQuery, receipt: &Receipt) -> bool {
    query
        .wallet
        .as_ref()
        .is_none_or(|wallet| receipt.wallet == *wallet)
        && query.key.as_ref().is_none_or(|key| receipt.key == *key)
        && query.from.is_none_or(|from| receipt.settled_at >= from)
        && query.to.is_none_or(|to| receipt.settled_at < to)
}

fn expected(query: &ReceiptQuery, all: &[Arc<Receipt>]) -> Vec<Arc<Receipt>> {
    let found = all.iter().filter(|receipt| asked(query, receipt));
    let mut found: Vec<Arc<Receipt>> = found.cloned().collect();
    found.sort_by_key(|receipt| (receipt.settled_at, receipt.request_id));
    found.reverse();
    found.truncate(query.limit.map_or(usize::MAX, |limit| limit as usize));
    found
}

fn rows(query: &ReceiptQuery, all: &[Arc<Receipt>]) -> Vec<UsageRow> {
    let mut sums: BTreeMap<(i64, Arc<str>), Tally> = BTreeMap::new();
    let ahead = i64::from(query.utc_offset_minutes) * 60_000;
    for receipt in all.iter().filter(|receipt| asked(query, receipt)) {
        let number = (receipt.settled_at.0 + ahead).div_euclid(86_400_000);
        let sum = sums.entry((number, receipt.model.clone())).or_default();
        sum.add(receipt);
    }
    let rows = sums.into_iter();
    rows.map(|((number, model), sum)| sum.row(day(number), model))
        .collect()
}

/// Queries that differ in every field.
fn queries(all: &[Arc<Receipt>]) -> Vec<ReceiptQuery> {
    let mut queries = vec![ReceiptQuery::default()];
    let instants = [
        None,
        Some(START),
        Some(all[all.len() / 3].settled_at),
        Some(UnixMs(-5)),
    ];
    for number in 0..48 {
        let wallet = WALLETS[place(number, 3)];
        let all_wallets = number % 5 == 0;
        queries.push(ReceiptQuery {
            wallet: (!all_wallets).then(|| id(wallet)),
            key: (number % 3 == 1).then(|| id(&format!("{wallet}-{}", number % 2))),
            from: instants[place(number / 4, 4)],
            to: match number % 4 {
                0 => None,
                1 => Some(all[all.len() / 2].settled_at),
                2 => Some(START),
                _ => Some(UnixMs(i64::MAX)),
            },
            limit: [None, Some(0), Some(1), Some(7), Some(100)][place(number, 5)],
            utc_offset_minutes: 0,
        });
    }
    queries
}

async fn receipts_are_told(store: Store) {
    let all = history(&store, 300).await;
    for query in queries(&all) {
        let found = store
            .ledger
            .receipts(query.clone())
            .await
            .expect("receipts");
        assert_eq!(found, expected(&query, &all), "{query:?}");
    }
}

#[tokio::test]
async fn receipts_are_told_by_wallet_key_and_time_the_newest_first() {
    receipts_are_told(Store::single().await).await;
}

#[tokio::test]
async fn receipts_are_told_by_wallet_key_and_time_the_newest_first_from_a_cluster() {
    receipts_are_told(Store::cluster().await).await;
}

#[tokio::test]
async fn more_receipts_than_a_page_of_one_millisecond_stand_in_order() {
    let store = Store::single().await;
    store.furnish().await;
    let mut all = Vec::new();
    for number in 0..1_203 {
        all.push(store.serve(3 * number).await);
    }
    for limit in [None, Some(700)] {
        let query = ReceiptQuery {
            limit,
            ..ReceiptQuery::default()
        };
        let found = store
            .ledger
            .receipts(query.clone())
            .await
            .expect("receipts");
        assert!(found == expected(&query, &all), "limit {limit:?}");
    }
}

async fn usage_is_summed(store: Store) {
    let all = history(&store, 200).await;
    // Midnights of the ledger's zone, eight hours ahead of UTC.
    let midnight = |days: u64| UnixMs(START.0 - 8 * 3_600_000).plus(days * DAY_MS);
    let spans = [
        (None, None),
        (Some(midnight(1)), Some(midnight(3))),
        (Some(midnight(2)), None),
        (Some(midnight(1).plus(1)), Some(midnight(3))),
        (Some(START), Some(midnight(3))),
    ];
    for (from, to) in spans {
        for utc_offset_minutes in [480, 0, -90] {
            for wallet in [None, Some("acme")] {
                for key in [None, Some("acme-1")] {
                    let query = ReceiptQuery {
                        wallet: wallet.map(id),
                        key: key.map(id),
                        from,
                        to,
                        limit: None,
                        utc_offset_minutes,
                    };
                    let found = store.ledger.usage(query.clone()).await.expect("totals");
                    assert_eq!(found, rows(&query, &all), "{query:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn usage_is_what_receipts_sum_to_whatever_the_span() {
    usage_is_summed(Store::single().await).await;
}

#[tokio::test]
async fn usage_is_what_receipts_sum_to_in_a_cluster() {
    usage_is_summed(Store::cluster().await).await;
}

#[tokio::test]
async fn a_receipt_is_found_by_its_request_after_that_was_forgotten() {
    let store = Store::single().await;
    let all = history(&store, 40).await;
    for forgotten in [false, true] {
        for receipt in &all {
            if forgotten {
                let key = store.request_key(receipt.wallet.as_str(), receipt.request_id);
                let gone: u64 = store.ask(&[b"DEL", &key]).await;
                assert_eq!(gone, 1);
            }
            for wallet in [None, Some(receipt.wallet.clone())] {
                let found = store.ledger.receipt(receipt.request_id, wallet).await;
                assert_eq!(found.expect("an answer").as_ref(), Some(receipt));
            }
            let other = WALLETS
                .into_iter()
                .find(|wallet| *wallet != receipt.wallet.as_str());
            let found = store
                .ledger
                .receipt(receipt.request_id, other.map(id))
                .await;
            assert_eq!(found.expect("an answer"), None);
        }
    }
    for unknown in [request(START, 9_999), crate::kit::request(1)] {
        let found = store.ledger.receipt(unknown, None).await;
        assert_eq!(found.expect("an answer"), None);
    }
}
