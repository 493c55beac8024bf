//! Refusals: every row of the table, with its status, code, advice on trying again, and words. What is spent is
//! told apart from what other requests merely occupy.

use serde_json::{Value, json};

use crate::cost;
use crate::support::refusal::names;
use crate::support::setup::{ALICE, BOB};
use crate::support::{
    Answer, Call, Mock, Proxy, Retry, chat, image, nano, occupy, refusal, start, start_with, stream,
};

/// A proxy where alice has these fields too.
fn alice(fields: Value) -> (Mock, Proxy) {
    start_with(|setup| {
        let mut key = json!({ "name": "alice" });
        key.as_object_mut()
            .expect("an object")
            .extend(fields.as_object().expect("an object").clone());
        setup.key(key)
    })
}

/// One token of output, to hold little.
fn small() -> Call {
    chat(json!({ "max_tokens": 1 }))
}

#[test]
fn no_key_is_told_from_another_wrong_one() {
    let (mock, proxy) = start_with(|setup| {
        setup.key(json!({
            "name": "expired", "secret": "expired-0123456789-abcdefghij",
            "balance": "1", "expires": "2020-01-01T00:00:00Z",
        }))
    });
    let (revoked, made) = proxy.create_key(&json!({ "name": "revoked", "balance": "1" }));
    assert_eq!(proxy.send(&revoked, small()).status, 200);
    proxy.revoke_key(made["key"]["id"].as_str().expect("an id"));
    let mut answers: Vec<Answer> = ["unknown", &revoked, "expired-0123456789-abcdefghij"]
        .map(|secret| proxy.send(secret, small()))
        .into();
    answers.push(small().send(&proxy.address));
    for value in ["", "Bearer", "Bearer ", "Basic YTpi", ALICE] {
        let call = small().header("authorization", value);
        answers.push(call.send(&proxy.address));
    }
    for path in ["/v1/models", "/v1/balance", "/v1/receipts/x", "/v1/usage"] {
        answers.push(Call::get(path).send(&proxy.address));
    }
    for answer in &answers {
        refusal(answer, 401, "invalid_api_key", Retry::ByStatus);
        assert_eq!(answer.body, answers[0].body);
    }
    assert_eq!(mock.arrived(), 1);
}

