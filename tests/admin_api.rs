//! The management API over a real connection: who may call, what is shown, what is booked once.

#[path = "support/admin.rs"]
mod support;

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use support::{Server, TOKEN, answer};
use tollgate::ledger::Ledger;
use tollgate::ledger::hold::{Charge, Quote};
use tollgate::ledger::id::RequestId;
use tollgate::ledger::limit::{Ask, CounterAsk, Window};
use tollgate::ledger::receipt::Detail;
use tollgate::money::Nano;
use tollgate::price::{FreeUnits, Segment};
use tollgate::usage::{Counted, Meter, Usage};

const ROUTES: [(Method, &str); 15] = [
    (Method::GET, "/admin/healthz"),
    (Method::GET, "/admin/keys"),
    (Method::POST, "/admin/keys"),
    (Method::GET, "/admin/keys/key_x"),
    (Method::DELETE, "/admin/keys/key_x"),
    (Method::GET, "/admin/wallets"),
    (Method::GET, "/admin/wallets/w"),
    (Method::POST, "/admin/wallets/w/credits"),
    (Method::GET, "/admin/receipts"),
    (Method::GET, "/admin/receipts/req_x"),
    (Method::GET, "/admin/usage"),
    (Method::GET, "/admin/prices"),
    (Method::GET, "/admin/prices/lint"),
    (Method::POST, "/admin/audit"),
    (Method::GET, "/no/such/path"),
];

/// Checks that a refusal has the one shape, and answers its code.
fn refusal_code(body: &Value) -> &str {
    let error = body["error"].as_object().expect("an error object");
    let mut names: Vec<&str> = error.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["code", "message", "param", "type"], "{body}");
    assert!(!error["message"].as_str().expect("a message").is_empty());
    error["code"].as_str().expect("a code")
}

async fn alice(server: &Server) -> Value {
    let (status, made) = server
        .post("/admin/keys", json!({"name": "alice", "balance": "10"}))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made
}

#[tokio::test]
async fn every_path_refuses_whoever_does_not_show_the_token() {
    let server = Server::start().await;
    let wrong = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some("Bearer wrong".to_owned()),
        Some(format!("Bearer {TOKEN}x")),
        Some(format!("Bearer  {TOKEN}")),
        Some(format!("Basic {TOKEN}")),
        Some(TOKEN.to_owned()),
    ];
    for (method, path) in ROUTES {
        let mut bodies = Vec::new();
        for value in &wrong {
            let mut request = server
                .bare(method.clone(), path)
                .header(header::HOST, "localhost");
            if let Some(value) = value {
                request = request.header(header::AUTHORIZATION, value);
            }
            let (status, body) = answer(request).await;
            assert_eq!(
                status,
                StatusCode::UNAUTHORIZED,
                "{method} {path} {value:?}"
            );
            assert_eq!(refusal_code(&body), "invalid_admin_token");
            bodies.push(body);
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "all refusals look the same");
    }
}

