//! Writes that the store acknowledged and lost: done again, once.

use std::sync::Arc;
use std::time::Duration;

use tollgate::ledger::redis::error::LinkError;
use tollgate::ledger::redis::options::{Address, Endpoints};

use crate::kit::{
    LANES, Storm, add, assert_once, found, look, outbox, outbox_over, partition, remote, remote_of,
    store, until, until_empty,
};
use crate::relay::Relay;
use crate::support::TempDir;
use crate::support::redis::{Cluster, Keep, Server};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_with_its_log_loses_nothing() {
    let (mut server, dir) = (store(Keep::EverySecond, &[]), TempDir::new());
    let outbox = Arc::new(outbox(server.address(), &dir.path().join("journal.db")).await);
    let storm = Storm::start(&outbox, "a");
    for _ in 0..3 {
        storm.rages(500).await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.restart();
    }
    storm.rages(500).await;
    let sent = storm.end().await;
    until_empty(&outbox).await;
    assert_once(&server, &sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_a_promotion_loses_are_done_again_once() {
    let dir = TempDir::new();
    let mut servers = vec![store(Keep::Nothing, &[])];
    let relay = Relay::to(servers[0].address());
    let outbox = Arc::new(outbox(relay.address(), &dir.path().join("journal.db")).await);
    let storm = Storm::start(&outbox, "a");
    let mut lost = 0;
    for _ in 0..3 {
        let master = servers.pop().expect("a master");
        let replica = Server::start();
        replica.replica_of(&master);
        storm.rages(500).await;
        // It follows nobody any more, and knows nothing of what comes.
        replica.ask(&["REPLICAOF", "127.0.0.1", "1"]);
        let before = outbox.figures().replayed;
        storm.rages(1_000).await;
        replica.ask(&["REPLICAOF", "NO", "ONE"]);
        relay.lead_to(replica.address());
        until("what was lost is done again", async || {
            outbox.figures().replayed >= before + 500
        })
        .await;
        lost += outbox.figures().replayed - before;
        servers.push(replica);
    }
    storm.rages(200).await;
    let sent = storm.end().await;
    until_empty(&outbox).await;
    assert_once(&servers[0], &sent);
    println!("{} sent, {lost} lost and done again", sent.len());
    until("all partitions have recovered", async || {
        outbox.figures().recovering == 0
    })
    .await;
    outbox.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_snapshot_gets_back_what_all_proxies_did_since() {
    let (mut server, dir) = (
        store(Keep::Nothing, &["--dbfilename", "dump.rdb"]),
        TempDir::new(),
    );
    let file = |name: &str| dir.path().join(name);
    let one = Arc::new(outbox(server.address(), &file("one.db")).await);
    let two = Arc::new(outbox(server.address(), &file("two.db")).await);
    let mut all = Vec::new();
    for (outbox, name) in [(&one, "1a"), (&two, "2a")] {
        let storm = Storm::start(outbox, name);
        storm.rages(300).await;
        all.extend(storm.end().await);
    }
    server.ask(&["SAVE"]);
    let storms = [Storm::start(&one, "1b"), Storm::start(&two, "2b")];
    for storm in &storms {
        storm.rages(2_000).await;
    }
    server.kill();
    server.restart();
    let remote = remote(server.address()).await;
    for storm in &storms {
        storm.rages(300).await;
    }
    for storm in storms {
        all.extend(storm.end().await);
    }
    for outbox in [&one, &two] {
        until_empty(outbox).await;
        until("it replayed", async || outbox.figures().replayed > 0).await;
        until("it has recovered", async || {
            outbox.figures().recovering == 0
        })
        .await;
    }
    assert_once(&server, &all);
    for number in 0..LANES {
        until("holds are taken", async || {
            look(&remote, &one, number).await == "ok"
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_takes_no_holds_until_every_present_proxy_has_replayed() {
    let (mut server, dir) = (store(Keep::Nothing, &[]), TempDir::new());
    let relay = Relay::to(server.address());
    let one = Arc::new(outbox(server.address(), &dir.path().join("one.db")).await);
    let two = Arc::new(outbox(relay.address(), &dir.path().join("two.db")).await);
    let storms = [Storm::start(&one, "1"), Storm::start(&two, "2")];
    for storm in &storms {
        storm.rages(500).await;
    }
    let mut all = Vec::new();
    for storm in storms {
        all.extend(storm.end().await);
    }
    until_empty(&one).await;
    until_empty(&two).await;
    // Both have been heard of by the other.
    let both = || server.ask(&["HLEN", "tollgate:proxies"]) == "2";
    until("both are present", async || both()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    // The other cannot get through, but is only just away.
    relay.refuse(true);
    relay.cut();
    server.kill();
    server.restart();
    found(&server);
    let remote = remote(server.address()).await;
    until("the loss is noticed", async || {
        look(&remote, &one, 0).await == "recovering"
    })
    .await;
    until("the first has replayed", async || {
        one.figures().replayed > 100
    })
    .await;
    assert_eq!(look(&remote, &one, 0).await, "recovering");
    relay.refuse(false);
    until("the second has replayed", async || {
        two.figures().replayed > 100
    })
    .await;
    for number in 0..LANES {
        until("holds are taken", async || {
            look(&remote, &one, number).await == "ok"
        })
        .await;
    }
    assert_once(&server, &all);
    assert!(one.acked(partition(0)) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_nobody_has_any_more_are_told_of_and_do_not_hold_up_the_rest() {
    let (mut server, dir) = (store(Keep::Nothing, &[]), TempDir::new());
    let file = dir.path().join("journal.db");
    let first = outbox(server.address(), &file).await;
    for n in 0..6 {
        first.send(add("add", 2, &n.to_string(), false)).await;
    }
    let nonce = first.nonce().to_owned();
    first.close().await.unwrap();
    // The store is set back to before everything, and the journal has forgotten its beginning.
    server.restart();
    found(&server);
    let sqlite = rusqlite::Connection::open(&file).unwrap();
    sqlite
        .execute("DELETE FROM entries WHERE seq <= 2", [])
        .unwrap();
    drop(sqlite);
    let second = outbox(server.address(), &file).await;
    second.check().unwrap();
    assert_once(&server, &["2", "3", "4", "5"].map(str::to_owned));
    let aside = server.ask(&["LRANGE", "tollgate:{2}:z", "0", "-1"]);
    assert!(
        aside.contains("gone from the journal") && aside.contains(&nonce),
        "{aside}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_again_into_a_store_that_is_another() {
    let (mut server, dir) = (store(Keep::Nothing, &[]), TempDir::new());
    let outbox = outbox(server.address(), &dir.path().join("journal.db")).await;
    for n in 0..6 {
        outbox.send(add("add", 2, &n.to_string(), false)).await;
    }
    let stranger = "cd".repeat(32);
    server.restart();
    server.ask(&["HSET", "tollgate:meta", "pepper", &stranger]);
    until("it is told", async || {
        let told = outbox.check().err().map(|error| error.to_string());
        told.is_some_and(|words| words.contains("no longer has the ledger"))
    })
    .await;
    outbox.send(add("add", 2, "6", false)).await;
    assert_once(&server, &[]);
    found(&server);
    until("it recovers", async || outbox.check().is_ok()).await;
    until_empty(&outbox).await;
    let all: Vec<String> = (0..7).map(|n| n.to_string()).collect();
    assert_once(&server, &all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_loses_a_master_loses_nothing_and_repeats_nothing() {
    let (mut cluster, dir) = (Cluster::start(), TempDir::new());
    let nodes = cluster.servers.iter().map(|server| Address {
        host: "127.0.0.1".to_owned(),
        port: server.port(),
    });
    let remote = remote_of(Endpoints::Cluster(nodes.collect())).await;
    let ask = async |command: &[&str]| loop {
        let mut whole = redis::cmd(command[0]);
        whole.arg(&command[1..]);
        match remote.link.batch(vec![whole]).await {
            Ok(mut answers) => return answers.swap_remove(0),
            // Nodes learn one after the other that all slots are served again.
            Err(LinkError::Away(_) | LinkError::NotNow(_)) => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            Err(error) => panic!("{error}"),
        }
    };
    ask(&["HSET", "tollgate:meta", "pepper", &"ab".repeat(32)]).await;
    let outbox = Arc::new(outbox_over(remote.clone(), &dir.path().join("journal.db")).await);
    let storm = Storm::start(&outbox, "a");
    storm.rages(1_000).await;
    // Where partition 0 lies: the slot of its hash tag.
    cluster.kill_master_of(13_907);
    cluster.wait_well();
    storm.rages(1_000).await;
    let sent = storm.end().await;
    until_empty(&outbox).await;
    let mut found = 0;
    for number in 0..LANES {
        let counts = ask(&["HVALS", &format!("count:{{{number}}}")]).await;
        let redis::Value::Array(counts) = &counts else {
            panic!("{counts:?}");
        };
        let once = redis::Value::BulkString(b"1".to_vec());
        assert!(
            counts.iter().all(|count| *count == once),
            "more than once: {counts:?}"
        );
        found += counts.len();
    }
    assert_eq!(found, sent.len());
    outbox.close().await.unwrap();
}
