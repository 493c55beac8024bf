//! What one proxy journalled, and another one's settle needs.

use std::sync::Arc;

use tollgate::ledger::credit::{Entry, EntryKind};
use tollgate::ledger::id::WalletId;
use tollgate::ledger::key::Freshness;
use tollgate::ledger::redis::layout::Partition;
use tollgate::ledger::redis::options::RedisOptions;
use tollgate::ledger::redis::scripts::Scripts;
use tollgate::ledger::redis::{Behaviour, Redis};
use tollgate::ledger::{Ledger, LedgerError};

use crate::kit::until;
use crate::support::TempDir;
use crate::support::redis::{Keep, Server};
use crate::words;

pub async fn proxy(server: &Server, dir: &TempDir, name: &str) -> Arc<Redis> {
    let mut options = RedisOptions::of_url(&server.url()).expect("a URL");
    options.journal = dir.path().join(name);
    options.response_timeout_ms = 10_000;
    options.deadline_ms = 20_000;
    let behaviour = Behaviour {
        currency: "CNY".to_owned(),
        zone: jiff::tz::TimeZone::UTC,
        lease_ms: 60_000,
        clock: None,
        scripts: Scripts::standard(),
    };
    Arc::new(Redis::open(&options, behaviour).await.expect("a store"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_was_lost_is_brought_back_before_the_settle_of_a_proxy_that_lost_nothing() {
    let (server, dir) = (Server::with(Keep::Nothing, &[]), TempDir::new());
    let one = proxy(&server, &dir, "one.db").await;
    let two = proxy(&server, &dir, "two.db").await;
    let wallet = words::wallet("w", 0, Some(opening()), &[]);
    one.open_wallet(wallet).await.expect("a wallet");
    let key = words::key("k", "w");
    let digest = one.digest("secret");
    one.put_key(key, digest).await.expect("a key");
    let hold = two.hold(words::costs(1, 100)).await.expect("an answer");
    let hold = hold.expect("a hold").id;

    // The first does not know, and makes no call there; the second has written nothing there.
    let id: WalletId = words::id("w");
    lose(
        &server,
        &format!("tollgate:{{{}}}:*", Partition::of(&id).number()),
    );
    lose(&server, "tollgate:key:*");
    lose(&server, "tollgate:digest:*");
    let settled = two.settle(hold, words::charge(70)).await;
    assert_eq!(settled.expect("settled").receipt.charged, words::nano(70));
    let view = one.wallet(id.clone()).await.expect("an answer");
    let view = view.expect("it is back");
    assert_eq!(view.balance, words::nano(930));
    assert_eq!(view.charged, words::nano(70));
    until("holds are taken", async || {
        matches!(two.hold(words::costs(2, 100)).await, Ok(Ok(_)))
    })
    .await;
    // Its key is found, also by who has never heard of it.
    let three = proxy(&server, &dir, "three.db").await;
    let found = three.key(digest, Freshness::Any).await.expect("an answer");
    assert_eq!(found.expect("a key").wallet, id);
    let report = one.audit().await.expect("a report");
    assert_eq!(report.findings, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_never_comes_back_holds_up_its_partition_once_and_not_for_long() {
    let (server, dir) = (Server::with(Keep::Nothing, &[]), TempDir::new());
    let one = proxy(&server, &dir, "one.db").await;
    let wallet = words::wallet("w", 0, Some(opening()), &[]);
    one.open_wallet(wallet).await.expect("a wallet");
    let key = words::key("k", "w");
    let digest = one.digest("secret");
    one.put_key(key, digest).await.expect("a key");
    let two = proxy(&server, &dir, "two.db").await;
    let mut holds = Vec::new();
    for number in 1..3 {
        let hold = two
            .hold(words::costs(number, 100))
            .await
            .expect("an answer");
        holds.push(hold.expect("a hold").id);
    }
    one.close().await.expect("closed");
    let id: WalletId = words::id("w");
    let partition = format!("tollgate:{{{}}}:", Partition::of(&id).number());
    lose(&server, &format!("{partition}*"));
    for hold in holds {
        let error = two.settle(hold, words::charge(70)).await;
        let error = error.expect_err("no wallet").to_string();
        assert!(error.contains("no wallet"), "{error}");
    }
    let aside = server.ask(&["LRANGE", &format!("{partition}z"), "0", "-1"]);
    assert_eq!(aside.matches("no wallet").count(), 1, "{aside}");
}

/// As it was found in a fault test: a store was put back to a copy that was made while a partition was being recovered.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_made_during_a_recovery_is_recovered_from_the_beginning() {
    let (server, dir) = (Server::with(Keep::Nothing, &[]), TempDir::new());
    let one = proxy(&server, &dir, "one.db").await;
    let two = proxy(&server, &dir, "two.db").await;
    let wallet = words::wallet("w", 0, Some(opening()), &[]);
    one.open_wallet(wallet).await.expect("a wallet");
    let key = words::key("k", "w");
    one.put_key(key, one.digest("secret")).await.expect("a key");
    let mut holds = Vec::new();
    for number in 1..4 {
        let hold = two.hold(words::costs(number, 100)).await;
        holds.push(hold.expect("an answer").expect("a hold").id);
    }
    let last = holds.pop().expect("three holds");
    for hold in holds {
        two.settle(hold, words::charge(70)).await.expect("settled");
    }

    // The copy: it says of both that they have replayed what they had before it.
    let id: WalletId = words::id("w");
    let partition = format!("tollgate:{{{}}}:", Partition::of(&id).number());
    let meta = format!("{partition}meta");
    let fields = server.ask(&["HKEYS", &meta]);
    let proxies: Vec<&str> = fields
        .lines()
        .filter_map(|field| field.strip_prefix("m:"))
        .collect();
    assert_eq!(proxies.len(), 2, "{fields}");
    lose(&server, &format!("{partition}*"));
    let then = long_ago(&server);
    server.ask(&["HSET", &meta, "t", &then, "rec", &then, "lacked", &then]);
    let replayed = format!("{meta}:replayed");
    server.ask(&[&["SADD", &*replayed], &*proxies].concat());

    let settled = two.settle(last, words::charge(70)).await;
    assert_eq!(settled.expect("settled").receipt.charged, words::nano(70));
    let view = one
        .wallet(id.clone())
        .await
        .expect("an answer")
        .expect("it is back");
    assert_eq!(view.balance, words::nano(1_000 - 3 * 70));
    let aside = server.ask(&["LRANGE", &format!("{partition}z"), "0", "-1"]);
    assert_eq!(aside, "");
    until("holds are taken", async || {
        matches!(two.hold(words::costs(4, 100)).await, Ok(Ok(_)))
    })
    .await;
    let report = one.audit().await.expect("a report");
    assert_eq!(report.findings, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_another_journal_keeps_no_other_partition_waiting() {
    /// More than a page of a replay.
    const SETTLES: u64 = 300;
    let (server, dir) = (Server::with(Keep::Nothing, &[]), TempDir::new());
    let one = proxy(&server, &dir, "one.db").await;
    one.open_wallet(words::wallet("w", 0, Some(opening()), &[]))
        .await
        .expect("a wallet");
    let key = words::key("k", "w");
    one.put_key(key, one.digest("secret")).await.expect("a key");
    one.close().await.expect("closed");
    let two = proxy(&server, &dir, "two.db").await;
    for number in 1..=SETTLES {
        let hold = two.hold(words::costs(number, 1)).await.expect("an answer");
        let hold = hold.expect("a hold").id;
        two.settle(hold, words::charge(1)).await.expect("settled");
    }
    two.open_wallet(words::wallet("v", 0, None, &[]))
        .await
        .expect("a wallet");

    let [lost, later] = ["w", "v"].map(|id| Partition::of(&words::id(id)).number());
    for partition in [lost, later] {
        lose(&server, &format!("tollgate:{{{partition}}}:*"));
    }
    // As who finds out that something is missing does.
    assert!(two.hold(words::costs(SETTLES + 1, 1)).await.is_err());
    two.key(two.digest("other"), Freshness::Any)
        .await
        .expect("an answer");
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    until("the other wallet", async || {
        matches!(two.wallet(words::id("v")).await, Ok(Some(_)))
    })
    .await;
    let aside = server.ask(&["LRANGE", &format!("tollgate:{{{lost}}}:z"), "0", "-1"]);
    assert_eq!(aside, "", "it waited until the first was given up");
    let lacking = two.wallet(words::id("w")).await;
    assert!(
        matches!(lacking, Err(LedgerError::Unavailable(_))),
        "{lacking:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_meets_a_recovery_that_nobody_ended_has_the_others_end_it() {
    let (server, dir) = (Server::with(Keep::Nothing, &[]), TempDir::new());
    let _other = proxy(&server, &dir, "two.db").await;
    until("the other is present", async || {
        server.ask(&["HLEN", "tollgate:proxies"]) == "1"
    })
    .await;
    let one = proxy(&server, &dir, "one.db").await;
    one.open_wallet(words::wallet("w", 0, Some(opening()), &[]))
        .await
        .expect("a wallet");
    let key = words::key("k", "w");
    one.put_key(key, one.digest("secret")).await.expect("a key");
    let partition = Partition::of(&words::id("w")).number();
    let meta = format!("tollgate:{{{partition}}}:meta");
    let then = long_ago(&server);
    server.ask(&["HSET", &meta, "t", &then, "rec", &then]);
    let refused = one.hold(words::costs(1, 100)).await;
    assert!(
        matches!(refused, Err(LedgerError::Unavailable(_))),
        "{refused:?}"
    );
    until("holds are taken", async || {
        matches!(one.hold(words::costs(2, 100)).await, Ok(Ok(_)))
    })
    .await;
    let told = format!("lost:{partition}");
    assert_eq!(server.ask(&["HEXISTS", "tollgate:proxies", &told]), "1");
}

fn opening() -> Entry {
    words::entry("config:w", "w", EntryKind::Opening, 1_000)
}

/// Takes all keys away that are so named.
fn lose(server: &Server, pattern: &str) {
    for key in server.ask(&["KEYS", pattern]).lines() {
        server.ask(&["DEL", key]);
    }
}

/// A time of the server's, in milliseconds, at which no recovery of today was under way.
fn long_ago(server: &Server) -> String {
    let time = server.ask(&["TIME"]);
    let seconds = time.lines().next().expect("seconds");
    let seconds: u64 = seconds.parse().expect("seconds");
    ((seconds - 15) * 1_000).to_string()
}
