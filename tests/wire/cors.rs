//! Web pages: which may call, and that they can read what their calls cost.

use serde_json::json;

use crate::support::raw::RawUpstream;
use crate::support::setup::ALICE;
use crate::support::{Answer, Call, Mock, Proxy, chat, start, start_with, stream};

const PAGE: &str = "https://chat.example.com";
const OTHER: &str = "https://evil.example.com";

fn allowing(origins: serde_json::Value) -> (Mock, Proxy) {
    start_with(|setup| setup.set("server", "cors_origins", origins))
}

fn preflight(path: &str, origin: &str) -> Call {
    Call::new("OPTIONS", path, "")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type,x-stainless-lang",
        )
}

/// The headers that browsers decide by.
fn cors(answer: &Answer) -> Vec<&str> {
    answer.headers.names("access-control-")
}

fn vary(answer: &Answer) -> Vec<String> {
    let vary = answer.headers.0.iter().filter(|(name, _)| name == "vary");
    vary.map(|(_, value)| value.to_ascii_lowercase()).collect()
}

#[test]
fn a_listed_page_may_ask_and_call_and_read_the_receipt() {
    let (mock, proxy) = allowing(json!([PAGE, "http://localhost:3000"]));
    for path in ["/v1/chat/completions", "/v1/models", "/v1/whatever"] {
        let asked = preflight(path, PAGE).send(&proxy.address);
        assert_eq!((asked.status, asked.body.len()), (204, 0), "{asked:?}");
        assert_eq!(
            cors(&asked),
            [
                "allow-headers",
                "allow-methods",
                "allow-origin",
                "expose-headers",
                "max-age"
            ]
        );
        assert_eq!(asked.header("access-control-allow-origin"), PAGE);
        assert_eq!(asked.header("access-control-allow-methods"), "GET, POST");
        assert_eq!(
            asked.header("access-control-allow-headers"),
            "authorization,content-type,x-stainless-lang"
        );
        assert!(vary(&asked).contains(&"origin".to_owned()), "{asked:?}");
    }
    assert_eq!(mock.arrived(), 0);
    for call in [
        chat(json!({})),
        stream(json!({})),
        chat(json!({ "model": "unknown" })),
        chat(json!({})).header("x-mock-fault", "status=500"),
        Call::get("/v1/balance"),
        Call::get("/elsewhere"),
    ] {
        let answer = proxy.send(ALICE, call.header("origin", PAGE));
        assert_eq!(
            cors(&answer),
            ["allow-origin", "expose-headers"],
            "{answer:?}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), PAGE);
        assert_eq!(answer.header("access-control-expose-headers"), "*");
        assert!(vary(&answer).contains(&"origin".to_owned()), "{answer:?}");
    }
    assert_eq!(mock.headers().get("origin"), None);
    let unknown = chat(json!({})).header("origin", PAGE).send(&proxy.address);
    assert_eq!(unknown.status, 401);
    assert_eq!(unknown.header("access-control-allow-origin"), PAGE);
}

#[test]
fn no_other_page_is_ever_named() {
    let (_mock, proxy) = allowing(json!([PAGE]));
    for origin in [
        OTHER,
        "null",
        "https://chat.example.com.evil.com",
        "http://chat.example.com",
        "https://chat.example.com:8443",
        "*",
        "",
    ] {
        let asked = preflight("/v1/chat/completions", origin).send(&proxy.address);
        assert_eq!(asked.status, 204, "{origin}");
        assert_eq!(cors(&asked), [""; 0], "{origin}");
        let answer = proxy.send(ALICE, chat(json!({})).header("origin", origin));
        assert_eq!(answer.status, 200, "{origin}");
        assert_eq!(cors(&answer), [""; 0], "{origin}");
        // A cache must not give this answer to the page that may read it.
        assert_eq!(vary(&answer), ["origin"], "{origin}");
    }
    assert_eq!(vary(&proxy.send(ALICE, chat(json!({})))), ["origin"]);
}

#[test]
fn all_pages_may_call_where_the_operator_says_so() {
    let (_mock, proxy) = allowing(json!("*"));
    for origin in [PAGE, OTHER, "null"] {
        let asked = preflight("/v1/embeddings", origin).send(&proxy.address);
        assert_eq!(asked.status, 204);
        assert_eq!(asked.header("access-control-allow-origin"), "*");
        let answer = proxy.send(ALICE, chat(json!({})).header("origin", origin));
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(!answer.headers.has("access-control-allow-credentials"));
    }
}

#[test]
fn without_origins_nothing_is_said_to_browsers() {
    let (_mock, proxy) = start();
    let asked = preflight("/v1/chat/completions", PAGE).send(&proxy.address);
    assert_eq!(asked.status, 404);
    let answer = proxy.send(ALICE, chat(json!({})).header("origin", PAGE));
    for answer in [asked, answer] {
        assert_eq!(cors(&answer), [""; 0]);
        assert_eq!(vary(&answer), [""; 0]);
    }
}

#[test]
fn what_an_upstream_says_to_browsers_is_not_passed_on() {
    let body = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let length = body.len();
    let upstream = RawUpstream::answering(format!(
        "HTTP/1.1 200 OK\r\naccess-control-allow-origin: {OTHER}\r\naccess-control-allow-credentials: true\r\n\
         vary: accept-encoding\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    ));
    let behind = |origins: Option<serde_json::Value>| {
        start_with(|setup| {
            let setup = setup
                .upstream("raw", json!({ "base_url": upstream.base_url() }))
                .model(json!({ "id": "vendor/chat", "upstream": "raw" }));
            match origins {
                Some(origins) => setup.set("server", "cors_origins", origins),
                None => setup,
            }
        })
    };
    let (_mock, closed) = behind(None);
    let answer = closed.send(ALICE, chat(json!({})).header("origin", OTHER));
    assert_eq!((answer.status, cors(&answer)), (200, vec![]));
    let (_mock, open) = behind(Some(json!([PAGE])));
    let answer = open.send(ALICE, chat(json!({})).header("origin", PAGE));
    assert_eq!(cors(&answer), ["allow-origin", "expose-headers"]);
    assert_eq!(answer.header("access-control-allow-origin"), PAGE);
    assert_eq!(vary(&answer), ["accept-encoding", "origin"]);
}
