//! Streams: the upstream's events, and nothing but the documented additions.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cost;
use crate::support::setup::ALICE;
use crate::support::{Answer, Call, start, start_with, stream};

const DONE: &str = "data: [DONE]\n\n";

fn asking() -> Value {
    json!({ "stream_options": { "include_usage": true } })
}

fn sized(call: Call) -> Call {
    call.header("x-mock-prompt", 30)
        .header("x-mock-completion", 7)
}

/// Takes the receipt's comment out, which must stand right before the end marker.
fn without_comment(answer: &Answer) -> (Vec<String>, Value) {
    assert!(answer.whole, "{answer:?}");
    let mut events = answer.events();
    assert_eq!(events.last().map(String::as_str), Some(DONE), "{answer:?}");
    let comment = events.remove(events.len() - 2);
    let receipt = comment.strip_prefix(": tollgate ").expect("a comment");
    assert!(!events.iter().any(|event| event.starts_with(':')));
    (events, serde_json::from_str(receipt).expect("JSON"))
}

#[test]
fn a_client_that_asks_for_usage_gets_it_with_its_cost() {
    let (mock, proxy) = start();
    let call = sized(stream(asking()));
    let direct = call.send(&mock.address);
    let through = proxy.send(ALICE, call);
    let (events, receipt) = without_comment(&through);
    assert_eq!(receipt["cost"], cost(30, 7));
    let priced = format!(",\"cost\":\"{}\"", cost(30, 7));
    assert_eq!(events.concat().matches("cost").count(), 1);
    assert_eq!(events.concat().replace(&priced, ""), direct.text());
    let usage: Value = serde_json::from_str(&events[events.len() - 2][6..]).expect("JSON");
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["cost"], cost(30, 7));
}

/// Rivals: headroom #2026: the usage chunk that the gateway had asked for reached clients that index `choices[0]`.
#[test]
fn a_client_that_does_not_ask_gets_every_event_but_the_usage_chunk() {
    let (mock, proxy) = start();
    let direct = sized(stream(asking())).send(&mock.address);
    let mut expected = direct.events();
    expected.remove(expected.len() - 2);
    for options in [
        json!({}),
        json!({ "stream_options": { "include_usage": false } }),
    ] {
        let through = proxy.send(ALICE, sized(stream(options)));
        let (events, receipt) = without_comment(&through);
        assert_eq!(events, expected);
        assert_eq!(receipt["usage"], json!({ "input": 30, "output": 7 }));
        let sent: Value = serde_json::from_slice(&mock.last_body()).expect("JSON");
        assert_eq!(sent["stream_options"], json!({ "include_usage": true }));
    }
}

#[test]
fn an_upstream_that_is_not_to_be_asked_gets_the_clients_options() {
    let (mock, proxy) = start_with(|setup| setup.upstream("mock", json!({ "ask_usage": "never" })));
    let direct = sized(stream(json!({}))).send(&mock.address);
    let through = proxy.send(ALICE, sized(stream(json!({}))));
    let (events, receipt) = without_comment(&through);
    assert_eq!(events.concat(), direct.text());
    assert_eq!(receipt["counted"], "estimated");
    let sent: Value = serde_json::from_slice(&mock.last_body()).expect("JSON");
    assert_eq!(sent.get("stream_options"), None);
}

#[test]
fn a_streams_headers_say_what_is_known_and_its_comment_the_rest() {
    let (_mock, proxy) = start();
    let answer = proxy.send(ALICE, sized(stream(json!({}))));
    assert_eq!(
        answer.headers.names("x-tollgate-"),
        [
            "balance",
            "currency",
            "hold",
            "model",
            "price-version",
            "request-id",
            "upstream-request-id"
        ]
    );
    assert_eq!(answer.trailers.0, []);
    assert!(!answer.headers.has("trailer"));
    let (_, comment) = without_comment(&answer);
    let id = answer.header("x-tollgate-request-id");
    // No waiting: whoever has seen the end has been charged.
    let receipt = proxy.view(ALICE, &format!("/v1/receipts/{id}"));
    for (name, value) in comment.as_object().expect("an object") {
        match name.as_str() {
            "balance" => assert_eq!(value, &proxy.view(ALICE, "/v1/balance")["balance"]),
            name => assert_eq!(value, &receipt[name], "{name}"),
        }
    }
    let mut names: Vec<&String> = comment.as_object().expect("an object").keys().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "balance",
            "cost",
            "counted",
            "currency",
            "free",
            "model",
            "price_version",
            "request_id",
            "usage"
        ]
    );
}

