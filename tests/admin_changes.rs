//! Changing keys and wallets of a running server through the management API.

#[path = "support/admin.rs"]
mod admin;

use admin::{NOW, Server};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn alice(server: &Server) -> Value {
    let wish = json!({
        "name": "alice", "balance": "10", "models": ["Chat"],
        "limits": [{ "requests": 5, "per": "minute" }],
    });
    let (status, made) = server.post("/admin/keys", wish).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made
}

async fn patch(server: &Server, path: &str, edit: Value) -> (StatusCode, Value) {
    admin::answer(server.request(Method::PATCH, path).json(&edit)).await
}

fn refusal(answer: &(StatusCode, Value)) -> (u16, &str, Option<&str>) {
    let error = &answer.1["error"];
    let code = error["code"].as_str().expect("a code");
    (answer.0.as_u16(), code, error["param"].as_str())
}

#[tokio::test]
async fn what_an_edit_leaves_out_stays_and_null_takes_a_bound_away() {
    let server = Server::start().await;
    let made = alice(&server).await;
    let path = format!("/admin/keys/{}", made["key"]["id"].as_str().expect("an id"));
    let expiry = json!({ "expires_at": "2027-01-01" });
    let (status, key) = patch(&server, &path, expiry).await;
    assert_eq!(status, StatusCode::OK, "{key}");
    assert_eq!(
        key["expires_at"], "2026-12-31T16:00:00Z",
        "Shanghai's midnight"
    );
    assert_eq!(key["models"], json!(["vendor/chat"]));
    assert_eq!(key["limits"][0]["requests"], 5);
    assert_eq!(key["revision"], 2);

    assert_eq!(key["offline_allowance"], "0");

    assert_eq!(key["multiplier"], "1");

    let edit = json!({ "offline_allowance": "2", "multiplier": "0.80" });
    let (_, key) = patch(&server, &path, edit).await;
    assert_eq!(
        (&key["offline_allowance"], &key["revision"]),
        (&json!("2"), &json!(3))
    );

    let edit =
        json!({ "expires_at": null, "models": null, "limits": [{ "spend": "3", "per": "day" }] });
    let (_, key) = patch(&server, &path, edit).await;
    assert_eq!(
        (&key["expires_at"], &key["models"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        key["limits"],
        json!([{ "name": "spend-day", "spend": "3", "per": "day", "models": null }])
    );
    assert_eq!(key["offline_allowance"], "2");
    assert_eq!(key["multiplier"], "0.8");
    let (_, shown) = server.get(&path).await;
    assert_eq!(shown, key);

    let (status, same) = patch(&server, &path, json!({})).await;
    assert_eq!(
        (status, &same["revision"]),
        (StatusCode::OK, &json!(4)),
        "nothing changed"
    );
}

#[tokio::test]
async fn edits_that_cannot_be_are_refused_and_change_nothing() {
    let server = Server::start().await;
    let made = alice(&server).await;
    let path = format!("/admin/keys/{}", made["key"]["id"].as_str().expect("an id"));
    for (edit, param) in [
        (json!({ "models": ["nothing"] }), Some("models")),
        (
            json!({ "limits": [{ "requests": 0, "per": "day" }] }),
            Some("limits[0]"),
        ),
        (json!({ "expires_at": "soon" }), Some("expires_at")),
        (
            json!({ "offline_allowance": "-1" }),
            Some("offline_allowance"),
        ),
        (json!({ "wallet": "other" }), Some("body")),
        (json!({ "multiplier": "1000.1" }), Some("body")),
        (json!({ "multiplier": "-1" }), Some("body")),
    ] {
        let answer = patch(&server, &path, edit).await;
        assert_eq!(
            refusal(&answer),
            (400, "invalid_request", param),
            "{}",
            answer.1
        );
    }
    let (status, _) = server.post("/admin/keys", json!({ "name": "bob" })).await;
    assert_eq!(status, StatusCode::CREATED);
    let taken = patch(&server, &path, json!({ "name": "bob" })).await;
    assert_eq!(refusal(&taken), (409, "conflict", None));
    let unknown = patch(&server, "/admin/keys/nobody", json!({})).await;
    assert_eq!(refusal(&unknown), (404, "not_found", None));
    assert_eq!(server.get(&path).await.1, made["key"]);

    server.delete(&path).await;
    let revoked = patch(&server, &path, json!({ "name": "x" })).await;
    assert_eq!(refusal(&revoked), (409, "conflict", None));
}

#[tokio::test]
async fn a_field_that_cannot_be_null_is_refused_as_null() {
    let server = Server::start().await;
    let made = alice(&server).await;
    let path = format!("/admin/keys/{}", made["key"]["id"].as_str().expect("an id"));
    for field in [
        "name",
        "limits",
        "allowed_ips",
        "on_short",
        "on_disconnect",
        "offline_allowance",
        "multiplier",
    ] {
        let answer = patch(&server, &path, json!({ field: null })).await;
        assert_eq!(
            refusal(&answer),
            (400, "invalid_request", Some("body")),
            "{field}"
        );
    }
    assert_eq!(server.get(&path).await.1, made["key"]);
}

#[tokio::test]
async fn of_keys_of_one_name_that_come_together_one_is_made() {
    let server = Server::start().await;
    let wish = json!({ "name": "same", "wallet": "shared" });
    let all = (0..8).map(|_| server.post("/admin/keys", wish.clone()));
    let answers = futures_util::future::join_all(all).await;
    let made = answers
        .iter()
        .filter(|(status, _)| *status == StatusCode::CREATED);
    assert_eq!(made.count(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_credit_line_moves_but_not_below_what_is_owed() {
    let server = Server::start().await;
    alice(&server).await;
    let line = |amount: &str| json!({ "credit_line": amount });
    let (status, wallet) = patch(&server, "/admin/wallets/alice", line("50")).await;
    assert_eq!(status, StatusCode::OK, "{wallet}");
    assert_eq!(
        (&wallet["credit_line"], &wallet["available"]),
        (&json!("50"), &json!("60"))
    );
    let fix = json!({ "id": "fix", "kind": "adjustment", "amount": "-30", "reason": "test" });
    server.post("/admin/wallets/alice/credits", fix).await;
    let lower = patch(&server, "/admin/wallets/alice", line("19.99")).await;
    assert_eq!(refusal(&lower), (409, "conflict", None));
    assert!(lower.1.to_string().contains("owes 20"), "{}", lower.1);
    let (status, _) = patch(&server, "/admin/wallets/alice", line("20")).await;
    assert_eq!(status, StatusCode::OK);
    let negative = patch(&server, "/admin/wallets/alice", line("-1")).await;
    assert_eq!(
        refusal(&negative),
        (400, "invalid_request", Some("credit_line"))
    );
    let unknown = patch(&server, "/admin/wallets/nobody", line("1")).await;
    assert_eq!(refusal(&unknown), (404, "not_found", None));
    let (_, report) = server.post("/admin/audit", json!({})).await;
    assert_eq!(report["findings"], json!([]));
}

#[tokio::test]
async fn a_grant_is_given_once_per_name() {
    let server = Server::start().await;
    alice(&server).await;
    let path = "/admin/wallets/alice/grants";
    let promo = json!({ "name": "promo", "unit": "money", "amount": "2.50", "models": ["Chat"],
                        "expires_at": "2027-01-01" });
    let (status, given) = server.post(path, promo.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{given}");
    assert_eq!(
        (&given["remaining"], &given["models"]),
        (&json!("2.5"), &json!(["vendor/chat"]))
    );
    assert_eq!(given["applied"], true);
    let (status, again) = server.post(path, promo).await;
    let mut same = given;
    same["applied"] = json!(false);
    assert_eq!((status, again), (StatusCode::OK, same));
    let other = json!({ "name": "promo", "unit": "tokens", "amount": 7 });
    assert_eq!(
        refusal(&server.post(path, other).await),
        (409, "conflict", None)
    );
    let (_, wallet) = server.get("/admin/wallets/alice").await;
    let promos = wallet["grants"].as_array().expect("a list").iter();
    assert_eq!(
        promos.filter(|grant| grant["name"] == "promo").count(),
        1,
        "{wallet}"
    );
}

#[tokio::test]
async fn grants_that_cannot_be_are_refused_with_the_field() {
    let server = Server::start().await;
    alice(&server).await;
    assert!(NOW.timestamp().to_string().starts_with("2026-11-23"));
    for (field, value) in [
        ("amount", json!(0)),
        ("amount", json!("5")),
        ("models", json!(["nothing"])),
        ("models", json!([])),
        ("expires_at", json!("2026-11-22")),
        ("body", json!(1)),
    ] {
        let mut wish = json!({ "name": "promo", "unit": "tokens", "amount": 7 });
        wish[field] = value;
        let answer = server.post("/admin/wallets/alice/grants", wish).await;
        assert_eq!(
            refusal(&answer),
            (400, "invalid_request", Some(field)),
            "{}",
            answer.1
        );
    }
    let money = json!({ "name": "promo", "unit": "money", "amount": 7 });
    let answer = server.post("/admin/wallets/alice/grants", money).await;
    assert_eq!(refusal(&answer), (400, "invalid_request", Some("amount")));
}