#[test]
fn a_model_that_the_key_may_not_use_is_forbidden_and_not_listed() {
    let (mock, proxy) = alice(json!({ "models": ["chat"] }));
    let message = refusal(
        &proxy.send(ALICE, image(json!({}))),
        403,
        "model_not_allowed",
        Retry::ByStatus,
    );
    names(&message, &["vendor/image"]);
    assert_eq!(proxy.send(ALICE, small()).status, 200);
    let listed = proxy.view(ALICE, "/v1/models");
    let ids: Vec<&Value> = listed["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|model| &model["id"])
        .collect();
    assert_eq!(ids, [&json!("vendor/chat")]);
    assert_eq!(mock.arrived(), 1);
}

#[test]
fn an_address_that_the_key_may_not_be_used_from_is_forbidden() {
    let (mock, proxy) = alice(json!({ "allowed_ips": ["10.0.0.0/8", "2001:db8::/32"] }));
    for call in [small(), Call::get("/v1/balance")] {
        // What the client says of its address counts for nothing.
        let call = call
            .header("x-forwarded-for", "10.0.0.1")
            .header("forwarded", "for=10.0.0.1");
        let message = refusal(
            &proxy.send(ALICE, call),
            403,
            "ip_not_allowed",
            Retry::ByStatus,
        );
        names(&message, &["127.0.0.1"]);
    }
    assert_eq!(mock.arrived(), 0);
}

/// Rivals: litellm #36561 #30715 #26863 #36914 #36646, new-api #1797, sub2api #5456: a model that nobody had priced
/// was served for nothing.
#[test]
fn a_model_without_a_price_in_force_does_not_exist() {
    let (mock, proxy) = start_with(|setup| {
        setup.model(json!({
            "id": "vendor/later", "upstream": "mock", "prices": [{
                "effective_from": "2999-01-01T00:00:00Z", "per": "1M tokens", "input": 1, "output": 1,
            }],
        }))
    });
    for model in [
        "nobody/knows",
        "vendor/later",
        "Vendor/chat",
        "vendor/chat#fault",
    ] {
        let answer = proxy.send(ALICE, chat(json!({ "model": model })));
        let message = refusal(&answer, 404, "model_not_found", Retry::ByStatus);
        names(&message, &[model]);
        assert_eq!(answer.json()["error"]["param"], "model");
    }
    assert_eq!(mock.arrived(), 0);
}

/// Rivals: litellm #36561 #30715 #26863 #36914 #36646, new-api #1797, sub2api #5456: paths that were passed through
/// were not charged.
#[test]
fn what_cannot_be_metered_is_not_served() {
    let (mock, proxy) = start();
    for (method, path) in [
        ("POST", "/v1/videos"),
        ("POST", "/v1/realtime/client_secrets"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1//chat/completions"),
        ("POST", "/v1/../v1/chat/completions"),
        ("POST", "/chat/completions"),
        ("PUT", "/v1/chat/completions"),
        ("GET", "/v1/chat/completions"),
        ("DELETE", "/v1/models/vendor/chat"),
        ("GET", "/admin/keys"),
        ("GET", "/"),
    ] {
        let answer = proxy.send(ALICE, Call::new(method, path, "{}"));
        refusal(&answer, 404, "unknown_url", Retry::ByStatus);
    }
    assert_eq!(mock.arrived(), 0);
}

/// Rivals: LightRAG PR #3736, opencode #47685: SDKs tried again and again where the money was gone. `tests/clients`
/// counts what they really do.
#[test]
fn a_spent_balance_is_final_and_says_what_is_missing() {
    let (mock, proxy) = alice(json!({ "balance": "0.001" }));
    let answer = proxy.send(ALICE, chat(json!({ "max_tokens": 1000 })));
    let message = refusal(&answer, 402, "insufficient_quota", Retry::Never);
    let body = mock_body_len(json!({ "max_tokens": 1000 }));
    names(
        &message,
        &[
            &cost(body + 64, 1000),
            "0.001 CNY",
            "lower `max_tokens` or `n`",
            "0.016 CNY is for the output",
        ],
    );
    assert!(!message.contains("free quota"), "{message}");
    assert_eq!(answer.json()["error"]["type"], "insufficient_quota");
    assert_eq!(mock.arrived(), 0);
    assert_eq!(proxy.send(ALICE, small()).status, 200);
    assert_eq!(proxy.idle_wallet("alice")["held"], "0");
}

/// The bytes of a plain chat request with these fields.
fn mock_body_len(fields: Value) -> u64 {
    let bytes = chat(fields).bytes();
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    (bytes.len() - head.expect("a head") - 4) as u64
}

#[test]
fn the_status_of_a_spent_balance_can_be_chosen() {
    let (_mock, proxy) = start_with(|setup| {
        setup
            .set("server", "refusal_status_no_funds", 429)
            .key(json!({ "name": "alice", "balance": "0" }))
    });
    let answer = proxy.send(ALICE, small());
    refusal(&answer, 429, "insufficient_quota", Retry::Never);
}

/// Rivals: litellm #38647: what running requests merely occupied was told as money that is gone.
#[test]
fn a_balance_occupied_by_others_is_worth_another_try() {
    let (mock, proxy) = alice(json!({ "balance": "0.02" }));
    let holding = occupy(&mock, &proxy, ALICE, chat(json!({ "max_tokens": 1000 })));
    let answer = proxy.send(ALICE, chat(json!({ "max_tokens": 1000 })));
    let message = refusal(&answer, 429, "balance_held", Retry::Later);
    names(&message, &["CNY", "in flight", "max_tokens"]);
    // More than there would be even without the others is spent, not held.
    let answer = proxy.send(ALICE, chat(json!({ "max_tokens": 4000 })));
    refusal(&answer, 402, "insufficient_quota", Retry::Never);
    assert_eq!(proxy.send(BOB, small()).status, 200);
    drop(holding);
}

/// A proxy where alice has no money, but an image for free.
fn one_free_image() -> (Mock, Proxy) {
    start_with(|setup| {
        setup
            .grant(json!({ "name": "free-image", "unit": "images", "amount": 1 }))
            .key(json!({ "name": "alice", "balance": "0" }))
    })
}

#[test]
fn a_grant_occupied_by_others_is_worth_another_try() {
    let (mock, proxy) = one_free_image();
    let holding = occupy(&mock, &proxy, ALICE, image(json!({})));
    let answer = proxy.send(ALICE, image(json!({})));
    refusal(&answer, 429, "balance_held", Retry::Later);
    drop(holding);
}

#[test]
fn a_spent_grant_is_final() {
    let (_mock, proxy) = one_free_image();
    let free = proxy.send(ALICE, image(json!({})));
    assert_eq!(free.header("x-tollgate-cost"), "0");
    assert_eq!(free.header("x-tollgate-free"), "images=1");
    let answer = proxy.send(ALICE, image(json!({})));
    let message = refusal(&answer, 402, "insufficient_quota", Retry::Never);
    names(&message, &["0.35 CNY", "Top up, or lower `n`"]);
    assert!(!message.contains("free quota"), "{message}");
}

#[test]
fn a_free_quota_that_covers_a_part_is_told_of() {
    let (_mock, proxy) = start_with(|setup| {
        setup
            .grant(json!({ "name": "free-tokens", "unit": "tokens", "amount": 500 }))
            .key(json!({ "name": "alice", "balance": "0.001" }))
    });
    let answer = proxy.send(ALICE, chat(json!({ "max_tokens": 1000 })));
    let message = refusal(&answer, 402, "insufficient_quota", Retry::Never);
    names(&message, &["beyond its free quotas", "is for the output"]);
}

#[test]
fn what_is_dear_by_its_input_is_to_be_shortened() {
    let (mock, proxy) = alice(json!({
        "balance": "0.001",
        "limits": [{ "name": "few", "tokens": 3_000, "per": "total", "models": ["free/chat"] }],
    }));
    let long = "x".repeat(10_000);
    let call = |model: &str| {
        let messages = json!([{ "role": "user", "content": &long }]);
        chat(json!({ "model": model, "max_tokens": 100, "messages": messages }))
    };
    let answer = proxy.send(ALICE, call("vendor/chat"));
    let message = refusal(&answer, 402, "insufficient_quota", Retry::Never);
    names(&message, &["or shorten the messages", "is for the input"]);
    assert!(!message.contains("max_tokens"), "{message}");
    let answer = proxy.send(ALICE, call("free/chat"));
    let message = refusal(&answer, 429, "quota_limit_exceeded", Retry::Never);
    names(&message, &["whole limit is less", "shorten the messages"]);
    assert_eq!(mock.arrived(), 0);
}

#[test]
fn embeddings_are_told_of_fields_that_they_have() {
    let (mock, proxy) = start_with(|setup| {
        setup
            .model(json!({
                "id": "vendor/embedding", "category": "embedding", "upstream": "mock",
                "context_tokens": 8192, "prices": [{ "per": "1M tokens", "input": 2 }],
            }))
            .key(json!({ "name": "alice", "balance": "0" }))
    });
    let body = json!({ "model": "vendor/embedding", "input": "one" });
    let answer = proxy.send(ALICE, Call::json("/v1/embeddings", &body));
    let message = refusal(&answer, 402, "insufficient_quota", Retry::Never);
    names(&message, &["send less input at once", "is for the input"]);
    assert!(!message.contains("`n`"), "{message}");
    assert_eq!(mock.arrived(), 0);
}

/// Rivals: LightRAG PR #3736, opencode #47685: the same of a budget.
#[test]
fn a_spend_limit_that_is_reached_is_final_until_it_resets() {
    let (_mock, proxy) = alice(json!({ "limits": [{ "spend": "0.001", "per": "day" }] }));
    let first = proxy.send(ALICE, chat(json!({ "max_tokens": 20 })));
    assert_eq!(first.status, 200);
    let answer = proxy.send(ALICE, chat(json!({ "max_tokens": 1000 })));
    let message = refusal(&answer, 429, "spend_limit_exceeded", Retry::Never);
    names(&message, &["whole limit is less", "lower `max_tokens`"]);
    let answer = proxy.send(ALICE, chat(json!({ "max_tokens": 20 })));
    let message = refusal(&answer, 429, "spend_limit_exceeded", Retry::Never);
    names(
        &message,
        &[
            "`spend-day`",
            "0.001 CNY",
            "per day",
            "resets at 20",
            "00:00:00Z",
        ],
    );
    let header = answer.header("x-tollgate-limit-spend-day");
    assert!(
        header.starts_with("cap=\"0.001\", remaining=\"0.000"),
        "{header}"
    );
    let reset: u64 = header
        .rsplit_once("reset=")
        .and_then(|(_, seconds)| seconds.parse().ok())
        .expect("a reset");
    assert!((1..=86_400).contains(&reset));
}

#[test]
fn a_total_that_is_reached_says_that_it_does_not_reset() {
    let (_mock, proxy) = alice(json!({ "limits": [{ "images": 2, "per": "total" }] }));
    assert_eq!(proxy.send(ALICE, image(json!({ "n": 2 }))).status, 200);
    let answer = proxy.send(ALICE, image(json!({})));
    let message = refusal(&answer, 429, "quota_limit_exceeded", Retry::Never);
    names(
        &message,
        &[
            "`images-total`",
            "2 images",
            "0 images left",
            "up to 1 image.",
            "does not reset",
        ],
    );
    // A limit on images is none on tokens.
    assert_eq!(proxy.send(ALICE, small()).status, 200);
}

#[test]
fn a_token_quota_counts_tokens_over_its_period() {
    let (_mock, proxy) = alice(json!({ "limits": [
        { "name": "monthly", "tokens": 1_000, "per": "month", "models": ["vendor/chat"] },
    ]}));
    let call = chat(json!({ "max_tokens": 600 })).header("x-mock-prompt", 100);
    let first = proxy.send(ALICE, call.header("x-mock-completion", 500));
    assert!(
        first
            .header("x-tollgate-limit-monthly")
            .starts_with("cap=1000, remaining=400, reset=")
    );
    let answer = proxy.send(ALICE, chat(json!({ "max_tokens": 600 })));
    let message = refusal(&answer, 429, "quota_limit_exceeded", Retry::Never);
    names(
        &message,
        &["`monthly`", "1000 tokens", "per month", "400 tokens left"],
    );
    assert_eq!(
        proxy.send(ALICE, chat(json!({ "model": "free" }))).status,
        200
    );
}

/// Rivals: litellm #38647: the same of a budget.
#[test]
fn a_limit_occupied_by_others_is_worth_another_try() {
    let (mock, proxy) = alice(json!({ "limits": [{ "spend": "0.02", "per": "total" }] }));
    let holding = occupy(&mock, &proxy, ALICE, chat(json!({ "max_tokens": 1000 })));
    let answer = proxy.send(ALICE, chat(json!({ "max_tokens": 1000 })));
    let message = refusal(&answer, 429, "limit_held", Retry::Later);
    names(&message, &["`spend-total`", "0.02 CNY", "in flight"]);
    let answer = proxy.send(ALICE, chat(json!({ "max_tokens": 4000 })));
    refusal(&answer, 429, "spend_limit_exceeded", Retry::Never);
    drop(holding);
}

#[test]
fn a_rate_says_when_to_come_back() {
    let (mock, proxy) = alice(json!({ "limits": [{ "requests": 2, "per": "minute" }] }));
    for _ in 0..2 {
        assert_eq!(proxy.send(ALICE, small()).status, 200);
    }
    let answer = proxy.send(ALICE, small());
    let message = refusal(&answer, 429, "rate_limit_exceeded", Retry::Later);
    names(
        &message,
        &[
            "`requests-minute`",
            "2 requests",
            "per minute",
            "try again in",
        ],
    );
    let wait: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((20..=30).contains(&wait), "{wait}");
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), "0");
    assert_eq!(mock.arrived(), 2);
}