#[tokio::test]
async fn two_tokens_are_no_token() {
    let server = Server::start().await;
    let request = server
        .request(Method::GET, "/admin/healthz")
        .header(header::AUTHORIZATION, "Bearer other");
    assert_eq!(answer(request).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_token_alone_decides_whatever_the_host_header_says() {
    let server = Server::start().await;
    for host in ["localhost", "evil.example", "127.0.0.1:1"] {
        let request = server
            .request(Method::GET, "/admin/healthz")
            .header(header::HOST, host);
        let (status, body) = answer(request).await;
        assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("ok")));
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_the_one_shape() {
    let server = Server::start().await;
    let (status, body) = server.get("/admin/nothing").await;
    assert_eq!(
        (status, refusal_code(&body)),
        (StatusCode::NOT_FOUND, "not_found")
    );
    let (status, body) = server.delete("/admin/wallets").await;
    assert_eq!(
        (status, refusal_code(&body)),
        (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
    );
}

#[tokio::test]
async fn a_new_key_comes_with_a_wallet_its_money_and_the_named_grants() {
    let server = Server::start().await;
    let made = alice(&server).await;
    assert_eq!(made["wallet"], "alice");
    assert_eq!(made["wallet_opened"], true);
    assert_eq!(made["balance"], "10");
    assert_eq!(made["grants"], json!(["free-chat", "free-image"]));
    let (_, wallet) = server.get("/admin/wallets/alice").await;
    assert_eq!(wallet["balance"], "10");
    assert_eq!(wallet["credited"], "10");
    assert_eq!(wallet["currency"], "CNY");
    let chat = &wallet["grants"].as_array().expect("grants")[0];
    assert_eq!(
        (&chat["name"], &chat["remaining"]),
        (&json!("free-chat"), &json!(500_000))
    );
}

#[tokio::test]
async fn a_secret_is_shown_once_and_then_nowhere() {
    let server = Server::start().await;
    let made = alice(&server).await;
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    assert!(secret.starts_with("tg-") && secret.len() == 52, "{secret}");
    let id = made["key"]["id"].as_str().expect("an id");
    let one = [
        format!("/admin/keys/{id}"),
        "/admin/wallets/alice".to_owned(),
    ];
    let all = ROUTES
        .iter()
        .filter(|(method, _)| method == Method::GET)
        .map(|(_, path)| *path);
    for path in all.chain(one.iter().map(String::as_str)) {
        let (_, body) = server.get(path).await;
        let text = body.to_string();
        assert!(
            !text.contains(&secret) && !text.contains("digest"),
            "{path}: {text}"
        );
    }
    let (_, revoked) = server.delete(&format!("/admin/keys/{id}")).await;
    assert!(!revoked.to_string().contains(&secret));
}

#[tokio::test]
async fn a_revoked_key_stays_listed_and_its_name_is_free_again() {
    let server = Server::start().await;
    let id = alice(&server).await["key"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let (status, body) = server.post("/admin/keys", json!({"name": "alice"})).await;
    assert_eq!(
        (status, refusal_code(&body)),
        (StatusCode::CONFLICT, "conflict")
    );
    let (status, revoked) = server.delete(&format!("/admin/keys/{id}")).await;
    assert_eq!(
        (status, &revoked["enabled"]),
        (StatusCode::OK, &json!(false))
    );
    let (_, keys) = server.get("/admin/keys").await;
    assert_eq!(keys["data"][0]["id"], id.as_str());
    assert_eq!(keys["data"][0]["enabled"], false);
    let again = json!({"name": "alice", "wallet": "alice"});
    let (status, made) = server.post("/admin/keys", again).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(
        (&made["wallet_opened"], &made["grants"]),
        (&json!(false), &json!([]))
    );
}

#[tokio::test]
async fn a_key_never_joins_a_wallet_that_it_did_not_name() {
    let server = Server::start().await;
    let shared = json!({"name": "first", "wallet": "team"});
    assert_eq!(
        server.post("/admin/keys", shared).await.0,
        StatusCode::CREATED
    );
    let (status, body) = server.post("/admin/keys", json!({"name": "team"})).await;
    assert_eq!(
        (status, refusal_code(&body)),
        (StatusCode::CONFLICT, "conflict")
    );
}

#[tokio::test]
async fn money_and_named_grants_of_a_second_key_go_to_the_shared_wallet() {
    let server = Server::start().await;
    let first = json!({"name": "first", "wallet": "team", "balance": "1", "grants": ["free-chat"]});
    assert_eq!(
        server.post("/admin/keys", first).await.1["grants"],
        json!(["free-chat"])
    );
    let second = json!({"name": "second", "wallet": "team", "balance": "2.50", "grants": ["free-chat", "free-image"]});
    let (_, made) = server.post("/admin/keys", second).await;
    assert_eq!(
        made["grants"],
        json!(["free-image"]),
        "only what was given now"
    );
    assert_eq!(made["balance"], "3.5");
}

#[tokio::test]
async fn a_key_keeps_its_terms_and_names_models_by_id() {
    let server = Server::start().await;
    let wish = json!({
        "name": "bob", "grants": "none", "credit_line": "5", "models": ["Chat"],
        "allowed_ips": ["10.0.0.0/8"], "expires_at": "2027-01-01",
        "on_short": "clamp", "on_disconnect": "cancel", "offline_allowance": "1.50",
        "multiplier": "0.25",
        "limits": [
            {"spend": "5.00", "per": "day"},
            {"requests": 60, "per": "minute", "models": ["vendor/image"], "name": "pictures"},
            {"concurrent": 4},
        ],
    });
    let (status, made) = server.post("/admin/keys", wish).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["grants"], json!([]));
    let key = &made["key"];
    assert_eq!(key["models"], json!(["vendor/chat"]));
    assert_eq!(key["offline_allowance"], "1.5");
    assert_eq!(key["multiplier"], "0.25");
    assert_eq!(
        key["expires_at"], "2026-12-31T16:00:00Z",
        "a date begins in the server's time zone"
    );
    assert_eq!(
        key["limits"],
        json!([
            {"name": "spend-day", "spend": "5", "per": "day", "models": null},
            {"name": "pictures", "requests": 60, "per": "minute", "models": ["vendor/image"]},
            {"name": "concurrent", "concurrent": 4, "per": "total", "models": null},
        ])
    );
    let (_, shown) = server
        .get(&format!("/admin/keys/{}", key["id"].as_str().expect("id")))
        .await;
    assert_eq!(&shown, key);
}

#[tokio::test]
async fn impossible_keys_are_refused_with_the_field_and_change_nothing() {
    let server = Server::start().await;
    for (wish, param) in [
        (json!({"name": ""}), "name"),
        (json!({"name": "two words"}), "name"),
        (json!({"name": "a\u{7}b", "wallet": "w"}), "name"),
        (json!({"name": "x", "balance": "-1"}), "balance"),
        (json!({"name": "x", "balance": 1.5}), "body"),
        (json!({"name": "x", "cows": 1}), "body"),
        (json!({"wallet": "x"}), "body"),
        (json!({"name": "x", "models": ["gpt-9"]}), "models"),
        (json!({"name": "x", "models": []}), "models"),
        (json!({"name": "x", "grants": ["free-lunch"]}), "grants"),
        (json!({"name": "x", "expires_at": "soon"}), "expires_at"),
        (
            json!({"name": "x", "expires_at": "2020-01-01"}),
            "expires_at",
        ),
        (json!({"name": "x", "limits": [{}]}), "limits[0]"),
        (
            json!({"name": "x", "limits": [{"spend": "0", "per": "day"}]}),
            "limits[0]",
        ),
        (
            json!({"name": "x", "limits": [{"spend": "1", "per": "day", "name": "a:b"}]}),
            "limits[0].name",
        ),
        (
            json!({"name": "x", "limits": [{"spend": "1"}]}),
            "limits[0].per",
        ),
        (
            json!({"name": "x", "limits": [{"spend": "1", "tokens": 1, "per": "day"}]}),
            "limits[0]",
        ),
        (
            json!({"name": "x", "limits": [{"concurrent": 1, "per": "day"}]}),
            "limits[0].per",
        ),
        (
            json!({"name": "x", "limits": [{"tokens": 1, "per": "day"}, {"tokens": 2, "per": "day"}]}),
            "limits[1].name",
        ),
    ] {
        let (status, body) = server.post("/admin/keys", wish.clone()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wish}");
        refusal_code(&body);
        assert_eq!(body["error"]["param"], param, "{wish}: {body}");
    }
    assert_eq!(server.get("/admin/keys").await.1["data"], json!([]));
    assert_eq!(server.get("/admin/wallets").await.1["data"], json!([]));
}

#[tokio::test]
async fn a_credit_is_booked_once_per_id() {
    let server = Server::start().await;
    alice(&server).await;
    let path = "/admin/wallets/alice/credits";
    let topup = json!({"id": "inv-1", "kind": "topup", "amount": "12.50", "reason": "invoice 1", "actor": "eve"});
    let (status, booked) = server.post(path, topup.clone()).await;
    assert_eq!(
        (status, &booked["balance"]),
        (StatusCode::CREATED, &json!("22.5"))
    );
    assert_eq!(booked["applied"], true);
    assert_eq!(booked["at"], "2026-11-23T00:00:00Z");
    let (status, again) = server.post(path, topup).await;
    assert_eq!(
        (status, &again["balance"]),
        (StatusCode::OK, &json!("22.5"))
    );
    assert_eq!(again["applied"], false);
    let other = json!({"id": "inv-1", "kind": "topup", "amount": "13", "reason": "invoice 1", "actor": "eve"});
    let (status, body) = server.post(path, other).await;
    assert_eq!(
        (status, refusal_code(&body)),
        (StatusCode::CONFLICT, "conflict")
    );
    assert_eq!(
        server.get("/admin/wallets/alice").await.1["balance"],
        "22.5"
    );
}

#[tokio::test]
async fn an_adjustment_may_pass_the_floor_and_the_audit_stays_clean() {
    let server = Server::start().await;
    alice(&server).await;
    let path = "/admin/wallets/alice/credits";
    let (_, booked) = server
        .post(
            path,
            json!({"id": "fix-1", "kind": "adjustment", "amount": "-11"}),
        )
        .await;
    assert_eq!(booked["balance"], "-1");
    let (status, report) = answer(server.request(Method::POST, "/admin/audit")).await;
    assert_eq!(
        (status, &report["findings"]),
        (StatusCode::OK, &json!([])),
        "{report}"
    );
    assert_eq!(report["wallets"], 1);
}

#[tokio::test]
async fn impossible_credits_are_refused() {
    let server = Server::start().await;
    alice(&server).await;
    for (wallet, wish, expected) in [
        (
            "alice",
            json!({"id": "a", "kind": "topup", "amount": "0"}),
            StatusCode::BAD_REQUEST,
        ),
        (
            "alice",
            json!({"id": "a", "kind": "topup", "amount": "-1"}),
            StatusCode::BAD_REQUEST,
        ),
        (
            "alice",
            json!({"id": "a", "kind": "refund", "amount": "-1"}),
            StatusCode::BAD_REQUEST,
        ),
        (
            "alice",
            json!({"id": "a", "kind": "opening", "amount": "1"}),
            StatusCode::BAD_REQUEST,
        ),
        (
            "alice",
            json!({"id": "a", "kind": "topup", "amount": 1}),
            StatusCode::BAD_REQUEST,
        ),
        (
            "alice",
            json!({"id": "a", "kind": "topup", "amount": "1e3"}),
            StatusCode::BAD_REQUEST,
        ),
        (
            "alice",
            json!({"id": "config:alice", "kind": "topup", "amount": "1"}),
            StatusCode::BAD_REQUEST,
        ),
        (
            "nobody",
            json!({"id": "a", "kind": "topup", "amount": "1"}),
            StatusCode::NOT_FOUND,
        ),
    ] {
        let (status, body) = server
            .post(&format!("/admin/wallets/{wallet}/credits"), wish.clone())
            .await;
        assert_eq!(status, expected, "{wish}: {body}");
        refusal_code(&body);
    }
    assert_eq!(server.get("/admin/wallets/alice").await.1["balance"], "10");
}

#[tokio::test]
async fn receipts_and_usage_refuse_filters_that_make_no_sense() {
    let server = Server::start().await;
    for query in [
        "receipts?limit=0",
        "receipts?limit=1001",
        "receipts?from=yesterday",
        "receipts?from=2026-02-01&to=2026-01-01",
        "receipts?wallet=two%20words",
        "receipts?cows=1",
        "usage?limit=5",
        "receipts/nonsense",
    ] {
        let (status, body) = server.get(&format!("/admin/{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {body}");
        refusal_code(&body);
    }
    for (query, param, words) in [
        ("limit=ten", "limit", "a whole number from 1 to 1000"),
        (
            "walet=alice",
            "query",
            "unknown field `walet`, expected one of `wallet`, `key`",
        ),
        ("wallet=two%20words", "wallet", "1 to 64 of the characters"),
    ] {
        let (_, body) = server.get(&format!("/admin/receipts?{query}")).await;
        let error = &body["error"];
        assert_eq!(error["param"], param, "{body}");
        let message = error["message"].as_str().expect("text");
        assert!(
            message.contains(words) && !message.contains("eserialize"),
            "{body}"
        );
    }
    for query in [
        "receipts?from=2026-01-01&to=2026-02-01&limit=10",
        "usage?wallet=alice",
    ] {
        let (status, body) = server.get(&format!("/admin/{query}")).await;
        assert_eq!(
            (status, &body["data"]),
            (StatusCode::OK, &json!([])),
            "{query}"
        );
    }
}

/// A request of this key: 100 tokens of input at 0.000004 each, held and settled.
async fn charged_request(server: &Server, key: &Value) -> RequestId {
    let id = key["id"].as_str().expect("an id");
    let request = RequestId::new();
    let quote = Quote {
        request,
        wallet: key["wallet"]
            .as_str()
            .expect("text")
            .parse()
            .expect("a wallet"),
        key: id.parse().expect("a key"),
        key_revision: key["revision"].as_u64().expect("a number"),
        model: "vendor/chat".into(),
        aliases: [].into(),
        price_version: "0123456789ab".into(),
        segments: vec![Segment {
            meter: Meter::Input,
            count: 100,
            count_min: 100,
            unit_price: Nano::new(4_000),
        }],
        counters: vec![CounterAsk {
            key: format!("{id}/spend-total/spend").into(),
            ask: Ask::Money,
            cap: 5_000_000_000,
            window: Window::Total,
        }],
        lease_ms: 60_000,
        idempotency: None,
    };
    let hold = server
        .ledger
        .hold(quote)
        .await
        .expect("an answer")
        .expect("a hold");
    let charge = Charge {
        usage: Usage::tokens(100, 0),
        counted: Counted::Exact,
        priced: Nano::new(400_000),
        free: FreeUnits::default(),
        counters: vec![0],
        detail: Detail::default(),
    };
    server
        .ledger
        .settle(hold.id, charge)
        .await
        .expect("settled");
    request
}

#[tokio::test]
async fn what_was_charged_is_found_by_wallet_key_time_and_id() {
    let server = Server::start().await;
    let wish = json!({
        "name": "alice", "balance": "1", "grants": "none",
        "limits": [{"spend": "5", "per": "total"}],
    });
    let made = server.post("/admin/keys", wish).await.1;
    let request = charged_request(&server, &made["key"]).await.to_string();
    let key = made["key"]["id"].as_str().expect("an id");
    for (query, found) in [
        (String::new(), 1),
        ("?wallet=alice".to_owned(), 1),
        (format!("?key={key}&limit=1"), 1),
        ("?from=2026-11-23&to=2026-11-24".to_owned(), 1),
        ("?wallet=bob".to_owned(), 0),
        ("?to=2026-11-23".to_owned(), 0),
        ("?from=2026-11-24".to_owned(), 0),
    ] {
        let (_, receipts) = server.get(&format!("/admin/receipts{query}")).await;
        let receipts = receipts["data"].as_array().expect("a list");
        assert_eq!(receipts.len(), found, "{query}");
        assert!(
            receipts
                .iter()
                .all(|receipt| receipt["request_id"] == request.as_str())
        );
    }
    let (_, receipt) = server.get(&format!("/admin/receipts/{request}")).await;
    assert_eq!(receipt["cost"], "0.0004");
    let (_, usage) = server.get("/admin/usage?wallet=alice").await;
    let row = &usage["data"][0];
    assert_eq!(
        (&row["day"], &row["cost"]),
        (&json!("2026-11-23"), &json!("0.0004"))
    );
    let (_, wallet) = server.get("/admin/wallets/alice").await;
    assert_eq!(wallet["balance"], "0.9996");
    let limit = json!({"key": key, "limit": "spend-total", "period_start": null, "cap": "5", "used": "0.0004", "held": "0"});
    assert_eq!(
        wallet["limits"],
        json!([limit]),
        "a spend limit is shown as money"
    );
}

#[tokio::test]
async fn prices_show_what_is_in_force_and_what_is_free() {
    let server = Server::start().await;
    let (_, list) = server.get("/admin/prices").await;
    let chat = &list["data"][0];
    assert_eq!(
        (&chat["id"], &chat["aliases"]),
        (&json!("vendor/chat"), &json!(["Chat"]))
    );
    assert_eq!(chat["prices"][0]["free"], true);
    assert_eq!(chat["prices"][0]["in_force"], false);
    let paid = &chat["prices"][1];
    assert_eq!(
        (&paid["input"], &paid["output"]),
        (&json!("4"), &json!("16"))
    );
    assert_eq!(
        (&paid["per"], &paid["in_force"]),
        (&json!("1M tokens"), &json!(true))
    );
    assert_eq!(chat["free_quota"][0]["amount"], 500_000);
    assert_eq!(server.get("/admin/prices/lint").await.0, StatusCode::OK);
}

#[tokio::test]
async fn bodies_that_are_no_json_or_too_large_are_refused() {
    let server = Server::start().await;
    let request = server.request(Method::POST, "/admin/keys").body("not json");
    assert_eq!(answer(request).await.0, StatusCode::BAD_REQUEST);
    let twice = r#"{"name": "a", "name": "b"}"#;
    let request = server.request(Method::POST, "/admin/keys").body(twice);
    assert_eq!(
        answer(request).await.0,
        StatusCode::BAD_REQUEST,
        "duplicate keys"
    );
    let large = vec![b' '; (1 << 20) + 1];
    let (status, body) = answer(server.request(Method::POST, "/admin/keys").body(large)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    refusal_code(&body);
}
