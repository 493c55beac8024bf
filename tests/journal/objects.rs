//! Whose the objects of upstreams are, where the store loses it or is away.

use std::time::Duration;

use tollgate::clock::UnixMs;
use tollgate::ledger::credit::EntryKind;
use tollgate::ledger::id::WalletId;
use tollgate::ledger::object::{OBJECTS_MAX, Object, ObjectKind, ObjectQuery};
use tollgate::ledger::redis::Redis;
use tollgate::ledger::redis::layout::Partition;
use tollgate::ledger::{Ledger, LedgerError};

use crate::kit::until;
use crate::support::TempDir;
use crate::support::redis::{Keep, Server};
use crate::wallets::proxy;
use crate::words::{self, object_ref, waiting};

/// An object that ends so much later.
fn object(ledger: &Redis, name: &str, ms: u64) -> Object {
    Object {
        created_at: ledger.now(),
        expires_at: ledger.now().plus(ms),
        ..words::object(name, "w")
    }
}

async fn put(ledger: &Redis, object: Object) {
    let put = ledger.put_object(object, OBJECTS_MAX).await;
    put.expect("it is kept");
}

async fn furnish(ledger: &Redis) {
    let opening = words::entry("config:w", "w", EntryKind::Opening, 1_000);
    let wallet = words::wallet("w", 0, Some(opening), &[]);
    ledger.open_wallet(wallet).await.expect("a wallet");
    let digest = ledger.digest("secret");
    let put = ledger.put_key(words::key("k", "w"), digest).await;
    put.expect("a key");
}

/// Takes all that the store has of the wallet's partition.
fn lose(server: &Server) {
    let id: WalletId = words::id("w");
    let lost = format!("tollgate:{{{}}}:*", Partition::of(&id).number());
    for key in server.ask(&["KEYS", &lost]).lines() {
        server.ask(&["DEL", key]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_were_lost_come_back_and_what_has_gone_does_not() {
    let (server, dir) = (Server::with(Keep::Nothing, &[]), TempDir::new());
    let one = proxy(&server, &dir, "one.db").await;
    let two = proxy(&server, &dir, "two.db").await;
    furnish(&one).await;
    let stays = object(&one, "stays", 3_600_000);
    let job = waiting(object(&one, "job", 1), 1);
    let done = object(&one, "done", 3_600_000);
    let moved = object(&one, "moved", 3_600_000);
    put(&one, stays.clone()).await;
    put(&one, job.clone()).await;
    put(&one, object(&one, "dropped", 3_600_000)).await;
    put(&one, object(&one, "ended", 200)).await;
    put(&one, moved.clone()).await;
    let hold = one.hold(words::costs(2, 100)).await.expect("an answer");
    put(&one, waiting(done.clone(), 2)).await;
    let again = Object {
        upstream: "two".into(),
        ..moved
    };
    until("another time", async || two.now() > done.created_at.plus(2)).await;
    put(&two, again.clone()).await;
    let dropped = two.drop_object(object_ref("dropped", "w")).await;
    dropped.expect("it is dropped");
    let settled = two
        .settle(hold.expect("a hold").id, words::charge(70))
        .await;
    settled.expect("settled");
    let gone = async |name| one.object(object_ref(name, "w")).await.expect("an answer");
    until("it has ended", async || gone("ended").await.is_none()).await;

    // The second finds out first: what it did comes before what it did it to.
    lose(&server);
    let nothing = two.drop_object(object_ref("nothing", "w"));
    let late = async {
        until("the second has found out", async || {
            two.stats().journal.expect("a journal").replayed > 0
        })
        .await;
        put(&one, object(&one, "late", 3_600_000)).await;
    };
    let (dropped, ()) = tokio::join!(nothing, late);
    dropped.expect("it is passed over");
    for ledger in [&one, &two] {
        until("it has recovered", async || {
            let journal = ledger.stats().journal.expect("a journal");
            (journal.waiting, journal.recovering) == (0, 0)
        })
        .await;
    }
    assert_eq!(gone("stays").await, Some(stays));
    assert_eq!(gone("job").await, Some(job.clone()));
    assert_eq!(gone("done").await, Some(done));
    assert_eq!(gone("moved").await, Some(again));
    assert!(gone("late").await.is_some());
    assert_eq!(gone("dropped").await, None);
    assert_eq!(gone("ended").await, None);
    let pending = two.pending_objects(None, 9).await.expect("an answer");
    assert_eq!(pending, [job]);
    let listed = two.objects(ObjectQuery {
        wallet: words::id("w"),
        kind: ObjectKind::Response,
        after: None,
        limit: 99,
    });
    assert_eq!(listed.await.expect("an answer").len(), 5);
    let view = two.wallet(words::id("w")).await.expect("an answer");
    assert_eq!(view.expect("it is back").charged, words::nano(70));
    let report = one.audit().await.expect("a report");
    assert_eq!(report.findings, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_put_while_the_store_is_away_is_there_when_it_is_back() {
    let (mut server, dir) = (Server::with(Keep::Always, &[]), TempDir::new());
    let one = proxy(&server, &dir, "one.db").await;
    furnish(&one).await;
    let kept = object(&one, "kept", 3_600_000);
    put(&one, object(&one, "dropped", 3_600_000)).await;
    server.kill();
    until("it is away", async || one.ready().is_err()).await;
    put(&one, kept.clone()).await;
    let dropped = one.drop_object(object_ref("dropped", "w")).await;
    dropped.expect("the journal has it");
    let unknown = one.object(object_ref("kept", "w")).await;
    assert!(matches!(unknown, Err(LedgerError::Unavailable(_))));
    server.restart();
    // Whoever asks is never told that there is none.
    let end = UnixMs(one.now().0 + 30_000);
    let found = loop {
        assert!(one.now() < end, "in vain");
        match one.object(object_ref("kept", "w")).await {
            Ok(found) => break found,
            Err(LedgerError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(found, Some(kept));
    until("it is dropped", async || {
        matches!(one.object(object_ref("dropped", "w")).await, Ok(None))
    })
    .await;
}
