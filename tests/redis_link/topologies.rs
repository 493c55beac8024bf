//! Each topology connects, calls, and survives a restart or a failover.

use redis::Value;
use tollgate::ledger::redis::error::{LinkError, LinkState};
use tollgate::ledger::redis::options::{Address, Endpoints, RedisOptions};

use crate::support::redis::{Cluster, Keep, Sentinels, Server, sentinel};
use crate::{append, linked, options, patient, when, when_through, when_up};

fn addresses(texts: &[String]) -> Vec<Address> {
    let address = |text: &String| {
        let (host, port) = text.rsplit_once(':').expect("a port");
        Address {
            host: host.to_owned(),
            port: port.parse().expect("a number"),
        }
    };
    texts.iter().map(address).collect()
}

fn of_cluster(cluster: &Cluster) -> RedisOptions {
    patient(RedisOptions::at(Endpoints::Cluster(addresses(
        &cluster.nodes(),
    ))))
}

fn of_sentinels(sentinels: &Sentinels) -> RedisOptions {
    patient(RedisOptions::at(Endpoints::Sentinel {
        sentinels: addresses(&sentinels.addresses()),
        master_name: sentinel::MASTER.to_owned(),
    }))
}

#[tokio::test]
async fn calls_reach_the_store_in_the_order_in_which_they_are_made() {
    let server = Server::start();
    let link = linked(&options(&server.url())).await;
    append(&link, "warm", 0)
        .await
        .expect("the script is known now");
    let calls: Vec<_> = (0..10_000)
        .map(|number| append(&link, "list", number))
        .collect();
    // Awaited the other way round.
    for (number, call) in (0..).zip(calls).collect::<Vec<_>>().into_iter().rev() {
        assert_eq!(call.await, Ok(Value::Int(number + 1)));
    }
    assert_eq!(server.ask(&["LINDEX", "list", "7777"]), "7777");
}

#[tokio::test]
async fn a_call_whose_answer_nobody_waits_for_is_sent_all_the_same() {
    let server = Server::start();
    let link = linked(&options(&server.url())).await;
    append(&link, "list", 1)
        .await
        .expect("the script is known now");
    let waits = append(&link, "list", 2);
    assert_eq!(append(&link, "list", 3).await, Ok(Value::Int(3)));
    drop(waits);
}

#[tokio::test]
async fn keys_and_arguments_of_any_bytes_arrive_as_they_are() {
    let server = Server::start();
    let link = linked(&options(&server.url())).await;
    let bytes: Vec<u8> = (0..=255).collect();
    let call = link.call(&crate::APPEND, vec![bytes.clone()], vec![bytes.clone()]);
    call.await.expect("an answer");
    let mut command = redis::cmd("LINDEX");
    command.arg(&bytes).arg(0);
    let answers = link.batch(vec![command]).await.expect("an answer");
    assert_eq!(answers, [Value::BulkString(bytes)]);
}

