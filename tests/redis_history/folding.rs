//! Old receipts go, and nothing that they summed to.

use tollgate::clock::UnixMs;
use tollgate::ledger::Ledger;
use tollgate::ledger::receipt::ReceiptQuery;

use crate::kit::{DAY_MS, HOUR_MS, SECOND_MS, START, claim, id};
use crate::store::{Store, WALLETS};

const EVER: UnixMs = UnixMs(i64::MIN);

/// An hour between requests, so that there are several days.
async fn hours(store: &Store, numbers: std::ops::Range<u64>) {
    for number in numbers {
        store.serve(number).await;
        store.clock.advance(HOUR_MS);
    }
}

fn local_days() -> ReceiptQuery {
    ReceiptQuery {
        utc_offset_minutes: 480,
        ..ReceiptQuery::default()
    }
}

async fn folding_keeps_sums(store: Store) {
    store.furnish().await;
    hours(&store, 0..60).await;
    let before = store.ledger.usage(local_days()).await.expect("totals");
    let cut = START.plus(20 * HOUR_MS);
    assert_eq!(store.ledger.trim_receipts(EVER).await.expect("trimmed"), 0);
    assert_eq!(store.ledger.trim_receipts(cut).await.expect("trimmed"), 20);
    assert_eq!(store.ledger.trim_receipts(cut).await.expect("trimmed"), 0);
    store.assert_clean().await;
    let kept = store.ledger.receipts(ReceiptQuery::default()).await;
    assert_eq!(kept.expect("receipts").len(), 40);
    hours(&store, 60..63).await;
    store.assert_clean().await;
    assert_eq!(
        store
            .ledger
            .trim_receipts(UnixMs(i64::MAX))
            .await
            .expect("trimmed"),
        43
    );
    let report = store.ledger.audit().await.expect("a report");
    assert_eq!((report.wallets, report.receipts, report.credits), (3, 0, 3));
    assert_eq!(report.findings, Vec::<String>::new());
    // Whole days are told as before; parts of days from receipts, of which there are none.
    let after = store.ledger.usage(local_days()).await.expect("totals");
    assert_eq!(after[..before.len() - 2], before[..before.len() - 2]);
    let requests: u64 = after.iter().map(|row| row.requests).sum();
    assert_eq!(requests, 63);
    assert_eq!(
        store
            .ledger
            .usage(ReceiptQuery::default())
            .await
            .expect("totals"),
        []
    );
}

#[tokio::test]
async fn folded_receipts_stay_in_balances_totals_and_audit() {
    folding_keeps_sums(Store::single().await).await;
}

#[tokio::test]
async fn folded_receipts_stay_in_balances_totals_and_audit_of_a_cluster() {
    folding_keeps_sums(Store::cluster().await).await;
}

#[tokio::test]
async fn folding_goes_in_pieces_and_counts_them_all() {
    let store = Store::single().await;
    store.furnish().await;
    for number in 0..1_203 {
        store.serve(number).await;
        store.clock.advance(SECOND_MS);
    }
    let now = store.clock.now();
    assert_eq!(
        store.ledger.trim_receipts(now).await.expect("trimmed"),
        1_203
    );
    store.assert_clean().await;
}

#[tokio::test]
async fn receipts_that_answer_repeats_stay_as_long_as_their_claims() {
    let store = Store::single().await;
    store.furnish().await;
    for number in 0..300 {
        let token = (number % 3 == 0).then(|| claim(&format!("token-{number}"), 7));
        store.serve_claimed(3 * number, token.flatten()).await;
    }
    store.clock.advance(DAY_MS - 1);
    let now = store.clock.now();
    assert_eq!(store.ledger.trim_receipts(now).await.expect("trimmed"), 200);
    store.assert_clean().await;
    let mut again = store.quote(3_000);
    again.key = id("acme-0");
    again.idempotency = claim("token-0", 7);
    let refused = store.ledger.hold(again).await.expect("an answer");
    assert!(
        format!("{refused:?}").contains("AlreadyCharged"),
        "{refused:?}"
    );
    store.clock.advance(2);
    let now = store.clock.now();
    assert_eq!(store.ledger.trim_receipts(now).await.expect("trimmed"), 100);
    store.assert_clean().await;
}

#[tokio::test]
async fn a_partition_never_has_more_receipts_than_its_share() {
    let mut store = Store::single().await;
    store.furnish().await;
    for number in 0..1_150 {
        store.serve(3 * number).await;
    }
    let stream = store.stream(WALLETS[0]);
    let length: u64 = store.ask(&[b"XLEN", &stream]).await;
    assert_eq!(length, 1_150);
    // A share is a thousand at least.
    store.reopen(|options| options.receipts_max = 1).await;
    store.serve(3 * 1_150).await;
    let length: u64 = store.ask(&[b"XLEN", &stream]).await;
    assert_eq!(length, 1_149, "a settle folds two");
    store.assert_clean().await;
    assert_eq!(
        store.ledger.trim_receipts(EVER).await.expect("trimmed"),
        149
    );
    for number in 1_151..1_170 {
        store.serve(3 * number).await;
    }
    let length: u64 = store.ask(&[b"XLEN", &stream]).await;
    assert_eq!(length, 1_000);
    store.assert_clean().await;
}

/// `cargo test --test redis_history kilobyte -- --nocapture` prints how many bytes.
#[tokio::test]
async fn a_receipt_takes_less_than_a_kilobyte() {
    let store = Store::single().await;
    store.furnish().await;
    for numbers in (0..10_000_u64).collect::<Vec<_>>().chunks(100) {
        let served = numbers.iter().map(|number| store.serve(3 * number));
        futures_util::future::join_all(served).await;
        store.clock.advance(1);
    }
    let stream = store.stream(WALLETS[0]);
    let length: u64 = store.ask(&[b"XLEN", &stream]).await;
    // Beyond a share of ten million's thousandth, the oldest were folded.
    assert!((9_000..=10_000).contains(&length), "{length}");
    let bytes: u64 = store
        .ask(&[b"MEMORY", b"USAGE", &stream, b"SAMPLES", b"0"])
        .await;
    println!("{} bytes for each of {length} receipts", bytes / length);
    assert!(
        bytes / length < 1_024,
        "{bytes} bytes for {length} receipts"
    );
}

#[tokio::test]
async fn totals_of_days_long_before_the_kept_ones_go() {
    let store = Store::single().await;
    store.furnish().await;
    hours(&store, 0..30).await;
    store.clock.advance(500 * DAY_MS);
    hours(&store, 30..60).await;
    let kept_from = store.clock.now();
    assert_eq!(
        store
            .ledger
            .trim_receipts(kept_from)
            .await
            .expect("trimmed"),
        60
    );
    let rows = store.ledger.usage(local_days()).await.expect("totals");
    let requests: u64 = rows.iter().map(|row| row.requests).sum();
    assert_eq!(requests, 30);
    store.assert_clean().await;
}
