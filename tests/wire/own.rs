//! What a customer sees of its own account: models, balance, usage, the billing pages of chat front ends.

use serde_json::{Value, json};

use crate::cost;
use crate::support::setup::{ALICE, BOB};
use crate::support::{
    Call, Mock, Proxy, Retry, chat, decimal, image, refusal, start, start_with, stream, until,
};

fn with_grant() -> (Mock, Proxy) {
    start_with(|setup| {
        setup.grant(json!({
            "name": "free-chat", "unit": "tokens", "amount": 50, "models": ["vendor/chat"],
        }))
    })
}

#[test]
fn models_are_listed_with_their_prices_and_free_quotas() {
    let (mock, proxy) = with_grant();
    let list = proxy.view(ALICE, "/v1/models");
    assert_eq!(list["object"], "list");
    let models = list["data"].as_array().expect("a list");
    let find = |id: &str| models.iter().find(|model| model["id"] == id);
    let chat = find("vendor/chat").expect("the chat model");
    assert_eq!(chat["object"], "model");
    assert_eq!(chat["category"], "chat");
    assert_eq!(
        chat["pricing"]["meters"]["output"],
        json!({ "price": "16", "per": "1M tokens" })
    );
    assert_eq!(chat["free_quota"][0]["remaining"], 50);
    let image = find("vendor/image").expect("the image model");
    assert_eq!(image["pricing"]["meters"]["images"]["price"], "0.35");
    assert_eq!(image["free_quota"], json!([]));
    assert_eq!(find("free/chat").expect("it")["pricing"]["free"], true);
    for path in ["vendor/chat", "vendor%2Fchat", "chat"] {
        assert_eq!(proxy.view(ALICE, &format!("/v1/models/{path}")), *chat);
    }
    assert_eq!(mock.arrived(), 0);
}

#[test]
fn a_request_astride_the_free_quota_pays_for_the_rest() {
    let (_mock, proxy) = with_grant();
    let call = chat(json!({}))
        .header("x-mock-prompt", 30)
        .header("x-mock-completion", 40);
    let answer = proxy.send(ALICE, call.clone());
    // Input burns first: 30 of 50, then 20 of the 40 of output.
    assert_eq!(answer.header("x-tollgate-free"), "tokens=50");
    assert_eq!(answer.header("x-tollgate-cost"), cost(0, 20));
    let answer = proxy.send(ALICE, call);
    assert_eq!(answer.header("x-tollgate-free"), "tokens=0");
    assert_eq!(answer.header("x-tollgate-cost"), cost(30, 40));
    assert_eq!(proxy.view(BOB, "/v1/balance")["grants"][0]["remaining"], 50);
    proxy.audit();
}

#[test]
fn the_balance_shows_what_is_held_while_it_is() {
    let (mock, proxy) = start_with(|setup| {
        setup.key(json!({
            "name": "alice", "on_disconnect": "cancel",
            "limits": [{ "spend": "5", "per": "day" }, { "concurrent": 2 }],
        }))
    });
    let hanging = image(json!({ "n": 2 }))
        .header("x-mock-fault", "hang")
        .key(ALICE)
        .start(&proxy.address);
    until("it to hang", || (mock.arrived() == 1).then_some(()));
    let view = proxy.view(ALICE, "/v1/balance");
    let names: Vec<&String> = view.as_object().expect("an object").keys().collect();
    assert_eq!(
        names,
        [
            "available",
            "balance",
            "currency",
            "grants",
            "held",
            "limits",
            "object"
        ]
    );
    assert_eq!(view["object"], "balance");
    assert_eq!(view["balance"], "10");
    assert_eq!(view["held"], "0.7");
    assert_eq!(view["available"], "9.3");
    let limit = &view["limits"][0];
    assert_eq!(
        (
            &limit["name"],
            &limit["cap"],
            &limit["held"],
            &limit["remaining"]
        ),
        (
            &json!("spend-day"),
            &json!("5"),
            &json!("0.7"),
            &json!("4.3")
        )
    );
    assert_eq!(view["limits"][1]["held"], 1);
    drop(hanging);
    proxy.idle_wallet("alice");
    assert_eq!(proxy.view(ALICE, "/v1/balance")["available"], "10");
}

#[test]
fn usage_sums_what_the_receipts_say() {
    let (_mock, proxy) = start();
    let sized = |call: crate::support::Call| {
        call.header("x-mock-prompt", 10)
            .header("x-mock-completion", 20)
    };
    for _ in 0..2 {
        proxy.send(ALICE, sized(chat(json!({}))));
        proxy.send(ALICE, sized(stream(json!({ "model": "chat" }))));
    }
    proxy.send(ALICE, image(json!({ "n": 3 })));
    proxy.send(BOB, image(json!({})));
    let by_model = proxy.view(ALICE, "/v1/usage?group_by=model");
    let rows = by_model["data"].as_array().expect("a list");
    let row = |id: &str| rows.iter().find(|row| row["model"] == id).expect("a row");
    let chat = row("vendor/chat");
    assert_eq!(chat["requests"], 4);
    assert_eq!(chat["usage"], json!({ "input": 40, "output": 80 }));
    assert_eq!(chat["cost"], cost(40, 80));
    assert_eq!(row("vendor/image")["cost"], "1.05");
    assert_eq!(rows.len(), 2);
    let by_day = proxy.view(ALICE, "/v1/usage");
    let day = &by_day["data"][0];
    let total = 40 * 4_000 + 80 * 16_000 + 1_050_000_000;
    assert_eq!(
        (&day["requests"], &day["cost"]),
        (&json!(5), &json!(decimal(total)))
    );
    let turned = "/v1/usage?from=2020-01-31&to=2020-01-01";
    let turned = proxy.send(ALICE, Call::get(turned));
    refusal(&turned, 400, "invalid_request_error", Retry::ByStatus);
    let past = proxy.view(ALICE, "/v1/usage?to=2020-01-31");
    assert_eq!(past["data"], json!([]));
    let past = proxy.view(ALICE, "/v1/usage?from=2020-01-01&to=2020-01-31");
    assert_eq!(past["data"], json!([]));
}

#[test]
fn chat_front_ends_find_the_billing_pages_they_read() {
    let (_mock, proxy) = start();
    proxy.send(ALICE, image(json!({ "n": 2 })));
    let page = |name: &str| -> Value {
        let path = format!("/v1/dashboard/billing/{name}");
        proxy.view(ALICE, &path)
    };
    assert_eq!(page("subscription")["hard_limit_usd"], 10);
    assert_eq!(
        page("usage?start_date=2020-01-01&end_date=2099-01-01")["total_usage"],
        70
    );
    let credit = page("credit_grants").to_string();
    assert!(credit.contains("\"total_available\":9.3"), "{credit}");
}