#[tokio::test]
async fn a_server_that_restarts_is_found_again() {
    let mut server = Server::with(Keep::Always, &[]);
    let link = linked(&options(&server.url())).await;
    append(&link, "list", 1).await.expect("it is there");
    let before = link.identities().await.expect("it tells");
    let made = *link.connections().borrow();
    server.kill();
    when("the loss is seen", async || {
        (link.state() != LinkState::Up).then_some(())
    })
    .await;
    let away = append(&link, "list", 2).await;
    assert!(
        matches!(away, Err(LinkError::NotNow(_))),
        "never sent: {away:?}"
    );
    server.restart();
    when_up(&link).await;
    assert_eq!(append(&link, "list", 3).await, Ok(Value::Int(2)));
    assert!(*link.connections().borrow() > made);
    let after = link.identities().await.expect("it tells");
    assert_eq!(after[0].address, before[0].address);
    assert_ne!(after[0].run_id, before[0].run_id);
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_away_until_it_is_a_master_again() {
    let (server, other) = (Server::start(), Server::start());
    let link = linked(&options(&server.url())).await;
    append(&link, "list", 1).await.expect("a master");
    server.replica_of(&other);
    let away = append(&link, "list", 2).await;
    assert!(
        matches!(&away, Err(LinkError::NotNow(why)) if why.contains("READONLY")),
        "{away:?}"
    );
    let words = format!("is a replica of {}", other.address());
    when("the reason", async || match link.state() {
        LinkState::Away(why) if why.contains(&words) => Some(()),
        _ => None,
    })
    .await;
    let away = append(&link, "list", 2).await;
    assert!(
        matches!(away, Err(LinkError::NotNow(_))),
        "never sent, so it can be repeated: {away:?}"
    );
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    when_up(&link).await;
    append(&link, "list", 3).await.expect("a master again");
}

#[tokio::test]
async fn a_link_that_is_dropped_leaves_no_connection() {
    let cluster = Cluster::start();
    let link = linked(&of_cluster(&cluster)).await;
    append(&link, "list", 1).await.expect("an answer");
    let clients = || -> usize {
        let lists = cluster
            .servers
            .iter()
            .map(|server| server.ask(&["CLIENT", "LIST", "TYPE", "normal"]));
        // Without redis-cli's own.
        lists.map(|list| list.lines().count() - 1).sum()
    };
    assert_eq!(clients(), 3, "one to each master");
    drop(link);
    when("all are closed", async || (clients() == 0).then_some(())).await;
}

#[tokio::test]
async fn a_script_that_a_server_forgot_is_sent_to_it_again() {
    let server = Server::start();
    let link = linked(&options(&server.url())).await;
    append(&link, "list", 1).await.expect("it is there");
    server.ask(&["SCRIPT", "FLUSH"]);
    assert_eq!(append(&link, "list", 2).await, Ok(Value::Int(2)));
}

#[tokio::test]
async fn a_master_that_is_demoted_is_left_for_the_new_one_that_sentinel_names() {
    let sentinels = Sentinels::start();
    let link = linked(&of_sentinels(&sentinels)).await;
    append(&link, "list", 1).await.expect("the master");
    let before = link.identities().await.expect("it tells");
    sentinels.failover();
    when("a call to the new master", async || {
        append(&link, "list", 2).await.ok()?;
        let now = link.identities().await.ok()?;
        (now[0].address.port == sentinels.servers[1].port()).then_some(())
    })
    .await;
    assert_eq!(before[0].address.port, sentinels.servers[0].port());
}

#[tokio::test]
async fn a_master_that_dies_or_hangs_is_left_for_the_one_that_takes_over() {
    for hangs in [false, true] {
        let mut sentinels = Sentinels::start();
        let link = linked(&of_sentinels(&sentinels)).await;
        append(&link, "list", 1).await.expect("the master");
        match hangs {
            true => {
                sentinels.servers[0].pause();
                sentinels.pause_sentinel(2);
            }
            false => {
                sentinels.servers[0].kill();
                sentinels.kill_sentinel(2);
            }
        }
        when_through(&link, "list").await;
        let now = link.identities().await.expect("it tells");
        assert_eq!(now[0].address.port, sentinels.servers[1].port());
    }
}

#[tokio::test]
async fn a_cluster_is_called_at_the_node_that_has_the_key_and_after_its_master_is_gone() {
    for hangs in [false, true] {
        let mut cluster = Cluster::start();
        let link = linked(&of_cluster(&cluster)).await;
        let keys = || (0..60).map(|key| format!("tollgate:{{{key}}}:list"));
        for key in keys() {
            assert_eq!(append(&link, &key, 1).await, Ok(Value::Int(1)), "{key}");
        }
        let commands = keys().map(|key| {
            let mut command = redis::cmd("LLEN");
            command.arg(key);
            command
        });
        let lengths = link
            .batch(commands.collect())
            .await
            .expect("answers of every node");
        assert_eq!(lengths, vec![Value::Int(1); 60]);
        assert_eq!(link.identities().await.expect("all tell").len(), 3);
        let master = cluster.master_of(0);
        match hangs {
            true => cluster.servers[master].pause(),
            false => cluster.servers[master].kill(),
        }
        for key in keys() {
            when_through(&link, &key).await;
        }
        when_up(&link).await;
        assert_eq!(link.slots_covered(), Some(16_384));
    }
}

#[tokio::test]
async fn of_a_cluster_that_lost_a_node_the_others_are_reached() {
    let mut cluster = Cluster::start();
    let link = linked(&of_cluster(&cluster)).await;
    let keys: Vec<String> = (0..60)
        .map(|key| format!("tollgate:{{{key}}}:list"))
        .collect();
    for key in &keys {
        append(&link, key, 1).await.expect("an answer");
    }
    // The first master's replica, and the first master: nobody takes over.
    for server in [3, 0] {
        cluster.servers[server].kill();
    }
    when("a node is away", async || {
        (link.state() != LinkState::Up).then_some(())
    })
    .await;
    let mut reached = 0;
    for key in &keys {
        match append(&link, key, 2).await {
            Ok(_) => reached += 1,
            // Those that are left may have found out already that they are not whole.
            Err(LinkError::NotNow(why)) if why.contains("CLUSTERDOWN") => reached += 1,
            Err(LinkError::NotNow(_)) => {}
            Err(error) => panic!("{key} may have been sent: {error}"),
        }
    }
    assert!((1..keys.len()).contains(&reached), "{reached}");
}

#[tokio::test]
async fn a_slot_that_is_moved_or_is_being_moved_is_followed() {
    let cluster = Cluster::start();
    let link = linked(&of_cluster(&cluster)).await;
    let key = "tollgate:{7}:list";
    append(&link, key, 1).await.expect("its node");
    let slot = cluster.servers[0].ask(&["CLUSTER", "KEYSLOT", key]);
    let from = cluster.master_of(slot.parse().expect("a slot"));
    let to = (0..3).find(|at| *at != from).expect("another master");
    let (from, to) = (&cluster.servers[from], &cluster.servers[to]);
    let id = |server: &Server| server.ask(&["CLUSTER", "MYID"]);
    to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
    from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
    from.ask(&[
        "MIGRATE",
        "127.0.0.1",
        &to.port().to_string(),
        key,
        "0",
        "5000",
    ]);
    assert_eq!(
        append(&link, key, 2).await,
        Ok(Value::Int(2)),
        "asked for at the other node"
    );
    for server in [to, from] {
        server.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(to)]);
    }
    assert_eq!(append(&link, key, 3).await, Ok(Value::Int(3)), "moved");
}
