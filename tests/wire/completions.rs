//! Completions of plain text: held for every text that they may write, charged for what was reported, else counted.

use serde_json::{Value, json};

use crate::cost;
use crate::support::raw::RawUpstream;
use crate::support::refusal::names;
use crate::support::setup::ALICE;
use crate::support::{Answer, Call, Mock, Proxy, Retry, decimal, nano, refusal, start_with};

const WHOLE: &str = r#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":" one two","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":23,"completion_tokens":9,"total_tokens":32}}"#;
const CHUNKS: [&str; 2] = [
    r#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":" one","index":0,"logprobs":null,"finish_reason":null}]}"#,
    r#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":" two","index":0,"logprobs":null,"finish_reason":"stop"}]}"#,
];
const USAGE_CHUNK: &str = r#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":23,"completion_tokens":9,"total_tokens":32}}"#;

/// A request to `vendor/chat`, with these fields too.
fn completion(fields: Value) -> Call {
    let mut body = json!({ "model": "vendor/chat", "prompt": "Once upon a time" });
    let all = body.as_object_mut().expect("an object");
    all.extend(fields.as_object().expect("an object").clone());
    Call::json("/v1/completions", &body)
}

/// A proxy whose `vendor/chat` is served by `upstream`. The mock serves the rest.
fn before(upstream: &RawUpstream) -> (Mock, Proxy) {
    start_with(|setup| {
        setup
            .upstream("raw", json!({ "base_url": upstream.base_url() }))
            // The field of a chat is not one of completions.
            .model(json!({
                "id": "vendor/chat", "upstream": "raw", "max_tokens_field": "max_completion_tokens",
            }))
            .key(json!({ "name": "alice", "on_short": "clamp" }))
    })
}

fn receipt_of(proxy: &Proxy, answer: &Answer) -> Value {
    let id = answer.header("x-tollgate-request-id");
    proxy.view(ALICE, &format!("/v1/receipts/{id}"))
}

#[test]
fn a_completion_is_charged_as_its_upstream_counted_it() {
    let upstream = RawUpstream::json(200, WHOLE);
    let (_mock, proxy) = before(&upstream);
    let answer = proxy.send(ALICE, completion(json!({ "max_tokens": 100 })));
    assert_eq!(answer.text(), WHOLE);
    assert_eq!(answer.header("x-tollgate-usage"), "input=23, output=9");
    assert_eq!(answer.header("x-tollgate-counted"), "exact");
    assert_eq!(answer.header("x-tollgate-cost"), cost(23, 9));
    let receipt = receipt_of(&proxy, &answer);
    assert_eq!(receipt["endpoint"], "/completions");
    assert_eq!(receipt["cost"], cost(23, 9));
    let sent = json!({ "model": "vendor/chat", "prompt": "Once upon a time", "max_tokens": 100 });
    assert_eq!(upstream.last_body(), sent);
    let left = nano("10") - nano(&cost(23, 9));
    assert_eq!(proxy.idle_wallet("alice")["balance"], decimal(left));
    proxy.audit();
}

#[test]
fn every_text_that_may_be_written_is_held() {
    let upstream = RawUpstream::json(200, WHOLE);
    let (_mock, proxy) = before(&upstream);
    for (fields, output, extra) in [
        (json!({}), 4_096, 0),
        (json!({ "max_tokens": 100 }), 100, 0),
        (json!({ "max_tokens": 100, "n": 3 }), 300, 0),
        (json!({ "max_tokens": 100, "n": 2, "best_of": 4 }), 400, 0),
        (
            json!({ "max_tokens": 100, "prompt": ["a", "b"], "n": 3 }),
            600,
            0,
        ),
        (
            json!({ "max_tokens": 100, "prompt": [[1, 2], [3]] }),
            200,
            0,
        ),
        (json!({ "max_tokens": 100, "prompt": [1, 2, 3] }), 100, 0),
        // The prompt as JSON, `"ab"`, may come back with each choice.
        (
            json!({ "max_tokens": 100, "prompt": "ab", "echo": true, "n": 2 }),
            200,
            2 * 4,
        ),
        (
            json!({ "max_tokens": 0, "echo": true, "prompt": "ab" }),
            4_096,
            4,
        ),
    ] {
        let call = completion(fields.clone());
        let request = call.bytes();
        let body = request.windows(4).position(|end| end == b"\r\n\r\n");
        let body = (request.len() - body.expect("a body") - 4) as u64;
        let answer = proxy.send(ALICE, call);
        assert_eq!(answer.status, 200, "{fields}: {answer:?}");
        let held = cost(body + 64, output + extra);
        assert_eq!(answer.header("x-tollgate-hold"), held, "{fields}");
    }
}

