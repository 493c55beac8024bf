//! An audit finds what was tampered with, and nothing in a store that is merely busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tollgate::ledger::Ledger;
use tollgate::ledger::credit::EntryKind;
use tollgate::ledger::key::Freshness;
use tollgate::ledger::redis::layout::Partition;

use crate::kit::{HOUR_MS, START, entry, id};
use crate::store::{Store, request_hex};

/// Three wallets, thirty requests of which ten were folded, a top-up, and a live hold.
async fn used() -> Store {
    let store = Store::single().await;
    store.furnish().await;
    for number in 0..30 {
        store.serve(number).await;
        store.clock.advance(HOUR_MS);
    }
    let cut = START.plus(10 * HOUR_MS);
    assert_eq!(store.ledger.trim_receipts(cut).await.expect("trimmed"), 10);
    let topup = entry("topup", "acme", EntryKind::Topup, 777);
    store.ledger.credit(topup).await.expect("credited");
    store.admit(store.quote(999)).await;
    store.assert_clean().await;
    let report = store.ledger.audit().await.expect("a report");
    assert_eq!(
        (
            report.wallets,
            report.receipts,
            report.credits,
            report.live_holds
        ),
        (3, 20, 4, 1)
    );
    store
}

type Words<'a> = Vec<&'a [u8]>;

/// Changes the store by a plain command; the audit then says what is wrong.
async fn finds(store: &Store, command: &[&[u8]], words: &[&str]) {
    let changed: redis::Value = store.ask(command).await;
    assert!(!matches!(changed, redis::Value::Nil), "{words:?}");
    let findings = store.findings().await;
    for words in words {
        let found = findings.iter().any(|finding| finding.contains(words));
        assert!(found, "{words}: {findings:#?}");
    }
}

async fn changed(fields: &[(&str, &str, &str)]) {
    for (field, content, words) in fields {
        let store = used().await;
        let wallet = store.wallet_key("acme");
        let command: Words<'_> = vec![b"HSET", &wallet, field.as_bytes(), content.as_bytes()];
        finds(&store, &command, &[words]).await;
    }
}

#[tokio::test]
async fn sums_that_were_changed_are_found() {
    changed(&[
        (
            "balance",
            "1",
            "wallet acme: its balance is 0.000000001, but its credits less its charges come to",
        ),
        (
            "credited",
            "1",
            "wallet acme: its credited total is 0.000000001, but its credits come to 1.000000777",
        ),
        (
            "charged",
            "1",
            "wallet acme: its charged total is 0.000000001, but its receipts come to",
        ),
        (
            "shortfall",
            "9",
            "wallet acme: its shortfall total is 0.000000009, but its receipts come to",
        ),
        (
            "held",
            "1",
            "wallet acme: money held is kept as 1 and sums to",
        ),
        (
            "line",
            "-2000000000",
            "wallet acme: charges and holds pass the floor",
        ),
        (
            "g:gift",
            "t 1000 - 5 0",
            "wallet acme: its grants say that 5 tokens are used, but its receipts come to",
        ),
        (
            "g:gift",
            "t 1000 - 1001 0",
            "wallet acme: its grant gift of 1000 has 1001 used",
        ),
        (
            "g:gift",
            "t 1000 - 5 6",
            "wallet acme: grant gift: what is held is kept as 6 and sums to",
        ),
        (
            "g:more",
            "t 1000 - 0 0",
            "wallet acme: its grant more is given or stands, but not both",
        ),
        (
            "c:acme-1/live|c",
            "1000 3 0",
            "wallet acme: counter acme-1/live: what is held is kept as 3 and sums to",
        ),
        (
            "k:acme-0",
            "1 0 -",
            "wallet acme: key acme-0: what holds read of it is not its record",
        ),
        (
            "k:other",
            "1 1 -",
            "wallet acme: key other: it has no record",
        ),
        (
            "folded",
            "4 5 0 0 0 0 0 1",
            "wallet acme: its charged total is",
        ),
        ("folded", "x", "wallet acme: its checkpoint cannot be read"),
        ("held", "x", "wallet acme: its record cannot be read"),
    ])
    .await;
}

