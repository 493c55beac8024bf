//! Records of keys that are old refuse nobody, and let nobody in whom the present ones keep out.

use super::*;
use crate::clock::UnixMs;
use crate::ledger::id::KeyDigest;
use crate::ledger::key::Freshness;

/// Changes the key's record behind the back of whoever remembers it.
async fn edit(proxy: &Proxy, digest: KeyDigest, change: impl FnOnce(&mut Key)) {
    let found = proxy.ledger.key(digest, Freshness::Shown).await;
    let mut key = Key::clone(&found.expect("an answer").expect("a key"));
    change(&mut key);
    proxy.ledger.edit_key(key).await.expect("edited");
}

async fn status(proxy: &Proxy) -> StatusCode {
    proxy.chat(false).await.expect("an answer").0
}

#[tokio::test]
async fn whom_an_old_record_would_refuse_is_looked_up_again() {
    let proxy = Proxy::start().await;
    let digest = proxy.ledger.digest(SECRET);
    let past = UnixMs(1);
    edit(&proxy, digest, |key| key.expires_at = Some(past)).await;
    proxy.ledger.remember(digest).await;
    assert_eq!(status(&proxy).await, StatusCode::UNAUTHORIZED, "expired");
    edit(&proxy, digest, |key| key.expires_at = None).await;
    assert_eq!(status(&proxy).await, StatusCode::OK, "expires no more");

    let elsewhere = "192.0.2.0/24".parse().expect("a range");
    edit(&proxy, digest, |key| key.allowed_ips = vec![elsewhere]).await;
    proxy.ledger.remember(digest).await;
    assert_eq!(status(&proxy).await, StatusCode::FORBIDDEN, "elsewhere");
    edit(&proxy, digest, |key| key.allowed_ips = Vec::new()).await;
    assert_eq!(status(&proxy).await, StatusCode::OK, "from anywhere");

    proxy.ledger.old.lock().insert(digest, None);
    assert_eq!(status(&proxy).await, StatusCode::OK, "a key that is new");
}

#[tokio::test]
async fn whom_an_old_record_would_let_in_is_stopped_by_the_hold() {
    let proxy = Proxy::start().await;
    let digest = proxy.ledger.digest(SECRET);
    proxy.ledger.remember(digest).await;

    let elsewhere = "192.0.2.0/24".parse().expect("a range");
    edit(&proxy, digest, |key| key.allowed_ips = vec![elsewhere]).await;
    assert_eq!(status(&proxy).await, StatusCode::FORBIDDEN, "elsewhere");
    edit(&proxy, digest, |key| key.allowed_ips = Vec::new()).await;
    assert_eq!(status(&proxy).await, StatusCode::OK, "held by the newer");

    edit(&proxy, digest, |key| key.expires_at = Some(UnixMs(1))).await;
    assert_eq!(status(&proxy).await, StatusCode::UNAUTHORIZED, "expired");
    edit(&proxy, digest, |key| key.expires_at = None).await;
    let id = "k".parse().expect("an id");
    proxy.ledger.revoke_key(id).await.expect("revoked");
    assert_eq!(status(&proxy).await, StatusCode::UNAUTHORIZED, "revoked");
    assert_eq!(proxy.settled().await.held, Nano::ZERO);
}

#[tokio::test]
async fn what_is_shown_is_never_of_an_old_record() {
    let proxy = Proxy::start().await;
    let digest = proxy.ledger.digest(SECRET);
    proxy.ledger.remember(digest).await;
    let id = "k".parse().expect("an id");
    proxy.ledger.revoke_key(id).await.expect("revoked");
    for page in [
        "models",
        "balance",
        "usage",
        "receipts/01900000-0000-7000-8000-000000000000",
        "dashboard/billing/subscription",
    ] {
        let url = format!("{}/v1/{page}", proxy.url);
        let answer = proxy.http.get(url).bearer_auth(SECRET).send().await;
        let status = answer.expect("an answer").status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{page}");
    }
}
