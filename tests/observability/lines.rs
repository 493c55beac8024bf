//! The log: one line for each request, which says what its receipt says.

use serde_json::{Value, json};

use crate::support::setup::{ALICE, BOB, UPSTREAM_KEY};
use crate::support::{Call, Mock, Proxy, Setup, chat, image, start, start_with, stream, until};

/// The log lines of requests, so far.
pub fn lines(proxy: &Proxy) -> Vec<Value> {
    let log = proxy.log();
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["target"] == "tollgate::request")
        .collect()
}

/// The one line of a request; waits for it.
pub fn line(proxy: &Proxy, request: &str) -> Value {
    let mut found = until("the request's line", || {
        let mut all = lines(proxy);
        all.retain(|line| line["request_id"] == request);
        Some(all).filter(|all| !all.is_empty())
    });
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_charged_request_has_a_line_that_says_what_its_receipt_says() {
    let (_mock, proxy) = start();
    for call in [chat(json!({})), stream(json!({})), image(json!({ "n": 2 }))] {
        let answer = proxy.send(ALICE, call);
        let id = answer.header("x-request-id");
        let (line, receipt) = (line(&proxy, id), proxy.receipt(ALICE, id));
        assert_eq!(line["level"], "INFO");
        for field in [
            "request_id",
            "wallet",
            "key",
            "model",
            "upstream",
            "attempts",
            "streamed",
            "endpoint",
            "status",
            "counted",
            "cost",
            "priced",
            "hold",
        ] {
            assert_eq!(line[field], receipt[field], "{field}: {line} {receipt}");
        }
        let meters = receipt["usage"].as_object().expect("meters");
        let meters: Vec<String> = meters
            .iter()
            .map(|(meter, count)| format!("{meter}={count}"))
            .collect();
        let mut told: Vec<&str> = line["usage"].as_str().expect("usage").split(", ").collect();
        told.sort_unstable();
        assert_eq!(told, meters);
        assert_eq!(line["client"], "127.0.0.1");
        assert_eq!(line["method"], "POST");
        assert_eq!(line["code"], Value::Null);
        let time = |name: &str| {
            line[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name}: {line}"))
        };
        assert!(
            time("duration_us") >= time("upstream_us") + time("added_us"),
            "{line}"
        );
        assert_eq!(
            line["first_byte_us"].is_u64(),
            receipt["streamed"] == true,
            "{line}"
        );
    }
}

#[test]
fn every_request_has_exactly_one_line_however_it_ends() {
    let (_mock, proxy) = start();
    let calls = [
        chat(json!({})),
        stream(json!({})),
        stream(json!({})).header("x-mock-fault", "cut-after=2"),
        stream(json!({})).header("x-mock-fault", "cut-before"),
        chat(json!({})).header("x-mock-fault", "status=500"),
        chat(json!({})).header("x-mock-fault", "status=401"),
        chat(json!({ "model": "nobody/knows" })),
        Call::get("/v1/models"),
        Call::get("/v1/models/vendor/chat"),
        Call::get("/v1/balance"),
        Call::get("/v1/usage"),
        Call::get("/v1/receipts/nothing"),
        Call::get("/v1/dashboard/billing/subscription"),
        Call::get("/v1/nothing"),
        Call::new("BREW", "/coffee", ""),
    ];
    let answers: Vec<_> = calls
        .into_iter()
        .map(|call| proxy.send(ALICE, call))
        .collect();
    // Its line comes after those of all that ended before.
    let last = proxy.send(BOB, Call::get("/v1/balance"));
    line(&proxy, last.header("x-request-id"));
    let lines = lines(&proxy);
    assert_eq!(lines.len(), answers.len() + 1, "{lines:#?}");
    for answer in &answers {
        let line = line(&proxy, answer.header("x-request-id"));
        assert_eq!(line["status"], answer.status, "{line} {answer:?}");
        let error = (answer.status >= 400 && line["upstream"].is_null())
            .then(|| answer.json()["error"]["code"].clone());
        assert_eq!(
            line["code"],
            error.unwrap_or_else(|| line["code"].clone()),
            "{line}"
        );
        let known = ["wallet", "key"]
            .iter()
            .all(|field| line[*field] == "alice");
        assert!(known || line["code"] == "unknown_url", "{line}");
    }
    let brewed = lines
        .iter()
        .find(|line| line["method"] == "other")
        .expect("BREW");
    assert_eq!(brewed["endpoint"], "other");
    let cut = line(&proxy, answers[2].header("x-request-id"));
    assert_eq!(cut["flags"], "usage_missing,upstream_cut", "{cut}");
    assert_eq!(
        cut["code"], "upstream_unavailable",
        "the client was told in the stream: {cut}"
    );
}

#[test]
fn a_client_that_leaves_a_stream_has_a_line_when_it_is_charged() {
    let (_mock, proxy) = start();
    let call = stream(json!({}))
        .header("x-mock-completion", 20)
        .header("x-mock-chunk-ms", 20);
    let leaving = proxy.open(ALICE, call);
    let id = leaving
        .headers
        .get("x-request-id")
        .expect("an id")
        .to_owned();
    leaving.leave_after(2);
    let line = line(&proxy, &id);
    assert_eq!(line["flags"], "client_gone", "{line}");
    assert_eq!(line["cost"], proxy.receipt(ALICE, &id)["cost"]);
}

#[test]
fn no_line_holds_a_prompt_a_secret_or_what_a_client_made_up() {
    let (_mock, proxy) = start();
    let canary = "canary\u{1b}[31m\nINFO forged";
    let wrong = format!("sk-{}", "canary-in-a-wrong-key");
    proxy.send(
        ALICE,
        chat(json!({ "messages": [{ "role": "user", "content": canary }] })),
    );
    proxy.send(ALICE, chat(json!({ "model": canary })));
    proxy.send(
        ALICE,
        chat(json!({ canary: 1, "max_tokens": -1, "user": canary })),
    );
    proxy.send(&wrong, chat(json!({})).header("x-request-id", "canary"));
    let last = proxy.send(ALICE, Call::get("/v1/canary?canary=canary"));
    line(&proxy, last.header("x-request-id"));
    let all = lines(&proxy);
    assert_eq!(all.len(), 5);
    for line in all {
        let text = line.to_string();
        for secret in ["canary", ALICE, UPSTREAM_KEY, &wrong] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn the_lines_can_be_switched_off() {
    let (_mock, proxy) = start_with(|setup| setup.set("server", "request_log", false));
    assert_eq!(proxy.send(ALICE, chat(json!({}))).status, 200);
    proxy.ask_to_end();
    proxy.logged("requests may finish");
    assert_eq!(lines(&proxy), Vec::<Value>::new());
}

#[test]
fn a_log_that_nobody_reads_stalls_no_request_and_what_is_lost_is_counted() {
    let mock = Mock::start();
    let proxy = Proxy::start_unread(&Setup::new(&mock));
    // A pipe takes 64 KiB; a line of these has some 300 bytes.
    for _ in 0..600 {
        assert_eq!(proxy.send(ALICE, Call::get("/v1/balance")).status, 200);
    }
    assert_eq!(proxy.send(ALICE, chat(json!({}))).status, 200);
    assert!(
        proxy
            .metrics()
            .contains("tollgate_log_lines_dropped_total 0\n")
    );
}
