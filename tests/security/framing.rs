//! Requests whose end can be read in two ways, and headers that are not to travel.

use std::fmt::Write;

use serde_json::json;

use crate::support::raw::RawUpstream;
use crate::support::setup::ALICE;
use crate::support::{Call, Connection, Mock, Proxy, chat, start, start_with};

const BODY: &str = r#"{"model":"vendor/chat","messages":[{"role":"user","content":"a"}]}"#;

/// A chat request by hand: these header lines, then these bytes.
fn by_hand(version: &str, lines: &[&str], rest: &str) -> Vec<u8> {
    let mut text = format!("POST /v1/chat/completions HTTP/{version}\r\nhost: a\r\n");
    let key = format!("authorization: Bearer {ALICE}");
    for line in [&[key.as_str()], lines].concat() {
        write!(text, "{line}\r\n").expect("a string takes it");
    }
    format!("{text}\r\n{rest}").into_bytes()
}

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// Sends bytes; the statuses of all answers until the other side closes.
fn statuses(proxy: &Proxy, bytes: &[u8]) -> Vec<u16> {
    let mut connection = Connection::open(&proxy.address);
    connection.write(bytes);
    let mut seen = Vec::new();
    while let Some(exchange) = connection.try_answer() {
        seen.push(exchange.status);
        connection = exchange.finish_and_keep().1;
    }
    seen
}

/// These bytes are refused with 400, and nothing of them or after them is served.
fn refused(mock: &Mock, proxy: &Proxy, bytes: &[u8], what: &str) {
    let hidden = Call::post("/v1/chat/completions", BODY).key(ALICE).bytes();
    let seen = statuses(proxy, &[bytes, &hidden].concat());
    assert_eq!(seen, [400], "{what}");
    assert_eq!(mock.arrived(), 0, "{what}");
}

#[test]
fn a_request_with_two_lengths_never_hides_a_second_one() {
    let (mock, proxy) = start();
    let length = format!("content-length: {}", BODY.len());
    let te = "transfer-encoding: chunked";
    let hidden = Call::post("/v1/chat/completions", BODY).key(ALICE).bytes();
    for lines in [[length.as_str(), te], [te, length.as_str()]] {
        let first = by_hand("1.1", &lines, &chunked(BODY));
        let before = mock.arrived();
        let seen = statuses(&proxy, &[first.as_slice(), &hidden].concat());
        // Read by its chunks or refused; either way it is the connection's last.
        assert!(seen == [200] || seen == [400], "{seen:?}");
        assert!(mock.arrived() - before <= 1);
    }
}

#[test]
fn requests_that_two_readers_would_end_differently_are_refused() {
    let (mock, proxy) = start();
    let length = format!("content-length: {}", BODY.len());
    let other = format!("content-length: {}", BODY.len() + 7);
    let signed = format!("content-length: +{}", BODY.len());
    let list = format!("content-length: {0}, {0}", BODY.len() - 1);
    for (what, version, lines, rest) in [
        (
            "two lengths",
            "1.1",
            vec![&*length, &*other],
            BODY.to_owned(),
        ),
        ("a signed length", "1.1", vec![&*signed], BODY.to_owned()),
        ("a list of lengths", "1.1", vec![&*list], BODY.to_owned()),
        (
            "a length that is no number",
            "1.1",
            vec!["content-length: 0x10"],
            BODY.to_owned(),
        ),
        (
            "chunks in HTTP/1.0",
            "1.0",
            vec!["transfer-encoding: chunked"],
            chunked(BODY),
        ),
        (
            "an unknown coding last",
            "1.1",
            vec!["transfer-encoding: chunked, gzip"],
            chunked(BODY),
        ),
        (
            "a coding that hides",
            "1.1",
            vec!["transfer-encoding: xchunked"],
            chunked(BODY),
        ),
        (
            "a folded header",
            "1.1",
            vec!["x-a: b", " transfer-encoding: chunked", &*length],
            BODY.to_owned(),
        ),
        (
            "a blank before the colon",
            "1.1",
            vec!["transfer-encoding : chunked"],
            chunked(BODY),
        ),
        (
            "a name with a blank",
            "1.1",
            vec!["x a: b", &*length],
            BODY.to_owned(),
        ),
        (
            "a bare return",
            "1.1",
            vec!["x-a: b\rtransfer-encoding: chunked", &*length],
            BODY.to_owned(),
        ),
        (
            "a nought in a value",
            "1.1",
            vec!["x-a: b\0c", &*length],
            BODY.to_owned(),
        ),
    ] {
        refused(&mock, &proxy, &by_hand(version, &lines, &rest), what);
    }
}

