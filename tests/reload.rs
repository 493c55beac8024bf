//! A changed config under a running proxy: taken into use whole or not at all, with no request lost.

mod support;

#[path = "reload/storm.rs"]
mod storm;

use std::fs;

use serde_json::{Value, json};
use support::setup::ALICE;
use support::{Call, Mock, Proxy, Setup, TempDir, chat, signal, start, stream, until};

/// Sends SIGHUP and waits until the log has `count` lines with `text`.
fn reload(proxy: &Proxy, text: &str) {
    let before = proxy.log().matches(text).count();
    signal("HUP", proxy.pid());
    until(text, || {
        (proxy.log().matches(text).count() > before).then_some(())
    });
}

const TAKEN: &str = "the config is in use";
const REFUSED: &str = "the config was not taken into use";

fn dear(setup: Setup) -> Setup {
    setup.model(json!({
        "id": "vendor/chat",
        "prices": [{ "per": "1M tokens", "input": 400, "output": 1600 }],
    }))
}

fn cost(proxy: &Proxy) -> (String, String) {
    let answer = proxy.send(ALICE, chat(json!({ "max_tokens": 10 })));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let header = |name: &str| answer.header(name).to_owned();
    (
        header("x-tollgate-cost"),
        header("x-tollgate-price-version"),
    )
}

#[test]
fn new_prices_are_charged_from_then_on_and_both_versions_are_kept() {
    let (mock, proxy) = start();
    let (cheap, first) = cost(&proxy);
    proxy.configure(&dear(Setup::new(&mock)));
    reload(&proxy, TAKEN);
    let (dear, second) = cost(&proxy);
    assert_eq!(support::nano(&dear), 100 * support::nano(&cheap));
    assert_ne!(first, second);
    proxy.audit();
}

#[test]
fn a_changed_secret_file_is_noticed_and_read_again() {
    let (dir, mock) = (TempDir::new(), Mock::start());
    let file = dir.path().join("key");
    fs::write(&file, "sk-first\n").expect("a file");
    let key = format!("file:{}", file.display());
    let proxy = Proxy::start(&Setup::new(&mock).upstream("mock", json!({ "api_key": key })));
    let sent = || {
        assert_eq!(proxy.send(ALICE, chat(json!({}))).status, 200);
        mock.headers()["authorization"].clone()
    };
    assert_eq!(sent(), "Bearer sk-first");
    // As container platforms do it: the new file takes the old one's place.
    let next = dir.path().join("next");
    fs::write(&next, "sk-second\n").expect("a file");
    fs::rename(&next, &file).expect("moved");
    until("the new key", || {
        (sent() == "Bearer sk-second").then_some(())
    });
    // Without its file, the old one stays.
    fs::remove_file(&file).expect("removed");
    proxy.logged(REFUSED);
    assert_eq!(sent(), "Bearer sk-second");
    assert!(!proxy.log().contains("sk-second"));
}

/// Reading a pipe that nobody writes to would never end, and hold up the process' own end.
#[test]
fn a_secret_file_that_became_a_pipe_is_refused_and_holds_nothing_up() {
    let (dir, mock) = (TempDir::new(), Mock::start());
    let file = dir.path().join("key");
    fs::write(&file, "sk-first\n").expect("a file");
    let key = format!("file:{}", file.display());
    let setup = Setup::new(&mock).upstream("mock", json!({ "api_key": key }));
    let mut proxy = Proxy::start(&setup);
    let next = dir.path().join("next");
    let made = std::process::Command::new("mkfifo").arg(&next).status();
    assert!(made.expect("mkfifo runs").success());
    fs::rename(&next, &file).expect("moved");
    proxy.logged(REFUSED);
    proxy.logged("is no regular file");
    // What comes after it is read.
    proxy.configure(&dear(Setup::new(&mock)));
    proxy.logged(TAKEN);
    assert_eq!(proxy.terminate().code(), Some(0));
}

#[test]
fn a_changed_file_is_noticed_by_itself() {
    let (mock, proxy) = start();
    let (cheap, _) = cost(&proxy);
    proxy.configure(&dear(Setup::new(&mock)));
    until("the new price", || (cost(&proxy).0 != cheap).then_some(()));
    proxy.logged("config.yaml changed");
}

#[test]
fn a_request_in_flight_is_charged_at_the_price_of_its_hold() {
    let (mock, proxy) = start();
    let (_, before) = cost(&proxy);
    let call = stream(json!({}))
        .header("x-mock-completion", 10)
        .header("x-mock-chunk-ms", 200);
    let open = proxy.open(ALICE, call);
    let request = open
        .headers
        .get("x-tollgate-request-id")
        .expect("an id")
        .to_owned();
    proxy.configure(&dear(Setup::new(&mock)));
    reload(&proxy, TAKEN);
    assert_ne!(cost(&proxy).1, before, "the new price is in force");
    assert!(open.finish().whole);
    let receipt = proxy.receipt(ALICE, &request);
    assert_eq!(receipt["price_version"], json!(before), "{receipt}");
    let charged = support::nano(receipt["cost"].as_str().expect("an amount"));
    let usage = &receipt["usage"];
    let tokens = |meter: &str| usage[meter].as_i64().unwrap_or(0);
    assert_eq!(
        charged,
        tokens("input") * 4_000 + tokens("output") * 16_000,
        "{receipt}"
    );
}

