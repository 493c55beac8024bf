//! Embeddings: charged by their input alone, as it was reported, else as it is counted here.

use serde_json::{Value, json};

use crate::support::raw::RawUpstream;
use crate::support::refusal::names;
use crate::support::setup::ALICE;
use crate::support::{Answer, Call, Mock, Proxy, Retry, Setup, chat, decimal, refusal, start_with};

const DATA: &str = r#""object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-0.5]}],"model":"m""#;

/// What `vendor/embedding` costs: 2 per 1M tokens.
fn price(input: u64) -> String {
    decimal(i64::try_from(input * 2_000).expect("a small amount"))
}

fn answering(usage: &str) -> RawUpstream {
    RawUpstream::json(200, &format!("{{{DATA}{usage}}}"))
}

fn with_embeddings(setup: Setup, upstream: &RawUpstream) -> Setup {
    setup
        .upstream("raw", json!({ "base_url": upstream.base_url() }))
        .model(json!({
            "id": "vendor/embedding", "category": "embedding", "upstream": "raw",
            "context_tokens": 8192, "overhead_tokens": 16, "prices": [{ "per": "1M tokens", "input": 2 }],
        }))
}

fn before(upstream: &RawUpstream) -> (Mock, Proxy) {
    start_with(|setup| with_embeddings(setup, upstream))
}

fn embed(input: Value) -> Call {
    let body = json!({ "model": "vendor/embedding", "input": input, "encoding_format": "float" });
    Call::json("/v1/embeddings", &body)
}

fn receipt_of(proxy: &Proxy, answer: &Answer) -> Value {
    let id = answer.header("x-tollgate-request-id");
    proxy.view(ALICE, &format!("/v1/receipts/{id}"))
}

