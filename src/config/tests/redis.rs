//! Where Redis is, in every way that it can be written.

use super::*;

fn ledger(fields: &str) -> Result<Config, ConfigError> {
    let text = SMALL.replacen(
        "currency: CNY",
        &format!("ledger: {{ {fields} }}\ncurrency: CNY"),
        1,
    );
    parse(&text)
}

#[track_caller]
fn redis(fields: &str) -> RedisConfig {
    let config = ledger(&format!("kind: redis, {fields}")).expect(fields);
    assert_eq!(config.ledger.kind, LedgerKind::Redis);
    config.ledger.redis.expect("where Redis is")
}

#[track_caller]
fn refused(fields: &str, part: &str) {
    let error = ledger(fields).expect_err(fields).to_string();
    assert!(
        error.contains(part) && error.contains("config.yaml:2: ledger"),
        "{fields}: {error}"
    );
    assert!(!error.contains("horse"), "{error}");
}

fn at(host: &str, port: u16) -> Address {
    Address {
        host: host.to_owned(),
        port,
    }
}

#[test]
fn a_url_says_who_asks_where_for_which_database() {
    let config = redis("url: \"redis://us%40er:pass%3Aword%21@redis.example.com:6380/7\"");
    assert_eq!(
        config.endpoints,
        Endpoints::Standalone {
            address: at("redis.example.com", 6380),
            database: 7
        }
    );
    assert_eq!(config.user.as_deref(), Some("us@er"));
    assert_eq!(
        config.password.as_ref().map(Secret::expose),
        Some("pass:word!")
    );
    assert!(!config.tls);
    for (url, address, tls) in [
        ("redis://host", at("host", 6379), false),
        ("rediss://host/", at("host", 6379), true),
        ("redis://[::1]:7000", at("::1", 7000), false),
        ("redis://10.0.0.1:1/0", at("10.0.0.1", 1), false),
    ] {
        let config = redis(&format!("url: \"{url}\""));
        assert_eq!(
            (config.endpoints, config.tls),
            (
                Endpoints::Standalone {
                    address,
                    database: 0
                },
                tls
            ),
            "{url}"
        );
        assert_eq!((config.user, config.password), (None, None));
    }
    let config = redis("url: \"redis://:secret@host\"");
    assert_eq!(
        (config.user, config.password.as_ref().map(Secret::expose)),
        (None, Some("secret"))
    );
}

#[test]
fn sentinels_and_nodes_are_lists_with_the_usual_ports() {
    let config = redis(
        "sentinels: [a, \"b:1\", \"[::1]:2\"], master_name: mymaster, sentinel_password: x, tls: true",
    );
    let sentinels = vec![at("a", 26379), at("b", 1), at("::1", 2)];
    assert_eq!(
        config.endpoints,
        Endpoints::Sentinel {
            sentinels,
            master_name: "mymaster".to_owned()
        }
    );
    assert!(config.tls && config.sentinel_password.is_some() && config.password.is_none());
    let config = redis("nodes: [a, \"b:1\"], user: u, password: \"${EXAMPLE_KEY}\"");
    assert_eq!(
        config.endpoints,
        Endpoints::Cluster(vec![at("a", 6379), at("b", 1)])
    );
    assert_eq!(
        config.password.as_ref().map(Secret::expose),
        Some("correct horse battery staple")
    );
    assert!(!format!("{config:?}").contains("horse"));
}

#[test]
fn the_rest_has_defaults() {
    let config = redis("url: \"redis://host\"");
    assert_eq!(
        (
            config.connect_timeout_ms,
            config.response_timeout_ms,
            config.deadline_ms
        ),
        (1_000, 500, 2_000)
    );
    assert_eq!(
        (config.prefix.as_str(), config.journal),
        ("tollgate", PathBuf::from("data/journal.db"))
    );
    assert_eq!(config.receipts_max, 10_000_000);
    let parsed = parse(SMALL).expect("valid").ledger;
    assert_eq!((parsed.kind, parsed.redis), (LedgerKind::Embedded, None));
    let config = redis(
        "url: \"redis://host\", connect_timeout_ms: 10, response_timeout_ms: 20, deadline_ms: 30, receipts_max: 2000000, prefix: \"a:b\", journal: j.db",
    );
    assert_eq!(
        (
            config.connect_timeout_ms,
            config.response_timeout_ms,
            config.deadline_ms
        ),
        (10, 20, 30)
    );
    assert_eq!(config.receipts_max, 2_000_000);
    assert_eq!(
        (config.prefix.as_str(), config.journal),
        ("a:b", PathBuf::from("j.db"))
    );
}

