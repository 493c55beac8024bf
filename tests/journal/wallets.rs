//! What one proxy journalled, and another one's settle needs.

use std::sync::Arc;

use tollgate::ledger::Ledger;
use tollgate::ledger::credit::EntryKind;
use tollgate::ledger::id::WalletId;
use tollgate::ledger::key::Freshness;
use tollgate::ledger::redis::layout::Partition;
use tollgate::ledger::redis::options::RedisOptions;
use tollgate::ledger::redis::scripts::Scripts;
use tollgate::ledger::redis::{Behaviour, Redis};

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
    let opening = words::entry("config:w", "w", EntryKind::Opening, 1_000);
    let wallet = words::wallet("w", 0, Some(opening), &[]);
    one.open_wallet(wallet).await.expect("a wallet");
    let key = words::key("k", "w");
    let digest = one.digest("secret");
    one.put_key(key, digest).await.expect("a key");
    let hold = two.hold(words::costs(1, 100)).await.expect("an answer");
    let hold = hold.expect("a hold").id;

    // The first does not know, and makes no call there; the second has written nothing there.
    let id: WalletId = words::id("w");
    let lost = format!("tollgate:{{{}}}:*", Partition::of(&id).number());
    for lost in [&*lost, "tollgate:key:*", "tollgate:digest:*"] {
        for key in server.ask(&["KEYS", lost]).lines() {
            server.ask(&["DEL", key]);
        }
    }
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
    let opening = words::entry("config:w", "w", EntryKind::Opening, 1_000);
    let wallet = words::wallet("w", 0, Some(opening), &[]);
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
    for key in server.ask(&["KEYS", &format!("{partition}*")]).lines() {
        server.ask(&["DEL", key]);
    }
    for hold in holds {
        let error = two.settle(hold, words::charge(70)).await;
        let error = error.expect_err("no wallet").to_string();
        assert!(error.contains("no wallet"), "{error}");
    }
    let aside = server.ask(&["LRANGE", &format!("{partition}z"), "0", "-1"]);
    assert_eq!(aside.matches("no wallet").count(), 1, "{aside}");
}
