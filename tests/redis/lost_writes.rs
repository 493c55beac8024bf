//! Faults that take acknowledged writes back: a replica that was behind takes over, an older copy is put back.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::partition::Partition;
use crate::round::Losses;
use crate::series::Series;
use crate::stage::Stage;
use crate::support::dice::Dice;
use crate::support::redis::sentinel::MASTER;
use crate::support::redis::{Cluster, Keep, Sentinels, Server};
use crate::support::{Cut, Door, Relay, TempDir, until};

/// The user that replicas come as, and its password: switched off, it cuts replication and nothing else.
const REPLICA: &str = "replica";
const PASSWORD: &str = "a-password-of-replicas";

/// Redis waits 5 s for more replicas before it sends its data; there are none.
const AT_ONCE: [&str; 2] = ["--repl-diskless-sync-delay", "0"];

/// What is written meanwhile is lost in the takeover.
fn go_on_without_replication(dice: &mut Dice) {
    std::thread::sleep(Duration::from_millis(dice.within(100, 1_000)));
}

/// Planted bugs that it must catch: a mark that is not moved in the same call as what it counts; a journal that is not
/// replayed when the store has changed; a replay that is applied where it was applied before; a hold that is admitted on a
/// partition that is behind.
#[test]
fn a_replica_that_was_behind_and_is_promoted_by_hand_gets_what_it_missed() {
    let server = || Server::with(Keep::Nothing, &AT_ONCE);
    let mut servers = [server(), server()];
    let replication = Relay::before(&servers[0].address().to_string());
    follow(&servers[1], &replication);
    let stage = Stage::behind_relays(&servers[0]);
    let mut master = 0;
    let fault = |stage: &mut Stage, dice: &mut Dice| {
        replication.door(Door::Refuse);
        replication.cut(Cut::Reset);
        go_on_without_replication(dice);
        stage.strike(|_| servers[master].kill());
        let old = master;
        master = 1 - master;
        servers[master].ask(&["REPLICAOF", "NO", "ONE"]);
        let address = servers[master].address().to_string();
        stage
            .relays
            .iter()
            .for_each(|relay| relay.retarget(&address));
        servers[old].restart();
        replication.retarget(&address);
        replication.heal();
        follow(&servers[old], &replication);
    };
    Series::new("promoted", stage)
        .at_least(2)
        .faults("promoted", Losses::Writes, fault);
}

fn follow(server: &Server, replication: &Relay) {
    let (host, port) = replication.address.split_once(':').expect("host:port");
    server.ask(&["REPLICAOF", host, port]);
    server.wait_synced();
}

/// Planted bugs that it must catch: the same as by hand, and an address of the master that is asked for once only.
#[test]
fn a_replica_that_was_behind_and_is_promoted_by_sentinel_gets_what_it_missed() {
    let mut sentinels = Sentinels::start();
    sentinels.servers.iter().for_each(replicate_as_user);
    sentinels.servers[0].ask(&["CLIENT", "KILL", "TYPE", "replica"]);
    sentinels.servers[1].wait_synced();
    let ledger = json!({ "sentinels": sentinels.addresses(), "master_name": MASTER });
    let stage = Stage::direct(&ledger);
    let fault = |stage: &mut Stage, dice: &mut Dice| {
        let master = sentinels.master();
        cut_replication(&sentinels.servers[master]);
        go_on_without_replication(dice);
        stage.strike(|_| sentinels.servers[master].kill());
        until("another master", || {
            (sentinels.master() != master).then_some(())
        });
        let other = sentinels.master();
        sentinels.servers[other].ask(&["ACL", "SETUSER", REPLICA, "on"]);
        sentinels.servers[master].restart();
        replicate_as_user(&sentinels.servers[master]);
        sentinels.servers[master].replica_of(&sentinels.servers[other]);
    };
    Series::new("sentinel", stage).faults("sentinel", Losses::Writes, fault);
}

