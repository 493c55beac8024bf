//! Secrets: never at rest, never in a log, never in an answer; and the doors that they open.

use serde_json::json;

use crate::support::proxy::ADMIN_TOKEN;
use crate::support::setup::{ALICE, UPSTREAM_KEY};
use crate::support::{
    Call, Retry, TempDir, Tunnel, chat, refusal, start, start_with, stream, until,
};

const PROMPT: &str = "canary-prompt-0123456789";

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn no_secret_and_no_prompt_is_at_rest_in_a_log_or_in_an_answer() {
    let (_mock, mut proxy) = start_with(|setup| setup.set("ledger", "durability", "disk"));
    let (made, created) = proxy.create_key(&json!({ "name": "carol", "balance": "1" }));
    let asks = json!({ "messages": [{ "role": "user", "content": PROMPT }] });
    let mut answers = Vec::new();
    for fault in [
        "none",
        "status=401",
        "status=500",
        "cut-after=1",
        "no-usage",
        "html",
    ] {
        for call in [chat(asks.clone()), stream(asks.clone())] {
            let call = call.header("x-mock-fault", fault);
            answers.push(proxy.send(ALICE, call.clone()));
            answers.push(proxy.send(&made, call));
        }
    }
    answers.push(proxy.send("wrong-canary-0123456789", chat(asks)));
    let wrong = Call::get("/admin/keys").key("wrong-canary-0123456789");
    answers.push(wrong.send(&proxy.admin_address));
    for path in [
        "/admin/keys",
        "/admin/wallets",
        "/admin/receipts",
        "/admin/prices",
    ] {
        let call = Call::get(path).key(ADMIN_TOKEN);
        answers.push(call.send(&proxy.admin_address));
    }
    answers.push(Call::get("/metrics").send(&proxy.admin_address));
    let id = created["key"]["id"].as_str().expect("an id");
    proxy.revoke_key(id);
    let look = |proxy: &crate::support::Proxy, when: &str| {
        for (path, bytes) in proxy.dir.contents() {
            let is_config = path == proxy.config_path();
            for secret in [
                ALICE,
                &made,
                UPSTREAM_KEY,
                ADMIN_TOKEN,
                PROMPT,
                "wrong-canary",
            ] {
                let found = holds(&bytes, secret) && !is_config;
                assert!(!found, "{when}: {secret} in {}", path.display());
            }
        }
    };
    look(&proxy, "while it runs");
    proxy.terminate();
    look(&proxy, "after its end");
    for answer in &answers {
        let head = format!("{:?}", answer.headers);
        for secret in [ALICE, &made, UPSTREAM_KEY, ADMIN_TOKEN, "wrong-canary"] {
            assert!(!head.contains(secret), "{secret} in {head}");
            assert!(!holds(&answer.body, secret), "{secret} in {answer:?}");
        }
    }
}

