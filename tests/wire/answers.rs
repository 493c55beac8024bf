//! Answers that are no streams: the upstream's bytes, and a whole receipt in the headers.

use serde_json::{Value, json};

use crate::cost;
use crate::support::setup::{ALICE, BOB, UPSTREAM_KEY};
use crate::support::{Answer, Call, RawUpstream, chat, start, start_with, stream};

/// The one place where `edited` has more than `original`, and what stands there.
fn inserted(original: &[u8], edited: &[u8]) -> String {
    let same = |a: &mut dyn Iterator<Item = &u8>, b: &mut dyn Iterator<Item = &u8>| {
        a.zip(b).take_while(|(a, b)| a == b).count()
    };
    let before = same(&mut original.iter(), &mut edited.iter());
    let left = (&original[before..], &edited[before..]);
    let after = same(&mut left.0.iter().rev(), &mut left.1.iter().rev());
    assert_eq!(before + after, original.len(), "more than one insertion");
    String::from_utf8(edited[before..edited.len() - after].to_vec()).expect("UTF-8")
}

#[test]
fn an_answer_is_the_upstreams_to_the_byte() {
    let (mock, proxy) = start();
    let call = chat(json!({}))
        .header("x-mock-prompt", 100)
        .header("x-mock-completion", 40);
    let direct = call.send(&mock.address);
    let through = proxy.send(ALICE, call);
    assert_eq!((through.status, through.whole), (200, true));
    assert_eq!(through.body, direct.body);
    assert_eq!(
        through.header("content-type"),
        direct.header("content-type")
    );
    assert_eq!(
        through.header("content-length"),
        direct.header("content-length")
    );
}

#[test]
fn the_receipt_headers_are_complete_and_exact() {
    let (_mock, proxy) = start_with(|setup| {
        setup.key(json!({ "name": "alice", "limits": [
            { "spend": "5.00", "per": "day" },
            { "tokens": 100_000, "per": "minute" },
            { "requests": 60, "per": "minute" },
            { "concurrent": 3 },
        ]}))
    });
    let body = chat(json!({ "max_tokens": 1000 }));
    let answer = proxy.send(
        ALICE,
        body.header("x-mock-prompt", 57)
            .header("x-mock-completion", 33),
    );
    assert_eq!(
        answer.headers.names("x-tollgate-"),
        [
            "balance",
            "cost",
            "counted",
            "currency",
            "free",
            "hold",
            "limit-concurrent",
            "limit-requests-minute",
            "limit-spend-day",
            "limit-tokens-minute",
            "model",
            "price-version",
            "request-id",
            "upstream-request-id",
            "usage",
        ]
    );
    let charged = 57 * 4_000 + 33 * 16_000;
    assert_eq!(answer.header("x-tollgate-usage"), "input=57, output=33");
    assert_eq!(answer.header("x-tollgate-cost"), cost(57, 33));
    assert_eq!(answer.header("x-tollgate-cost"), "0.000756");
    assert_eq!(answer.header("x-tollgate-currency"), "CNY");
    assert_eq!(answer.header("x-tollgate-model"), "vendor/chat");
    assert_eq!(answer.header("x-tollgate-counted"), "exact");
    assert_eq!(answer.header("x-tollgate-free"), "tokens=0");
    assert_eq!(answer.header("x-tollgate-balance"), "9.999244");
    assert_eq!(10_000_000_000_i64 - charged, 9_999_244_000);
    let version = answer.header("x-tollgate-price-version");
    assert!(version.len() == 12 && version.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(
        answer.header("x-request-id"),
        answer.header("x-tollgate-request-id")
    );
    let spend = answer.header("x-tollgate-limit-spend-day");
    assert!(
        spend.starts_with("cap=\"5\", remaining=\"4.999244\", reset="),
        "{spend}"
    );
    let tokens = answer.header("x-tollgate-limit-tokens-minute");
    assert!(tokens.starts_with("cap=100000, remaining=999"), "{tokens}");
    assert!(
        answer
            .header("x-tollgate-limit-requests-minute")
            .starts_with("cap=60, remaining=59")
    );
    assert!(
        answer
            .header("x-tollgate-limit-concurrent")
            .starts_with("cap=3, remaining=3")
    );
    assert_eq!(
        answer.headers.names("x-ratelimit-"),
        [
            "limit-requests",
            "limit-tokens",
            "remaining-requests",
            "remaining-tokens",
            "reset-requests",
            "reset-tokens"
        ]
    );
    assert_eq!(answer.header("x-ratelimit-limit-requests"), "60");
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), "59");
    assert_eq!(answer.header("x-ratelimit-limit-tokens"), "100000");
}

#[test]
fn a_hold_is_the_worst_case_and_no_more() {
    let (mock, proxy) = start();
    let call = chat(json!({ "max_tokens": 1000 })).header("x-mock-completion", 1);
    let answer = proxy.send(ALICE, call);
    // Every byte of the body could be a token; 64 is the row's overhead.
    let input = mock.last_body().len() as u64 + 64;
    assert_eq!(answer.header("x-tollgate-hold"), cost(input, 1000));
}

