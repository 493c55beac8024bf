//! Fields that would send a request elsewhere, or be read in two ways, or hide what is to be paid.

use serde_json::{Value, json};

use crate::support::setup::{ALICE, BOB, UPSTREAM_KEY};
use crate::support::{Call, RawUpstream, Retry, chat, image, refusal, start};

#[test]
fn a_body_cannot_choose_its_upstream_or_credential() {
    let (mock, proxy) = start();
    let elsewhere = RawUpstream::json(200, "{}");
    for field in [
        "api_base",
        "base_url",
        "api_key",
        "apiBase",
        "api_version",
        "extra_headers",
    ] {
        let value = match field {
            "extra_headers" => json!({ "authorization": "Bearer x" }),
            _ => json!(elsewhere.base_url()),
        };
        let answer = proxy.send(ALICE, chat(json!({ field: value })));
        // Refused, or passed on to the one upstream as what it is: a field of the body.
        assert!([200, 400].contains(&answer.status), "{answer:?}");
    }
    assert_eq!(elsewhere.seen(), 0);
    if mock.arrived() > 0 {
        assert_eq!(
            mock.headers()["authorization"],
            format!("Bearer {UPSTREAM_KEY}")
        );
    }
}

#[test]
fn a_field_that_is_there_twice_is_refused() {
    let (mock, proxy) = start();
    for body in [
        r#"{"model":"free/chat","model":"vendor/chat","messages":[]}"#,
        r#"{"model":"free/chat","mod\u0065l":"vendor/chat","messages":[]}"#,
        r#"{"model":"vendor/chat","max_tokens":1,"max_tokens":4096,"messages":[]}"#,
        r#"{"model":"vendor/chat","stream":false,"messages":[],"stream":true}"#,
        r#"{"model":"vendor/chat","n":1,"n":100,"messages":[]}"#,
        r#"{"model":"vendor/chat","messages":[],"messages":[{"role":"user","content":"a"}]}"#,
        r#"{"model":"vendor/chat","messages":[],"stream_options":{"include_usage":false,"include_usage":true}}"#,
        r#"{"model":"vendor/chat","messages":[{"role":"user","content":"a","content":"b"}]}"#,
    ] {
        let answer = proxy.send(ALICE, Call::post("/v1/chat/completions", body));
        let message = refusal(&answer, 400, "invalid_request_error", Retry::ByStatus);
        assert!(
            message.contains("twice") || message.contains("duplicate"),
            "{message}"
        );
    }
    assert_eq!(mock.arrived(), 0);
}

#[test]
fn a_compressed_body_is_refused() {
    let (mock, proxy) = start();
    for coding in [
        "gzip",
        "br",
        "zstd",
        "deflate",
        "identity, gzip",
        "x-unknown",
    ] {
        let answer = proxy.send(ALICE, chat(json!({})).header("content-encoding", coding));
        refusal(&answer, 400, "invalid_request_error", Retry::ByStatus);
    }
    assert_eq!(mock.arrived(), 0);
    let plain = chat(json!({})).header("content-encoding", "identity");
    assert_eq!(proxy.send(ALICE, plain).status, 200);
}

#[test]
fn what_lives_in_the_upstreams_account_is_out_of_reach() {
    let (mock, proxy) = start();
    for fields in [
        json!({ "background": true }),
        json!({ "previous_response_id": "resp_1" }),
        json!({ "conversation": "conv_1" }),
    ] {
        let answer = proxy.send(ALICE, chat(fields.clone()));
        refusal(&answer, 400, "invalid_request_error", Retry::ByStatus);
        assert!(!answer.json()["error"]["param"].is_null(), "{fields}");
    }
    let file = json!({ "messages": [{ "role": "user", "content": [
        { "type": "file", "file": { "file_id": "file-1" } },
    ]}]});
    let answer = proxy.send(ALICE, chat(file));
    refusal(&answer, 404, "object_not_found", Retry::ByStatus);
    assert_eq!(
        answer.json()["error"]["param"],
        "messages[0].content[0].file.file_id"
    );
    assert_eq!(mock.arrived(), 0);
}

#[test]
fn the_cheap_reading_of_a_number_is_not_available() {
    let (mock, proxy) = start();
    for n in [
        "1e2",
        "1.0",
        "\"2\"",
        "-1",
        "99999999999999999999",
        "[1]",
        "true",
    ] {
        let body = format!(r#"{{"model":"vendor/image","prompt":"a","n":{n}}}"#);
        let answer = proxy.send(ALICE, Call::post("/v1/images/generations", body));
        refusal(&answer, 400, "invalid_request_error", Retry::ByStatus);
    }
    assert_eq!(mock.arrived(), 0);
    let many = proxy.send(ALICE, image(json!({ "n": 1_000_000 })));
    refusal(&many, 400, "invalid_request_error", Retry::ByStatus);
}

#[test]
fn one_wallet_sees_nothing_of_another() {
    let (_mock, proxy) = start();
    let answer = proxy.send(ALICE, chat(json!({})));
    let id = answer.header("x-tollgate-request-id");
    for path in [
        format!("/v1/receipts/{id}"),
        format!("/v1/receipts/{id}/"),
        format!("/v1/receipts/../receipts/{id}"),
    ] {
        assert_eq!(proxy.send(BOB, Call::get(&path)).status, 404, "{path}");
    }
    assert_eq!(proxy.view(BOB, "/v1/balance")["balance"], "10");
    let usage: Value = proxy.view(BOB, "/v1/usage?wallet=alice&key=alice");
    assert_eq!(usage["data"], json!([]));
}

#[test]
fn request_ids_are_the_proxys_own_and_never_repeat() {
    let (_mock, proxy) = start();
    let mut seen = std::collections::BTreeSet::new();
    for index in 0..60 {
        let call = match index % 3 {
            0 => chat(json!({})),
            1 => chat(json!({ "model": "nobody/knows" })),
            _ => Call::post("/v1/nowhere", "{}"),
        };
        let call = call
            .header("x-request-id", "mine")
            .header("x-tollgate-request-id", "mine");
        let answer = proxy.send(ALICE, call);
        let id = answer.header("x-request-id");
        assert_eq!(answer.header("x-tollgate-request-id"), id);
        assert!(id.starts_with("req_") && id.len() == 36, "{id}");
        assert!(seen.insert(id.to_owned()), "{id} came twice");
    }
}
