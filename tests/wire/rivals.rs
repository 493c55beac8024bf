//! What went wrong in other gateways, and has no better place here. `tests/data/rivals.md` lists all such cases.

use serde_json::{Value, json};

use crate::cost;
use crate::support::setup::ALICE;
use crate::support::{Call, Mock, Proxy, Retry, chat, nano, refusal, start_with};

/// A proxy where alice has these fields too.
fn alice(fields: Value) -> (Mock, Proxy) {
    start_with(|setup| {
        let mut key = json!({ "name": "alice" });
        let all = key.as_object_mut().expect("an object");
        all.extend(fields.as_object().expect("an object").clone());
        setup.key(key)
    })
}

/// One token of output, to hold little.
fn small() -> Call {
    chat(json!({ "max_tokens": 1 }))
}

/// Rivals: new-api #1542, one-api #1236: a top-up was booked, and a cache of balances refused for minutes on.
#[test]
fn a_topup_counts_for_the_very_next_request() {
    let (_mock, proxy) = alice(json!({ "balance": "0" }));
    for round in 0..20 {
        refusal(
            &proxy.send(ALICE, small()),
            402,
            "insufficient_quota",
            Retry::Never,
        );
        let needed = nano(&cost(1, 1)) * 200;
        let amount = crate::support::decimal(needed);
        assert!(proxy.top_up("alice", &format!("invoice-{round}"), &amount));
        let served = proxy.send(ALICE, small().header("x-mock-completion", 1));
        assert_eq!(served.status, 200, "round {round}: {served:?}");
        let spent = proxy.idle_wallet("alice");
        let left = format!("-{}", spent["balance"].as_str().expect("money"));
        let take = json!({ "id": format!("take-{round}"), "kind": "adjustment", "amount": left, "reason": "test" });
        let (status, body) = proxy.admin("POST", "/admin/wallets/alice/credits", Some(&take));
        assert_eq!(status, 201, "{body}");
    }
    proxy.audit();
}

/// Rivals: litellm #39309: what was refused for another reason used the rate up, so that whoever topped up was refused
/// again, by the rate.
#[test]
fn a_request_that_is_refused_takes_nothing_from_a_rate() {
    let (mock, proxy) = alice(json!({
        "balance": "0.02",
        "limits": [
            { "requests": 1, "per": "minute" },
            { "tokens": 5_000, "per": "minute" },
            { "tokens": 100_000, "per": "day" },
        ],
    }));
    for _ in 0..5 {
        let dear = proxy.send(ALICE, chat(json!({ "max_tokens": 4_000 })));
        refusal(&dear, 402, "insufficient_quota", Retry::Never);
        let unknown = proxy.send(ALICE, chat(json!({ "model": "no/such" })));
        refusal(&unknown, 404, "model_not_found", Retry::ByStatus);
        let bad = proxy.send(ALICE, chat(json!({ "max_tokens": "many" })));
        refusal(&bad, 400, "invalid_request_error", Retry::ByStatus);
    }
    assert_eq!(mock.arrived(), 0);
    let served = proxy.send(ALICE, small());
    assert_eq!(served.status, 200, "{served:?}");
    let again = proxy.send(ALICE, small());
    refusal(&again, 429, "rate_limit_exceeded", Retry::Later);
    // What the rate refused counts for no other limit.
    let day = &proxy.view(ALICE, "/v1/balance")["limits"][2];
    let usage = proxy.receipts("alice")[0]["usage"].clone();
    let count = |meter: &str| usage[meter].as_u64().unwrap_or(0);
    assert_eq!(day["used"], count("input") + count("output"), "{day}");
}

/// Rivals: litellm #29191: a key whose tokens per minute were fewer than the worst case of its request was refused for
/// ever, though what it really used was little.
#[test]
fn a_token_rate_below_the_worst_case_serves_a_small_key() {
    let (_mock, proxy) = alice(json!({ "limits": [{ "tokens": 100, "per": "minute" }] }));
    let call = chat(json!({ "max_tokens": 4_000 }))
        .header("x-mock-prompt", 10)
        .header("x-mock-completion", 5);
    for _ in 0..3 {
        // Full again but for the 15 that were used: each leaves the next one room only while the bucket is full.
        let answer = proxy.send(ALICE, call.clone());
        if answer.status == 200 {
            assert_eq!(answer.header("x-tollgate-usage"), "input=10, output=5");
            continue;
        }
        refusal(&answer, 429, "rate_limit_exceeded", Retry::Later);
        let wait: u64 = answer.header("retry-after").parse().expect("seconds");
        // 15 of 100 a minute are back after nine seconds.
        assert!((1..=10).contains(&wait), "{wait}");
        return;
    }
    panic!("the rate bounds nothing");
}

/// Rivals: litellm PR #38647: a balance of 25 showed as 25.000000000000004, and a sum of small charges drifted.
#[test]
fn a_hundred_charges_of_odd_prices_add_up_to_the_last_digit() {
    let (_mock, proxy) = start_with(|setup| {
        setup
            .model(json!({ "id": "vendor/chat", "prices": [
                { "per": "1M tokens", "input": "0.1", "output": "0.7" },
            ]}))
            .key(json!({ "name": "alice", "balance": "0.3" }))
    });
    let mut charged = 0;
    for round in 1..=100_i64 {
        let call = chat(json!({ "max_tokens": 100 }))
            .header("x-mock-prompt", round)
            .header("x-mock-completion", 3);
        let answer = proxy.send(ALICE, call);
        // 0.1 and 0.7 of a millionth are 100 and 700 nano.
        let one = round * 100 + 3 * 700;
        assert_eq!(
            answer.header("x-tollgate-cost"),
            crate::support::decimal(one)
        );
        charged += one;
    }
    assert_eq!(charged, 715_000);
    let wallet = proxy.idle_wallet("alice");
    assert_eq!(wallet["charged"], "0.000715");
    assert_eq!(wallet["balance"], "0.299285");
    proxy.audit();
}