#[test]
fn fields_of_the_other_kind_are_refused_by_name() {
    for field in [
        "url: x",
        "nodes: [a]",
        "sentinels: [a]",
        "password: x",
        "prefix: x",
        "deadline_ms: 9",
        "journal: x",
        "receipts_max: 2000000",
    ] {
        refused(
            field,
            "belongs to `kind: redis`, but the kind here is embedded",
        );
    }
    for field in ["path: x", "durability: disk"] {
        refused(
            &format!("kind: redis, url: \"redis://host\", {field}"),
            "belongs to `kind: embedded`, but the kind here is redis",
        );
    }
}

#[test]
fn redis_is_in_one_place_that_makes_sense() {
    refused(
        "kind: redis",
        "says not where Redis is; write `url: redis://host:6379`",
    );
    refused(
        "kind: redis, url: \"redis://a\", nodes: [b]",
        "has more than one of `url`",
    );
    refused("kind: redis, sentinels: [a]", "has no `master_name`");
    refused(
        "kind: redis, nodes: [a], master_name: m",
        "ledger.master_name: is for Sentinel",
    );
    refused(
        "kind: redis, nodes: [a], sentinel_password: m",
        "are for Sentinel",
    );
    refused("kind: redis, nodes: []", "is empty");
    refused(
        "kind: redis, nodes: [\"a b\"]",
        "is not an address such as redis-1.example.com:6379",
    );
    refused("kind: redis, nodes: [\"a:0\"]", "is not an address");
    refused(
        "kind: redis, url: \"redis://a\", tls: true",
        "the url says it",
    );
    refused(
        "kind: redis, nodes: [a], ca_file: ca.pem",
        "ledger.ca_file: the file ca.pem",
    );
    refused(
        "kind: redis, nodes: [a], user: u",
        "has a user of Redis without a password",
    );
    refused(
        "kind: redis, nodes: [a], prefix: \"{x}\"",
        "is no prefix of keys",
    );
    refused(
        "kind: redis, nodes: [a], receipts_max: 1000",
        "ledger.receipts_max",
    );
    refused(
        "kind: redis, nodes: [a], deadline_ms: 100",
        "raise the second",
    );
    refused(
        "kind: redis, url: \"redis://u:p@a\", password: q",
        "remove one of them",
    );
    refused("kind: rediss, nodes: [a]", "did you mean `redis`?");
    for url in [
        "http://a",
        "redis://",
        "redis://a:x",
        "redis://u:${EXAMPLE_KEY}@",
        "redis://:horse@a/x",
        "redis://:horse@a?db=1",
        "a:6379",
    ] {
        refused(&format!("kind: redis, url: \"{url}\""), "ledger.url: ");
    }
}

#[test]
fn a_missing_secret_of_redis_stops_the_server_and_nothing_else() {
    for field in [
        "url: \"redis://u:${NONE}@a\"",
        "url: \"redis://u@a\", password: \"${NONE}\"",
        "nodes: [a], password: \"file:/nowhere/x\"",
    ] {
        let config = ledger(&format!("kind: redis, {field}")).expect(field);
        assert_eq!(
            config.missing.last().map(|missing| &missing.owner),
            Some(&Owner::Ledger),
            "{field}"
        );
        let error = config
            .require_secrets()
            .expect_err("it is needed")
            .to_string();
        assert!(error.contains("ledger."), "{error}");
    }
}

#[test]
fn a_password_that_travels_in_the_open_is_warned_of() {
    let warnings = |fields: &str| {
        ledger(&format!("kind: redis, {fields}"))
            .expect(fields)
            .warnings
            .len()
    };
    assert_eq!(warnings("url: \"redis://:x@redis.example.com\""), 1);
    assert_eq!(warnings("nodes: [\"127.0.0.1\", afar], password: x"), 1);
    for fine in [
        "url: \"rediss://:x@redis.example.com\"",
        "url: \"redis://:x@localhost\"",
        "url: \"redis://redis.example.com\"",
    ] {
        assert_eq!(warnings(fine), 0, "{fine}");
    }
}
