//! Traces: a collector on the loopback gets a span of each request and of each attempt, and the upstream gets their
//! context. `cargo test --features otel --test otel`.

#![cfg(feature = "otel")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use support::setup::ALICE;
use support::{Mock, Proxy, Setup, chat, stream, until};

/// What the tests look at of a span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: u64,
    attributes: Vec<(String, String)>,
}

impl Span {
    fn get(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}

const SERVER: u64 = 2;
const CLIENT: u64 = 3;

/// A collector of OTLP over HTTP, for as long as the process lives.
struct Collector {
    address: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let spans = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&spans);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(connection);
                let (mut line, mut length) = (String::new(), 0);
                while reader.read_line(&mut line).expect("a head") > 2 {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().expect("a length");
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).expect("a body");
                let mut spans = taken.lock();
                spans.extend(request(&body));
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                reader.get_mut().write_all(answer).expect("answered");
            }
        });
        Collector { address, spans }
    }

    /// All spans of a trace, once there are this many.
    fn trace(&self, trace: &str, count: usize) -> Vec<Span> {
        until("the spans", || {
            let mut spans = self.spans.lock().clone();
            spans.retain(|span| span.trace == trace);
            Some(spans).filter(|spans| spans.len() >= count)
        })
    }
}

/// The fields of a protobuf message: number, bytes, and the value of those that are a varint.
fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8], u64)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (byte, rest) = bytes.split_first().expect("a varint");
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
            shift += 7;
        }
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let length = match tag & 7 {
            0 => {
                found.push((tag >> 3, &bytes[..0], varint(&mut bytes)));
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut bytes)).expect("a length"),
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (value, rest) = bytes.split_at(length);
        found.push((tag >> 3, value, 0));
        bytes = rest;
    }
    found
}

fn inside(bytes: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    let all = fields(bytes).into_iter();
    all.filter(move |field| field.0 == number)
        .map(|field| field.1)
}

/// `ExportTraceServiceRequest`: resource_spans 1, scope_spans 2, spans 2.
fn request(bytes: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource in inside(bytes, 1) {
        for scope in inside(resource, 2) {
            spans.extend(inside(scope, 2).map(span));
        }
    }
    spans
}

fn span(bytes: &[u8]) -> Span {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut span = Span::default();
    for (number, value, count) in fields(bytes) {
        match number {
            1 => span.trace = hex(value),
            2 => span.id = hex(value),
            4 => span.parent = hex(value),
            5 => span.name = text(value),
            6 => span.kind = count,
            9 => {
                let key = inside(value, 1).map(text).collect();
                let value = inside(value, 2).flat_map(fields).next().expect("a value");
                let value = match value.0 {
                    1 => text(value.1),
                    _ => value.2.to_string(),
                };
                span.attributes.push((key, value));
            }
            _ => {}
        }
    }
    span
}

/// A collector, and a proxy that sends it traces.
fn start(change: impl FnOnce(Setup) -> Setup) -> (Collector, Mock, Proxy) {
    let (collector, mock) = (Collector::start(), Mock::start());
    let endpoint = format!("http://{}", collector.address);
    let proxy = Proxy::start_with_env(
        &change(Setup::new(&mock)),
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ],
    );
    (collector, mock, proxy)
}

#[test]
fn a_request_and_its_attempts_are_spans_of_the_clients_trace() {
    let (collector, mock, proxy) = start(|setup| {
        setup
            .upstream(
                "nowhere",
                json!({ "base_url": support::RawUpstream::nowhere() }),
            )
            .model(json!({ "id": "vendor/chat", "upstream": [
                { "upstream": "nowhere" }, { "upstream": "mock", "priority": 1 },
            ]}))
    });
    for (digit, call) in [('a', chat(json!({}))), ('b', stream(json!({})))] {
        let trace = digit.to_string().repeat(32);
        let parent = "1234567890abcdef";
        let call = call
            .header("traceparent", format!("00-{trace}-{parent}-01"))
            .header("tracestate", "vendor=1");
        let answer = proxy.send(ALICE, call);
        assert_eq!(answer.status, 200);
        let spans = collector.trace(&trace, 3);
        let of_kind = |kind: u64| {
            spans
                .iter()
                .filter(|span| span.kind == kind)
                .collect::<Vec<_>>()
        };
        let (server, clients) = (of_kind(SERVER), of_kind(CLIENT));
        let ([server], [failed, sent]) = (&server[..], &clients[..]) else {
            panic!("{spans:#?}");
        };
        assert_eq!(server.parent, parent);
        assert_eq!(server.name, "POST /v1/chat/completions");
        assert_eq!(
            server.get("tollgate.request_id"),
            answer.header("x-request-id")
        );
        assert_eq!(server.get("http.response.status_code"), "200");
        assert_eq!(server.get("gen_ai.request.model"), "vendor/chat");
        let receipt = proxy.receipt(ALICE, answer.header("x-request-id"));
        assert_eq!(
            server.get("gen_ai.usage.output_tokens"),
            receipt["usage"]["output"].to_string()
        );
        assert_eq!(server.get("tollgate.cost"), receipt["cost"]);
        for (client, upstream) in [(failed, "nowhere"), (sent, "mock")] {
            assert_eq!(client.parent, server.id, "{client:?}");
            assert_eq!(client.get("tollgate.upstream"), upstream);
        }
        assert_eq!(failed.get("error.type"), "connect");
        let headers = mock.headers();
        assert_eq!(headers["traceparent"], format!("00-{trace}-{}-01", sent.id));
        assert_eq!(headers["tracestate"], "vendor=1");
        let all = format!("{spans:?}");
        assert!(
            !all.contains("Say something") && !all.contains(ALICE),
            "{all}"
        );
    }
}

#[test]
fn a_request_without_a_trace_begins_one_and_the_last_are_sent_at_the_end() {
    let (collector, mock, mut proxy) = start(|setup| setup);
    assert_eq!(proxy.send(ALICE, chat(json!({}))).status, 200);
    let sent = mock.headers()["traceparent"]
        .as_str()
        .expect("a context")
        .to_owned();
    let trace = sent.split('-').nth(1).expect("a trace").to_owned();
    assert!(proxy.terminate().success());
    let spans = collector.trace(&trace, 2);
    assert!(
        spans
            .iter()
            .any(|span| span.kind == SERVER && span.parent.is_empty()),
        "{spans:?}"
    );
}

#[test]
fn without_a_collector_the_clients_context_goes_upstream_as_it_came() {
    let (mock, proxy) = support::start();
    let context = format!("00-{}-1234567890abcdef-00", "c".repeat(32));
    let call = chat(json!({})).header("traceparent", &context);
    assert_eq!(proxy.send(ALICE, call).status, 200);
    assert_eq!(mock.headers()["traceparent"], context);
}
