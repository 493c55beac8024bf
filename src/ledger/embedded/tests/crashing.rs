//! `kill -9` at any moment loses nothing that was acknowledged.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::support::{
    Random, START, TempDir, charge, digest, entry, furnish, open, options, quote,
};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::ledger::embedded::Embedded;
use crate::ledger::id::RequestId;
use crate::ledger::key::Freshness;

/// Says to the child which store to work on.
const STORE: &str = "TOLLGATE_CRASH_STORE";
const ROUNDS: u64 = 5;
const WALLETS: u64 = 4;

/// The child: serves requests, many at a time, and prints each id when it was acknowledged, until it is killed.
#[tokio::test]
async fn child_of_the_crash_test() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let mut options = options(&PathBuf::from(path), &Clock::manual(START));
    options.clock = None;
    let ledger = Embedded::open(options).unwrap();
    for n in 0..WALLETS {
        let id = format!("topup:{}", ledger.now().0);
        ledger
            .credit(entry(&format!("{id}:{n}"), n, 1_000_000_000))
            .await
            .unwrap();
    }
    let serve = async |lane: u64| {
        let key = ledger
            .key(digest(lane % WALLETS), Freshness::Shown)
            .await
            .unwrap()
            .unwrap();
        for n in 0.. {
            let mut quote = quote(n, lane % WALLETS, &key, ledger.now());
            quote.request = RequestId::new();
            let hold = ledger.hold(quote).await.unwrap().unwrap();
            let charge = charge(&hold, n % 51);
            let receipt = ledger.settle(hold.id, charge).await.unwrap().receipt;
            let line = format!("ack {} {}\n", receipt.request_id, receipt.charged);
            std::io::stdout().write_all(line.as_bytes()).unwrap();
        }
    };
    futures_util::future::join_all((0..16).map(serve)).await;
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_there_once() {
    let dir = TempDir::new();
    let clock = Clock::system(START);
    let ledger = open(&dir.store(), &clock);
    furnish(&ledger, WALLETS).await;
    ledger.close().await.unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut random = Random(START.0.cast_unsigned());
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .arg("ledger::embedded::tests::crashing::child_of_the_crash_test")
            .env(STORE, dir.store())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let last = 50 + random.below(1_500);
        let mut heard = 0;
        // After the kill the pipe still has what was printed before it.
        while let Some(Ok(line)) = lines.next() {
            if let Some(ack) = line.strip_prefix("ack ") {
                let (id, charged) = ack.split_once(' ').unwrap();
                let id: RequestId = id.parse().unwrap();
                assert_eq!(acknowledged.insert(id, charged.to_owned()), None);
                heard += 1;
            }
            if heard == last {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(
            heard >= last,
            "round {round}: the child ended by itself after {heard}"
        );

        let ledger = open(&dir.store(), &clock);
        for (id, charged) in &acknowledged {
            let receipt = ledger.receipt(*id, None).await.unwrap().unwrap();
            assert_eq!(receipt.charged.to_string(), *charged, "{id}");
        }
        let report = ledger.audit().await.unwrap();
        assert_eq!(report.findings, Vec::<String>::new(), "round {round}");
        assert!(report.receipts >= acknowledged.len() as u64);
        ledger.close().await.unwrap();
    }
}
