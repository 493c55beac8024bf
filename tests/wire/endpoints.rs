//! A model with several endpoints: which is tried when, for how long, and what is kept of it.

use serde_json::{Value, json};

use crate::cost;
use crate::support::raw::RawUpstream;
use crate::support::setup::ALICE;
use crate::support::{
    Answer, Mock, Proxy, Retry, Setup, chat, occupy, refusal, start_with, stream, until,
};

const ANSWER: &str = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}"#;
const BUSY: &str = r#"{"error":{"message":"busy","type":"server_error","param":null,"code":null}}"#;

/// `vendor/chat` at `first`, and at `second` where that fails; with these fields of each.
fn pair(setup: Setup, first: (&str, Value), second: (&str, Value)) -> Setup {
    let upstream = |setup: Setup, name, (base_url, fields): (&str, Value)| {
        let setup = setup.upstream(name, json!({ "base_url": base_url }));
        setup.upstream(name, fields)
    };
    let setup = upstream(setup, "first", first);
    upstream(setup, "second", second).model(json!({ "id": "vendor/chat", "upstream": [
        { "upstream": "first", "priority": 0 },
        { "upstream": "second", "priority": 1 },
    ]}))
}

/// A proxy whose chat goes to `first`, and to a mock where that fails.
fn before_mock(first: &str, fields: Value) -> (Mock, Proxy) {
    let mock = Mock::start();
    let second = (&*mock.base_url(), json!({}));
    let setup = pair(Setup::new(&mock), (first, fields), second);
    let proxy = Proxy::start(&setup);
    (mock, proxy)
}

/// The receipt of an answer.
fn receipt(proxy: &Proxy, answer: &Answer) -> Value {
    proxy.receipt(ALICE, answer.header("x-tollgate-request-id"))
}

/// An answer with a status and these headers, of JSON.
fn raw(status: u16, headers: &str, body: &str) -> RawUpstream {
    let length = body.len();
    RawUpstream::answering(format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    ))
}

fn open(proxy: &Proxy, upstream: &str) -> u64 {
    let name = format!("tollgate_upstream_endpoints_open{{upstream=\"{upstream}\"}} ");
    let page = proxy.metrics();
    let value = page.lines().find_map(|line| line.strip_prefix(&name));
    value.expect("a gauge").parse().expect("a number")
}

#[test]
fn requests_are_shared_by_weight_within_the_first_priority_and_the_next_gets_none() {
    let (often, seldom, spare) = (Mock::start(), Mock::start(), Mock::start());
    let at = |mock: &Mock| json!({ "base_url": mock.base_url() });
    let setup = Setup::new(&spare)
        .upstream("often", at(&often))
        .upstream("seldom", at(&seldom))
        .model(json!({ "id": "vendor/chat", "upstream": [
            { "upstream": "mock", "priority": 1, "weight": 100 },
            { "upstream": "often", "weight": 3, "model": "often/chat" },
            { "upstream": "seldom", "weight": 1 },
        ]}));
    let proxy = Proxy::start_quiet(&setup);
    for _ in 0..200 {
        assert_eq!(proxy.send(ALICE, chat(json!({}))).status, 200);
    }
    let (often_got, seldom_got) = (often.arrived(), seldom.arrived());
    assert_eq!((often_got + seldom_got, spare.arrived()), (200, 0));
    assert!((130..=170).contains(&often_got), "{often_got}");
    let sent: Value = serde_json::from_slice(&often.last_body()).expect("JSON");
    assert_eq!(sent["model"], "often/chat");
}

