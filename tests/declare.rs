//! What config declares, made so in the ledger: once, and never against an operator's later acts.

#[path = "support/admin.rs"]
mod support;

use std::sync::Arc;

use support::{CONFIG, config, ledger};
use tollgate::admin::declare;
use tollgate::ledger::Ledger;
use tollgate::ledger::credit::{Entry, EntryKind};
use tollgate::ledger::embedded::Embedded;
use tollgate::ledger::id::WalletId;
use tollgate::ledger::key::{Freshness, Key};
use tollgate::ledger::wallet::WalletView;
use tollgate::money::Nano;

const SECRET: &str = "a-declared-secret-of-alice";

fn alice(terms: &str) -> String {
    format!("keys:\n  - {{ name: alice, secret: {SECRET}, {terms} }}\n")
}

/// Declares the keys; answers the warnings, or the error, as text.
async fn declared(ledger: &Embedded, keys: &str) -> Result<Vec<String>, String> {
    let config = config(&format!("{CONFIG}{keys}"));
    let warnings = declare(ledger, &config)
        .await
        .map_err(|error| error.to_string())?;
    Ok(warnings.iter().map(ToString::to_string).collect())
}

async fn wallet(ledger: &Embedded, id: &str) -> WalletView {
    let id: WalletId = id.parse().expect("a wallet id");
    ledger
        .wallet(id)
        .await
        .expect("an answer")
        .expect("a wallet")
}

async fn key(ledger: &Embedded) -> Arc<Key> {
    let digest = ledger.digest(SECRET);
    ledger
        .key(digest, Freshness::Shown)
        .await
        .expect("an answer")
        .expect("a key")
}

#[tokio::test]
async fn a_declared_key_finds_its_wallet_money_grants_and_terms() {
    let ledger = ledger();
    let keys = alice(
        r#"balance: "100.00", credit_line: "5", models: [Chat], limits: [{ spend: "20.00", per: day }]"#,
    );
    assert_eq!(declared(&ledger, &keys).await, Ok(vec![]));
    let wallet = wallet(&ledger, "alice").await;
    assert_eq!(wallet.balance.to_string(), "100");
    assert_eq!(wallet.credit_line.to_string(), "5");
    let grants: Vec<&str> = wallet
        .grants
        .iter()
        .map(|state| state.grant.name.as_str())
        .collect();
    assert_eq!(grants, ["free-chat", "free-image"]);
    let key = key(&ledger).await;
    assert!(key.models.has("vendor/chat") && !key.models.has("vendor/image"));
    assert_eq!(
        (key.limits[0].name.as_str(), key.limits[0].cap),
        ("spend-day", 20_000_000_000)
    );
}

