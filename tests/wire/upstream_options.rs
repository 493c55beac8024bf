//! What each upstream can be told apart: headers, a query, a header for its key, a proxy, authorities of its own,
//! and secrets in files.

use std::fs;

use serde_json::{Value, json};

use crate::support::raw::RawUpstream;
use crate::support::setup::{ALICE, UPSTREAM_KEY};
use crate::support::{
    Authority, Mock, Proxy, Retry, Setup, TempDir, Tunnel, chat, refusal, start_with, stream,
};

const ANSWER: &str = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}"#;
/// `user:p@ss word` and its Basic credential.
const USER: &str = "user:p%40ss%20word";
const CREDENTIAL: &str = "Basic dXNlcjpwQHNzIHdvcmQ=";

/// A proxy whose chat goes to an upstream with these fields.
fn with(fields: Value) -> (Mock, Proxy) {
    start_with(|setup| setup.upstream("mock", fields))
}

fn header<'a>(request: &'a str, name: &str) -> Vec<&'a str> {
    let head = request.split("\r\n\r\n").next().expect("a head");
    let values = head.lines().filter_map(|line| {
        let (has, value) = line.split_once(": ")?;
        has.eq_ignore_ascii_case(name).then_some(value)
    });
    values.collect()
}

fn untouched(proxy: &Proxy) {
    assert_eq!(proxy.idle_wallet("alice")["balance"], "10");
    assert_eq!(proxy.receipts("alice"), Vec::<Value>::new());
}

#[test]
fn every_request_carries_the_operators_headers_and_query_and_no_credential_of_the_client() {
    let upstream = RawUpstream::json(200, ANSWER);
    let (_mock, proxy) = with(json!({
        "base_url": format!("http://{}/openai/deployments/gpt", upstream.address),
        "auth_header": "api-key",
        "headers": { "X-Title": "shop", "User-Agent": "tollgate" },
        "query": { "api-version": "2024-10-21", "name": "a b&c" },
    }));
    let call = chat(json!({}))
        .header("x-title", "client")
        .header("user-agent", "client")
        .header("x-other", "client");
    let answer = proxy.send(ALICE, call);
    assert_eq!(answer.status, 200, "{answer:?}");
    let request = upstream.last();
    let line = "POST /openai/deployments/gpt/chat/completions?api-version=2024-10-21&name=a%20b%26c HTTP/1.1";
    assert_eq!(request.lines().next(), Some(line));
    assert_eq!(header(&request, "api-key"), [UPSTREAM_KEY]);
    assert_eq!(header(&request, "x-title"), ["shop"]);
    assert_eq!(header(&request, "user-agent"), ["tollgate"]);
    assert_eq!(header(&request, "x-other"), ["client"]);
    assert!(header(&request, "authorization").is_empty() && !request.contains(ALICE));
    assert_eq!(answer.header("x-tollgate-cost"), crate::cost(10, 2));
}

#[test]
fn an_upstream_without_a_key_may_have_a_credential_of_another_kind() {
    let upstream = RawUpstream::json(200, ANSWER);
    let (_mock, proxy) = start_with(|setup| {
        setup
            .upstream(
                "basic",
                json!({ "base_url": upstream.base_url(), "headers": { "Authorization": "Basic YTpi" } }),
            )
            .model(json!({ "id": "vendor/chat", "upstream": "basic" }))
    });
    assert_eq!(proxy.send(ALICE, chat(json!({}))).status, 200);
    assert_eq!(header(&upstream.last(), "authorization"), ["Basic YTpi"]);
}

#[test]
fn an_authority_of_the_operators_own_vouches_where_its_ca_file_is_given_and_nowhere_else() {
    let (dir, authority, other) = (TempDir::new(), Authority::new(), Authority::new());
    let file = |name: &str, pem: String| {
        let path = dir.path().join(name);
        fs::write(&path, pem).expect("a file");
        path
    };
    let own = file("own.pem", authority.pem());
    let both = file("both.pem", other.pem() + &authority.pem());
    let wrong = file("other.pem", other.pem());
    let upstream = RawUpstream::secure(200, ANSWER, authority.server("127.0.0.1"));
    for ca_file in [&own, &both] {
        let seen = upstream.seen();
        let (_mock, proxy) = with(json!({ "base_url": upstream.base_url(), "ca_file": ca_file }));
        assert_eq!(proxy.send(ALICE, chat(json!({}))).status, 200);
        assert_eq!(upstream.seen(), seen + 1);
        let bearer = format!("Bearer {UPSTREAM_KEY}");
        assert_eq!(header(&upstream.last(), "authorization"), [bearer]);
    }
    // An authority vouches for the names in a certificate, not for all.
    let elsewhere = RawUpstream::secure(200, ANSWER, authority.server("elsewhere.test"));
    let seen = upstream.seen();
    for (fields, why) in [
        (json!({ "base_url": upstream.base_url() }), "UnknownIssuer"),
        (
            json!({ "base_url": upstream.base_url(), "ca_file": wrong }),
            "invalid peer certificate",
        ),
        (
            json!({ "base_url": elsewhere.base_url(), "ca_file": own }),
            "not valid for name",
        ),
    ] {
        let (_mock, proxy) = with(fields);
        let answer = proxy.send(ALICE, chat(json!({})));
        refusal(&answer, 502, "upstream_unavailable", Retry::Later);
        proxy.logged(why);
        untouched(&proxy);
    }
    assert_eq!((upstream.seen(), elsewhere.seen()), (seen, 0));
}

