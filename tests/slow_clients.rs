//! Clients that do not read, or do not send: the memory that they take is counted, and no other.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;
use support::setup::ALICE;
use support::{Call, DEADLINE, Mock, Proxy, Setup, until};

const MIB: u64 = 1 << 20;

fn large() -> Call {
    let body = json!({ "model": "chat", "messages": [{ "role": "user", "content": "hi" }] });
    Call::json("/v1/chat/completions", &body).header("x-mock-bytes", 24 * MIB)
}

#[test]
fn an_answer_takes_its_memory_until_it_was_read() {
    let mock = Mock::start();
    let setup = Setup::new(&mock)
        .cap("answer_hold_bytes", 32 * MIB)
        .cap("answer_memory_bytes", 32 * MIB);
    let proxy = Proxy::start(&setup);
    // Charged, and its head received, but far too large to lie in the sockets' buffers.
    let unread = proxy.open(ALICE, large());
    assert!(unread.headers.get("x-tollgate-cost").is_some());
    // There is no room to hold a second one back, so it flows, and its head comes before its charge.
    let flowing = proxy.open(ALICE, large());
    assert!(flowing.headers.get("x-tollgate-cost").is_none());
    assert!(flowing.finish().whole);
    drop(unread);
    until("the memory to be given back", || {
        let exchange = proxy.open(ALICE, large());
        let held_back = exchange.headers.get("x-tollgate-cost").is_some();
        exchange.finish();
        held_back.then_some(())
    });
}

#[test]
fn a_body_that_is_only_announced_takes_no_memory_from_others() {
    let mock = Mock::start();
    let setup = Setup::new(&mock)
        .cap("request_body_bytes", 60_000)
        .cap("request_memory_bytes", 100_000);
    let proxy = Proxy::start(&setup);
    let announce = || {
        let mut stream = TcpStream::connect(&proxy.address).expect("a connection");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {ALICE}\r\n\
             expect: 100-continue\r\ncontent-length: 55000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("a head is sent");
        // It says so when it begins to read the body.
        let mut wanted = [0; 12];
        stream.read_exact(&mut wanted).expect("a line");
        assert_eq!(&wanted, b"HTTP/1.1 100");
        stream
    };
    let _silent = [announce(), announce(), announce()];
    let body = json!({
        "model": "chat", "user": "a".repeat(55_000), "max_tokens": 1,
        "messages": [{ "role": "user", "content": "hi" }],
    });
    let answer = proxy.send(ALICE, Call::json("/v1/chat/completions", &body));
    assert_eq!(answer.status, 200, "{}", answer.text());
}
