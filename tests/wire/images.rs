//! Images are charged as they are delivered: not by `n`, not for entries that are errors.

use serde_json::json;

use crate::support::setup::ALICE;
use crate::support::{chat, image, start, start_with};

/// Rivals: sub2api #5411, one-api, new-api: the `n` that was asked for was charged, not what came.
#[test]
fn delivered_images_are_charged_whatever_n_was() {
    let (mock, proxy) = start();
    let mut spent = 0;
    for (n, delivered) in [(1, 1), (3, 3), (4, 2), (2, 3)] {
        let call = image(json!({ "n": n })).header("x-mock-images", delivered);
        let direct = call.send(&mock.address);
        let answer = proxy.send(ALICE, call);
        assert_eq!(answer.body, direct.body);
        assert_eq!(
            answer.header("x-tollgate-usage"),
            format!("images={delivered}")
        );
        assert_eq!(answer.header("x-tollgate-counted"), "exact");
        assert_eq!(
            answer.header("x-tollgate-hold"),
            crate::support::decimal(n * 350_000_000)
        );
        // More than was asked for is the operator's: never above the hold.
        let nano = delivered.min(n) * 350_000_000;
        assert_eq!(
            answer.header("x-tollgate-cost"),
            crate::support::decimal(nano)
        );
        spent += nano;
    }
    let wallet = proxy.idle_wallet("alice");
    assert_eq!(wallet["charged"], crate::support::decimal(spent));
    assert_eq!(wallet["shortfall"], "0.35");
    proxy.audit();
}

/// Rivals: sub2api #5411, one-api, new-api: entries of errors were charged.
#[test]
fn error_entries_are_not_charged() {
    let (_mock, proxy) = start();
    let call = image(json!({ "n": 4 }))
        .header("x-mock-images", 3)
        .header("x-mock-image-errors", 2);
    let answer = proxy.send(ALICE, call);
    assert_eq!(answer.header("x-tollgate-usage"), "images=1");
    assert_eq!(answer.header("x-tollgate-cost"), "0.35");
}

#[test]
fn an_answer_of_errors_only_costs_nothing() {
    let (_mock, proxy) = start();
    let call = image(json!({ "n": 2 })).header("x-mock-image-errors", 2);
    let answer = proxy.send(ALICE, call);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-tollgate-cost"), "0");
    assert_eq!(proxy.idle_wallet("alice")["balance"], "10");
}

#[test]
fn free_images_are_burned_before_money() {
    let (_mock, proxy) = start_with(|setup| {
        setup.grant(json!({ "name": "free-image", "unit": "images", "amount": 2 }))
    });
    let answer = proxy.send(ALICE, image(json!({ "n": 3 })));
    assert_eq!(answer.header("x-tollgate-free"), "images=2");
    assert_eq!(answer.header("x-tollgate-cost"), "0.35");
    let balance = proxy.view(ALICE, "/v1/balance");
    assert_eq!(balance["grants"][0]["remaining"], 0);
    assert_eq!(balance["balance"], "9.65");
}

#[test]
fn each_kind_of_model_is_served_at_its_own_path() {
    let (mock, proxy) = start();
    for call in [
        chat(json!({ "model": "vendor/image" })),
        image(json!({ "model": "vendor/chat" })),
    ] {
        let answer = proxy.send(ALICE, call);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_eq!(answer.json()["error"]["param"], "model");
    }
    assert_eq!(mock.arrived(), 0);
}