#[test]
fn a_streams_headers_tell_its_limits_with_the_worst_case_taken() {
    let (_mock, proxy) = start_with(|setup| {
        setup.key(json!({ "name": "alice", "limits": [
            { "tokens": 10_000, "per": "day" }, { "requests": 60, "per": "minute" },
        ]}))
    });
    let answer = proxy.send(ALICE, sized(stream(json!({ "max_tokens": 1_000 }))));
    let limit = answer.header("x-tollgate-limit-tokens-day");
    assert!(limit.starts_with("cap=10000, remaining=8"), "{limit}");
    assert_eq!(answer.header("x-ratelimit-limit-requests"), "60");
    let after = &proxy.view(ALICE, "/v1/balance")["limits"][0];
    assert_eq!((&after["used"], &after["held"]), (&json!(37), &json!(0)));
}

#[test]
fn trailers_come_to_those_who_take_them() {
    let (_mock, proxy) = start();
    let answer = proxy.send(ALICE, sized(stream(json!({}))).header("te", "trailers"));
    let trailers = &answer.trailers;
    assert_eq!(
        trailers.names("x-tollgate-"),
        ["balance", "cost", "counted", "free", "usage"]
    );
    assert_eq!(trailers.get("x-tollgate-cost"), Some(&*cost(30, 7)));
    assert_eq!(trailers.get("x-tollgate-usage"), Some("input=30, output=7"));
    assert_eq!(trailers.get("x-tollgate-counted"), Some("exact"));
    let announced = answer.header("trailer");
    for (name, _) in &trailers.0 {
        assert!(announced.contains(name), "{name} was not announced");
    }
    let quality = proxy.send(
        ALICE,
        sized(stream(json!({}))).header("te", "gzip, Trailers"),
    );
    assert!(!quality.trailers.0.is_empty());
}

#[test]
fn no_event_has_a_name() {
    let (_mock, proxy) = start();
    let answer = proxy.send(ALICE, sized(stream(asking())));
    for event in answer.events() {
        assert!(
            event.starts_with("data: ") || event.starts_with(": "),
            "{event}"
        );
    }
}

#[test]
fn streams_and_answers_share_a_connection() {
    let (mock, proxy) = start();
    let call = sized(stream(json!({}))).key(ALICE);
    let (first, mut connection) = call.open(&proxy.address).finish_and_keep();
    assert!(first.whole);
    connection.write(&sized(crate::support::chat(json!({}))).key(ALICE).bytes());
    let second = connection.answer().finish();
    assert_eq!(second.header("x-tollgate-cost"), cost(30, 7));
    assert_ne!(
        first.header("x-tollgate-request-id"),
        second.header("x-tollgate-request-id")
    );
    assert_eq!(mock.totals()["requests"], 2);
}

/// Rivals: two gateways in Rust, as their boards say: tokens waited 40 ms for acknowledgements.
#[test]
fn small_chunks_do_not_wait_for_acknowledgements() {
    let (_mock, proxy) = start();
    let chunks = 150_u32;
    let call = stream(json!({}))
        .header("x-mock-completion", chunks)
        .header("x-mock-chunk-ms", 1);
    let begun = Instant::now();
    let answer = proxy.send(ALICE, call);
    assert!(answer.whole);
    // Nagle's algorithm against delayed acknowledgements would cost 40 ms for most of them.
    let stalled = Duration::from_millis(40) * chunks;
    assert!(begun.elapsed() < stalled / 2, "{:?}", begun.elapsed());
}

#[test]
fn events_leave_as_they_come() {
    let (_mock, proxy) = start();
    let call = stream(json!({})).header("x-mock-fault", "hang-after=2");
    let mut exchange = proxy.open(ALICE, call);
    let role = exchange.event().expect("the first");
    assert!(role.contains("\"role\":\"assistant\""), "{role}");
    // The upstream is silent after these two, so they cannot have waited for more.
    for word in [" the", " of"] {
        let event = exchange.event().expect("an event");
        assert!(
            event.contains(&format!("{{\"content\":\"{word}\"}}")),
            "{event}"
        );
    }
}
