//! The wire: what a client sees of an answer, and what the upstream sees of a request.

mod support;

use serde_json::json;
use support::setup::ALICE;
use support::{Call, Mock, Proxy, Setup};

#[test]
fn smoke() {
    let mock = Mock::start();
    let mut proxy = Proxy::start(&Setup::new(&mock));
    let body = json!({"model":"chat","messages":[{"role":"user","content":"hi"}]});
    let answer = proxy.send(
        ALICE,
        Call::json("/v1/chat/completions", &body).header("x-mock-prompt", 10),
    );
    println!("{answer:#?}\n{}", answer.text());
    let body = json!({"model":"chat","messages":[{"role":"user","content":"hi"}],"stream":true, "stream_options":{"include_usage":true}});
    let answer = proxy.send(
        ALICE,
        Call::json("/v1/chat/completions", &body)
            .header("x-mock-completion", 2)
            .header("te", "trailers"),
    );
    println!("{answer:#?}\n{}", answer.text());
    println!("{}", proxy.wallet("alice"));
    println!("{}", proxy.view(ALICE, "/v1/balance"));
    println!("{}", proxy.audit());
    println!("{:?}", proxy.receipts("alice"));
    println!("{:?}", mock.totals());
    println!("{:?}", mock.requests());
    println!("{:?}", mock.headers());
    println!("{:?}", String::from_utf8(mock.last_body()));
    proxy.restart();
    println!("{:?}", proxy.terminate());
}