#[test]
fn a_bad_file_is_refused_with_its_errors_and_the_old_config_stays() {
    let (mock, proxy) = start();
    let (before, version) = cost(&proxy);
    fs::write(proxy.config_path(), "currency: CNY\nmodels: 7\n").expect("written");
    reload(&proxy, REFUSED);
    let log = proxy.log();
    assert!(log.contains("config.yaml:2: models"), "{log}");
    let metrics = Call::get("/metrics").send(&proxy.admin_address).text();
    for line in [
        "tollgate_config_reloads_total{result=\"refused\"} 1",
        "tollgate_config_is_latest 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert_eq!(cost(&proxy), (before.clone(), version.clone()));

    // A key whose secret changed contradicts the ledger: nothing of that file is used.
    let other = "another-0123456789-abcdefghij-XYZ";
    let setup = dear(Setup::new(&mock))
        .key(
            json!({ "name": "carol", "secret": "carol-0123456789-abcdefghij-XYZ", "balance": "5" }),
        )
        .key(json!({ "name": "bob", "secret": other }));
    proxy.configure(&setup);
    reload(&proxy, REFUSED);
    assert!(
        proxy.log().contains("a key's secret never changes"),
        "{}",
        proxy.log()
    );
    assert_eq!(cost(&proxy), (before, version));
    let carol = proxy.send("carol-0123456789-abcdefghij-XYZ", Call::get("/v1/balance"));
    assert_eq!(carol.status, 401, "{}", carol.text());

    proxy.configure(&dear(Setup::new(&mock)));
    reload(&proxy, TAKEN);
}

#[test]
fn another_currency_is_refused() {
    let (mock, proxy) = start();
    let mut setup = Setup::new(&mock);
    setup.0["currency"] = json!("USD");
    proxy.configure(&setup);
    reload(&proxy, REFUSED);
    assert!(
        proxy.log().contains("USD needs another ledger"),
        "{}",
        proxy.log()
    );
}

#[test]
fn models_keys_limits_and_upstreams_come_and_go() {
    let (mock, proxy) = start();
    let (other, carol) = (Mock::start(), "carol-0123456789-abcdefghij-XYZ");
    let setup = Setup::new(&mock)
        .upstream(
            "other",
            json!({ "base_url": other.base_url(), "api_key": "another-upstream-key" }),
        )
        .model(json!({ "id": "vendor/chat", "upstream": "other" }))
        .model(json!({ "id": "vendor/new", "upstream": "mock", "prices": [{ "free": true }] }))
        .key(json!({ "name": "carol", "secret": carol, "balance": "5",
                     "limits": [{ "requests": 1, "per": "day" }] }));
    proxy.configure(&setup);
    reload(&proxy, TAKEN);
    let ask = |model: &str| proxy.send(carol, chat(json!({ "model": model }))).status;
    assert_eq!(ask("vendor/new"), 200);
    assert_eq!(ask("vendor/new"), 429, "her limit");
    proxy.configure(&setup.key(json!({ "name": "carol", "limits": [] })));
    reload(&proxy, TAKEN);
    assert_eq!(ask("vendor/chat"), 200, "the limit is gone");
    assert_eq!(other.arrived(), 1, "the model moved");

    proxy.configure(&Setup::new(&mock));
    reload(&proxy, TAKEN);
    assert_eq!(ask("vendor/new"), 404, "the model is gone");
    assert!(
        proxy.log().contains("key `carol` is no longer declared"),
        "{}",
        proxy.log()
    );
    let listed = proxy.view(ALICE, "/v1/models").to_string();
    assert!(!listed.contains("vendor/new"), "{listed}");
    proxy.audit();
}

#[test]
fn a_declared_key_is_changed_in_the_config_and_nowhere_else() {
    let (_mock, proxy) = start();
    let (status, refusal) =
        proxy.admin("PATCH", "/admin/keys/alice", Some(&json!({ "limits": [] })));
    assert_eq!(status, 409, "{refusal}");
    assert!(refusal.to_string().contains("change it there"), "{refusal}");
}

#[test]
fn a_model_that_gets_another_id_keeps_what_was_given_for_the_old_one() {
    let (mock, proxy) = start();
    let (secret, _) = proxy.create_key(&json!({
        "name": "dora", "balance": "5", "models": ["vendor/chat"],
        "limits": [{ "requests": 1, "per": "day", "models": ["vendor/chat"] }],
    }));
    let grant = json!({ "name": "promo", "unit": "tokens", "amount": 1_000_000, "models": ["vendor/chat"] });
    let (status, given) = proxy.admin("POST", "/admin/wallets/dora/grants", Some(&grant));
    assert_eq!(status, 201, "{given}");
    let ask = || proxy.send(&secret, chat(json!({ "model": "vendor/chat" })));
    let first = ask();
    assert_eq!(
        (first.status, first.header("x-tollgate-cost")),
        (200, "0"),
        "the grant pays"
    );

    let mut setup = Setup::new(&mock);
    setup.0["models"][0]["id"] = json!("vendor/chat-2026");
    setup.0["models"][0]["aliases"] = json!(["vendor/chat"]);
    proxy.configure(&setup);
    reload(&proxy, TAKEN);
    let second = ask();
    assert_eq!(second.status, 429, "its limit goes on: {}", second.text());
    let listed = proxy.view(&secret, "/v1/models").to_string();
    assert!(listed.contains("vendor/chat-2026"), "{listed}");

    // Without the alias, the key names what is no more, and the operator is told.
    setup.0["models"][0]["aliases"] = json!([]);
    proxy.configure(&setup);
    reload(&proxy, TAKEN);
    assert_eq!(ask().status, 404);
    proxy.logged("a key names models that the price list does not have");
}

#[test]
fn a_limit_that_measures_something_else_counts_for_itself() {
    let (_mock, proxy) = start();
    let limit = |cap: Value| json!({ "limits": [{ "name": "cap", "per": "day", "spend": cap }] });
    let mut wish = limit(json!("9"));
    wish["name"] = json!("erin");
    wish["balance"] = json!("10");
    let (secret, made) = proxy.create_key(&wish);
    let ask = || {
        proxy
            .send(&secret, chat(json!({ "max_tokens": 10 })))
            .status
    };
    assert_eq!(ask(), 200);
    let path = format!("/admin/keys/{}", made["key"]["id"].as_str().expect("an id"));
    let requests = json!({ "limits": [{ "name": "cap", "per": "day", "requests": 1 }] });
    assert_eq!(proxy.admin("PATCH", &path, Some(&requests)).0, 200);
    assert_eq!((ask(), ask()), (200, 429), "nano units are no requests");
    assert_eq!(proxy.admin("PATCH", &path, Some(&limit(json!("9")))).0, 200);
    let wallet = proxy.idle_wallet("erin").to_string();
    assert_eq!(ask(), 200, "{wallet}");
    proxy.audit();
}

#[test]
fn a_file_that_was_missing_when_the_config_was_refused_is_waited_for() {
    let (mock, proxy) = start();
    let ca = proxy.dir.path().join("ca.pem");
    let setup = dear(Setup::new(&mock)).upstream("mock", json!({ "ca_file": ca }));
    proxy.configure(&setup);
    proxy.logged(REFUSED);
    let (cheap, _) = cost(&proxy);
    fs::write(&ca, support::Authority::new().pem()).expect("written");
    until("the new price", || (cost(&proxy).0 != cheap).then_some(()));
}

#[test]
fn nothing_of_a_config_is_used_whose_last_key_cannot_be() {
    let (mock, proxy) = start();
    let long = "x".repeat(58);
    let setup = Setup::new(&mock)
        .key(json!({ "name": "alice", "models": ["free/chat"] }))
        .key(json!({ "name": long, "secret": "carol-0123456789-abcdefghij-XYZ", "balance": "5" }));
    proxy.configure(&setup);
    reload(&proxy, REFUSED);
    assert!(
        proxy.log().contains("has 58 characters; the most is 57"),
        "{}",
        proxy.log()
    );
    cost(&proxy);
}

#[test]
fn what_needs_a_restart_is_named_and_stays() {
    let (mock, proxy) = start();
    let setup = Setup::new(&mock)
        .cap("attempts", 7)
        .set("server", "listen", "127.0.0.1:1");
    proxy.configure(&dear(setup));
    reload(&proxy, TAKEN);
    let log = proxy.log();
    for field in ["server.listen", "caps.attempts"] {
        let line = format!("{field} changed: restart needed");
        assert!(log.contains(&line), "{field}: {log}");
    }
    cost(&proxy);
}

#[test]
fn the_management_api_shows_the_new_prices() {
    let (mock, proxy) = start();
    proxy.configure(&dear(Setup::new(&mock)));
    reload(&proxy, TAKEN);
    let (status, prices) = proxy.admin("GET", "/admin/prices", None);
    assert_eq!(status, 200);
    let chat: &Value = prices["data"]
        .as_array()
        .and_then(|rows| rows.iter().find(|row| row["id"] == "vendor/chat"))
        .expect("the model");
    assert!(chat.to_string().contains("\"400\""), "{chat}");
}
