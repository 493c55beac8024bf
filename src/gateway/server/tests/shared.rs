//! What a ledger in another process may do: be away for a while, and have a journal to tell of.

use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::gateway::live::{LiveHolds, renew};
use crate::gateway::metrics::{JOURNAL, Metrics};
use crate::ledger::JournalStats;
use crate::ledger::hold::HoldRef;
use crate::ledger::id::RequestId;

#[tokio::test]
async fn a_renewal_that_fails_is_tried_again_soon_and_not_only_when_the_next_is_due() {
    const LEASE_MS: u64 = 24 * 60 * 60 * 1_000;
    let ledger = Embedded::in_memory("CNY", None).expect("memory");
    let ledger = Arc::new(Brittle::new(ledger));
    let holds = Arc::<LiveHolds>::default();
    holds.enter(&HoldRef {
        wallet: wallet_id(),
        request: RequestId::new(),
    });
    ledger.fails_to_renew.store(2, Relaxed);
    let renewing = tokio::spawn(renew(holds, ledger.clone() as Arc<dyn Ledger>, LEASE_MS));
    let tried = async {
        while ledger.fails_to_renew.load(Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let tried = tokio::time::timeout(Duration::from_secs(60), tried).await;
    assert!(tried.is_ok(), "the next would be due in six hours");
    renewing.abort();
}

#[tokio::test]
async fn a_journal_is_on_the_page_where_there_is_one_and_only_there() {
    let proxy = Proxy::start().await;
    let page = || Metrics::page(&proxy.gateway).expect("a page");
    let before = page();
    for name in JOURNAL {
        assert!(!before.contains(name), "{name}");
    }
    *proxy.ledger.journal.lock() = Some(JournalStats {
        waiting: 3,
        oldest_waiting_ms: 1_250,
        suspended: 1,
        replayed: 7,
        recovering: 2,
        offline: 4,
    });
    let page = page();
    let samples: Vec<&str> = JOURNAL
        .iter()
        .map(|name| {
            let mut lines = page.lines();
            let line = lines.find(|line| line.starts_with(&format!("{name} ")));
            line.and_then(|line| line.split(' ').nth(1))
                .unwrap_or_else(|| panic!("{name} is not on the page"))
        })
        .collect();
    assert_eq!(samples, ["3", "1.25", "1", "7", "2", "4"]);
}