#[test]
fn all_tries_have_one_hold_and_the_receipt_names_them_in_order() {
    let busy = RawUpstream::json(503, BUSY);
    let (mock, proxy) = start_with(|setup| {
        setup
            .upstream("nowhere", json!({ "base_url": RawUpstream::nowhere() }))
            .upstream("busy", json!({ "base_url": busy.base_url() }))
            .model(json!({ "id": "vendor/chat", "upstream": [
                { "upstream": "nowhere", "priority": 0, "model": "cheap/chat" },
                { "upstream": "busy", "priority": 1, "model": "dear/chat" },
                { "upstream": "mock", "priority": 2, "model": "other/chat" },
            ]}))
            .key(json!({ "name": "alice", "limits": [
                { "requests": 1, "per": "total" }, { "concurrent": 1 },
            ], "on_disconnect": "cancel" }))
    });
    let running = occupy(&mock, &proxy, ALICE, stream(json!({})));
    let (wallet, view) = (proxy.wallet("alice"), proxy.view(ALICE, "/v1/balance"));
    assert_eq!(
        (&wallet["holds"], &view["held"]),
        (&json!(1), &wallet["held"])
    );
    drop(running);
    proxy.idle_wallet("alice");

    let second = (&*mock.base_url(), json!({}));
    let limits = json!([{ "requests": 2, "per": "total" }, { "concurrent": 1 }]);
    let setup = pair(Setup::new(&mock), (&busy.base_url(), json!({})), second)
        .key(json!({ "name": "alice", "limits": limits }));
    let proxy = Proxy::start(&setup);
    for _ in 0..2 {
        let answer = proxy.send(ALICE, chat(json!({})).header("x-mock-prompt", 10));
        assert_eq!(answer.status, 200, "{answer:?}");
        // By the price of the model that was asked for, whoever served it.
        assert_eq!(answer.header("x-tollgate-cost"), cost(10, 16));
        let receipt = receipt(&proxy, &answer);
        assert_eq!(
            (&receipt["attempts"], &receipt["upstream"]),
            (&json!(2), &json!("second"))
        );
        assert_eq!(
            receipt["tries"],
            json!([
                { "upstream": "first", "outcome": 503 },
                { "upstream": "second", "outcome": 200 },
            ])
        );
    }
    // Two requests, not four.
    let third = proxy.send(ALICE, chat(json!({})));
    refusal(&third, 429, "quota_limit_exceeded", Retry::Never);
    proxy.audit();
}

#[test]
fn a_receipt_says_why_no_answer_came_and_one_try_is_not_listed() {
    let (mock, proxy) = before_mock(&RawUpstream::nowhere(), json!({}));
    let answer = proxy.send(ALICE, chat(json!({})));
    let tries = json!([
        { "upstream": "first", "outcome": "connect" },
        { "upstream": "second", "outcome": 200 },
    ]);
    assert_eq!(receipt(&proxy, &answer)["tries"], tries);
    let listed = proxy.receipts("alice");
    assert_eq!(listed[0]["tries"], tries);
    assert_eq!(mock.arrived(), 1);

    let (_mock, proxy) = start_with(|setup| setup);
    let answer = proxy.send(ALICE, chat(json!({})));
    let receipt = receipt(&proxy, &answer);
    assert_eq!(
        (&receipt["attempts"], receipt.get("tries")),
        (&json!(1), None)
    );
}

#[test]
fn an_endpoint_that_fails_again_and_again_is_tried_last_until_a_probe_finds_it_back() {
    let first = RawUpstream::json(500, BUSY);
    let breaker = json!({ "breaker_failures": 3, "breaker_cooldown_ms": 1_500 });
    let (mock, proxy) = before_mock(&first.base_url(), breaker);
    let ask = || proxy.send(ALICE, chat(json!({}))).status;
    // A 500 is an answer, and not tried elsewhere.
    for _ in 0..2 {
        assert_eq!(ask(), 500);
    }
    assert_eq!((open(&proxy, "first"), mock.arrived()), (0, 0));
    assert_eq!(ask(), 500);
    assert_eq!((ask(), first.seen()), (200, 3));
    assert_eq!((open(&proxy, "first"), open(&proxy, "second")), (1, 0));
    proxy.logged("the endpoint fails again and again");
    // Probes fail: one request each, and ever more seldom.
    until("a probe", || {
        ask();
        (first.seen() == 4).then_some(())
    });
    first.turns_to(200, ANSWER);
    until("a probe that finds it back", || {
        assert_eq!(ask(), 200);
        (first.seen() == 5).then_some(())
    });
    assert_eq!(open(&proxy, "first"), 0);
    proxy.logged("the endpoint answers again");
    let others = mock.arrived();
    assert_eq!((ask(), first.seen(), mock.arrived()), (200, 6, others));
    proxy.audit();
}

