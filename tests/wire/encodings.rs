//! Upstreams that encode their answers although they are asked not to: clients get, and pay for, what the answer
//! says.

use serde_json::{Value, json};

use crate::cost;
use crate::support::codings::encoded;
use crate::support::raw::RawUpstream;
use crate::support::setup::ALICE;
use crate::support::{Mock, Proxy, Retry, chat, image, refusal, start_with, stream};

const ANSWER: &str = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}"#;
const EVENTS: [&str; 4] = [
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n",
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" there\"}}]}\n\n",
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2,\"total_tokens\":12}}\n\n",
    "data: [DONE]\n\n",
];
const CODINGS: [&str; 5] = ["gzip", "deflate", "br", "zstd", "gzip, br"];

fn head(status: u16, kind: &str, coding: &str) -> String {
    format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: {kind}\r\ncontent-encoding: {coding}\r\nx-own: kept\r\n"
    )
}

/// An answer with this body, whole as HTTP has it.
fn whole(head: &str, body: &[u8]) -> Vec<u8> {
    let length = format!("content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), length.as_bytes(), body].concat()
}

fn before(upstream: &RawUpstream) -> (Mock, Proxy) {
    start_with(|setup| {
        setup.upstream(
            "mock",
            json!({ "base_url": upstream.base_url(), "idle_timeout_ms": 2_000 }),
        )
    })
}

fn untouched(proxy: &Proxy) {
    assert_eq!(proxy.idle_wallet("alice")["balance"], "10");
    assert_eq!(proxy.receipts("alice"), Vec::<Value>::new());
}

#[test]
fn an_encoded_answer_is_delivered_and_charged_as_what_it_says() {
    for coding in CODINGS {
        let body = encoded(coding, &[ANSWER.as_bytes()]).concat();
        let upstream = RawUpstream::answering(whole(&head(200, "application/json", coding), &body));
        let (_mock, proxy) = before(&upstream);
        let answer = proxy.send(ALICE, chat(json!({})).header("accept-encoding", "gzip, br"));
        assert_eq!(
            (answer.status, answer.text()),
            (200, ANSWER.to_owned()),
            "{coding}"
        );
        assert!(
            answer.whole && !answer.headers.has("content-encoding"),
            "{answer:?}"
        );
        assert_eq!(answer.header("content-length"), ANSWER.len().to_string());
        assert_eq!(answer.header("x-own"), "kept");
        assert_eq!(answer.header("x-tollgate-cost"), cost(10, 2));
        assert_eq!(answer.header("x-tollgate-counted"), "exact");
        assert!(upstream.last().contains("accept-encoding: identity"));
    }
}

#[test]
fn an_encoded_stream_flows_event_by_event_and_is_charged_as_what_it_says() {
    let asking = json!({ "stream_options": { "include_usage": true } });
    for coding in CODINGS {
        let events = encoded(coding, &EVENTS.map(str::as_bytes));
        let head = head(200, "text/event-stream", coding);
        let upstream = RawUpstream::answering(whole(&head, &events.concat()));
        let (_mock, proxy) = before(&upstream);
        let answer = proxy.send(ALICE, stream(asking.clone()));
        assert!(
            answer.whole && !answer.headers.has("content-encoding"),
            "{answer:?}"
        );
        let said = answer.events();
        assert_eq!(said[..2], EVENTS[..2], "{coding}");
        assert_eq!(said.last().map(String::as_str), Some(EVENTS[3]));
        let receipt = proxy.receipt(ALICE, answer.header("x-tollgate-request-id"));
        assert_eq!(
            (&receipt["cost"], &receipt["counted"]),
            (&json!(cost(10, 2)), &json!("exact"))
        );

        // The upstream says no more than its first event, and the client has it all the same.
        let begun = [format!("{head}\r\n").as_bytes(), &events[0]].concat();
        let upstream = RawUpstream::stalling(begun);
        let (_mock, proxy) = before(&upstream);
        let mut exchange = proxy.open(ALICE, stream(asking.clone()));
        assert_eq!(exchange.event().as_deref(), Some(EVENTS[0]), "{coding}");
    }
}

#[test]
fn an_encoded_answer_that_lacks_its_end_counts_as_cut() {
    for coding in CODINGS {
        let body = encoded(coding, &[ANSWER.as_bytes()]).concat();
        let short = &body[..body.len() - 1];
        let upstream = RawUpstream::answering(whole(&head(200, "application/json", coding), short));
        let (_mock, proxy) = before(&upstream);
        let answer = proxy.send(ALICE, chat(json!({})));
        refusal(&answer, 502, "upstream_unavailable", Retry::ByStatus);
        untouched(&proxy);

        let events = encoded(coding, &EVENTS.map(str::as_bytes));
        let head = head(200, "text/event-stream", coding);
        let upstream = RawUpstream::answering(whole(&head, &events[..2].concat()));
        let (_mock, proxy) = before(&upstream);
        let answer = proxy.send(ALICE, stream(json!({})));
        let said = answer.events();
        assert_eq!(said[..2], EVENTS[..2], "{coding}");
        assert!(
            said.last()
                .expect("an event")
                .contains("upstream_unavailable")
        );
        let receipt = proxy.receipt(ALICE, answer.header("x-tollgate-request-id"));
        assert_eq!(receipt["counted"], "partial");
        assert_eq!(receipt["flags"], json!(["usage_missing", "upstream_cut"]));
    }
}

#[test]
fn an_answer_that_expands_without_bound_is_given_up() {
    let blanks = vec![b' '; 64 << 20];
    for coding in ["gzip", "zstd"] {
        let bomb = encoded(coding, &[&blanks]).concat();
        let upstream = RawUpstream::answering(whole(&head(200, "application/json", coding), &bomb));
        let (_mock, proxy) = before(&upstream);
        for call in [chat(json!({})), image(json!({}))] {
            let answer = proxy.send(ALICE, call);
            refusal(&answer, 502, "upstream_unavailable", Retry::ByStatus);
        }
        proxy.logged("expands to more than");
        untouched(&proxy);
    }
}

#[test]
fn an_encoded_error_is_understood_and_passes_decoded() {
    const EMPTY: &str = r#"{"error":{"message":"m","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
    const BUSY: &str =
        r#"{"error":{"message":"m","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    for coding in CODINGS {
        let body = encoded(coding, &[EMPTY.as_bytes()]).concat();
        let upstream = RawUpstream::answering(whole(&head(429, "application/json", coding), &body));
        let (_mock, proxy) = before(&upstream);
        let answer = proxy.send(ALICE, chat(json!({})));
        refusal(&answer, 502, "upstream_unavailable", Retry::Never);
        untouched(&proxy);
        for status in [429, 400] {
            let body = encoded(coding, &[BUSY.as_bytes()]).concat();
            let answer = whole(&head(status, "application/json", coding), &body);
            let upstream = RawUpstream::answering(answer);
            let (_mock, proxy) = before(&upstream);
            let answer = proxy.send(ALICE, chat(json!({})));
            assert_eq!(
                (answer.status, answer.text()),
                (status, BUSY.to_owned()),
                "{coding}"
            );
            assert!(answer.whole && !answer.headers.has("content-encoding"));
            untouched(&proxy);
        }
    }
}

#[test]
fn a_coding_that_nobody_knows_is_not_delivered() {
    for coding in ["compress", "gzip, gzip, gzip"] {
        let upstream = RawUpstream::answering(whole(&head(200, "application/json", coding), b"{}"));
        let (_mock, proxy) = before(&upstream);
        let answer = proxy.send(ALICE, chat(json!({})));
        refusal(&answer, 502, "upstream_unavailable", Retry::ByStatus);
        proxy.logged("encodes its answer");
        untouched(&proxy);
    }
}