#[test]
fn a_receipt_is_told_to_its_wallet_only_and_says_what_the_headers_said() {
    let (_mock, proxy) = start();
    let answer = proxy.send(ALICE, chat(json!({})).header("x-mock-prompt", 9));
    let path = format!("/v1/receipts/{}", answer.header("x-tollgate-request-id"));
    let receipt = proxy.view(ALICE, &path);
    for (header, field) in [
        ("request-id", "request_id"),
        ("model", "model"),
        ("price-version", "price_version"),
        ("cost", "cost"),
        ("currency", "currency"),
        ("hold", "hold"),
        ("counted", "counted"),
    ] {
        let header = answer.header(&format!("x-tollgate-{header}"));
        assert_eq!(receipt[field], header, "{field}");
    }
    assert_eq!(receipt["usage"], json!({ "input": 9, "output": 16 }));
    assert_eq!(receipt["shortfall"], "0");
    let other = proxy.send(BOB, Call::get(&path));
    let unknown = proxy.send(
        BOB,
        Call::get("/v1/receipts/req_0123456789abcdef0123456789abcdef"),
    );
    assert_eq!((other.status, unknown.status), (404, 404));
    assert_eq!(other.body, unknown.body);
}

#[test]
fn cached_and_reasoning_tokens_are_disjoint_meters_at_their_own_prices() {
    let (_mock, proxy) = start_with(|setup| {
        setup.model(json!({ "id": "vendor/chat", "prices": [{
            "per": "1M tokens", "input": 4, "cached_input": 1, "output": 16, "reasoning": 32,
        }]}))
    });
    let call = chat(json!({}))
        .header("x-mock-prompt", 11)
        .header("x-mock-cached", 4)
        .header("x-mock-completion", 5)
        .header("x-mock-reasoning", 2);
    let answer = proxy.send(ALICE, call);
    let receipt = proxy.receipt(ALICE, answer.header("x-tollgate-request-id"));
    assert_eq!(
        receipt["usage"],
        json!({ "input": 7, "cached_input": 4, "output": 3, "reasoning": 2 })
    );
    let nano = 7 * 4_000 + 4 * 1_000 + 3 * 16_000 + 2 * 32_000;
    assert_eq!(
        answer.header("x-tollgate-cost"),
        crate::support::decimal(nano)
    );
}

#[test]
fn a_body_under_the_upstreams_own_name_travels_unchanged() {
    let (mock, proxy) = start();
    let body = "{ \"messages\":[ {\"role\" :\"user\",\"content\":\"\\u00e9 \u{1f600} \\/ \\\"model\\\": 1\"}],\r\n\t\"temperature\":1.0e0 ,\"x_unknown\":{\"model\":\"chat\"},\"model\":\"vendor/chat\"}\n";
    let answer = proxy.send(ALICE, Call::post("/v1/chat/completions", body));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(String::from_utf8_lossy(&mock.last_body()), body);
}

#[test]
fn an_alias_is_replaced_in_place_and_nothing_else_is_touched() {
    let (mock, proxy) = start();
    let body = "{ \"messages\":[ {\"role\" :\"user\",\"content\":\"\\u00e9 \u{1f600}\"}],\r\n\t\"temperature\":1.0e0 ,\"x_unknown\":{\"model\":\"chat\"},\"model\" : \"chat\" }\n";
    let answer = proxy.send(ALICE, Call::post("/v1/chat/completions", body));
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected = body.replace("\"model\" : \"chat\"", "\"model\" : \"vendor/chat\"");
    assert_eq!(String::from_utf8_lossy(&mock.last_body()), expected);
    assert_eq!(answer.header("x-tollgate-model"), "vendor/chat");
}

/// Rivals: several: the same where the gateway puts something in.
#[test]
fn asking_for_usage_is_one_insertion_into_the_clients_bytes() {
    let (mock, proxy) = start();
    for body in [
        r#"{"model":"vendor/chat","stream":true,"messages":[{"role":"user","content":"a"}]}"#,
        r#"{"stream_options":{},"model":"vendor/chat","stream":true,"messages":[{"role":"user","content":"a"}]}"#,
        r#"{"stream_options":{"x":[1]},"model":"vendor/chat","stream":true,"messages":[{"role":"user","content":"a"}]}"#,
    ] {
        let answer = proxy.send(ALICE, Call::post("/v1/chat/completions", body));
        assert_eq!(answer.status, 200, "{answer:?}");
        let sent = mock.last_body();
        let more = inserted(body.as_bytes(), &sent);
        assert!(more.contains("include_usage\":true"), "{more}");
        let sent: Value = serde_json::from_slice(&sent).expect("JSON");
        assert_eq!(sent["stream_options"]["include_usage"], true);
    }
}

