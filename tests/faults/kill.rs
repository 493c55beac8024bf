//! `kill -9` at random moments under load: what a client saw the end of is in the ledger, once, at the same cost.

use std::time::Duration;

use serde_json::json;

use crate::support::binary::{TOLLGATE, isolated};
use crate::support::crowd::money;
use crate::support::dice::{Dice, rounds, seed};
use crate::support::prices::{chat_body, setup};
use crate::support::proxy::ADMIN_TOKEN;
use crate::support::{Call, Load, Mock, Proxy, Seen, nano, until};

const IN_FLIGHT_MIN: u64 = 10;
const WALLET: &str = "kill";

/// Planted bugs that it must catch: an answer that leaves before its charge was committed; a store that drops its log
/// when it is opened.
///
/// A charge that no client saw is fine: the answer was on its way when the process died.
///
/// Rivals: litellm #27639 #30330, new-api #4429, one-api #518: holds outlived the process.
#[test]
fn after_kill_9_every_charge_that_a_client_saw_is_there_once() {
    let seed = seed("kill");
    let mock = Mock::start();
    let mut proxy = Proxy::start_quiet(&setup(&mock));
    let (secret, _) = proxy.create_key(&json!({ "name": WALLET, "balance": "100000" }));
    let rounds = rounds(3, 20);
    let mut all = Vec::new();
    for round in 0..rounds {
        let dice = &mut Dice::new(seed.wrapping_add(round));
        let name = format!("kill-{seed}-{round}");
        let durability = if round % 2 == 0 { "disk" } else { "process" };
        let config = setup(&mock).set("ledger", "durability", durability);
        proxy.terminate();
        proxy.configure(&config);
        proxy.serve();
        let load = Load::start(
            &proxy,
            &secret,
            &name,
            dice.next() >> 32,
            &[
                "--concurrency",
                "64",
                "--seconds",
                "60",
                "--header",
                "x-mock-delay-ms=25",
            ],
        );
        let in_flight = strike(&mock, &mut proxy, &load, dice);
        let seen = load.stop();
        if round % 3 == 1 {
            audit_store(&proxy, &name);
        }
        proxy.serve();
        let charged = check(&proxy, &seen, &name);
        serves_again(&proxy, &secret, &name);
        eprintln!(
            "{name}: durability {durability}, {in_flight} in flight at SIGKILL, {} clients saw an end, {charged} a charge",
            seen.iter().filter(|seen| seen.seen_end).count(),
        );
        all.extend(seen);
    }
    at_last(&proxy, &all, seed);
}

/// Lets the load run for a while, and kills the proxy with requests in flight; how many there were.
fn strike(mock: &Mock, proxy: &mut Proxy, load: &Load, dice: &mut Dice) -> u64 {
    until("the first answers", || {
        (load.bytes() > 10_000).then_some(())
    });
    std::thread::sleep(Duration::from_millis(dice.within(0, 1_500)));
    let in_flight = until("enough requests in flight", || {
        mock.totals_now()["in_flight"]
            .as_u64()
            .filter(|count| *count >= IN_FLIGHT_MIN)
    });
    proxy.kill();
    in_flight
}

/// What this client can swear was charged; `None` where it saw no end, or an answer that costs nothing.
fn sworn(seen: &Seen, round: &str) -> Option<(String, i64)> {
    if !(seen.seen_end && seen.status == 200) {
        return None;
    }
    let id = seen.request_id.clone();
    let told = id.zip(seen.cost);
    assert!(told.is_some(), "{round}: an end without its cost: {seen:?}");
    told
}

/// Looks up every receipt that a client saw; how many there were.
fn check(proxy: &Proxy, seen: &[Seen], round: &str) -> usize {
    let wallet = proxy.wallet(WALLET);
    assert_eq!(wallet["holds"], 0, "{round}: {wallet}");
    assert_eq!(money(&wallet, "held"), 0, "{round}: {wallet}");
    let mut charged = 0;
    for seen in seen {
        if let Some((id, cost)) = sworn(seen, round) {
            let (status, receipt) = proxy.admin("GET", &format!("/admin/receipts/{id}"), None);
            assert_eq!(status, 200, "{round}: lost: {seen:?}: {receipt}");
            assert_eq!(
                money(&receipt, "cost"),
                cost,
                "{round}: {seen:?}: {receipt}"
            );
            charged += 1;
        } else if let Some(id) = seen.request_id.as_ref().filter(|_| seen.status >= 400) {
            let (status, receipt) = proxy.admin("GET", &format!("/admin/receipts/{id}"), None);
            assert_eq!(status, 404, "{round}: an error was charged: {receipt}");
        }
    }
    assert!(charged > 0, "{round}: no client saw a charge");
    let exit = audit(
        proxy,
        &["--admin", &format!("http://{}", proxy.admin_address)],
    );
    assert_eq!(exit, Some(0), "{round}: the audit finds something");
    charged
}

fn audit(proxy: &Proxy, more: &[&str]) -> Option<i32> {
    let output = isolated(TOLLGATE)
        .arg("audit")
        .args(more)
        .current_dir(proxy.dir.path())
        .env("TOLLGATE_ADMIN_TOKEN", ADMIN_TOKEN)
        .output()
        .expect("tollgate runs");
    eprint!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    output.status.code()
}

/// The store adds up as the dead process left it.
fn audit_store(proxy: &Proxy, round: &str) {
    let store = proxy.dir.path().join("tollgate.db");
    let exit = audit(proxy, &["--store", &store.to_string_lossy()]);
    assert_eq!(exit, Some(0), "{round}: the store does not add up");
}

fn serves_again(proxy: &Proxy, secret: &str, round: &str) {
    let answer = proxy.send(
        secret,
        Call::post("/v1/chat/completions", chat_body(40, 50, false)),
    );
    assert_eq!(answer.status, 200, "{round}: {answer:?}");
    let receipt = proxy.receipt(secret, answer.header("x-tollgate-request-id"));
    assert_eq!(
        receipt["cost"].as_str().map(nano),
        Some(nano(answer.header("x-tollgate-cost"))),
        "{round}"
    );
}

/// After all rounds: every receipt that anyone ever saw is listed once, and the balance is what they leave.
fn at_last(proxy: &Proxy, all: &[Seen], seed: u64) {
    let booked = proxy.all_receipts(WALLET);
    for seen in all {
        if let Some((id, cost)) = sworn(seen, "at last") {
            let receipt = booked.get(&id);
            let charged = receipt.map(|receipt| money(receipt, "cost"));
            assert_eq!(charged, Some(cost), "seed {seed}: {seen:?}");
        }
    }
    let sum: i64 = booked.values().map(|receipt| money(receipt, "cost")).sum();
    let wallet = proxy.wallet(WALLET);
    assert_eq!(
        money(&wallet, "balance"),
        nano("100000") - sum,
        "seed {seed}: {wallet}"
    );
}
