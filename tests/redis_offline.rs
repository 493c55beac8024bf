//! Keys with an offline allowance, while Redis is away and afterwards: real servers, real proxies. One image is 0.35.

mod support;

use serde_json::{Value, json};
use support::redis::{Keep, Server};
use support::setup::{ALICE, BOB};
use support::{
    Answer, Call, Direction, Door, Mock, Proxy, Relay, Retry, Setup, Way, chat, decimal, image,
    nano, refusal, until,
};

const BACK: &str = "offline allowances are whole again";

/// Proxies whose ledger is at this URL; they wait for an answer no longer than 1.5 s.
fn setup(mock: &Mock, url: &str) -> Setup {
    let mut setup = Setup::new(mock);
    setup.0["ledger"] = json!({
        "kind": "redis", "url": url, "journal": "journal.db", "lease_ms": 60_000,
        "connect_timeout_ms": 500, "response_timeout_ms": 1_500, "deadline_ms": 4_000,
    });
    setup
}

/// With an allowance of two images and a bit for alice.
fn with_allowance(mock: &Mock, url: &str, amount: &str) -> Setup {
    setup(mock, url).key(json!({ "name": "alice", "offline_allowance": amount }))
}

/// A request that costs nothing: from then on the proxy knows the key.
fn greet(proxy: &Proxy, secret: &str) {
    let answer = proxy.send(secret, chat(json!({ "model": "free/chat" })));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// One image, paid.
#[track_caller]
fn buy(proxy: &Proxy, secret: &str) -> Answer {
    let answer = proxy.send(secret, image(json!({})));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-tollgate-cost"), "0.35");
    answer
}

#[track_caller]
fn refused(proxy: &Proxy, secret: &str, call: Call) {
    let answer = proxy.send(secret, call);
    refusal(&answer, 503, "ledger_unavailable", Retry::Later);
}

fn is_ready(proxy: &Proxy) -> bool {
    Call::get("/readyz").send(&proxy.address).status == 200
}

fn metric(proxy: &Proxy, name: &str) -> u64 {
    let page = proxy.metrics();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    let value = line.unwrap_or_else(|| panic!("no {name}"));
    value.parse().expect("a count")
}

/// Waits until the store is back and has everything, and everything of the outage is forgotten; so many there were.
fn recovered(proxy: &Proxy, outages: usize) {
    until("the proxy to be ready", || is_ready(proxy).then_some(()));
    until("the journal to be delivered", || {
        (metric(proxy, "tollgate_ledger_journal_waiting") == 0).then_some(())
    });
    until("the outage to be over", || {
        (proxy.log().matches(BACK).count() == outages).then_some(())
    });
}

/// The sum of a field over receipts.
fn sum(receipts: &[Value], field: &str) -> String {
    let amounts = receipts
        .iter()
        .map(|it| nano(it[field].as_str().expect("money")));
    decimal(amounts.sum())
}

/// What stands in a wallet without holds: balance, charged, shortfall.
fn money(proxy: &Proxy, wallet: &str) -> [String; 3] {
    let wallet = proxy.idle_wallet(wallet);
    assert_eq!(wallet["held"], "0", "{wallet}");
    ["balance", "charged", "shortfall"]
        .map(|field| wallet[field].as_str().expect("money").to_owned())
}

/// Two outages of one kind: bob has no allowance, alice one of two images and a bit.
fn outages(server: &mut Server, strike: fn(&mut Server), heal: fn(&mut Server)) {
    let mock = Mock::start();
    let proxy = Proxy::start(&with_allowance(&mock, &server.url(), "1"));
    buy(&proxy, ALICE);
    buy(&proxy, BOB);
    let mut bought = 1;
    for outage in 1..=2 {
        strike(server);
        refused(&proxy, BOB, image(json!({})));
        let ids = [buy(&proxy, ALICE), buy(&proxy, ALICE)].map(|answer| {
            let id = answer.header("x-tollgate-request-id");
            assert_eq!(answer.header("x-tollgate-hold"), "0.35");
            id.to_owned()
        });
        bought += 2;
        refused(&proxy, ALICE, image(json!({})));
        until("the proxy to be unready", || {
            (!is_ready(&proxy)).then_some(())
        });
        let warned = "requests are admitted within its offline allowance";
        assert_eq!(proxy.log().matches(warned).count(), outage);
        heal(server);
        recovered(&proxy, outage);
        for id in &ids {
            let receipt = proxy.receipt(ALICE, id);
            assert_eq!(
                [&receipt["cost"], &receipt["shortfall"], &receipt["late"]],
                [&json!("0.35"), &json!("0"), &json!(true)],
                "{receipt}"
            );
        }
        let charged = decimal(350_000_000 * bought);
        let balance = decimal(10_000_000_000 - 350_000_000 * bought);
        assert_eq!(
            money(&proxy, "alice"),
            [balance, charged.clone(), "0".to_owned()]
        );
        let receipts = proxy.receipts("alice");
        assert_eq!(receipts.len() as i64, bought);
        assert_eq!(sum(&receipts, "cost"), charged);
        assert_eq!(money(&proxy, "bob"), ["9.65", "0.35", "0"]);
        proxy.audit();
    }
    assert_eq!(metric(&proxy, "tollgate_ledger_offline_holds_total"), 4);
    assert_eq!(metric(&proxy, "tollgate_ledger_journal_suspended"), 0);
}

#[test]
fn a_key_spends_its_allowance_and_no_more_while_redis_hangs() {
    let mut server = Server::with(Keep::Always, &[]);
    outages(&mut server, |it| it.pause(), |it| it.resume());
}

#[test]
fn a_key_spends_its_allowance_and_no_more_while_redis_is_dead() {
    let mut server = Server::with(Keep::Always, &[]);
    outages(&mut server, Server::kill, Server::restart);
}

#[test]
fn a_wallet_that_cannot_afford_it_ends_at_its_floor_and_the_rest_is_shortfall() {
    let mut server = Server::with(Keep::Always, &[]);
    let mock = Mock::start();
    let poor = json!({ "name": "alice", "balance": "0.5" });
    let proxy = Proxy::start(&with_allowance(&mock, &server.url(), "5").key(poor));
    greet(&proxy, ALICE);
    server.kill();
    (0..3).for_each(|_| drop(buy(&proxy, ALICE)));
    server.restart();
    recovered(&proxy, 1);
    assert_eq!(money(&proxy, "alice"), ["0", "0.5", "0.55"]);
    let receipts = proxy.receipts("alice");
    assert_eq!(sum(&receipts, "cost"), "0.5");
    assert_eq!(sum(&receipts, "shortfall"), "0.55");
    proxy.audit();
}

#[test]
fn what_was_not_charged_is_given_back_to_the_allowance() {
    let mut server = Server::with(Keep::Always, &[]);
    let mock = Mock::start();
    let proxy = Proxy::start(&with_allowance(&mock, &server.url(), "0.40"));
    greet(&proxy, ALICE);
    server.kill();
    for _ in 0..3 {
        let failing = image(json!({})).header("x-mock-fault", "status=400");
        let answer = proxy.send(ALICE, failing);
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    let claim = image(json!({})).header("idempotency-key", "once");
    refused(&proxy, ALICE, claim);
    buy(&proxy, ALICE);
    refused(&proxy, ALICE, image(json!({})));
    server.restart();
    recovered(&proxy, 1);
    assert_eq!(money(&proxy, "alice"), ["9.65", "0.35", "0"]);
    proxy.audit();
}

#[test]
fn what_a_killed_proxy_admitted_is_charged_when_it_starts_again() {
    let mut server = Server::with(Keep::Always, &[]);
    let mock = Mock::start();
    let mut proxy = Proxy::start(&with_allowance(&mock, &server.url(), "1"));
    greet(&proxy, ALICE);
    server.kill();
    buy(&proxy, ALICE);
    proxy.kill();
    server.restart();
    proxy.serve();
    until("the proxy to be ready", || is_ready(&proxy).then_some(()));
    assert_eq!(money(&proxy, "alice"), ["9.65", "0.35", "0"]);
    proxy.audit();
}

/// The store carries everything out, and the proxy hears nothing of it: its hold takes a free image there, and the
/// proxy goes on without it.
#[test]
fn a_hold_that_reached_the_store_all_the_same_is_given_back_and_the_charge_booked_once() {
    let server = Server::with(Keep::Always, &[]);
    let mock = Mock::start();
    let relay = Relay::before(&server.address().to_string());
    let url = format!("redis://{}", relay.address);
    let free = json!({ "name": "free-image", "unit": "images", "amount": 1 });
    let of = |url: &str| Proxy::start(&with_allowance(&mock, url, "1").grant(free.clone()));
    let (proxy, observer) = (of(&url), of(&server.url()));
    greet(&proxy, ALICE);
    relay.set(Direction::Back, Way::Swallow);
    let slow = image(json!({})).header("x-mock-delay-ms", 1_500).key(ALICE);
    let connection = slow.start(&proxy.address);
    until("the store to hold it", || {
        (observer.wallet("alice")["holds"] == 1).then_some(())
    });
    let answer = connection.answer().finish();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-tollgate-cost"), "0.35");
    relay.heal();
    recovered(&proxy, 1);
    assert_eq!(money(&proxy, "alice"), ["9.65", "0.35", "0"]);
    let wallet = proxy.wallet("alice");
    let grant = &wallet["grants"][0];
    assert_eq!(
        [&grant["used"], &grant["held"]],
        [&json!(0), &json!(0)],
        "{wallet}"
    );
    assert_eq!(metric(&proxy, "tollgate_ledger_offline_holds_total"), 1);
    proxy.audit();
}

#[test]
fn a_key_that_was_revoked_meanwhile_is_refused_again_once_redis_is_back() {
    let server = Server::with(Keep::Always, &[]);
    let mock = Mock::start();
    let relay = Relay::before(&server.address().to_string());
    let url = format!("redis://{}", relay.address);
    let proxy = Proxy::start(&with_allowance(&mock, &url, "1"));
    let other = Proxy::start(&with_allowance(&mock, &server.url(), "1"));
    greet(&proxy, ALICE);
    relay.door(Door::Refuse);
    relay.cut(support::Cut::Reset);
    other.revoke_key("alice");
    buy(&proxy, ALICE);
    relay.heal();
    recovered(&proxy, 1);
    let answer = proxy.send(ALICE, image(json!({})));
    refusal(&answer, 401, "invalid_api_key", Retry::ByStatus);
    assert_eq!(money(&proxy, "alice"), ["9.65", "0.35", "0"]);
    proxy.audit();
}