#[test]
fn the_upstream_is_called_with_the_operators_credential_and_none_of_the_clients() {
    let (mock, proxy) = start();
    let call = chat(json!({}))
        .header("x-api-key", ALICE)
        .header("cookie", "a=client-secret")
        .header("openai-organization", "client-org")
        .header("x-forwarded-for", "10.1.2.3")
        .header("user-agent", "a client/1")
        .header("x-stainless-lang", "python");
    assert_eq!(proxy.send(ALICE, call).status, 200);
    let headers = mock.headers();
    assert_eq!(headers["authorization"], format!("Bearer {UPSTREAM_KEY}"));
    assert_eq!(headers["user-agent"], "a client/1");
    assert_eq!(headers["x-stainless-lang"], "python");
    let text = headers.to_string();
    for secret in [ALICE, "client-secret", "client-org", "10.1.2.3"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

fn same_as_direct(through: &Answer, direct: &Answer) {
    assert!(through.whole);
    assert_eq!(through.status, 200);
    assert_eq!(through.body.len(), direct.body.len());
    assert!(through.body == direct.body, "the bytes differ");
}

#[test]
fn a_stream_that_comes_as_json_is_charged_as_json() {
    let (mock, proxy) = start();
    let call = stream(json!({ "stream_options": { "include_usage": true } }))
        .header("x-mock-fault", "json-for-stream")
        .header("x-mock-prompt", 21)
        .header("x-mock-completion", 4);
    let direct = call.send(&mock.address);
    let through = proxy.send(ALICE, call);
    same_as_direct(&through, &direct);
    assert_eq!(through.header("x-tollgate-cost"), cost(21, 4));
    assert_eq!(through.header("x-tollgate-counted"), "exact");
}

#[test]
fn an_answer_too_large_to_hold_flows_and_ends_only_once_it_is_charged() {
    let (mock, proxy) = start_with(|setup| {
        setup
            .cap("answer_hold_bytes", 4096)
            .cap("answer_tail_bytes", 2048)
    });
    for bytes in [5_000, 100_000, 3_000_000] {
        let call = chat(json!({}))
            .header("x-mock-bytes", bytes)
            .header("x-mock-prompt", 12);
        let direct = call.send(&mock.address);
        let through = proxy.send(ALICE, call.header("te", "trailers"));
        same_as_direct(&through, &direct);
        assert!(!through.headers.has("x-tollgate-cost"));
        assert!(through.headers.has("x-tollgate-hold"));
        assert_eq!(
            through.trailers.get("x-tollgate-cost"),
            Some(&*cost(12, 16))
        );
        // No waiting: whoever has seen the end has been charged.
        let id = through.header("x-tollgate-request-id");
        let receipt = proxy.view(ALICE, &format!("/v1/receipts/{id}"));
        assert_eq!(receipt["usage"], json!({ "input": 12, "output": 16 }));
        assert_eq!(receipt["counted"], "exact");
    }
}

#[test]
fn keep_alive_blanks_are_held_back_for_a_while() {
    let (mock, proxy) = start();
    let call = chat(json!({}))
        .header("x-mock-fault", "blanks=3")
        .header("x-mock-chunk-ms", 20)
        .header("x-mock-prompt", 12);
    let direct = call.send(&mock.address);
    let through = proxy.send(ALICE, call);
    same_as_direct(&through, &direct);
    assert_eq!(through.header("x-tollgate-cost"), cost(12, 16));
}

#[test]
fn keep_alive_blanks_flow_once_the_wait_is_long() {
    let (mock, proxy) = start_with(|setup| setup.cap("answer_hold_ms", 100));
    let call = chat(json!({}))
        .header("x-mock-fault", "blanks=20")
        .header("x-mock-chunk-ms", 30)
        .header("x-mock-prompt", 12);
    let direct = call.send(&mock.address);
    let through = proxy.send(ALICE, call);
    same_as_direct(&through, &direct);
    assert!(!through.headers.has("x-tollgate-cost"));
    let id = through.header("x-tollgate-request-id");
    let receipt = proxy.view(ALICE, &format!("/v1/receipts/{id}"));
    assert_eq!(receipt["cost"], cost(12, 16));
    assert_eq!(receipt["counted"], "exact");
}

#[test]
fn an_answer_that_says_nothing_costs_nothing() {
    let (mock, proxy) = start();
    for fault in ["html", "empty"] {
        for call in [chat(json!({})), stream(json!({}))] {
            let call = call.header("x-mock-fault", fault);
            let direct = call.send(&mock.address);
            let through = proxy.send(ALICE, call);
            same_as_direct(&through, &direct);
            assert_eq!(through.header("x-tollgate-cost"), "0", "{fault}");
        }
    }
    let wallet = proxy.idle_wallet("alice");
    assert_eq!(
        (&wallet["balance"], &wallet["held"]),
        (&json!("10"), &json!("0"))
    );
    assert_eq!(proxy.receipts("alice"), Vec::<Value>::new());
}

#[test]
fn an_empty_stream_costs_nothing_and_is_no_silent_success() {
    let upstream = RawUpstream::answering(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 0\r\n\r\n",
    );
    let (_mock, proxy) =
        start_with(|setup| setup.upstream("mock", json!({ "base_url": upstream.base_url() })));
    let answer = proxy.send(ALICE, stream(json!({})));
    assert!(answer.text().contains("upstream_unavailable"), "{answer:?}");
    assert_eq!(proxy.idle_wallet("alice")["balance"], "10");
}
