//! Metrics add up to what the ledger and the mock upstream have counted.

use std::io::Write;
use std::net::TcpStream;

use serde_json::json;

use crate::lines::lines;
use crate::page::Page;
use crate::support::setup::{ALICE, BOB};
use crate::support::{
    Call, Connection, RawUpstream, Setup, chat, decimal, image, nano, occupy, start, start_with,
    stream, until,
};

/// An alert on an increase would miss the first of a row that was not there before.
#[test]
fn every_model_upstream_and_flag_has_its_rows_before_its_first_use() {
    let (mock, proxy) = start();
    let page = Page::of(&proxy);
    for row in [
        "tollgate_shortfall_total{model=\"vendor/chat\",currency=\"CNY\"}",
        "tollgate_uncharged_total{model=\"vendor/image\"}",
        "tollgate_upstream_attempts_total{upstream=\"mock\",outcome=\"connect\"}",
        "tollgate_flags_total{flag=\"over_bound\"}",
        "tollgate_refusals_total{code=\"internal_error\"}",
    ] {
        assert!(["0", "0.0"].contains(&page.text(row)), "{row}");
    }
    let added = json!({
        "id": "vendor/new", "upstream": "mock", "context_tokens": 1000, "max_output_tokens": 100,
        "prices": [{ "per": "1M tokens", "input": 4, "output": 16 }],
    });
    proxy.configure(&Setup::new(&mock).model(added));
    proxy.logged("the config is in use");
    let late = "tollgate_late_total{model=\"vendor/new\"}";
    assert_eq!(Page::of(&proxy).text(late), "0");
}

#[test]
fn money_tokens_and_images_are_the_receipts() {
    let (_mock, proxy) =
        start_with(|setup| setup.grant(json!({ "name": "free", "unit": "tokens", "amount": 50 })));
    for round in 0..4 {
        for call in [chat(json!({})), stream(json!({}))] {
            let call = call
                .header("x-mock-prompt", 20 + round)
                .header("x-mock-completion", 7);
            assert_eq!(proxy.send(ALICE, call).status, 200);
        }
    }
    assert_eq!(proxy.send(BOB, image(json!({ "n": 3 }))).status, 200);
    let cut = stream(json!({})).header("x-mock-fault", "cut-after=2");
    proxy.send(ALICE, cut);
    let failed = chat(json!({})).header("x-mock-fault", "status=500");
    assert_eq!(proxy.send(ALICE, failed).status, 500);

    let (alice, bob) = (proxy.idle_wallet("alice"), proxy.idle_wallet("bob"));
    let page = Page::of(&proxy);
    let receipts = [proxy.receipts("alice"), proxy.receipts("bob")].concat();
    for model in ["vendor/chat", "vendor/image"] {
        let of_model = || receipts.iter().filter(|receipt| receipt["model"] == model);
        let cost: i64 = of_model()
            .map(|it| nano(it["cost"].as_str().expect("money")))
            .sum();
        let sample = format!("tollgate_cost_total{{model=\"{model}\",currency=\"CNY\"}}");
        assert_eq!(page.text(&sample), decimal(cost), "{model}");
        for meter in ["input", "output", "cached_input", "reasoning"] {
            let count = of_model()
                .map(|it| it["usage"][meter].as_u64().unwrap_or(0))
                .sum::<u64>();
            let sample = format!("tollgate_tokens_total{{model=\"{model}\",meter=\"{meter}\"}}");
            assert_eq!(page.count(&sample), count, "{model} {meter}");
        }
        let partial = of_model().filter(|it| it["counted"] == "partial").count() as u64;
        let sample = format!("tollgate_settled_total{{model=\"{model}\",counted=\"partial\"}}");
        assert_eq!(page.count(&sample), partial, "{model}");
    }
    assert_eq!(
        nano(alice["charged"].as_str().expect("money"))
            + nano(bob["charged"].as_str().expect("money")),
        receipts
            .iter()
            .map(|it| nano(it["cost"].as_str().expect("money")))
            .sum::<i64>()
    );
    assert_eq!(
        page.count("tollgate_images_total{model=\"vendor/image\"}"),
        3
    );
    let free = "tollgate_free_units_total{model=\"vendor/chat\",unit=\"tokens\"}";
    assert_eq!(page.count(free), 50);
    assert_eq!(
        page.count("tollgate_uncharged_total{model=\"vendor/chat\"}"),
        1
    );
    assert_eq!(page.count("tollgate_flags_total{flag=\"upstream_cut\"}"), 1);
    assert_eq!(page.sum("tollgate_settled_total"), receipts.len() as u64);
    assert_eq!(
        page.count("tollgate_added_latency_seconds_count"),
        receipts.len() as u64
    );
    let streams = receipts.iter().filter(|it| it["streamed"] == true).count() as u64;
    assert_eq!(page.sum("tollgate_first_byte_seconds_count"), streams);
    assert_eq!(page.count("tollgate_holds"), 0);
    let answered = |class: &str| {
        format!("tollgate_upstream_attempts_total{{upstream=\"mock\",outcome=\"{class}\"}}")
    };
    assert_eq!(page.count(&answered("2xx")), receipts.len() as u64);
    assert_eq!(page.count(&answered("5xx")), 1);
}

