//! Upstreams that fail: what passes, what is the operator's fault, what is tried elsewhere, and that none of it
//! is charged unless something was delivered.

use serde_json::{Value, json};

use crate::cost;
use crate::support::raw::RawUpstream;
use crate::support::setup::ALICE;
use crate::support::{
    Answer, Mock, Proxy, Retry, Setup, chat, image, refusal, start, start_with, stream,
};

/// Nothing was charged, and nothing is held.
fn untouched(proxy: &Proxy) {
    let wallet = proxy.idle_wallet("alice");
    assert_eq!(wallet["balance"], "10");
    assert_eq!(wallet["held"], "0");
    assert_eq!(proxy.receipts("alice"), Vec::<Value>::new());
    proxy.audit();
}

/// A proxy whose chat goes to `first` (a base URL), and to the mock where that may be.
fn two(first: &str) -> (Mock, Proxy) {
    start_with(|setup| {
        setup.upstream("first", json!({ "base_url": first })).model(
            json!({ "id": "vendor/chat", "upstream": [
                { "upstream": "first", "model": "first/chat", "priority": 0 },
                { "upstream": "mock", "model": "second/chat", "priority": 1 },
            ]}),
        )
    })
}

#[test]
fn an_error_passes_with_its_status_and_body_and_costs_nothing() {
    let (mock, proxy) = start();
    for status in [400, 404, 409, 413, 422, 429, 500, 501, 502, 503, 504] {
        for call in [chat(json!({})), stream(json!({})), image(json!({}))] {
            let call = call.header("x-mock-fault", format!("status={status}"));
            let direct = call.send(&mock.address);
            let through = proxy.send(ALICE, call);
            assert_eq!((through.status, through.whole), (status, true));
            assert_eq!(through.body, direct.body);
            assert_eq!(
                through.headers.get("retry-after"),
                direct.headers.get("retry-after")
            );
            assert!(through.headers.has("x-tollgate-request-id"));
            assert!(through.headers.has("x-tollgate-upstream-request-id"));
            assert!(!through.headers.has("x-tollgate-cost"));
        }
    }
    untouched(&proxy);
}

#[test]
fn a_refused_credential_is_the_operators_fault() {
    let (_mock, proxy) = start();
    for status in [401, 402] {
        for call in [chat(json!({})), stream(json!({}))] {
            let call = call.header("x-mock-fault", format!("status={status}"));
            let answer = proxy.send(ALICE, call);
            refusal(&answer, 502, "upstream_unavailable", Retry::Never);
            assert!(!answer.text().contains("mock"), "{answer:?}");
        }
    }
    proxy.logged("\"level\":\"ERROR\"");
    untouched(&proxy);
}

