//! What is looked at before a Redis is trusted with money.

use tollgate::ledger::redis::checks::{Found, check};
use tollgate::ledger::redis::error::OpenError;
use tollgate::ledger::redis::meta;
use tollgate::ledger::redis::options::{Address, Endpoints, RedisOptions};

use crate::support::redis::{Cluster, DOCUMENTED, Keep, Server};
use crate::{append, linked, options, refusal};

async fn checked(options: &RedisOptions) -> Result<Found, OpenError> {
    check(&linked(options).await).await
}

#[tokio::test]
async fn what_was_found_is_one_line() {
    let server = Server::with(Keep::EverySecond, &["--min-replicas-to-write", "0"]);
    let found = checked(&options(&server.url())).await.expect("fit");
    let version = found.masters[0].version.clone();
    assert!(
        version.starts_with("Redis 7.")
            || version.starts_with("Redis 8.")
            || version.starts_with("Valkey")
    );
    assert_eq!(
        found.to_string(),
        format!(
            "standalone: {version} at {}, append-only file, memory unlimited, replicas 0 (0 needed for a write)",
            server.address()
        )
    );
    assert_eq!(found.warnings, Vec::<String>::new());
}

#[tokio::test]
async fn a_store_that_can_forget_is_refused() {
    for (policy, fit) in [
        ("allkeys-lru", false),
        ("volatile-ttl", false),
        ("noeviction", true),
    ] {
        let server = Server::with(
            Keep::Nothing,
            &["--maxmemory", "100mb", "--maxmemory-policy", policy],
        );
        match checked(&options(&server.url())).await {
            Ok(found) => assert!(fit && found.masters[0].memory_max == 100 << 20),
            Err(error) => {
                let text = error.to_string();
                assert!(!fit && matches!(error, OpenError::Unfit(_)));
                assert!(
                    text.contains(policy) && text.contains("set maxmemory-policy noeviction"),
                    "{text}"
                );
                assert!(text.contains(&server.address().to_string()), "{text}");
            }
        }
    }
    // Without a bound nothing is evicted, whatever the policy.
    let server = Server::with(Keep::Nothing, &["--maxmemory-policy", "allkeys-lru"]);
    assert!(checked(&options(&server.url())).await.is_ok());
}

#[tokio::test]
async fn a_store_that_keeps_nothing_on_disk_is_warned_of() {
    let server = Server::start();
    let found = checked(&options(&server.url())).await.expect("allowed");
    assert_eq!(
        found.warnings,
        [format!(
            "Redis at {} keeps nothing on disk: its restart loses every wallet; set appendonly yes",
            server.address()
        )]
    );
    server.ask(&["CONFIG", "SET", "save", "60 1"]);
    let found = checked(&options(&server.url())).await.expect("allowed");
    assert!(found.warnings[0].contains("loses what came after the last snapshot"));
}

#[tokio::test]
async fn a_replica_is_refused_with_the_name_of_its_master() {
    let (master, replica) = (Server::start(), Server::start());
    replica.replica_of(&master);
    let error = refusal(&options(&replica.url())).await;
    let text = error.to_string();
    assert!(matches!(error, OpenError::Unfit(_)), "{text}");
    assert!(
        text.contains(&format!("is a replica of {}", master.address())),
        "{text}"
    );
    let found = checked(&options(&master.url())).await.expect("fit");
    assert_eq!(found.masters[0].replicas, 1);
}

#[tokio::test]
async fn a_node_of_a_cluster_as_a_server_and_the_reverse_are_refused_with_the_remedy() {
    let cluster = Cluster::start();
    let master = &cluster.servers[cluster.master_of(0)];
    let error = checked(&options(&master.url()))
        .await
        .expect_err("a node")
        .to_string();
    assert!(
        error.contains("is a node of a cluster; write `nodes:"),
        "{error}"
    );
    let server = Server::start();
    let place = |server: &Server| Address {
        host: "127.0.0.1".to_owned(),
        port: server.port(),
    };
    let alone = RedisOptions::at(Endpoints::Cluster(vec![place(&server)]));
    let error = refusal(&alone).await.to_string();
    assert!(
        error.contains("is no node of a cluster; write `url: redis://"),
        "{error}"
    );
    let whole = RedisOptions::at(Endpoints::Cluster(vec![place(&cluster.servers[5])]));
    let found = checked(&whole).await.expect("fit");
    assert_eq!((found.topology, found.masters.len()), ("cluster", 3));
}

