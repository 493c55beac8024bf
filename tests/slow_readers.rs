//! Clients that do not read: the memory that their answers take stays counted.

mod support;

use serde_json::json;
use support::setup::ALICE;
use support::{Call, Mock, Proxy, Setup, until};

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
