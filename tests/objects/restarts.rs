//! What runs in the background while processes end and others begin.

use serde_json::{Value, json};

use super::support::setup::ALICE;
use super::support::{Call, Proxy, Setup, until};
use super::{COST, ask, id, setup, start};
use crate::support::keeper::Keeper;
use crate::support::redis::Server;

/// A usage that comes to [`COST`].
fn usage() -> Value {
    json!({ "input_tokens": 20, "output_tokens": 5 })
}

/// The receipt of a background response whose process was killed, and which the next one followed, with another config.
fn charged_after(before: impl FnOnce(&mut Setup), after: impl FnOnce(&mut Setup)) -> Value {
    let keeper = Keeper::start();
    let mut setup = setup(&keeper);
    before(&mut setup);
    let mut proxy = Proxy::start(&setup);
    let id = id(&proxy.send(ALICE, ask(json!({ "background": true }))));
    proxy.kill();
    after(&mut setup);
    proxy.configure(&setup);
    proxy.serve();
    keeper.finish(&id, "completed", usage());
    let receipt = until("the charge", || proxy.receipts("alice").pop());
    proxy.audit();
    receipt
}

#[test]
fn what_runs_in_the_background_is_charged_by_the_process_that_is_there_when_it_ends() {
    let keeper = Keeper::start();
    let mut proxy = Proxy::start(&setup(&keeper));
    let id = id(&proxy.send(ALICE, ask(json!({ "background": true }))));
    proxy.kill();
    keeper.finish(
        &id,
        "completed",
        json!({ "input_tokens": 20, "output_tokens": 5 }),
    );
    proxy.serve();
    let receipt = until("the charge", || proxy.receipts("alice").pop());
    assert_eq!(receipt["cost"], COST);
    let path = format!("/v1/responses/{id}");
    assert_eq!(proxy.send(ALICE, Call::get(&path)).status, 200);
    proxy.restart();
    assert_eq!(proxy.receipts("alice").len(), 1);
    proxy.audit();
}

#[test]
fn a_process_that_is_told_to_end_leaves_what_runs_to_the_next_one() {
    let keeper = Keeper::start();
    let mut proxy = Proxy::start(&setup(&keeper));
    let id = id(&proxy.send(ALICE, ask(json!({ "background": true }))));
    assert!(proxy.terminate().success());
    keeper.finish(
        &id,
        "completed",
        json!({ "input_tokens": 20, "output_tokens": 5 }),
    );
    proxy.serve();
    let receipt = until("the charge", || proxy.receipts("alice").pop());
    assert_eq!(receipt["cost"], COST);
    proxy.audit();
}

#[test]
fn a_stream_in_the_background_is_charged_as_far_as_it_came_though_it_is_cancelled() {
    let (keeper, mut proxy) = start();
    let asked = proxy.send(ALICE, ask(json!({ "background": true, "stream": true })));
    assert!(asked.text().contains("Hi"), "{asked:?}");
    // What it came to is known to the next process, too.
    proxy.kill();
    proxy.serve();
    let cancelled = proxy.send(ALICE, Call::post("/v1/responses/resp_1/cancel", ""));
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    let receipt = proxy.receipts("alice").pop().expect("a receipt");
    assert_eq!(receipt["usage"], json!({ "input": 8, "output": 1 }));
    drop(keeper);
    proxy.audit();
}

#[test]
fn a_stream_in_the_background_is_noted_before_its_beginning_is_seen() {
    let (keeper, mut proxy) = start();
    keeper.keep_streams();
    let mut asked = proxy.open(ALICE, ask(json!({ "background": true, "stream": true })));
    let first = asked.event().expect("an event");
    assert!(first.contains("response.created"), "{first}");
    proxy.kill();
    let usage = json!({ "input_tokens": 20, "output_tokens": 5 });
    keeper.finish("resp_1", "completed", usage);
    proxy.serve();
    let receipt = until("the charge", || proxy.receipts("alice").pop());
    assert_eq!(receipt["cost"], COST);
    proxy.audit();
}