#[test]
fn a_token_rate_is_asked_for_the_worst_case_and_corrected_by_the_real_one() {
    let (_mock, proxy) = alice(json!({ "limits": [{ "tokens": 5_000, "per": "minute" }] }));
    let call = || {
        chat(json!({ "max_tokens": 3_000 }))
            .header("x-mock-prompt", 10)
            .header("x-mock-completion", 90)
    };
    for _ in 0..3 {
        let answer = proxy.send(ALICE, call());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let large = chat(json!({ "max_tokens": 3_000 })).header("x-mock-completion", 3_000);
    assert_eq!(proxy.send(ALICE, large).status, 200);
    let answer = proxy.send(ALICE, call());
    let message = refusal(&answer, 429, "rate_limit_exceeded", Retry::Later);
    names(&message, &["`tokens-minute`", "5000 tokens"]);
}

#[test]
fn requests_at_once_are_counted_while_they_run() {
    let (mock, proxy) =
        alice(json!({ "limits": [{ "concurrent": 1 }], "on_disconnect": "cancel" }));
    let holding = occupy(&mock, &proxy, ALICE, small());
    let answer = proxy.send(ALICE, small());
    let message = refusal(&answer, 429, "rate_limit_exceeded", Retry::Later);
    names(
        &message,
        &["`concurrent`", "1 request at once", "0 requests left"],
    );
    drop(holding);
    proxy.idle_wallet("alice");
    assert_eq!(proxy.send(ALICE, small()).status, 200);
}

#[test]
fn a_free_request_passes_a_spent_spend_limit() {
    let (_mock, proxy) = alice(json!({ "limits": [{ "spend": "0.0001", "per": "total" }] }));
    let answer = proxy.send(ALICE, small());
    refusal(&answer, 429, "spend_limit_exceeded", Retry::Never);
    let free = proxy.send(ALICE, chat(json!({ "model": "free/chat" })));
    assert_eq!(free.status, 200, "{free:?}");
    assert_eq!(free.header("x-tollgate-cost"), "0");
    assert_eq!(free.header("x-tollgate-hold"), "0");
}

#[test]
fn a_free_request_burns_no_grant() {
    let (_mock, proxy) = start_with(|setup| {
        setup.grant(json!({ "name": "free-chat", "unit": "tokens", "amount": 1_000 }))
    });
    let free = proxy.send(ALICE, chat(json!({ "model": "free/chat" })));
    assert_eq!(free.header("x-tollgate-free"), "tokens=0");
    assert_eq!(proxy.view(ALICE, "/v1/balance")["grants"][0]["used"], 0);
}

#[test]
fn a_key_that_clamps_lowers_the_maximum_to_what_is_affordable() {
    let (mock, proxy) = alice(json!({ "balance": "0.02", "on_short": "clamp" }));
    for body in [
        json!({ "max_tokens": 4000 }),
        json!({ "max_completion_tokens": 4000 }),
        json!({}),
    ] {
        let before = proxy.idle_wallet("alice");
        let before = nano(before["balance"].as_str().expect("money"));
        let call = chat(body.clone())
            .header("x-mock-obey", 1)
            .header("x-mock-prompt", 50)
            .header("x-mock-completion", 100);
        let answer = proxy.send(ALICE, call);
        assert_eq!(answer.status, 200, "{answer:?}");
        let sent: Value = serde_json::from_slice(&mock.last_body()).expect("JSON");
        let maximum = sent["max_tokens"].as_i64().expect("a maximum");
        let other = &sent["max_completion_tokens"];
        assert!(other.is_null() || other.as_i64() == Some(maximum), "{sent}");
        let input = (mock_body_len(body) + 64) as i64 * 4_000;
        assert_eq!(maximum, (before - input) / 16_000, "{sent}");
        assert!(nano(answer.header("x-tollgate-hold")) <= before);
    }
    let wallet = proxy.idle_wallet("alice");
    assert_eq!(wallet["shortfall"], "0");
    proxy.audit();
}

#[test]
fn a_bad_field_is_named() {
    let (mock, proxy) = start();
    for (fields, param) in [
        (json!({ "max_tokens": -1 }), "max_tokens"),
        (json!({ "max_tokens": "many" }), "max_tokens"),
        (
            json!({ "max_completion_tokens": 1.5 }),
            "max_completion_tokens",
        ),
        (json!({ "n": 0 }), "n"),
        (json!({ "stream": "yes" }), "stream"),
        (json!({ "model": 7 }), "model"),
        (json!({ "stream_options": [] }), "stream_options"),
    ] {
        let answer = proxy.send(ALICE, chat(fields.clone()));
        refusal(&answer, 400, "invalid_request_error", Retry::ByStatus);
        assert_eq!(answer.json()["error"]["param"], param, "{fields}");
    }
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{\"model\":\"chat\"} x",
        "\u{feff}{}",
        "model=chat",
    ] {
        let answer = proxy.send(ALICE, Call::post("/v1/chat/completions", body));
        refusal(&answer, 400, "invalid_request_error", Retry::ByStatus);
    }
    let missing = proxy.send(ALICE, Call::post("/v1/chat/completions", "{}"));
    assert_eq!(missing.json()["error"]["param"], "model");
    assert_eq!(mock.arrived(), 0);
    assert_eq!(proxy.wallet("alice")["balance"], "10");
}

#[test]
fn a_refused_stream_is_refused_as_json() {
    let (_mock, proxy) = alice(json!({ "balance": "0" }));
    let answer = proxy.send(ALICE, stream(json!({})));
    refusal(&answer, 402, "insufficient_quota", Retry::Never);
}

/// What is held where the output is bounded by this much, for a body of these fields.
fn hold(fields: &Value, output: u64) -> String {
    cost(mock_body_len(fields.clone()) + 64, output)
}

#[test]
fn a_maximum_lowers_the_hold_only_where_the_endpoint_obeys_its_field() {
    let row = |id: &str, field: &str| {
        json!({
            "id": id, "upstream": "mock", "max_tokens_field": field, "max_output_tokens": 4096,
            "overhead_tokens": 64, "prices": [{ "per": "1M tokens", "input": 4, "output": 16 }],
        })
    };
    let (mock, proxy) = start_with(|setup| {
        setup
            .model(row("vendor/new", "max_completion_tokens"))
            .model(row("vendor/any", "both"))
    });
    let (old, new) = ("max_tokens", "max_completion_tokens");
    for (model, field, output) in [
        ("vendor/chat", old, 100),
        ("vendor/chat", new, 4_096),
        ("vendor/new", old, 4_096),
        ("vendor/new", new, 100),
        ("vendor/any", old, 100),
        ("vendor/any", new, 100),
    ] {
        let fields = json!({ "model": model, field: 100 });
        let answer = proxy.send(ALICE, chat(fields.clone()));
        assert_eq!(answer.status, 200, "{fields}: {answer:?}");
        assert_eq!(
            answer.header("x-tollgate-hold"),
            hold(&fields, output),
            "{fields}"
        );
        let sent: Value = serde_json::from_slice(&mock.last_body()).expect("JSON");
        assert_eq!(sent[field], 100, "{sent}");
        let other = if field == old { new } else { old };
        assert_eq!(sent.get(other), None, "{sent}");
    }
    // Both are obeyed by some servers: the larger is held.
    let fields = json!({ "max_tokens": 100, "max_completion_tokens": 200 });
    let answer = proxy.send(ALICE, chat(fields.clone()));
    assert_eq!(answer.header("x-tollgate-hold"), hold(&fields, 200));
    // No field lets a client ask for more than the model may give.
    let answer = proxy.send(ALICE, chat(json!({ "max_completion_tokens": 4_097 })));
    refusal(&answer, 400, "invalid_request_error", Retry::ByStatus);
    assert_eq!(answer.json()["error"]["param"], new);
}
