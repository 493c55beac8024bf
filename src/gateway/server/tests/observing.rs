//! What a broken ledger makes of requests is told to whoever watches, like anything else: once, by the same
//! record. (That the log has a line for each request told of is shown over the wire.)

use super::*;
use crate::gateway::metrics::Metrics;

fn refused(proxy: &Proxy, code: &str) -> String {
    let page = Metrics::page(&proxy.gateway).expect("a page");
    let sample = format!("tollgate_refusals_total{{code=\"{code}\"}} ");
    let mut values = page.lines().filter_map(|line| line.strip_prefix(&sample));
    values.next().expect("a sample").to_owned()
}

#[tokio::test]
async fn a_panic_is_told_once_and_counted_once() {
    let proxy = Proxy::start().await;
    for (count, moment) in [
        (1, Moment::Quoting),
        (2, Moment::Held),
        (3, Moment::Settled),
    ] {
        proxy.ledger.arm(Some(moment));
        let (status, _) = proxy.chat(false).await.expect("an answer");
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(proxy.told(Code::InternalError), count, "{moment:?}");
        assert_eq!(refused(&proxy, "internal_error"), count.to_string());
    }
    proxy.ledger.arm(Some(Moment::Settling));
    drop(proxy.chat(true).await);
    proxy.settled().await;
    assert_eq!(
        proxy.told(Code::InternalError),
        4,
        "after the head of a stream"
    );
    proxy.ledger.arm(None);
    assert_eq!(
        proxy.chat(false).await.expect("an answer").0,
        StatusCode::OK
    );
    assert_eq!(proxy.told(Code::InternalError), 4);
}

/// Rivals: litellm PR #29986: a store that was away was told as a wrong key, while the probes said that all was
/// well.
#[tokio::test]
async fn a_ledger_that_is_away_is_told_once_and_counted_once_and_makes_the_proxy_unready() {
    let proxy = Proxy::start().await;
    assert!(proxy.gateway.ready().is_ok());
    proxy.ledger.inner.close().await.expect("an open store");
    let (status, body) = proxy.chat(false).await.expect("an answer");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    assert_eq!(proxy.told(Code::LedgerUnavailable), 1);
    assert_eq!(refused(&proxy, "ledger_unavailable"), "1");
    assert!(proxy.gateway.ready().is_err());
    let probe = |path: &str| proxy.http.get(format!("{}{path}", proxy.url)).send();
    let ready = probe("/readyz").await.expect("an answer");
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.text().await.expect("a word"), "unavailable\n");
    let alive = probe("/healthz").await.expect("an answer");
    assert_eq!(alive.status(), StatusCode::OK);
}