#[tokio::test]
async fn a_restart_changes_nothing() {
    let ledger = ledger();
    let keys = alice(r#"balance: "100.00""#);
    for _ in 0..3 {
        assert_eq!(declared(&ledger, &keys).await, Ok(vec![]));
    }
    assert_eq!(wallet(&ledger, "alice").await.balance.to_string(), "100");
    assert_eq!(key(&ledger).await.revision, 1);
}

#[tokio::test]
async fn an_edited_balance_or_credit_line_warns_and_does_nothing() {
    let ledger = ledger();
    declared(&ledger, &alice(r#"balance: "100.00""#))
        .await
        .expect("declared");
    let edited = alice(r#"balance: "200.00", credit_line: "7""#);
    let warnings = declared(&ledger, &edited).await.expect("declared");
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(
        warnings
            .iter()
            .any(|line| line.contains("keys[0].balance: it was booked")),
        "{warnings:#?}"
    );
    assert!(
        warnings
            .iter()
            .any(|line| line.contains("keys[0].credit_line: wallet `alice` has a credit line"))
    );
    let wallet = wallet(&ledger, "alice").await;
    assert_eq!(
        (wallet.balance.to_string(), wallet.credit_line),
        ("100".to_owned(), Nano::ZERO)
    );
}

#[tokio::test]
async fn edited_terms_reach_the_ledger_as_a_new_revision() {
    let ledger = ledger();
    declared(&ledger, &alice("on_short: refuse"))
        .await
        .expect("declared");
    assert_eq!(
        declared(&ledger, &alice("models: [vendor/image]")).await,
        Ok(vec![])
    );
    let changed = key(&ledger).await;
    assert_eq!(changed.revision, 2);
    assert!(!changed.models.has("vendor/chat"));
    assert_eq!(changed.offline_allowance, Nano::ZERO);
    assert_eq!(
        declared(&ledger, &alice(r#"offline_allowance: "1.50""#)).await,
        Ok(vec![])
    );
    let changed = key(&ledger).await;
    assert_eq!(
        (changed.revision, changed.offline_allowance.to_string()),
        (3, "1.5".to_owned())
    );
}

#[tokio::test]
async fn a_key_that_left_the_config_still_works_and_is_named() {
    let ledger = ledger();
    declared(&ledger, &alice("on_short: refuse"))
        .await
        .expect("declared");
    let warnings = declared(&ledger, "").await.expect("declared");
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].contains("tollgate key revoke alice"),
        "{warnings:#?}"
    );
    assert!(key(&ledger).await.enabled);
}

#[tokio::test]
async fn a_revoked_key_stays_revoked() {
    let ledger = ledger();
    let keys = alice("on_short: refuse");
    declared(&ledger, &keys).await.expect("declared");
    ledger
        .revoke_key(key(&ledger).await.id.clone())
        .await
        .expect("revoked");
    let warnings = declared(&ledger, &keys).await.expect("declared");
    assert!(
        warnings[0].contains("is revoked and stays so"),
        "{warnings:#?}"
    );
    assert!(!key(&ledger).await.enabled);
    assert_eq!(
        declared(&ledger, "").await,
        Ok(vec![]),
        "a revoked key may leave the config"
    );
}

#[tokio::test]
async fn a_secret_that_changed_or_is_shared_is_refused_with_the_way_out() {
    let ledger = ledger();
    declared(&ledger, &alice("on_short: refuse"))
        .await
        .expect("declared");
    let changed = "keys: [{ name: alice, secret: another-secret-of-alice }]";
    let error = declared(&ledger, changed).await.expect_err("refused");
    assert!(
        error.contains("keys[0].secret") && error.contains("`wallet: alice`"),
        "{error}"
    );
    let shared = format!("keys: [{{ name: bob, secret: {SECRET} }}]");
    let error = declared(&ledger, &shared).await.expect_err("refused");
    assert!(error.contains("key `alice` has the same secret"), "{error}");
    assert!(!error.contains(SECRET));
}

#[tokio::test]
async fn keys_can_share_a_wallet_and_each_brings_its_balance() {
    let ledger = ledger();
    let keys = r#"
keys:
  - { name: one, secret: the-first-secret-of-two, wallet: team, balance: "1", credit_line: "3" }
  - { name: two, secret: the-second-secret-of-two, wallet: team, balance: "2", credit_line: "3", grants: [] }
"#;
    assert_eq!(declared(&ledger, keys).await, Ok(vec![]));
    let wallet = wallet(&ledger, "team").await;
    assert_eq!(
        (wallet.balance.to_string(), wallet.credit_line.to_string()),
        ("3".to_owned(), "3".to_owned())
    );
}

#[tokio::test]
async fn later_topups_are_left_alone() {
    let ledger = ledger();
    let keys = alice(r#"balance: "1""#);
    declared(&ledger, &keys).await.expect("declared");
    let topup = Entry {
        id: "inv-1".parse().expect("an id"),
        wallet: "alice".parse().expect("a wallet"),
        kind: EntryKind::Topup,
        amount: Nano::new(500),
        reason: String::new(),
        actor: "test".to_owned(),
        at: ledger.now(),
    };
    ledger.credit(topup).await.expect("booked");
    assert_eq!(declared(&ledger, &keys).await, Ok(vec![]));
    assert_eq!(
        wallet(&ledger, "alice").await.balance.to_string(),
        "1.0000005"
    );
}