#[test]
fn a_stream_is_asked_for_usage_that_only_those_see_who_asked() {
    let upstream = RawUpstream::events(&[CHUNKS[0], CHUNKS[1], USAGE_CHUNK]);
    let (_mock, proxy) = before(&upstream);
    let event = |data: &str| format!("data: {data}\n\n");
    for (options, asked) in [
        (json!({ "stream": true }), false),
        (
            json!({ "stream": true, "stream_options": { "include_usage": true } }),
            true,
        ),
    ] {
        let answer = proxy.send(ALICE, completion(options));
        let receipt = receipt_of(&proxy, &answer);
        assert_eq!(receipt["usage"], json!({ "input": 23, "output": 9 }));
        assert_eq!(receipt["counted"], "exact");
        assert_eq!(receipt["streamed"], true);
        assert_eq!(receipt["cost"], cost(23, 9));
        let sent = upstream.last_body();
        assert_eq!(sent["stream_options"], json!({ "include_usage": true }));
        let mut events = answer.events();
        let comment = events.remove(events.len() - 2);
        assert!(comment.starts_with(": tollgate "), "{comment}");
        let told = format!(r#","cost":"{}"}}}}"#, cost(23, 9));
        let priced = USAGE_CHUNK.replace("}}", &told);
        let mut expected: Vec<String> = CHUNKS.map(event).into();
        expected.extend(asked.then(|| event(&priced)));
        expected.push("data: [DONE]\n\n".to_owned());
        assert_eq!(events, expected);
    }
}

#[test]
fn what_is_not_reported_is_counted_here_without_the_frame_of_a_chat() {
    let silent = WHOLE.replace(
        r#","usage":{"prompt_tokens":23,"completion_tokens":9,"total_tokens":32}"#,
        "",
    );
    let whole = RawUpstream::json(200, &silent);
    let echoed = RawUpstream::json(200, &silent.replace(" one", "Once upon a time one"));
    let streamed = RawUpstream::events(&CHUNKS);
    // "Once upon a time" is four tokens of o200k_base, and so is each word of the answers one.
    for (upstream, fields, input) in [
        (&whole, json!({}), 4),
        (&whole, json!({ "prompt": ["Once", " upon a time"] }), 4),
        (&whole, json!({ "prompt": [15, 16, 17, 18, 19] }), 5),
        (&whole, json!({ "prompt": [[15, 16], [17]] }), 3),
        (&whole, json!({ "suffix": " a time" }), 6),
        (
            &whole,
            json!({ "suffix": " a time", "prompt": ["Once", " upon"] }),
            6,
        ),
        (&echoed, json!({ "echo": true }), 4),
        // Asked for, but it did not come.
        (&whole, json!({ "echo": true }), 4),
        (&streamed, json!({ "stream": true }), 4),
    ] {
        let (_mock, proxy) = before(upstream);
        let answer = proxy.send(ALICE, completion(fields.clone()));
        let receipt = receipt_of(&proxy, &answer);
        let usage = json!({ "input": input, "output": 2 });
        assert_eq!(receipt["usage"], usage, "{fields}: {receipt}");
        assert_eq!(receipt["counted"], "estimated", "{fields}");
        assert_eq!(receipt["flags"], json!(["usage_missing"]), "{fields}");
        assert_eq!(receipt["cost"], cost(input, 2), "{fields}");
    }
}

#[test]
fn candidates_that_are_not_shown_are_charged_where_nothing_is_reported() {
    let usage = r#","usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":90}"#;
    let reported = r#","usage":{"prompt_tokens":23,"completion_tokens":9,"total_tokens":32}"#;
    for (usage, flag) in [("", "usage_missing"), (usage, "usage_unbelievable")] {
        let upstream = RawUpstream::json(200, &WHOLE.replace(reported, usage));
        let (_mock, proxy) = before(&upstream);
        for (fields, output) in [
            (json!({ "best_of": 5 }), 10),
            (json!({ "best_of": 5, "n": 2 }), 5),
            // Never more than what was held.
            (json!({ "best_of": 5, "max_tokens": 1 }), 5),
        ] {
            let answer = proxy.send(ALICE, completion(fields.clone()));
            let receipt = receipt_of(&proxy, &answer);
            let usage = json!({ "input": 4, "output": output });
            assert_eq!(receipt["usage"], usage, "{fields}: {receipt}");
            assert_eq!(receipt["counted"], "estimated", "{fields}");
            assert_eq!(receipt["flags"], json!([flag]), "{fields}");
        }
    }
}

#[test]
fn a_stream_that_breaks_off_is_charged_as_far_as_it_came() {
    let body = format!("data: {}\n\n", CHUNKS[0]);
    let upstream = RawUpstream::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    let (_mock, proxy) = before(&upstream);
    let answer = proxy.send(ALICE, completion(json!({ "stream": true })));
    assert!(answer.text().starts_with(&body), "{answer:?}");
    let receipt = receipt_of(&proxy, &answer);
    assert_eq!(receipt["usage"], json!({ "input": 4, "output": 1 }));
    assert_eq!(receipt["counted"], "partial");
    assert_eq!(receipt["flags"], json!(["usage_missing", "upstream_cut"]));
    assert_eq!(receipt["cost"], cost(4, 1));
}

#[test]
fn whoever_is_short_gets_a_lower_maximum() {
    let upstream = RawUpstream::json(200, WHOLE);
    let (_mock, proxy) = before(&upstream);
    let (poor, _) = proxy.create_key(&json!({
        "name": "poor", "balance": "0.02", "on_short": "clamp",
    }));
    for (fields, texts) in [
        (json!({}), 1),
        (json!({ "max_tokens": 4_000 }), 1),
        (
            json!({ "max_tokens": null, "prompt": ["a", "b"], "best_of": 2 }),
            4,
        ),
    ] {
        let answer = proxy.send(&poor, completion(fields.clone()));
        assert_eq!(answer.status, 200, "{fields}: {answer:?}");
        let sent = upstream.last_body();
        let maximum = sent["max_tokens"].as_u64().expect("a maximum");
        assert!((1..4_000).contains(&maximum), "{fields}: {maximum}");
        let held = nano(answer.header("x-tollgate-hold"));
        let output = i64::try_from(maximum * texts * 16_000).expect("a small amount");
        assert!(output <= held && held <= nano("0.02"), "{fields}: {held}");
    }
    // A maximum of 0 is not lowered, and to raise it is not asked for.
    let zero = proxy.send(&poor, completion(json!({ "max_tokens": 0 })));
    refusal(&zero, 402, "insufficient_quota", Retry::Never);
}

#[test]
fn what_cannot_be_priced_is_refused_before_it_is_sent() {
    let upstream = RawUpstream::json(200, WHOLE);
    let (_mock, proxy) = before(&upstream);
    for (fields, param) in [
        (json!({ "n": 2, "best_of": 1 }), "best_of"),
        (json!({ "stream": true, "best_of": 2 }), "best_of"),
        (json!({ "prompt": ["a", 1] }), "prompt[1]"),
        (json!({ "prompt_embeds": "AA" }), "prompt_embeds"),
        (json!({ "bootstrap_host": "10.0.0.1" }), "bootstrap_host"),
        (json!({ "session_params": { "id": "1" } }), "session_params"),
        (json!({ "max_tokens": 4_097 }), "max_tokens"),
        (
            json!({ "max_tokens": 5, "max_completion_tokens": 5 }),
            "max_completion_tokens",
        ),
        (json!({ "model": "vendor/image" }), "model"),
    ] {
        let answer = proxy.send(ALICE, completion(fields));
        refusal(&answer, 400, "invalid_request_error", Retry::ByStatus);
        assert_eq!(answer.json()["error"]["param"], param);
    }
    let unknown = proxy.send(ALICE, Call::json("/v1/audio/songs", &json!({})));
    let message = refusal(&unknown, 404, "unknown_url", Retry::ByStatus);
    names(&message, &["POST /v1/completions", "POST /v1/embeddings"]);
    assert_eq!(upstream.seen(), 0);
    assert_eq!(proxy.idle_wallet("alice")["balance"], "10");
}