/// Planted bugs that it must catch: the same as by hand, and a redirection that is not followed.
#[test]
fn a_lost_master_of_a_cluster_loses_nothing() {
    let mut cluster = Cluster::with(&AT_ONCE);
    cluster.servers.iter().for_each(replicate_as_user);
    let ledger = json!({ "nodes": cluster.nodes() });
    let stage = Stage::direct(&ledger);
    let fault = |stage: &mut Stage, dice: &mut Dice| {
        let slot = slot_of(&cluster.servers, &stage.wallets[0]);
        let master = cluster.master_of(slot);
        // A replica that has everything takes over, or one that has not.
        if dice.percent(50) {
            cut_replication(&cluster.servers[master]);
            go_on_without_replication(dice);
        }
        stage.strike(|_| cluster.servers[master].kill());
        let other = until("another master", || {
            let now = cluster.master_of(slot);
            (now != master).then_some(now)
        });
        cluster.servers[other].ask(&["ACL", "SETUSER", REPLICA, "on"]);
        cluster.servers[master].restart();
        replicate_as_user(&cluster.servers[master]);
        cluster.servers[master].wait_synced();
        cluster.wait_well();
    };
    Series::new("cluster", stage).faults("cluster", Losses::Writes, fault);
}

/// The slot of a wallet's partition.
fn slot_of(servers: &[Server], wallet: &str) -> u16 {
    let key = Partition::of(wallet).key("meta");
    let slot = servers[0].ask(&["CLUSTER", "KEYSLOT", &key]);
    slot.parse().expect("a slot")
}

/// Makes a server take replicas, and come as one, by a user of their own.
fn replicate_as_user(server: &Server) {
    let password = format!(">{PASSWORD}");
    server.ask(&[
        "ACL",
        "SETUSER",
        REPLICA,
        "on",
        &password,
        "+psync",
        "+replconf",
        "+ping",
    ]);
    server.ask(&[
        "CONFIG",
        "SET",
        "masteruser",
        REPLICA,
        "masterauth",
        PASSWORD,
    ]);
    server.ask(&["CONFIG", "SET", &AT_ONCE[0][2..], AT_ONCE[1]]);
}

/// Nothing reaches this master's replicas any more, and nobody else notices.
fn cut_replication(master: &Server) {
    master.ask(&["ACL", "SETUSER", REPLICA, "off"]);
    master.ask(&["CLIENT", "KILL", "TYPE", "replica"]);
}

/// Planted bugs that it must catch: a store that was put back and is taken for the one that was there; a wallet, a key or
/// a credit that is not journalled; a journal that drops what was acknowledged before it is old.
///
/// Rivals: litellm PR #30684: Redis came back from an older snapshot, and what was spent since was spent again.
#[test]
fn an_older_copy_of_the_store_gets_what_it_does_not_know() {
    let mut server = Server::with(Keep::EverySecond, &[]);
    let stage = Stage::behind_relays(&server);
    let copy = TempDir::new();
    copy_data(server.folder(), copy.path());
    let fault = |stage: &mut Stage, dice: &mut Dice| {
        // Otherwise it is the copy of the round before, which does not know this round's keys.
        if dice.percent(50) {
            copy_data(server.folder(), copy.path());
        }
        go_on_without_replication(dice);
        stage.strike(|_| server.kill());
        copy_data(copy.path(), server.folder());
        server.restart();
        std::thread::sleep(Duration::from_millis(100));
        copy_data(server.folder(), copy.path());
    };
    Series::new("restored", stage)
        .at_least(2)
        .faults("restored", Losses::Writes, fault);
}

/// Replaces the data in a folder by those in another. A log that ends in the middle of a command is cut there by Redis.
pub fn copy_data(from: &Path, to: &Path) {
    const DATA: &str = "appendonlydir";
    let target = to.join(DATA);
    if target.exists() {
        fs::remove_dir_all(&target).expect("old data that can go");
    }
    let copied = Command::new("cp")
        .arg("-a")
        .arg(from.join(DATA))
        .arg(&target)
        .status();
    assert!(copied.expect("cp runs").success());
}