#[test]
fn where_all_are_open_one_is_tried_and_its_answer_passes() {
    let (first, second) = (RawUpstream::json(503, BUSY), RawUpstream::json(503, BUSY));
    let breaker = |ms: u64| json!({ "breaker_failures": 1, "breaker_cooldown_ms": ms });
    let (_mock, proxy) = start_with(|setup| {
        pair(
            setup,
            (&first.base_url(), breaker(3_600_000)),
            (&second.base_url(), breaker(1_800_000)),
        )
    });
    let ask = || proxy.send(ALICE, chat(json!({}))).status;
    assert_eq!((ask(), first.seen(), second.seen()), (503, 1, 1));
    // The second opens sooner.
    assert_eq!((ask(), first.seen(), second.seen()), (503, 1, 2));
    second.turns_to(200, ANSWER);
    assert_eq!((ask(), first.seen(), second.seen()), (200, 1, 3));
    assert_eq!((open(&proxy, "first"), open(&proxy, "second")), (1, 0));
    // Those that are open are not given up: the other fails, and this one is tried.
    second.turns_to(502, BUSY);
    first.turns_to(200, ANSWER);
    let answer = proxy.send(ALICE, chat(json!({})));
    assert_eq!((answer.status, first.seen(), second.seen()), (200, 2, 4));
    assert_eq!(open(&proxy, "first"), 0);
}

#[test]
fn neither_4xx_nor_a_client_that_leaves_opens_a_breaker() {
    let (mock, proxy) = start_with(|setup| {
        setup
            .upstream("mock", json!({ "breaker_failures": 1 }))
            .key(json!({ "name": "alice", "on_disconnect": "cancel" }))
    });
    for status in [400, 401, 403, 404, 429] {
        let call = chat(json!({})).header("x-mock-fault", format!("status={status}"));
        proxy.send(ALICE, call);
    }
    drop(occupy(&mock, &proxy, ALICE, chat(json!({}))));
    proxy.idle_wallet("alice");
    assert_eq!(open(&proxy, "mock"), 0);
    proxy.send(ALICE, chat(json!({})).header("x-mock-fault", "status=500"));
    assert_eq!(open(&proxy, "mock"), 1);
}

#[test]
fn a_reload_keeps_what_is_known_of_an_endpoint_whose_upstream_stays() {
    let breaker = json!({ "breaker_failures": 1, "breaker_cooldown_ms": 3_600_000 });
    let (mock, first) = (Mock::start(), RawUpstream::json(500, BUSY));
    let setup = pair(
        Setup::new(&mock),
        (&first.base_url(), breaker),
        (&mock.base_url(), json!({})),
    );
    let proxy = Proxy::start(&setup);
    assert_eq!(proxy.send(ALICE, chat(json!({}))).status, 500);
    proxy.configure(
        &setup
            .clone()
            .model(json!({ "id": "free/chat", "aliases": ["none"] })),
    );
    until("the new config", || {
        let page = proxy.metrics();
        page.contains("tollgate_config_reloads_total{result=\"taken\"} 1")
            .then_some(())
    });
    assert_eq!(
        (
            open(&proxy, "first"),
            proxy.send(ALICE, chat(json!({}))).status
        ),
        (1, 200)
    );
    assert_eq!(first.seen(), 1);
}

#[test]
fn an_endpoint_that_asks_for_a_rest_comes_after_the_others_for_so_long() {
    for (status, header) in [
        (429, "retry-after: 60\r\n"),
        (503, "retry-after: 7200\r\n"),
        (429, "retry-after: Wed, 21 Oct 2099 07:28:00 GMT\r\n"),
        (429, "retry-after-ms: 50000\r\n"),
    ] {
        let first = raw(status, header, BUSY);
        let (mock, proxy) = before_mock(&first.base_url(), json!({}));
        for _ in 0..3 {
            assert_eq!(proxy.send(ALICE, chat(json!({}))).status, 200);
        }
        assert_eq!((first.seen(), mock.arrived()), (1, 3), "{header}");
        // One that rests is tried where the others fail.
        let failing = chat(json!({})).header("x-mock-fault", "status=503");
        let answer = proxy.send(ALICE, failing);
        assert_eq!(
            (answer.status, first.seen(), mock.arrived()),
            (status, 2, 4),
            "{header}"
        );
    }
    // It is over after what was asked for.
    let first = raw(429, "retry-after-ms: 200\r\n", BUSY);
    let (_mock, proxy) = before_mock(&first.base_url(), json!({}));
    until("the end of its rest", || {
        proxy.send(ALICE, chat(json!({})));
        (first.seen() == 2).then_some(())
    });
}