#[test]
fn chunks_must_be_well_formed() {
    let (mock, proxy) = start();
    let te = "transfer-encoding: chunked";
    for (what, rest) in [
        (
            "a length that is no number",
            format!("zz\r\n{BODY}\r\n0\r\n\r\n"),
        ),
        ("a negative length", format!("-1\r\n{BODY}\r\n0\r\n\r\n")),
        (
            "a huge length",
            format!("fffffffffffffffff\r\n{BODY}\r\n0\r\n\r\n"),
        ),
        (
            "no end of a chunk",
            format!("{:x}\r\n{BODY}xx0\r\n\r\n", BODY.len()),
        ),
    ] {
        let seen = statuses(&proxy, &by_hand("1.1", &[te], &rest));
        assert!(seen == [400] || seen.is_empty(), "{what}: {seen:?}");
        assert_eq!(mock.arrived(), 0, "{what}");
    }
    assert_eq!(proxy.idle_wallet("alice")["balance"], "10");
}

#[test]
fn a_chunked_body_is_a_body() {
    let (mock, proxy) = start();
    let (start, end) = BODY.split_at(20);
    let rest = format!(
        "{:x};a=b\r\n{start}\r\n{:x}\r\n{end}\r\n0\r\nx-trailer: a\r\n\r\n",
        start.len(),
        end.len()
    );
    let mut connection = Connection::open(&proxy.address);
    connection.write(&by_hand("1.1", &["transfer-encoding: chunked"], &rest));
    let answer = connection.answer().finish();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(mock.last_body(), BODY.as_bytes());
    assert_eq!(mock.headers().get("transfer-encoding"), None);
    assert_eq!(mock.headers().get("x-trailer"), None);
    assert_eq!(mock.headers()["content-length"], BODY.len().to_string());
}

#[test]
fn bare_line_feeds_end_no_second_header_section() {
    let (mock, proxy) = start();
    // Both readings of these bytes have one request; a second one would be smuggled.
    let hidden = format!(
        "POST /v1/chat/completions HTTP/1.1\nhost: a\nauthorization: Bearer {ALICE}\ncontent-length: {}\n\n{BODY}",
        BODY.len()
    );
    let seen = statuses(
        &proxy,
        format!("GET /v1/models HTTP/1.1\nhost: a\nconnection: close\n\n{hidden}").as_bytes(),
    );
    assert!(seen == [400] || seen == [401], "{seen:?}");
    assert_eq!(mock.arrived(), 0);
}