#[test]
fn what_runs_in_the_background_keeps_its_price_whatever_the_list_says_after_a_restart() {
    let dearer = json!({ "per": "1M tokens", "input": 400, "output": 1600 });
    let receipt = charged_after(|_| {}, |setup| setup.0["models"][0]["prices"][0] = dearer);
    assert_eq!(receipt["cost"], COST);
}

#[test]
fn a_key_with_very_many_limits_can_ask_in_the_background() {
    let limit = |n: u32| json!({ "name": format!("limit-{n}"), "spend": 5, "per": "month" });
    let limits = (0..1_000).map(limit).collect();
    let receipt = charged_after(|setup| setup.0["keys"][0]["limits"] = limits, |_| {});
    assert_eq!(receipt["cost"], COST);
}

#[test]
fn a_job_whose_key_may_not_use_its_model_any_more_is_charged_from_what_is_there() {
    let receipt = charged_after(
        |_| {},
        |setup| setup.0["keys"][0]["models"] = json!(["elsewhere"]),
    );
    assert_eq!(
        (&receipt["cost"], &receipt["late"]),
        (&json!(COST), &json!(true))
    );
}

#[test]
fn a_job_whose_model_left_the_list_is_charged_as_it_was_held() {
    let unlist =
        |setup: &mut Setup| drop(setup.0["models"].as_array_mut().expect("models").remove(0));
    let receipt = charged_after(|_| {}, unlist);
    assert_eq!(
        (&receipt["cost"], &receipt["model"]),
        (&json!(COST), &json!("m"))
    );
}

#[test]
fn a_job_is_one_job_after_a_restart_too_for_whoever_repeats_it() {
    let keeper = Keeper::start();
    let mut proxy = Proxy::start(&setup(&keeper));
    let repeated = || ask(json!({ "background": true })).header("idempotency-key", "once");
    let id = id(&proxy.send(ALICE, repeated()));
    proxy.kill();
    proxy.serve();
    until("the hold", || {
        (proxy.wallet("alice")["held"] != "0").then_some(())
    });
    let again = proxy.send(ALICE, repeated());
    assert_eq!(again.status, 409, "{again:?}");
    keeper.finish(&id, "completed", usage());
    until("the charge", || proxy.receipts("alice").pop());
    let again = proxy.send(ALICE, repeated());
    assert_eq!(again.json()["error"]["code"], "already_charged");
    assert_eq!(proxy.receipts("alice").len(), 1);
}

#[test]
fn what_came_of_a_job_that_is_gone_is_charged() {
    let (keeper, proxy) = start();
    let asked = proxy.send(ALICE, ask(json!({ "background": true, "stream": true })));
    assert!(asked.text().contains("Hi"), "{asked:?}");
    keeper.lose("resp_1");
    // However often its customer looks, it is given time to come back.
    for _ in 0..20 {
        proxy.send(ALICE, Call::get("/v1/responses/resp_1"));
    }
    assert_ne!(proxy.wallet("alice")["held"], "0");
    let receipt = until("the charge", || proxy.receipts("alice").pop());
    assert_eq!(receipt["usage"], json!({ "input": 8, "output": 1 }));
    let gone = proxy.send(ALICE, Call::get("/v1/responses/resp_1"));
    assert_eq!(gone.status, 404, "{gone:?}");
    proxy.audit();
}

#[test]
fn a_job_of_a_proxy_that_ended_is_followed_by_another_that_was_there_before() {
    let server = Server::start();
    let keeper = Keeper::start();
    let mut shared = setup(&keeper);
    shared.0["ledger"] = json!({ "kind": "redis", "url": server.url(), "journal": "journal.db" });
    let (mut first, second) = (Proxy::start(&shared), Proxy::start(&shared));
    let id = id(&first.send(ALICE, ask(json!({ "background": true }))));
    let path = format!("/v1/responses/{id}");
    assert_eq!(
        second.send(ALICE, Call::get(&path)).json()["status"],
        "queued"
    );
    assert!(first.terminate().success());
    keeper.finish(&id, "completed", usage());
    let done = second.send(ALICE, Call::get(&path));
    assert_eq!(done.json()["status"], "completed", "{done:?}");
    let receipts = second.receipts("alice");
    assert_eq!((receipts.len(), &receipts[0]["cost"]), (1, &json!(COST)));
    second.audit();
}