#[test]
fn where_all_rest_the_first_ones_own_answer_passes_with_its_retry_after() {
    let first = raw(429, "retry-after: 59\r\nretry-after-ms: 58500\r\n", BUSY);
    let second = raw(429, "retry-after: 30\r\n", BUSY);
    let (_mock, proxy) = start_with(|setup| {
        pair(
            setup,
            (&first.base_url(), json!({})),
            (&second.base_url(), json!({})),
        )
    });
    let answer = proxy.send(ALICE, chat(json!({})));
    assert_eq!((answer.status, answer.header("retry-after")), (429, "30"));
    let answer = proxy.send(ALICE, chat(json!({})));
    assert_eq!((answer.status, answer.text()), (429, BUSY.to_owned()));
    assert_eq!(answer.header("retry-after"), "59");
    assert_eq!(answer.header("retry-after-ms"), "58500");
    assert_eq!((first.seen(), second.seen()), (2, 1));
}

#[test]
fn all_tries_together_have_an_end_and_the_one_that_runs_ends_with_them() {
    let busy = RawUpstream::json(503, BUSY);
    let mock = Mock::start();
    let setup = pair(
        Setup::new(&mock),
        (&busy.base_url(), json!({})),
        (&mock.base_url(), json!({})),
    );
    let proxy = Proxy::start(&setup.cap("attempts_ms", 1_500));
    for call in [chat(json!({})), stream(json!({}))] {
        let answer = proxy.send(ALICE, call.header("x-mock-fault", "hang"));
        refusal(&answer, 504, "upstream_unavailable", Retry::ByStatus);
    }
    assert_eq!(mock.totals()["client_gone"], 2);
    assert_eq!(proxy.idle_wallet("alice")["balance"], "10");
    assert_eq!(proxy.receipts("alice"), Vec::<Value>::new());
    // What answers in time may take its time then.
    let slow = stream(json!({}))
        .header("x-mock-chunk-ms", 100)
        .header("x-mock-completion", 20);
    let answer = proxy.send(ALICE, slow);
    assert!(
        answer.status == 200 && answer.text().ends_with("data: [DONE]\n\n"),
        "{answer:?}"
    );
}

#[test]
fn an_answer_that_takes_longer_than_an_upstream_may_counts_as_cut() {
    let (mock, proxy) =
        start_with(|setup| setup.upstream("mock", json!({ "total_timeout_ms": 500 })));
    let answer = proxy.send(ALICE, chat(json!({})).header("x-mock-fault", "hang"));
    refusal(&answer, 504, "upstream_unavailable", Retry::ByStatus);
    // It is never silent for long, and never ends.
    let call = stream(json!({ "max_tokens": 4_000 }))
        .header("x-mock-chunk-ms", 20)
        .header("x-mock-completion", 4_000);
    let answer = proxy.send(ALICE, call);
    assert!(answer.status == 200 && answer.whole, "{answer:?}");
    let last = answer.events().pop().expect("an event");
    assert!(last.contains("upstream_unavailable"), "{last}");
    let receipt = receipt(&proxy, &answer);
    assert_eq!(receipt["counted"], "partial");
    assert_eq!(receipt["flags"], json!(["usage_missing", "upstream_cut"]));
    let output = receipt["usage"]["output"].as_u64().expect("a count");
    assert!((1..=30).contains(&output), "{output}");
    assert_eq!(mock.totals()["client_gone"], 2);
    proxy.logged("took longer than 500 ms");
    proxy.audit();
}
