//! Health: whether the process lives, and whether it should be sent requests.

use serde_json::json;

use crate::support::setup::ALICE;
use crate::support::{Call, Connection, chat, occupy, start, start_with, until};

#[test]
fn probes_are_answered_on_both_listeners_without_a_key_or_a_token() {
    let (_mock, proxy) = start();
    for (address, path) in [
        (&proxy.address, "/healthz"),
        (&proxy.address, "/readyz"),
        (&proxy.admin_address, "/healthz"),
    ] {
        let answer = Call::get(path).send(address);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "ok\n"),
            "{path}"
        );
    }
    let answer = Call::get("/readyz").send(&proxy.admin_address);
    assert_eq!(answer.status, 200);
    let told = answer.json();
    assert_eq!(told["ready"], true);
    assert_eq!(told["ledger"]["kind"], "embedded");
    let address = told["ledger"]["address"].as_str().expect("a file");
    assert!(address.starts_with('/'), "{address}");
    assert_eq!((told.get("reason"), told.get("journal")), (None, None));
    let answer = Call::get("/metrics").send(&proxy.address);
    assert_eq!(answer.status, 404, "customers see no metrics");
    let answer = Call::get("/metrics").send(&proxy.admin_address);
    let kind = answer.header("content-type");
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let answer = Call::get("/admin/keys").send(&proxy.admin_address);
    assert_eq!(answer.status, 401, "everything else asks for the token");
}

#[test]
fn a_process_that_ends_lives_but_is_not_ready() {
    let (mock, mut proxy) =
        start_with(|setup| setup.key(json!({ "name": "alice", "on_disconnect": "cancel" })));
    let holding = occupy(&mock, &proxy, ALICE, chat(json!({})));
    // A load balancer that keeps its connection is told on the public listener, too.
    let mut kept = Connection::open(&proxy.address);
    kept.write(&Call::get("/readyz").bytes());
    let (answer, kept) = kept.answer().finish_and_keep();
    assert_eq!(answer.status, 200);
    drop(kept);
    proxy.ask_to_end();
    let answer = until("draining", || {
        let answer = Call::get("/readyz").send(&proxy.admin_address);
        (answer.status == 503).then_some(answer)
    });
    let told = answer.json();
    assert_eq!(told["ready"], false);
    let reason = told["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("draining"), "{reason}");
    assert_eq!(Call::get("/healthz").send(&proxy.admin_address).status, 200);
    assert!(proxy.metrics().contains("tollgate_draining 1\n"));
    drop(holding);
    assert!(proxy.wait().success());
}