#[test]
fn a_403_is_the_operators_fault_only_where_it_speaks_of_the_credential() {
    let (_mock, proxy) = start();
    let moderated = proxy.send(ALICE, chat(json!({})).header("x-mock-fault", "status=403"));
    assert_eq!(moderated.status, 403);
    assert_eq!(moderated.json()["error"]["code"], "mock_fault");
    untouched(&proxy);

    let refuses = RawUpstream::json(403, r#"{"error":{"message":"m","code":"invalid_api_key"}}"#);
    let (_mock, proxy) = two(&refuses.base_url());
    let answer = proxy.send(ALICE, chat(json!({})));
    refusal(&answer, 502, "upstream_unavailable", Retry::Never);
    untouched(&proxy);
}

/// Rivals: litellm PR #39294: what another endpoint served was priced by the name that the model has there; and
/// each attempt held anew.
#[test]
fn another_endpoint_is_tried_where_the_first_says_that_it_did_nothing() {
    for status in [429, 502, 503] {
        let first = RawUpstream::json(status, r#"{"error":{"message":"busy"}}"#);
        let (mock, proxy) = two(&first.base_url());
        let answer = proxy.send(ALICE, chat(json!({})).header("x-mock-prompt", 10));
        assert_eq!(answer.status, 200, "{status}: {answer:?}");
        assert_eq!((first.seen(), mock.arrived()), (1, 1));
        assert_eq!(answer.header("x-tollgate-cost"), cost(10, 16));
        let sent: Value = serde_json::from_slice(&mock.last_body()).expect("JSON");
        assert_eq!(sent["model"], "second/chat");
        let receipt = proxy.receipt(ALICE, answer.header("x-tollgate-request-id"));
        assert_eq!(receipt["attempts"], 2);
        assert_eq!(receipt["upstream"], "mock");
        proxy.audit();
    }
}

#[test]
fn a_429_of_an_empty_account_is_the_operators_fault_unless_another_endpoint_serves() {
    const EMPTY: &str = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
    let empty = RawUpstream::json(429, EMPTY);
    let (mock, proxy) = two(&empty.base_url());
    for call in [chat(json!({})), stream(json!({}))] {
        assert_eq!(proxy.send(ALICE, call).status, 200);
    }
    assert_eq!((empty.seen(), mock.arrived()), (2, 2));
    proxy.logged("refuses the operator's credential or account");

    let (_mock, proxy) =
        start_with(|setup| setup.upstream("mock", json!({ "base_url": empty.base_url() })));
    for call in [chat(json!({})), stream(json!({})), image(json!({}))] {
        let answer = proxy.send(ALICE, call);
        refusal(&answer, 502, "upstream_unavailable", Retry::Never);
        assert!(!answer.text().contains("quota"), "{answer:?}");
    }
    untouched(&proxy);
}

#[test]
fn another_endpoint_is_tried_where_nobody_listens() {
    let (mock, proxy) = two(&RawUpstream::nowhere());
    for call in [chat(json!({})), stream(json!({}))] {
        let answer = proxy.send(ALICE, call);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(mock.totals()["complete"], 2);
}

#[test]
fn no_other_endpoint_is_tried_where_the_first_may_have_worked() {
    let closes = RawUpstream::answering("");
    let (mock, proxy) = two(&closes.base_url());
    let answer = proxy.send(ALICE, chat(json!({})));
    refusal(&answer, 502, "upstream_unavailable", Retry::ByStatus);
    assert_eq!((closes.seen(), mock.arrived()), (1, 0));
    untouched(&proxy);

    let errs = RawUpstream::json(500, "{}");
    let (mock, proxy) = two(&errs.base_url());
    assert_eq!(proxy.send(ALICE, chat(json!({}))).status, 500);
    assert_eq!(mock.arrived(), 0);
    untouched(&proxy);
}

#[test]
fn no_other_endpoint_is_tried_after_a_timeout() {
    let slow = Mock::start();
    let mock = Mock::start();
    let setup = Setup::new(&mock)
        .upstream(
            "slow",
            json!({ "base_url": slow.base_url(), "response_timeout_ms": 200 }),
        )
        .model(json!({ "id": "vendor/chat", "upstream": [
            { "upstream": "slow", "priority": 0 },
            { "upstream": "mock", "priority": 1 },
        ]}));
    let proxy = Proxy::start(&setup);
    let answer = proxy.send(ALICE, chat(json!({})).header("x-mock-fault", "hang"));
    refusal(&answer, 504, "upstream_unavailable", Retry::ByStatus);
    assert_eq!((slow.arrived(), mock.arrived()), (1, 0));
    assert_eq!(slow.totals()["client_gone"], 1);
    untouched(&proxy);
}

#[test]
fn every_endpoint_failing_is_told_as_the_last_one_failed() {
    let busy = RawUpstream::json(503, r#"{"error":{"message":"busy"}}"#);
    let nowhere = RawUpstream::nowhere();
    let (_mock, proxy) = start_with(|setup| {
        setup
            .upstream("busy", json!({ "base_url": busy.base_url() }))
            .upstream("nowhere", json!({ "base_url": nowhere }))
            .model(json!({ "id": "vendor/chat", "upstream": [
                { "upstream": "busy", "priority": 0 },
                { "upstream": "nowhere", "priority": 1 },
            ]}))
            .model(json!({ "id": "free/chat", "upstream": "nowhere" }))
    });
    for model in ["vendor/chat", "free/chat"] {
        let answer = proxy.send(ALICE, chat(json!({ "model": model })));
        assert_eq!(answer.status, 502);
        assert_eq!(answer.json()["error"]["code"], "upstream_unavailable");
    }
    assert_eq!(busy.seen(), 1);
    untouched(&proxy);
}

#[test]
fn what_the_vendor_says_to_the_operator_stays_with_the_operator() {
    let (mock, proxy) = start();
    for call in [chat(json!({})), stream(json!({})), image(json!({}))] {
        let answer = proxy.send(ALICE, call.header("x-mock-vendor", 1));
        assert_eq!(answer.status, 200);
        for name in ["openai-organization", "set-cookie"] {
            assert!(!answer.headers.has(name), "{name}");
        }
        assert_eq!(answer.headers.names("x-ratelimit-"), Vec::<&str>::new());
        let last = mock.requests().len();
        assert_eq!(
            answer.header("x-tollgate-upstream-request-id"),
            format!("req_mock_{last}")
        );
        assert!(answer.header("x-request-id").starts_with("req_0"));
    }
}

#[test]
fn an_error_under_a_good_status_costs_nothing() {
    let error = r#"{"error":{"message":"busy","type":"server_error","param":null,"code":"x"}}"#;
    let upstream = RawUpstream::json(200, error);
    let (_mock, proxy) =
        start_with(|setup| setup.upstream("mock", json!({ "base_url": upstream.base_url() })));
    for call in [chat(json!({})), stream(json!({})), image(json!({ "n": 2 }))] {
        let answer = proxy.send(ALICE, call);
        assert_eq!((answer.status, answer.text()), (200, error.to_owned()));
        assert_eq!(answer.header("x-tollgate-cost"), "0");
    }
    untouched(&proxy);
}

#[test]
fn an_answer_in_a_coding_that_nobody_asked_for_is_none() {
    let upstream = RawUpstream::answering(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x7fab",
    );
    let (_mock, proxy) =
        start_with(|setup| setup.upstream("mock", json!({ "base_url": upstream.base_url() })));
    for call in [chat(json!({})), stream(json!({})), image(json!({}))] {
        let answer = proxy.send(ALICE, call.header("accept-encoding", "gzip"));
        assert_eq!(answer.status, 502, "{answer:?}");
        assert_eq!(answer.json()["error"]["code"], "upstream_unavailable");
    }
    untouched(&proxy);
}

#[test]
fn an_answer_cut_before_its_first_byte_costs_nothing() {
    let (mock, proxy) = start();
    for call in [chat(json!({})), stream(json!({})), image(json!({}))] {
        let answer = proxy.send(ALICE, call.header("x-mock-fault", "cut-before"));
        refusal(&answer, 502, "upstream_unavailable", Retry::ByStatus);
    }
    assert_eq!(mock.totals()["cut"], 3);
    untouched(&proxy);
}

#[test]
fn a_whole_answer_cut_in_the_middle_reaches_nobody_and_costs_nothing() {
    let (_mock, proxy) = start();
    for call in [chat(json!({})), image(json!({ "n": 3 }))] {
        let answer = proxy.send(ALICE, call.header("x-mock-fault", "cut-after=1"));
        refusal(&answer, 502, "upstream_unavailable", Retry::ByStatus);
    }
    untouched(&proxy);
}

#[test]
fn a_flowing_answer_that_is_cut_breaks_off_for_the_client_too_and_costs_what_was_delivered() {
    let (_mock, proxy) = start_with(|setup| {
        setup
            .cap("answer_hold_bytes", 4096)
            .cap("answer_tail_bytes", 1024)
    });
    let call = chat(json!({}))
        .header("x-mock-bytes", 200_000)
        .header("x-mock-fault", "cut-after=1");
    let answer = proxy.send(ALICE, call);
    assert!(answer.status == 200 && !answer.whole, "{}", answer.status);
    proxy.idle_wallet("alice");
    let receipts = proxy.receipts("alice");
    assert_eq!(receipts.len(), 1, "{receipts:?}");
    assert_eq!(receipts[0]["counted"], "partial");
    let output = receipts[0]["usage"]["output"].as_u64().expect("a count");
    // Half of the 200,000 bytes came; a token is a byte at least.
    assert!((1_000..=100_000).contains(&output), "{output}");
    proxy.audit();
}

/// The events before the receipt and the end, the receipt, and the last event.
fn broken(answer: &Answer) -> (Vec<String>, Value, Value) {
    assert!(answer.status == 200 && answer.whole, "{answer:?}");
    let mut events = answer.events();
    let last = events.pop().expect("an event");
    let last = serde_json::from_str(&last[6..]).expect("JSON");
    let comment = events
        .iter()
        .position(|event| event.starts_with(": tollgate "));
    let comment = events.remove(comment.expect("a receipt"));
    let receipt = serde_json::from_str(&comment[11..]).expect("JSON");
    (events, receipt, last)
}

/// Rivals: litellm #14457 #33736, new-api #5235 #7241 #4168, sub2api #4408: a stream that the upstream cut was not
/// recorded.
#[test]
fn a_stream_cut_in_the_middle_ends_with_an_error_after_the_last_whole_event() {
    let (mock, proxy) = start();
    let asking = json!({ "stream_options": { "include_usage": true } });
    let call = stream(asking)
        .header("x-mock-fault", "cut-after=3")
        .header("x-mock-completion", 50);
    let direct = call.send(&mock.address);
    assert!(!direct.whole);
    let through = proxy.send(ALICE, call);
    let (events, receipt, error) = broken(&through);
    assert_eq!(events.concat(), direct.text());
    assert_eq!(error["error"]["code"], "upstream_unavailable");
    for name in ["message", "type", "param", "code"] {
        assert!(error["error"].get(name).is_some(), "{name}");
    }
    // Three of the mock's words were delivered, a token each.
    assert_eq!(receipt["usage"]["output"], 3);
    assert_eq!(receipt["counted"], "partial");
    let stored = proxy.receipt(ALICE, through.header("x-tollgate-request-id"));
    assert_eq!(stored["flags"], json!(["usage_missing", "upstream_cut"]));
    proxy.audit();
}

#[test]
fn a_stream_cut_before_its_first_token_costs_nothing() {
    let (_mock, proxy) = start();
    let answer = proxy.send(
        ALICE,
        stream(json!({})).header("x-mock-fault", "cut-after=0"),
    );
    assert!(answer.whole && answer.text().contains("upstream_unavailable"));
    untouched(&proxy);
}

#[test]
fn a_stream_that_falls_silent_ends_as_one_that_is_cut() {
    let (mock, proxy) =
        start_with(|setup| setup.upstream("mock", json!({ "idle_timeout_ms": 200 })));
    let call = stream(json!({})).header("x-mock-fault", "hang-after=4");
    let (events, receipt, error) = broken(&proxy.send(ALICE, call));
    assert_eq!(events.len(), 5);
    assert_eq!(receipt["usage"]["output"], 4);
    assert_eq!(receipt["counted"], "partial");
    assert_eq!(error["error"]["code"], "upstream_unavailable");
    assert_eq!(mock.totals()["client_gone"], 1);
}

#[test]
fn an_upstreams_own_error_event_is_the_only_one() {
    let (mock, proxy) = start();
    let call = stream(json!({ "stream_options": { "include_usage": true } }))
        .header("x-mock-fault", "error-event=2");
    let direct = call.send(&mock.address);
    let through = proxy.send(ALICE, call);
    let events = through.events();
    let (comments, rest): (Vec<&String>, Vec<&String>) =
        events.iter().partition(|event| event.starts_with(':'));
    let rest: String = rest.into_iter().map(String::as_str).collect();
    assert_eq!(rest, direct.text());
    assert_eq!(rest.matches("\"error\"").count(), 1);
    assert_eq!(comments.len(), 1);
    let receipt = proxy.receipt(ALICE, through.header("x-tollgate-request-id"));
    assert_eq!(receipt["counted"], "partial");
    assert_eq!(receipt["usage"]["output"], 2);
}

#[test]
fn an_upstreams_own_error_event_leaves_after_its_charge() {
    let chunk = json!({ "choices": [{ "index": 0, "delta": { "content": "Hi" } }] });
    let failure = json!({ "error": { "message": "overloaded", "type": "server_error" } });
    let events = format!("data: {chunk}\n\ndata: {failure}\n\n");
    // It says no more, and keeps the connection.
    let upstream = RawUpstream::stalling(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{events}"
    ));
    let (_mock, proxy) =
        start_with(|setup| setup.upstream("mock", json!({ "base_url": upstream.base_url() })));
    let mut through = proxy.open(ALICE, stream(json!({})));
    let mut seen = String::new();
    while !seen.contains("overloaded") {
        seen.push_str(&through.event().expect("an event"));
    }
    let wallet = proxy.wallet("alice");
    assert_eq!(wallet["held"], "0", "{wallet}");
    assert_eq!(proxy.receipts("alice").len(), 1);
    assert!(seen.contains(": tollgate "), "{seen}");
    let rest = through.finish();
    assert!(rest.whole, "{rest:?}");
}

#[test]
fn an_answer_that_falls_silent_is_given_up_whatever_its_status() {
    for (status, seen) in [(200, 502), (403, 504), (500, 500)] {
        let upstream = RawUpstream::stalling(format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{{\"error\":"
        ));
        let (_mock, proxy) = start_with(|setup| {
            setup.upstream(
                "mock",
                json!({ "base_url": upstream.base_url(), "idle_timeout_ms": 200 }),
            )
        });
        let answer = proxy.send(ALICE, chat(json!({})));
        assert_eq!(answer.status, seen, "{answer:?}");
        assert_eq!(answer.whole, status != 500, "{answer:?}");
        untouched(&proxy);
    }
}

#[test]
fn an_upstream_that_never_reads_is_given_up_in_time() {
    // Its backlog takes the connection, but nobody reads.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let (_mock, proxy) = start_with(|setup| {
        setup
            .upstream(
                "full",
                json!({
                    "base_url": format!("http://{address}/v1"), "response_timeout_ms": 200,
                }),
            )
            .model(json!({ "id": "vendor/chat", "upstream": "full" }))
    });
    let answer = proxy.send(ALICE, chat(json!({})));
    refusal(&answer, 504, "upstream_unavailable", Retry::ByStatus);
    untouched(&proxy);
}

#[test]
fn a_redirect_does_not_take_a_client_past_the_meter() {
    let redirects = RawUpstream::answering(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    );
    let (_mock, proxy) =
        start_with(|setup| setup.upstream("mock", json!({ "base_url": redirects.base_url() })));
    let answer = proxy.send(ALICE, chat(json!({})));
    refusal(&answer, 502, "upstream_unavailable", Retry::ByStatus);
    assert!(!answer.headers.has("location"), "{answer:?}");
    untouched(&proxy);
}