#[test]
fn a_proxy_tunnels_to_plain_and_encrypted_upstreams() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let ca_file = dir.path().join("ca.pem");
    fs::write(&ca_file, authority.pem()).expect("a file");
    let plain = RawUpstream::json(200, ANSWER);
    let secure = RawUpstream::secure(200, ANSWER, authority.server("127.0.0.1"));
    for upstream in [&plain, &secure] {
        for (tunnel, user, credential) in [
            (Tunnel::open(), String::new(), None),
            (
                Tunnel::for_credential(CREDENTIAL),
                format!("{USER}@"),
                Some(CREDENTIAL),
            ),
        ] {
            let (_mock, proxy) = with(json!({
                "base_url": upstream.base_url(), "ca_file": ca_file,
                "proxy": format!("http://{user}{}", tunnel.address),
            }));
            let seen = upstream.seen();
            for call in [chat(json!({})), chat(json!({}))] {
                assert_eq!(proxy.send(ALICE, call).status, 200);
            }
            assert_eq!(upstream.seen(), seen + 2);
            assert!(header(&upstream.last(), "proxy-authorization").is_empty());
            // The upstream closes after each answer, so there is a tunnel for each request.
            let heads = tunnel.heads();
            assert_eq!(heads.len(), 2);
            for head in heads {
                let line = format!("CONNECT {} HTTP/1.1", upstream.address);
                assert_eq!(head.lines().next(), Some(line.as_str()));
                assert_eq!(
                    header(&head, "proxy-authorization").first().copied(),
                    credential
                );
                assert!(!head.contains(UPSTREAM_KEY));
            }
        }
    }
}

#[test]
fn a_tunnel_is_kept_for_later_requests() {
    let (tunnel, mock) = (Tunnel::open(), Mock::start());
    let setup = Setup::new(&mock);
    let proxy = format!("http://{}", tunnel.address);
    let proxy = Proxy::start(&setup.upstream("mock", json!({ "proxy": proxy })));
    for _ in 0..10 {
        assert_eq!(proxy.send(ALICE, chat(json!({}))).status, 200);
        assert_eq!(proxy.send(ALICE, stream(json!({}))).status, 200);
    }
    // Not one for all: a request may come before the last one's connection is back.
    let tunnels = tunnel.heads().len();
    assert!(tunnels < 20, "{tunnels}");
    assert_eq!(mock.arrived(), 20);
}

#[test]
fn a_proxy_that_opens_no_tunnel_is_told_of_and_another_endpoint_is_tried() {
    let upstream = RawUpstream::json(200, ANSWER);
    let (strict, refusing, open) = (
        Tunnel::for_credential("Basic other"),
        Tunnel::refusing(),
        Tunnel::open(),
    );
    for (address, base_url, why) in [
        (
            strict.address.as_str(),
            upstream.base_url(),
            "proxy authorization required",
        ),
        (&refusing.address, upstream.base_url(), "unsuccessful"),
        (&open.address, RawUpstream::nowhere(), "unsuccessful"),
        ("127.0.0.1:1", upstream.base_url(), "Connection refused"),
    ] {
        let (mock, proxy) = start_with(|setup| {
            let proxy = format!("http://{USER}@{address}");
            setup
                .upstream("first", json!({ "base_url": base_url, "proxy": proxy }))
                .model(json!({ "id": "free/chat", "upstream": "first" }))
                .model(json!({ "id": "vendor/chat", "upstream": [
                    { "upstream": "first", "priority": 0 },
                    { "upstream": "mock", "priority": 1 },
                ]}))
        });
        let answer = proxy.send(ALICE, chat(json!({ "model": "free/chat" })));
        refusal(&answer, 502, "upstream_unavailable", Retry::Later);
        assert_eq!(proxy.send(ALICE, chat(json!({}))).status, 200);
        assert_eq!((upstream.seen(), mock.arrived()), (0, 1));
        proxy.logged(&format!("the proxy {address} opens no tunnel"));
        proxy.logged(why);
        let log = proxy.log();
        for secret in [USER, "p@ss", &CREDENTIAL[6..]] {
            assert!(!log.contains(secret) && !answer.text().contains(secret));
        }
    }
}

#[test]
fn secrets_in_files_are_read_when_the_config_is() {
    let dir = TempDir::new();
    let write = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).expect("a file");
        format!("file:{}", dir.path().join(name).display())
    };
    let (upstream, tunnel) = (
        RawUpstream::json(200, ANSWER),
        Tunnel::for_credential(CREDENTIAL),
    );
    let (_mock, mut proxy) = start_with(|setup| {
        setup
            .upstream(
                "mock",
                json!({
                    "base_url": upstream.base_url(),
                    "api_key": write("key", "sk-first\n"),
                    "headers": { "x-title": write("title", "shop\r\n") },
                    "query": { "k": write("query", "v 1") },
                    "proxy": write("proxy", &format!("http://{USER}@{}\n", tunnel.address)),
                }),
            )
            .key(json!({ "name": "alice", "secret": write("alice", &format!("{ALICE}\n")) }))
    });
    let ask = |proxy: &Proxy, key: &str, title: &str| {
        let answer = proxy.send(ALICE, chat(json!({})));
        assert_eq!(answer.status, 200, "{answer:?}");
        let request = upstream.last();
        assert_eq!(header(&request, "authorization"), [format!("Bearer {key}")]);
        assert_eq!(header(&request, "x-title"), [title]);
        assert!(request.starts_with("POST /v1/chat/completions?k=v%201 "));
    };
    ask(&proxy, "sk-first", "shop");
    write("key", "sk-second");
    write("title", "store");
    proxy.restart();
    ask(&proxy, "sk-second", "store");
    assert_eq!(tunnel.heads().len(), 2);
}
