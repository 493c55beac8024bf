//! What wallets and receipts take in Redis, and entries in the journal.

use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinSet;
use tollgate::ledger::Ledger;

use crate::store::open_redis;
use crate::support::TempDir;
use crate::support::redis::{Keep, Server};
use crate::work::{grant, once, open_wallet};

const WALLETS: u64 = 10_000;
const RECEIPTS: u64 = 100_000;
const AT_ONCE: u64 = 64;

/// Prints bytes per wallet, per receipt and per entry, on a server of their own.
pub async fn report() {
    let server = Server::with(Keep::Nothing, &["--save", ""]);
    let folder = TempDir::new();
    let ledger = open_redis(&server, folder.path()).await;
    // The first call of each kind loads its script.
    open_wallet(&ledger, WALLETS, &[grant()]).await;
    once(&*ledger, WALLETS).await;
    let empty = used(&server);
    spread(&ledger, WALLETS, |ledger, number| async move {
        open_wallet(&ledger, number, &[grant()]).await;
    })
    .await;
    let opened = used(&server);
    spread(&ledger, WALLETS, |ledger, number| async move {
        once(&*ledger, number).await;
    })
    .await;
    let counted = used(&server);
    // Closed, the journal has all in its file and nothing in a log beside it.
    ledger.close().await.expect("it closes");
    drop(ledger);
    let before = size(folder.path());
    let ledger = open_redis(&server, folder.path()).await;
    let start = used(&server);
    spread(&ledger, RECEIPTS, |ledger, number| async move {
        once(&*ledger, number % WALLETS).await;
    })
    .await;
    let settled = used(&server);
    ledger.close().await.expect("it closes");
    let entries = size(folder.path()) - before;
    println!(
        "room ({WALLETS} wallets with a key, an opening and a grant of tokens; then {RECEIPTS} requests):"
    );
    println!(
        "  Redis, bytes per wallet as opened: {}",
        (opened - empty) / WALLETS
    );
    println!(
        "  Redis, bytes more per wallet once used (4 counters, totals, first receipt): {}",
        (counted - opened) / WALLETS
    );
    println!(
        "  Redis, bytes per receipt (in the stream, and for 25 h its request): {}",
        (settled - start) / RECEIPTS
    );
    println!("  journal, bytes per settle: {}", entries / RECEIPTS);
}

/// Does something so many times, some of them at once.
async fn spread<F>(ledger: &Arc<dyn Ledger>, count: u64, each: fn(Arc<dyn Ledger>, u64) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut workers = JoinSet::new();
    for worker in 0..AT_ONCE {
        let ledger = ledger.clone();
        workers.spawn(async move {
            for number in (worker..count).step_by(AT_ONCE as usize) {
                each(ledger.clone(), number).await;
            }
        });
    }
    workers.join_all().await;
}

/// The memory that a server uses for data.
fn used(server: &Server) -> u64 {
    let report = server.ask(&["INFO", "memory"]);
    let mut lines = report.lines();
    let line = lines.find_map(|line| line.strip_prefix("used_memory:"));
    line.expect("a line of memory")
        .trim()
        .parse()
        .expect("a number")
}

fn size(folder: &Path) -> u64 {
    let file = folder.join("journal.db");
    std::fs::metadata(file).expect("the journal").len()
}