#[test]
fn no_protocol_is_switched_to() {
    let (mock, proxy) = start();
    let length = format!("content-length: {}", BODY.len());
    for lines in [
        ["connection: upgrade", "upgrade: websocket", &length],
        [
            "connection: upgrade, http2-settings",
            "upgrade: h2c",
            &length,
        ],
    ] {
        let mut connection = Connection::open(&proxy.address);
        connection.write(&by_hand("1.1", &lines, BODY));
        let answer = connection.answer().finish();
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    let mut connection = Connection::open(&proxy.address);
    connection.write(b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nhost: 127.0.0.1:1\r\n\r\n");
    let status = connection.try_answer().map(|exchange| exchange.status);
    assert!(
        status.is_none_or(|status| status == 400 || status == 404),
        "{status:?}"
    );
    // HTTP/2 is spoken from the first byte of a connection, or not at all.
    let connection = Call::get("/v1/models").start(&proxy.address);
    let (first, mut preface) = connection.answer().finish_and_keep();
    assert_eq!(first.status, 401);
    preface.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let status = preface.try_answer().map(|exchange| exchange.status);
    assert!(
        status.is_none_or(|status| status == 400 || status == 505),
        "{status:?}"
    );
    assert_eq!(mock.arrived(), 0);
}

#[test]
fn headers_of_one_connection_do_not_cross_it() {
    let (mock, proxy) = start();
    let call = chat(json!({}))
        .header("connection", "keep-alive, X-Private")
        .header("x-private", "1")
        .header("keep-alive", "timeout=5")
        .header("te", "trailers")
        .header("proxy-authorization", "Basic YTpi")
        .header("proxy-connection", "keep-alive")
        .header("trailer", "x-a")
        .header("x-tollgate-cost", "0")
        .header("x-public", "1");
    assert_eq!(proxy.send(ALICE, call).status, 200);
    let headers = mock.headers();
    for name in [
        "connection",
        "x-private",
        "keep-alive",
        "te",
        "proxy-authorization",
        "proxy-connection",
        "trailer",
        "x-tollgate-cost",
    ] {
        assert_eq!(headers.get(name), None, "{name}");
    }
    assert_eq!(headers["x-public"], "1");
}

#[test]
fn headers_of_the_upstreams_connection_do_not_cross_it_either() {
    let body = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let upstream = RawUpstream::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close, X-Private\r\nx-private: 1\r\nkeep-alive: timeout=5\r\nproxy-authenticate: Basic\r\n\
         upgrade: h2c\r\nalt-svc: h3=\":443\"\r\nset-cookie: a=b\r\nset-cookie: c=d\r\nx-tollgate-cost: 0\r\n\
         x-tollgate-balance: 1000000\r\nx-request-id: forged\r\nx-public: 1\r\n\r\n{body}",
        body.len()
    ));
    let (_mock, proxy) =
        start_with(|setup| setup.upstream("mock", json!({ "base_url": upstream.base_url() })));
    let answer = proxy.send(ALICE, chat(json!({})));
    for name in [
        "connection",
        "x-private",
        "keep-alive",
        "proxy-authenticate",
        "upgrade",
        "alt-svc",
        "set-cookie",
    ] {
        assert!(!answer.headers.has(name), "{name}: {answer:?}");
    }
    assert_eq!(answer.header("x-public"), "1");
    assert_eq!(answer.header("x-tollgate-cost"), "0.00002");
    assert_ne!(answer.header("x-tollgate-balance"), "1000000");
    assert_eq!(answer.header("x-tollgate-upstream-request-id"), "forged");
}

#[test]
fn an_upstream_that_breaks_http_breaks_nothing_here() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc",
        "HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "{}",
    ] {
        let upstream = RawUpstream::answering(answer);
        let (_mock, proxy) =
            start_with(|setup| setup.upstream("mock", json!({ "base_url": upstream.base_url() })));
        let seen = proxy.send(ALICE, chat(json!({})));
        assert_eq!(seen.status, 502, "{answer:?}: {seen:?}");
        assert_eq!(seen.json()["error"]["code"], "upstream_unavailable");
        assert_eq!(proxy.idle_wallet("alice")["balance"], "10");
    }
}

#[test]
fn the_host_header_decides_nothing() {
    let (mock, proxy) = start();
    for host in [
        "evil.example",
        "127.0.0.1:8081",
        "localhost",
        "169.254.169.254",
    ] {
        let call = chat(json!({})).header("host", host);
        let answer = proxy.send(ALICE, call.clone());
        assert_eq!(answer.status, 200);
        assert!(
            !answer
                .headers
                .0
                .iter()
                .any(|(_, value)| value.contains(host))
        );
        assert_eq!(mock.headers()["host"], mock.address);
        assert_eq!(call.send(&proxy.address).status, 401);
    }
    // Nor does an absolute form, which asks for a forward proxy.
    let path = "http://evil.example/v1/chat/completions";
    let answer = proxy.send(ALICE, Call::post(path, BODY));
    assert!(answer.status == 200 || answer.status == 404, "{answer:?}");
    assert_eq!(mock.headers()["host"], mock.address);
}