#[tokio::test]
async fn server_side_code_that_loses_something_is_found() {
    let planted = [
        (
            "sum[3] = add(sum[3], integer(decided[3]))",
            "",
            "its shortfall total is",
        ),
        (
            "redis.call('XDEL', stream, unpack(gone))",
            "",
            "its balance is",
        ),
        (
            "sum[place] = add(sum[place], integer(decided[place - 1]))",
            "",
            "tokens are used",
        ),
        ("total('charged', charged)", "", "its totals by day come to"),
        (
            "ZREM', leases, id)\nend\n\n-- The totals",
            "ZREM', leases, 'x')\nend\n\n-- The totals",
            "has a lease and is not live",
        ),
    ];
    for (right, wrong, words) in planted {
        let store = Store::planted(right, wrong).await;
        store.furnish().await;
        for number in 0..90 {
            store.serve(number).await;
        }
        // Before they are folded, and after.
        let mut findings = store.findings().await;
        store.clock.advance(1);
        let cut = store.clock.now();
        store.ledger.trim_receipts(cut).await.expect("trimmed");
        findings.extend(store.findings().await);
        let found = findings.iter().any(|finding| finding.contains(words));
        assert!(found, "{right}: {findings:#?}");
    }
}

#[tokio::test]
async fn receipts_that_were_changed_are_found() {
    let store = used().await;
    let stream = store.stream("acme");
    let newest = store
        .ledger
        .receipts(tollgate::ledger::receipt::ReceiptQuery {
            wallet: Some(id("acme")),
            ..Default::default()
        });
    let newest = newest.await.expect("receipts")[0].clone();
    let place = format!("{}-0", newest.settled_at.0);
    let request = request_hex(newest.request_id);

    // Charged again, a nano more than it was priced.
    let fixed = serde_json::to_string(&*newest).expect("JSON");
    let at = store.clock.now().0;
    let decided = format!("{} 0 0 0 0 0 0 {at}", newest.priced.get() + 1);
    let twice: Words<'_> = vec![
        b"XADD",
        &stream,
        b"*",
        b"w",
        b"acme",
        b"q",
        request.as_bytes(),
        b"r",
        fixed.as_bytes(),
        b"d",
        decided.as_bytes(),
    ];
    let twice_at = format!("{at}-7");
    let mut twice = twice;
    twice[2] = twice_at.as_bytes();
    let words = [
        format!("wallet acme: {} was charged twice", newest.request_id),
        format!("wallet acme: receipt {} is priced", newest.request_id),
        "wallet acme: its charged total is".to_owned(),
    ];
    finds(&store, &twice, &words.each_ref().map(|words| &**words)).await;

    // One that was charged is voided as well.
    let key = store.request_key("acme", newest.request_id);
    let words = format!(
        "wallet acme: {} was charged, and is voided as well",
        newest.request_id
    );
    finds(&store, &[b"SET", &key, b"V 7"], &[&words]).await;

    // One is gone, and one cannot be read.
    finds(
        &store,
        &[b"XDEL", &stream, place.as_bytes()],
        &["wallet acme: its charged total is"],
    )
    .await;
    let unread: Words<'_> = vec![b"XADD", &stream, b"*", b"w", b"nobody", b"q", b"x"];
    finds(&store, &unread, &["cannot be read"]).await;
}

#[tokio::test]
async fn totals_that_are_not_what_receipts_sum_to_are_found() {
    let store = Store::single().await;
    store.furnish().await;
    for number in 0..9 {
        store.serve(number).await;
    }
    store.assert_clean().await;
    let wallet = id("acme");
    let totals = store.layout.totals(Partition::of(&wallet), &wallet);
    let command: Words<'_> = vec![b"HSET", &totals, b"20458|acme-0|m", b"n=1 charged=5"];
    finds(
        &store,
        &command,
        &["wallet acme: its totals by day come to"],
    )
    .await;
}

#[tokio::test]
async fn holds_leases_and_records_that_do_not_fit_are_found() {
    let store = used().await;
    let (wallet, request) = (id("acme"), store.quote(999).request);
    let leases = store.layout.leases(Partition::of(&wallet), &wallet);
    let (key, hex) = (store.request_key("acme", request), request_hex(request));
    let words = format!("wallet acme: {request} is live without a lease");
    finds(
        &store,
        &[b"ZREM", &leases, hex.as_bytes()],
        &[&words, "grant gift: what is held is kept as"],
    )
    .await;
    let score = (store.clock.now().0 + 1_000).to_string();
    let back: u64 = store
        .ask(&[b"ZADD", &leases, score.as_bytes(), hex.as_bytes()])
        .await;
    assert_eq!(back, 1);
    store.assert_clean().await;
    let words = format!("wallet acme: {request} has a lease and is not live");
    finds(&store, &[b"DEL", &key], &[&words]).await;
}

