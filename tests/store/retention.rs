//! Receipts that grow old are folded, and nothing else changes.

use rusqlite::Connection;
use serde_json::json;

use crate::support::setup::ALICE;
use crate::support::{Call, Mock, Setup, chat, until};
use crate::{audited, some_requests, start, store, with};

const DAY_MS: i64 = 86_400_000;

#[test]
fn receipts_older_than_the_config_says_are_folded_when_the_server_starts() {
    let mock = Mock::start();
    let mut proxy = start(&mock);
    some_requests(&proxy, 2);
    let old = proxy.send(ALICE, chat(json!({})));
    let old = old.header("x-tollgate-request-id").to_owned();
    proxy.terminate();
    // Five days pass.
    let stored = Connection::open(store(&proxy)).expect("a database");
    let age = format!(
        "UPDATE receipts SET settled_at = settled_at - {}",
        5 * DAY_MS
    );
    assert_eq!(stored.execute(&age, []), Ok(5));
    drop(stored);

    // Kept for ever by default.
    proxy.serve();
    let wallet = proxy.wallet("alice");
    some_requests(&proxy, 1);
    assert_eq!(proxy.view(ALICE, "/v1/usage")["kept_from"], json!(null));
    assert_eq!(proxy.receipts("alice").len(), 4);
    proxy.terminate();

    let config = Setup::new(&mock).set("ledger", "keep_receipts_days", 3);
    proxy.configure(&config);
    proxy.serve();
    until("the old receipts to be folded", || {
        (proxy.receipts("alice").len() == 1).then_some(())
    });
    until("a word of it", || {
        proxy.log().contains("receipts were folded").then_some(())
    });
    assert_eq!(proxy.audit()["receipts"], 2);
    let after = proxy.wallet("alice");
    assert_eq!(after["credited"], wallet["credited"]);
    let billing = proxy.view(ALICE, "/v1/dashboard/billing/credit_grants");
    let charged: f64 = after["charged"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        billing["total_used"].as_f64(),
        Some(charged),
        "all that was ever charged"
    );

    let usage = proxy.view(ALICE, "/v1/usage?from=2020-01-01");
    assert!(usage["kept_from"].is_string(), "{usage}");
    let days = usage["data"].as_array().expect("days");
    assert_eq!(days.len(), 1, "{usage}");
    assert_eq!(days[0]["requests"], 1, "{usage}");
    let gone = proxy.send(ALICE, Call::get(&format!("/v1/receipts/{old}")));
    assert_eq!(gone.status, 404);
    let words = gone.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(words.contains("Receipts are kept for 3 days."), "{words}");
    let (status, body) = proxy.admin("GET", &format!("/admin/receipts/{old}"), None);
    assert_eq!(status, 404);
    assert!(
        body.to_string().contains("ledger.keep_receipts_days: 3"),
        "{body}"
    );
    assert!(proxy.terminate().success());

    assert_eq!(audited(&store(&proxy)), 2);
    let file = proxy.dir.path().join("copy.db");
    let ran = with(&proxy, &["backup", "--out", file.to_str().unwrap()]);
    assert!(
        ran.out.contains("receipts      7, 5 of them folded"),
        "{}",
        ran.out
    );
}