#[tokio::test]
async fn a_cluster_that_does_not_serve_every_slot_is_refused() {
    let cluster = Cluster::with(&["--cluster-require-full-coverage", "no"]);
    let master = cluster.master_of(0);
    cluster.servers[master].ask(&["CLUSTER", "DELSLOTS", "0"]);
    let place = Address {
        host: "127.0.0.1".to_owned(),
        port: cluster.servers[master].port(),
    };
    let error = checked(&RedisOptions::at(Endpoints::Cluster(vec![place]))).await;
    let error = error.expect_err("a hole").to_string();
    assert!(error.contains("serves 16383 of 16384 slots"), "{error}");
}

#[tokio::test]
async fn a_user_with_the_documented_rights_is_enough() {
    let server = Server::start();
    server.documented_user();
    let (user, password) = DOCUMENTED;
    let options = options(&format!("redis://{user}:{password}@{}", server.address()));
    let link = linked(&options).await;
    check(&link).await.expect("fit");
    meta::open(&link, "CNY").await.expect("a store");
    append(&link, "tollgate:{1}:list", 1)
        .await
        .expect("allowed");
    append(&link, "another", 1).await.expect_err("not its key");
}

#[tokio::test]
async fn a_server_that_would_not_read_its_own_file_again_is_refused() {
    for (rights, fit) in [("-@all", false), ("+@all", true)] {
        let mut server = Server::with(Keep::Always, &[]);
        server.documented_user();
        let (user, password) = DOCUMENTED;
        let url = format!("redis://{user}:{password}@{}", server.address());
        let script = "redis.call('SET', KEYS[1], '1') return redis.call('SET', KEYS[2], '1')";
        let keys = ["tollgate:{1}:one", "tollgate:{1}:two"];
        server.ask(&["EVAL", script, "2", keys[0], keys[1]]);
        server.ask(&["ACL", "SETUSER", "default", "off", rights]);
        let found = checked(&options(&url)).await;
        if fit {
            found.expect("fit");
            continue;
        }
        let error = found.expect_err("unfit").to_string();
        assert!(error.contains("`user default off ~* &* +@all`"), "{error}");
        // What the check is for. Where this fails, Redis has been mended, and the check may go.
        server.more(&["--user", "default", "off"]);
        server.more(&["--user", user, "on", ">password", "~*", "+@all"]);
        server.restart();
        server.login(user, password);
        assert_eq!(server.ask(&["EXISTS", keys[0], keys[1]]), "0");
    }
}

#[tokio::test]
async fn a_store_is_made_once_and_keeps_its_currency_and_pepper() {
    let server = Server::start();
    let link = linked(&options(&server.url())).await;
    let (one, other) = tokio::join!(meta::open(&link, "CNY"), meta::open(&link, "CNY"));
    let (one, other) = (one.expect("made"), other.expect("made"));
    assert_eq!(one.pepper(), other.pepper());
    let again = meta::open(&link, "CNY").await.expect("there");
    assert_eq!(
        (again.pepper(), again.opened_at),
        (one.pepper(), one.opened_at)
    );
    assert!(one.opened_at.0 > 1_500_000_000_000 && *one.pepper() != [0; 32]);
    let shown = format!("{one:?}");
    assert!(
        shown.contains("CNY") && !shown.contains("pepper"),
        "{shown}"
    );
    let error = meta::open(&link, "USD")
        .await
        .expect_err("another currency")
        .to_string();
    assert!(
        error.contains("keeps CNY") && error.contains("set currency: CNY"),
        "{error}"
    );
    let mut elsewhere = options(&server.url());
    elsewhere.prefix = "second".to_owned();
    let second = meta::open(&linked(&elsewhere).await, "USD")
        .await
        .expect("another store");
    assert_ne!(second.pepper(), one.pepper());
}

#[tokio::test]
async fn a_store_of_a_newer_version_or_without_its_pepper_is_left_alone() {
    let server = Server::start();
    let link = linked(&options(&server.url())).await;
    meta::open(&link, "CNY").await.expect("made");
    server.ask(&["HSET", "tollgate:meta", "schema", "2"]);
    let error = meta::open(&link, "CNY")
        .await
        .expect_err("newer")
        .to_string();
    assert!(
        error.contains("schema version 2") && error.contains("knows 1"),
        "{error}"
    );
    server.ask(&["HSET", "tollgate:meta", "schema", "1"]);
    server.ask(&["HDEL", "tollgate:meta", "pepper"]);
    let error = meta::open(&link, "CNY")
        .await
        .expect_err("damaged")
        .to_string();
    assert!(error.contains("`pepper`"), "{error}");
    assert_eq!(server.ask(&["HEXISTS", "tollgate:meta", "pepper"]), "0");
}