#[test]
fn embeddings_are_charged_as_their_upstream_counted_them() {
    for usage in [
        r#"{"prompt_tokens":7,"total_tokens":7}"#,
        r#"{"prompt_tokens":7,"completion_tokens":0,"total_tokens":7}"#,
        r#"{"total_tokens":7}"#,
        r#"{"prompt_tokens":0,"total_tokens":7}"#,
    ] {
        let upstream = answering(&format!(r#","usage":{usage}"#));
        let (_mock, proxy) = before(&upstream);
        let call = embed(json!(["one", "two"]));
        let answer = proxy.send(ALICE, call);
        assert_eq!(answer.text(), format!(r#"{{{DATA},"usage":{usage}}}"#));
        assert_eq!(answer.header("x-tollgate-usage"), "input=7", "{usage}");
        assert_eq!(answer.header("x-tollgate-counted"), "exact", "{usage}");
        assert_eq!(answer.header("x-tollgate-cost"), price(7), "{usage}");
        let receipt = receipt_of(&proxy, &answer);
        assert_eq!(receipt["endpoint"], "/embeddings");
        assert_eq!(receipt["shortfall"], "0");
        let body = upstream.last_body();
        assert_eq!(body["input"], json!(["one", "two"]));
        assert_eq!(body["encoding_format"], "float");
        proxy.audit();
    }
}

#[test]
fn the_hold_is_the_bytes_of_the_input_and_no_output() {
    let upstream = answering(r#","usage":{"prompt_tokens":7,"total_tokens":7}"#);
    let (_mock, proxy) = before(&upstream);
    for (input, most) in [
        (json!("one"), 8_192),
        (json!([1, 2, 3]), 8_192),
        (json!(["x".repeat(20_000)]), 8_192),
        (json!(["x".repeat(20_000), "y"]), 2 * 8_192),
        (json!(vec![[1, 2, 3]; 2_048]), 2_048 * 8_192),
    ] {
        let body = json!({ "model": "vendor/embedding", "input": input });
        let bytes = body.to_string().len() as u64;
        let answer = proxy.send(ALICE, Call::json("/v1/embeddings", &body));
        assert_eq!(answer.status, 200);
        let bound = (bytes + 16).min(most);
        assert_eq!(answer.header("x-tollgate-hold"), price(bound));
    }
}

#[test]
fn an_instruction_is_held_for_every_input_and_a_named_one_whatever_its_length() {
    let upstream = answering(r#","usage":{"prompt_tokens":7,"total_tokens":7}"#);
    let (_mock, proxy) = before(&upstream);
    let hold = |fields: Value| {
        let mut body = json!({ "model": "vendor/embedding", "input": ["a", "b", "c"] });
        let all = body.as_object_mut().expect("an object");
        all.extend(fields.as_object().expect("an object").clone());
        let bytes = body.to_string().len() as u64;
        let answer = proxy.send(ALICE, Call::json("/v1/embeddings", &body));
        assert_eq!(answer.status, 200, "{fields}: {answer:?}");
        (answer.header("x-tollgate-hold").to_owned(), bytes + 16)
    };
    let (held, input) = hold(json!({ "instruction": "abcd" }));
    assert_eq!(held, price(input + 2 * 6));
    let (held, _) = hold(json!({ "prompt_name": "query" }));
    assert_eq!(held, price(3 * 8_192));
}

#[test]
fn what_is_not_reported_is_counted_here() {
    for (usage, flag) in [
        ("", "usage_missing"),
        (r#","usage":null"#, "usage_missing"),
        (
            r#","usage":{"prompt_tokens":-1,"total_tokens":1}"#,
            "usage_unbelievable",
        ),
    ] {
        let upstream = answering(usage);
        let (_mock, proxy) = before(&upstream);
        for (input, tokens) in [
            (json!("Once upon a time"), 4),
            (json!(["Once upon a time", "Once"]), 5),
            (json!([1, 2, 3]), 3),
            (json!([[1, 2], [3, 4]]), 4),
        ] {
            let answer = proxy.send(ALICE, embed(input));
            let receipt = receipt_of(&proxy, &answer);
            assert_eq!(receipt["usage"], json!({ "input": tokens }), "{receipt}");
            assert_eq!(receipt["counted"], "estimated");
            assert_eq!(receipt["flags"], json!([flag]));
            assert_eq!(receipt["cost"], price(tokens));
        }
    }
}

#[test]
fn an_answer_larger_than_what_is_held_back_is_metered_as_it_flows() {
    let row = r#"{"object":"embedding","index":0,"embedding":[0.0123456789,-0.0123456789,0.1]},"#;
    let data = row.repeat(3_000);
    let body = |usage: &str| {
        format!(
            r#"{{"object":"list","data":[{}],"model":"m"{usage}}}"#,
            data.trim_end_matches(',')
        )
    };
    for (usage, counted, tokens) in [
        (
            r#","usage":{"prompt_tokens":7,"total_tokens":7}"#,
            "exact",
            7,
        ),
        ("", "estimated", 4),
    ] {
        let upstream = RawUpstream::json(200, &body(usage));
        let (_mock, proxy) =
            start_with(|setup| with_embeddings(setup, &upstream).cap("answer_hold_bytes", 65_536));
        let answer = proxy.send(ALICE, embed(json!("Once upon a time")));
        assert!(answer.whole && answer.text() == body(usage));
        let receipt = receipt_of(&proxy, &answer);
        assert_eq!(receipt["counted"], counted, "{receipt}");
        assert_eq!(receipt["cost"], price(tokens), "{receipt}");
    }
}

#[test]
fn nothing_delivered_costs_nothing() {
    for (status, body) in [
        (200, r#"{"object":"list","data":[],"model":"m"}"#),
        (200, r#"{"error":{"message":"no"}}"#),
        (500, r#"{"error":{"message":"no"}}"#),
    ] {
        let upstream = RawUpstream::json(status, body);
        let (_mock, proxy) = before(&upstream);
        let answer = proxy.send(ALICE, embed(json!("one")));
        assert_eq!((answer.status, answer.text()), (status, body.to_owned()));
        assert_eq!(proxy.idle_wallet("alice")["balance"], "10", "{body}");
    }
}

#[test]
fn an_answer_that_cannot_be_metered_is_not_delivered() {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 5\r\n\r\n<p>x\n";
    let upstreams = [
        RawUpstream::answering(page),
        RawUpstream::json(200, r#"{"vectors":[[1,2]]}"#),
        RawUpstream::events(&[r#"{"data":[]}"#]),
    ];
    for upstream in &upstreams {
        let (_mock, proxy) = before(upstream);
        let answer = proxy.send(ALICE, embed(json!("one")));
        refusal(&answer, 502, "upstream_unavailable", Retry::ByStatus);
        assert_eq!(proxy.idle_wallet("alice")["balance"], "10");
    }
}

#[test]
fn embedding_models_and_the_others_have_paths_of_their_own() {
    let upstream = answering("");
    let (mock, proxy) = before(&upstream);
    let chatting = proxy.send(ALICE, chat(json!({ "model": "vendor/embedding" })));
    let message = refusal(&chatting, 400, "invalid_request_error", Retry::ByStatus);
    names(&message, &["POST /v1/embeddings"]);
    let other = json!({ "model": "vendor/chat", "input": "one" });
    let embedding = proxy.send(ALICE, Call::json("/v1/embeddings", &other));
    let message = refusal(&embedding, 400, "invalid_request_error", Retry::ByStatus);
    names(
        &message,
        &["POST /v1/chat/completions and POST /v1/completions"],
    );
    for (fields, param) in [
        (json!({ "input": [] }), "input"),
        (json!({ "input": ["a", 1] }), "input[1]"),
        (json!({ "input": "a", "stream": true }), "stream"),
    ] {
        let mut body = json!({ "model": "vendor/embedding" });
        body.as_object_mut()
            .expect("an object")
            .extend(fields.as_object().expect("one").clone());
        let answer = proxy.send(ALICE, Call::json("/v1/embeddings", &body));
        refusal(&answer, 400, "invalid_request_error", Retry::ByStatus);
        assert_eq!(answer.json()["error"]["param"], param);
    }
    assert_eq!((mock.arrived(), upstream.seen()), (0, 0));
    let models = proxy.view(ALICE, "/v1/models/vendor/embedding");
    assert_eq!(models["category"], "embedding");
}