#[test]
fn what_an_operator_adds_for_an_upstream_is_in_no_log_and_in_no_answer() {
    const SECRETS: [&str; 6] = [
        "header-canary",
        "query-canary",
        "user-canary",
        "password-canary",
        "file-canary",
        // `user-canary:password-canary`, as a proxy is sent it
        "dXNlci1jYW5hcnk6cGFzc3dvcmQtY2FuYXJ5",
    ];
    let dir = TempDir::new();
    let file = dir.path().join("key");
    std::fs::write(&file, "file-canary-0123456789\n").expect("a file");
    let (open, strict) = (Tunnel::open(), Tunnel::for_credential("other"));
    let through = |tunnel: &Tunnel| {
        let address = &tunnel.address;
        format!("http://user-canary:password-canary@{address}")
    };
    let (mock, mut proxy) = start_with(|setup| {
        let fields = json!({
            "api_key": format!("file:{}", file.display()),
            "headers": { "x-canary": "header-canary" }, "query": { "key": "query-canary" },
            "proxy": through(&open),
        });
        let mut shut = fields.clone();
        shut["proxy"] = through(&strict).into();
        shut["base_url"] = "https://127.0.0.1:1/v1".into();
        setup
            .upstream("mock", fields)
            .upstream("shut", shut)
            .model(json!({ "id": "free/chat", "upstream": "shut" }))
    });
    let mut answers = Vec::new();
    for fault in [
        "none",
        "status=401",
        "status=429",
        "cut-before",
        "cut-after=1",
        "html",
    ] {
        for call in [chat(json!({})), stream(json!({}))] {
            answers.push(proxy.send(ALICE, call.header("x-mock-fault", fault)));
        }
    }
    // What is looked for was there.
    assert_eq!(mock.headers()["x-canary"], "header-canary");
    assert_eq!(
        mock.headers()["authorization"],
        "Bearer file-canary-0123456789"
    );
    assert!(open.heads()[0].contains(SECRETS[5]));
    answers.push(proxy.send(ALICE, chat(json!({ "model": "free/chat" }))));
    assert!(strict.heads()[0].contains(SECRETS[5]));
    for path in ["/v1/models", "/v1/usage"] {
        answers.push(proxy.send(ALICE, Call::get(path)));
    }
    answers.push(
        Call::get("/admin/receipts")
            .key(ADMIN_TOKEN)
            .send(&proxy.admin_address),
    );
    proxy.terminate();
    for (path, bytes) in proxy.dir.contents() {
        for secret in SECRETS {
            let found = holds(&bytes, secret) && path != proxy.config_path();
            assert!(!found, "{secret} in {}", path.display());
        }
    }
    for answer in &answers {
        let shown = format!("{answer:?}");
        for secret in SECRETS {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}

#[test]
fn a_ledger_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (_mock, proxy) = start();
    let ledger = proxy.dir.path().join("tollgate.db");
    let mode = std::fs::metadata(ledger)
        .expect("a ledger")
        .permissions()
        .mode();
    assert_eq!(mode & 0o007, 0, "{mode:o}: others may read who pays what");
}

#[test]
fn a_revoked_key_stops_at_once() {
    let (mock, proxy) = start();
    let (secret, made) = proxy.create_key(&json!({ "name": "carol", "balance": "1" }));
    let (answer, mut connection) = chat(json!({}))
        .key(&secret)
        .open(&proxy.address)
        .finish_and_keep();
    assert_eq!(answer.status, 200);
    let slow = chat(json!({}))
        .header("x-mock-delay-ms", 300)
        .key(&secret)
        .start(&proxy.address);
    until("the slow one to arrive", || {
        (mock.arrived() == 2).then_some(())
    });
    proxy.revoke_key(made["key"]["id"].as_str().expect("an id"));
    // On a connection that it had used, and on a new one.
    connection.write(&chat(json!({})).key(&secret).bytes());
    let answer = connection.answer().finish();
    refusal(&answer, 401, "invalid_api_key", Retry::ByStatus);
    let answer = proxy.send(&secret, chat(json!({})));
    refusal(&answer, 401, "invalid_api_key", Retry::ByStatus);
    // What ran before is served and charged.
    assert_eq!(slow.answer().finish().status, 200);
    assert_eq!(mock.arrived(), 2);
    assert_eq!(proxy.receipts("carol").len(), 2);
}

#[test]
fn the_admin_api_opens_to_its_token_only() {
    let (_mock, proxy) = start();
    let paths = [
        ("GET", "/admin/healthz"),
        ("GET", "/admin/keys"),
        ("POST", "/admin/keys"),
        ("DELETE", "/admin/keys/alice"),
        ("GET", "/admin/wallets"),
        ("GET", "/admin/wallets/alice"),
        ("POST", "/admin/wallets/alice/credits"),
        ("GET", "/admin/receipts"),
        ("GET", "/admin/usage"),
        ("GET", "/admin/prices"),
        ("POST", "/admin/audit"),
        ("GET", "/"),
        ("GET", "/metrics/"),
        ("POST", "/admin/../metrics"),
        ("GET", "/v1/models"),
    ];
    for (method, path) in paths {
        for value in ["", "Bearer", ALICE, UPSTREAM_KEY] {
            for host in ["localhost", "127.0.0.1", "evil.example"] {
                let call = Call::new(method, path, "")
                    .header("host", host)
                    .header("x-forwarded-for", "127.0.0.1")
                    .key(value);
                let answer = call.send(&proxy.admin_address);
                assert_eq!(answer.status, 401, "{method} {path} {value}: {answer:?}");
            }
        }
        // What the proxy's own listener knows of the admin API is nothing.
        if path.starts_with("/admin") {
            let answer = Call::new(method, path, "")
                .header("host", &proxy.admin_address)
                .key(ADMIN_TOKEN)
                .send(&proxy.address);
            refusal(&answer, 404, "unknown_url", Retry::ByStatus);
        }
    }
    assert_eq!(proxy.wallet("alice")["balance"], "10");
}

#[test]
fn the_admin_token_is_no_key_of_a_customer() {
    let (mock, proxy) = start();
    let answer = proxy.send(ADMIN_TOKEN, chat(json!({})));
    refusal(&answer, 401, "invalid_api_key", Retry::ByStatus);
    let answer = proxy.send(UPSTREAM_KEY, chat(json!({})));
    refusal(&answer, 401, "invalid_api_key", Retry::ByStatus);
    assert_eq!(mock.arrived(), 0);
}

#[test]
fn a_key_with_two_credentials_is_no_key() {
    let (mock, proxy) = start();
    let both = chat(json!({}))
        .header("authorization", "Bearer wrong")
        .header("authorization", format!("Bearer {ALICE}"));
    let answer = both.send(&proxy.address);
    refusal(&answer, 401, "invalid_api_key", Retry::ByStatus);
    assert_eq!(mock.arrived(), 0);
}