#[test]
fn connections_are_counted_while_they_are_open() {
    let (_mock, proxy) = start();
    let open = |count| {
        until("the connections", || {
            (Page::of(&proxy).count("tollgate_connections") == count).then_some(())
        });
    };
    open(0);
    let held = [
        Connection::open(&proxy.address),
        Connection::open(&proxy.address),
    ];
    open(2);
    drop(held);
    open(0);
}

#[test]
fn connections_that_never_become_a_request_are_counted_by_why() {
    let (_mock, proxy) = start_with(|setup| setup.cap("header_bytes", 8192));
    let large = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(20_000));
    let said = [("head", "GET\r\n\r\n"), ("head_too_large", &large)];
    for (kind, bytes) in said {
        let mut socket = TcpStream::connect(&proxy.address).expect("a connection");
        // It may be closed before all of it is sent.
        socket.write_all(bytes.as_bytes()).unwrap_or_default();
        let sample = format!("tollgate_connection_errors_total{{kind=\"{kind}\"}}");
        until(kind, || {
            (Page::of(&proxy).count(&sample) == 1).then_some(())
        });
    }
}

#[test]
fn attempts_are_counted_by_what_came_of_them() {
    let gone = RawUpstream::answering("");
    let (mock, proxy) = start_with(|setup| {
        let nowhere = RawUpstream::nowhere();
        setup
            .upstream("gone", json!({ "base_url": gone.base_url() }))
            .upstream(
                "nowhere",
                json!({ "base_url": nowhere, "connect_timeout_ms": 1000 }),
            )
            .model(json!({ "id": "vendor/chat", "upstream": [
                { "upstream": "nowhere", "priority": 0 }, { "upstream": "mock", "priority": 1 },
            ]}))
            .model(json!({ "id": "gone", "upstream": "gone", "prices": [{ "free": true }] }))
            .key(json!({ "name": "alice", "on_disconnect": "cancel" }))
    });
    let answer = proxy.send(ALICE, chat(json!({})));
    assert_eq!(answer.status, 200, "the second endpoint answers");
    assert_eq!(
        proxy.send(ALICE, chat(json!({ "model": "gone" }))).status,
        502
    );
    for (fault, status) in [("status=401", 502), ("status=400", 400)] {
        let answer = proxy.send(ALICE, chat(json!({})).header("x-mock-fault", fault));
        assert_eq!(answer.status, status, "{fault}");
    }
    let holding = occupy(&mock, &proxy, ALICE, chat(json!({})));
    let page = Page::of(&proxy);
    assert_eq!(page.count("tollgate_holds"), 1);
    assert!(page.count("tollgate_connections") >= 1);
    for word in ["closed", "operator_fault"] {
        let told = until("the request's line", || {
            let mut told = lines(&proxy);
            told.retain(|line| line["reason"] == word);
            (told.len() == 1).then_some(told)
        });
        assert_eq!(told[0]["code"], "upstream_unavailable");
        // What was logged on the way names the request.
        let id = told[0]["request_id"].as_str().expect("an id");
        assert!(proxy.log().matches(id).count() >= 2, "{}", proxy.log());
    }
    assert!(page.count("tollgate_memory_bytes{of=\"requests\"}") > 50);
    drop(holding);
    proxy.idle_wallet("alice");
    let attempts = |upstream: &str, outcome: &str| {
        format!("tollgate_upstream_attempts_total{{upstream=\"{upstream}\",outcome=\"{outcome}\"}}")
    };
    let page = until("the attempt to be given up", || {
        Some(Page::of(&proxy)).filter(|page| page.count(&attempts("mock", "abandoned")) == 1)
    });
    assert_eq!(page.count(&attempts("nowhere", "connect")), 4);
    assert_eq!(page.count(&attempts("mock", "operator_fault")), 1);
    assert_eq!(page.count(&attempts("mock", "4xx")), 1);
    assert_eq!(page.count(&attempts("mock", "2xx")), 1);
    assert_eq!(page.count(&attempts("gone", "closed")), 1);
}

#[test]
fn labels_come_from_the_config_whatever_clients_send() {
    let (_mock, proxy) = start();
    let before = {
        proxy.send(ALICE, chat(json!({ "model": "nobody/knows-0" })));
        proxy.send(ALICE, Call::get("/v1/nothing-0"));
        proxy.send(ALICE, Call::get("/v1/models/nothing-0"));
        proxy.send(ALICE, Call::new("BREW", "/x-0", ""));
        Page::of(&proxy).labels()
    };
    for round in 1..20 {
        proxy.send(
            ALICE,
            chat(json!({ "model": format!("nobody/knows-{round}") })),
        );
        proxy.send(ALICE, Call::get(&format!("/v1/nothing-{round}")));
        proxy.send(ALICE, Call::get(&format!("/v1/models/nothing-{round}")));
        proxy.send(
            ALICE,
            Call::new(&format!("BREW{round}"), &format!("/x-{round}"), ""),
        );
    }
    let page = Page::of(&proxy);
    let new: Vec<_> = page
        .labels()
        .into_iter()
        .filter(|label| !before.contains(label))
        .collect();
    assert_eq!(new, Vec::<String>::new());
}