#[tokio::test]
async fn credits_and_what_was_put_aside_are_found() {
    let store = used().await;
    let wallet = id("acme");
    let partition = Partition::of(&wallet);
    let suspense = store.layout.suspense(partition);
    let command: Words<'_> = vec![b"RPUSH", &suspense, b"nonce 7 1 no hold"];
    let words = format!(
        "partition {}: a journalled change could not be carried out: nonce 7 1 no hold",
        partition.number()
    );
    finds(&store, &command, &[&words]).await;
    let directory = store.layout.entry(&id("topup"));
    let command: Words<'_> = vec![b"SET", &directory, b"w1"];
    finds(
        &store,
        &command,
        &["wallet acme: credit topup is booked on another wallet too"],
    )
    .await;
    let entries = store.layout.entries(partition, &wallet);
    let command: Words<'_> = vec![b"HDEL", &entries, b"topup"];
    finds(&store, &command, &["wallet acme: its credited total is"]).await;
    let wallets = store.layout.wallets(partition);
    let command: Words<'_> = vec![b"SADD", &wallets, b"ghost"];
    finds(
        &store,
        &command,
        &["wallet ghost: the store has things of it, but no such wallet"],
    )
    .await;
}

#[tokio::test]
async fn a_directory_that_lost_a_key_is_repaired_and_a_wrong_one_is_found() {
    let mut store = used().await;
    let digest = store.ledger.digest("acme-0");
    let (of_secret, of_key) = (
        store.layout.digest(&digest),
        store.layout.key(&id("acme-0")),
    );
    let of_entry = store.layout.entry(&id("topup"));
    for key in [&of_secret, &of_key, &of_entry] {
        let gone: u64 = store.ask(&[b"DEL", key]).await;
        assert_eq!(gone, 1);
    }
    // A process that remembers nothing does not find it now.
    store.reopen(|_| ()).await;
    assert!(
        store
            .ledger
            .key(digest, Freshness::Shown)
            .await
            .expect("an answer")
            .is_none()
    );
    store.assert_clean().await;
    let found = store
        .ledger
        .key(digest, Freshness::Shown)
        .await
        .expect("an answer");
    assert_eq!(found.map(|key| key.id.clone()), Some(id("acme-0")));
    assert!(store.ledger.revoke_key(id("acme-0")).await.is_ok());
    store.assert_clean().await;
    let command: Words<'_> = vec![b"SET", &of_secret, b"w1 w1-0"];
    finds(
        &store,
        &command,
        &["key acme-0: its secret finds another record"],
    )
    .await;
    let command: Words<'_> = vec![b"SET", &of_key, b"w1 00"];
    finds(
        &store,
        &command,
        &["key acme-0: the directory has another wallet or secret of it"],
    )
    .await;
}

async fn nothing_is_found_while_busy(mut store: Store) {
    // So many that settles fold what is beyond the share while the audits read.
    store.furnish().await;
    for number in 0..1_100 {
        store.serve(3 * number).await;
    }
    store.reopen(|options| options.receipts_max = 1).await;
    let store = Arc::new(store);
    let over = Arc::new(AtomicBool::new(false));
    let busy = (0..4_u64).map(|task| {
        let (store, over) = (Arc::clone(&store), Arc::clone(&over));
        tokio::spawn(async move {
            let mut number = 0_u64;
            while !over.load(Ordering::Relaxed) {
                number += 1;
                let unique = 1_000_000 * (task + 1) + number;
                store.clock.advance(1);
                let (hold, charge) = store.admit(store.quote(unique)).await;
                match number % 5 {
                    0 => store.ledger.void(hold).await.expect("voided"),
                    // It lapses.
                    1 if number % 50 == 1 => store.clock.advance(2_000),
                    _ => {
                        let settled = store.ledger.settle(hold, charge).await;
                        settled.expect("settled");
                    }
                }
                if number.is_multiple_of(20) {
                    let topup = entry(&format!("topup-{unique}"), "acme", EntryKind::Topup, 5);
                    store.ledger.credit(topup).await.expect("credited");
                }
                if task == 0 && number.is_multiple_of(40) {
                    let before = tollgate::clock::UnixMs(store.clock.now().0 - 500);
                    store.ledger.trim_receipts(before).await.expect("trimmed");
                }
            }
            number
        })
    });
    let busy: Vec<_> = busy.collect();
    for _ in 0..6 {
        store.assert_clean().await;
    }
    over.store(true, Ordering::Relaxed);
    for task in busy {
        assert!(task.await.expect("it ends") > 10);
    }
    store.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_in_a_busy_store() {
    nothing_is_found_while_busy(Store::single().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_in_a_busy_cluster() {
    nothing_is_found_while_busy(Store::cluster().await).await;
}
