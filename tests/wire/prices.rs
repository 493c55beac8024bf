//! Which of several prices a request is charged by: its key's multiplier, its tier, the size and quality of its images.

use serde_json::{Value, json};

use crate::support::setup::{ALICE, BOB};
use crate::support::{RawUpstream, chat, image, start_with};

fn tiered() -> Value {
    json!({ "id": "vendor/chat", "prices": [{
        "per": "1M tokens", "input": 4, "output": 16,
        "tiers": [{ "above_input_tokens": 50, "input": 8, "output": 24 }],
    }] })
}

#[test]
fn a_keys_multiplier_makes_its_hold_and_its_charge_smaller_and_stands_on_the_receipt() {
    let (_mock, proxy) = start_with(|setup| {
        setup
            .key(json!({ "name": "alice", "multiplier": "0.5" }))
            .key(json!({ "name": "bob", "multiplier": 0 }))
    });
    let call = || {
        chat(json!({ "max_tokens": 100 }))
            .header("x-mock-prompt", 41)
            .header("x-mock-completion", 7)
    };
    let half = proxy.send(ALICE, call());
    let nano = 41 * 2_000 + 7 * 8_000;
    assert_eq!(
        half.header("x-tollgate-cost"),
        crate::support::decimal(nano)
    );
    let receipt = proxy.view(
        ALICE,
        &format!("/v1/receipts/{}", half.header("x-tollgate-request-id")),
    );
    assert_eq!(receipt["pricing"], json!({ "multiplier": "0.5" }));
    assert_eq!(receipt["flags"], json!([]));
    let free = proxy.send(BOB, call());
    assert_eq!(free.header("x-tollgate-cost"), "0");
    assert_eq!(free.header("x-tollgate-hold"), "0");
    proxy.audit();
}

#[test]
fn a_long_input_is_charged_by_its_tier_and_held_at_the_dearest() {
    let (_mock, proxy) = start_with(|setup| setup.model(tiered()));
    let call = |prompt: u64| {
        chat(json!({ "max_tokens": 100 }))
            .header("x-mock-prompt", prompt)
            .header("x-mock-completion", 7)
    };
    let short = proxy.send(ALICE, call(50));
    assert_eq!(short.header("x-tollgate-cost"), crate::cost(50, 7));
    let long = proxy.send(ALICE, call(51));
    let nano = 51 * 8_000 + 7 * 24_000;
    assert_eq!(
        long.header("x-tollgate-cost"),
        crate::support::decimal(nano)
    );
    assert_eq!(
        short.header("x-tollgate-hold"),
        long.header("x-tollgate-hold")
    );
    let receipt = |answer: &crate::support::Answer| {
        proxy.view(
            ALICE,
            &format!("/v1/receipts/{}", answer.header("x-tollgate-request-id")),
        )
    };
    assert_eq!(receipt(&short)["pricing"], json!({}));
    assert_eq!(
        receipt(&long)["pricing"],
        json!({ "above_input_tokens": 50 })
    );
    let pricing = &proxy.view(ALICE, "/v1/models/vendor%2Fchat")["pricing"];
    assert_eq!(
        pricing["tiers"][0]["meters"]["input"],
        json!({ "price": "8", "per": "1M tokens" })
    );
    proxy.audit();
}

#[test]
fn cached_tokens_without_a_price_are_charged_as_input_and_told_of() {
    let (_mock, proxy) = start_with(|setup| setup);
    let call = chat(json!({ "max_tokens": 100 }))
        .header("x-mock-prompt", 41)
        .header("x-mock-cached", 20)
        .header("x-mock-completion", 7);
    let answer = proxy.send(ALICE, call);
    assert_eq!(answer.header("x-tollgate-cost"), crate::cost(41, 7));
    let id = answer.header("x-tollgate-request-id");
    let receipt = proxy.view(ALICE, &format!("/v1/receipts/{id}"));
    assert_eq!(receipt["flags"], json!(["price_fallback"]));
}

#[test]
fn images_are_held_and_charged_by_size_and_quality_and_those_without_a_price_refused() {
    let images = json!([
        { "size": "1024x1024", "quality": "hd", "image": "0.5" },
        { "size": "1024x1024", "quality": "standard", "image": "0.25" },
        { "size": "1792x1024", "quality": "standard", "image": "0.75" },
    ]);
    let row = json!({ "id": "vendor/image", "prices": [{ "images": images, "default_quality": "standard" }] });
    let (mock, proxy) = start_with(|setup| setup.model(row));
    for (fields, each) in [
        (json!({ "size": "1024x1024", "quality": "hd" }), 500_000_000),
        (json!({ "size": "1024x1024" }), 250_000_000),
        (
            json!({ "size": "1792x1024", "quality": "auto" }),
            750_000_000,
        ),
        // Nothing says what it will be: the dearest of standard quality.
        (json!({}), 750_000_000),
    ] {
        let mut fields = fields;
        fields["n"] = json!(2);
        let answer = proxy.send(ALICE, image(fields.clone()));
        let cost = crate::support::decimal(2 * each);
        assert_eq!(answer.header("x-tollgate-hold"), cost, "{fields}");
        assert_eq!(answer.header("x-tollgate-cost"), cost, "{fields}");
    }
    let before = mock.arrived();
    for (fields, param, known) in [
        (json!({ "size": "64x64" }), "size", "1024x1024, 1792x1024"),
        (
            json!({ "size": "1792x1024", "quality": "hd" }),
            "quality",
            "standard",
        ),
    ] {
        let answer = proxy.send(ALICE, image(fields.clone()));
        assert_eq!(answer.status, 400, "{fields}");
        let error = &answer.json()["error"];
        assert_eq!(error["param"], param);
        let message = error["message"].as_str().expect("a message");
        assert!(
            message.ends_with(&format!("those that have are: {known}.")),
            "{message}"
        );
    }
    assert_eq!(mock.arrived(), before, "nothing was sent on");
    assert_eq!(proxy.idle_wallet("alice")["shortfall"], "0");
    proxy.audit();
}

#[test]
fn an_image_is_charged_by_the_size_and_quality_that_the_answer_states() {
    const MADE: &str = r#"{"created":1,"size":"1024x1024","quality":"low","data":[{"url":"https://images.invalid/0.png"}]}"#;
    let images = json!([
        { "size": "1024x1024", "quality": "low", "image": "0.1" },
        { "size": "1024x1024", "quality": "high", "image": "0.9" },
    ]);
    let row = json!({ "id": "vendor/image", "prices": [{ "images": images }] });
    let upstream = RawUpstream::json(200, MADE);
    let (_mock, proxy) = start_with(|setup| {
        let address = json!({ "base_url": upstream.base_url() });
        setup.model(row).upstream("mock", address)
    });
    let answer = proxy.send(ALICE, image(json!({ "quality": "auto" })));
    assert_eq!(answer.header("x-tollgate-hold"), "0.9");
    assert_eq!(answer.header("x-tollgate-cost"), "0.1");
    let id = answer.header("x-tollgate-request-id");
    let receipt = proxy.view(ALICE, &format!("/v1/receipts/{id}"));
    assert_eq!(
        receipt["pricing"],
        json!({ "size": "1024x1024", "quality": "low" })
    );
}
