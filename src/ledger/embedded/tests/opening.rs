//! Who may open a store, and what is found there.

use super::support::{START, TempDir, furnish, open, options, serve, wallet_id};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::ledger::embedded::{Embedded, OpenError, audit_file};

#[tokio::test]
async fn a_second_opener_is_told_who_has_the_store() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let first = open(&dir.store(), &clock);
    let refused = Embedded::open(options(&dir.store(), &clock)).err().unwrap();
    let words = refused.to_string();
    let pid = std::process::id();
    assert!(
        words.contains(&format!("in use by process {pid}")),
        "{words}"
    );
    assert!(words.contains("ledger.path"), "{words}");
    assert!(matches!(
        audit_file(&dir.store()),
        Err(OpenError::InUse { .. })
    ));
    first.close().await.unwrap();
    open(&dir.store(), &clock);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_the_store_does_not_pass_its_lock() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let _first = open(&dir.store(), &clock);
    let link = dir.store().with_file_name("link.db");
    std::os::unix::fs::symlink(dir.store(), &link).unwrap();
    let refused = Embedded::open(options(&link, &clock)).err().unwrap();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
}

#[cfg(unix)]
#[test]
fn directories_are_made_and_the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new();
    let path = dir.store().with_file_name("a/b/c.db");
    let store = open(&path, &Clock::manual(START));
    let wal = path.with_file_name("c.db-wal");
    for file in [&path, &wal] {
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    drop(store);
}

#[test]
fn another_currency_is_refused() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    drop(open(&dir.store(), &clock));
    let mut other = options(&dir.store(), &clock);
    other.currency = "USD".to_owned();
    let words = Embedded::open(other).err().unwrap().to_string();
    assert!(
        words.contains("keeps CNY") && words.contains("USD"),
        "{words}"
    );
}

#[test]
fn a_newer_schema_and_foreign_files_are_refused() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    drop(open(&dir.store(), &clock));
    let sqlite = rusqlite::Connection::open(dir.store()).unwrap();
    sqlite
        .execute(
            "UPDATE meta SET value = 99 WHERE name = 'schema_version'",
            [],
        )
        .unwrap();
    let newer = Embedded::open(options(&dir.store(), &clock)).err().unwrap();
    assert!(
        matches!(
            newer,
            OpenError::Schema {
                found: 99,
                known: 4
            }
        ),
        "{newer}"
    );

    let foreign = dir.store().with_file_name("foreign.db");
    let sqlite = rusqlite::Connection::open(&foreign).unwrap();
    sqlite
        .execute_batch("CREATE TABLE songs (title TEXT)")
        .unwrap();
    let refused = Embedded::open(options(&foreign, &clock)).err().unwrap();
    assert!(matches!(refused, OpenError::Foreign), "{refused}");

    let text = dir.store().with_file_name("text.db");
    std::fs::write(
        &text,
        "this is no database, however long it may be".repeat(40),
    )
    .unwrap();
    let refused = Embedded::open(options(&text, &clock)).err().unwrap();
    assert!(matches!(refused, OpenError::Sqlite(_)), "{refused}");
    assert!(matches!(
        audit_file(&dir.store().with_file_name("absent.db")),
        Err(OpenError::Missing(_))
    ));
}

#[tokio::test]
async fn digests_stay_the_same_in_a_store_and_differ_between_stores() {
    let (dir, other) = (TempDir::new(), TempDir::new());
    let clock = Clock::manual(START);
    let first = open(&dir.store(), &clock).digest("sk-secret");
    let again = open(&dir.store(), &clock);
    assert_eq!(first, again.digest("sk-secret"));
    assert_ne!(first, again.digest("sk-secreu"));
    assert_ne!(first, open(&other.store(), &clock).digest("sk-secret"));
}

#[tokio::test]
async fn time_does_not_run_back_over_a_restart() {
    let dir = TempDir::new();
    // A day ahead of the wall clock, which is then the one that is wrong.
    let ahead = Clock::manual(Clock::system(START).now().plus(86_400_000));
    let store = open(&dir.store(), &ahead);
    furnish(&store, 1).await;
    serve(&store, 1, 0, 7).await;
    store.close().await.unwrap();
    let mut real = options(&dir.store(), &ahead);
    real.clock = None;
    let store = Embedded::open(real).unwrap();
    assert!(store.now() >= ahead.now());
}

#[tokio::test]
async fn a_closed_store_refuses_everything() {
    let dir = TempDir::new();
    let store = open(&dir.store(), &Clock::manual(START));
    furnish(&store, 1).await;
    store.close().await.unwrap();
    assert!(store.wallet(wallet_id(0)).await.is_err());
    assert!(store.receipts(Default::default()).await.is_err());
    assert!(store.keep_prices("v".into(), "{}".into()).await.is_err());
    assert!(store.close().await.is_err());
    assert!(!dir.store().with_file_name("tollgate.db-wal").exists());
}

#[tokio::test]
async fn a_store_in_memory_does_all_the_same() {
    let store = Embedded::in_memory("CNY", Some(Clock::manual(START))).unwrap();
    furnish(&store, 2).await;
    let settled = serve(&store, 1, 0, 50).await;
    let read = store
        .receipt(settled.receipt.request_id, None)
        .await
        .unwrap();
    assert_eq!(read, Some(settled.receipt));
    assert_eq!(store.usage(Default::default()).await.unwrap().len(), 1);
    let report = store.audit().await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!((report.wallets, report.receipts, report.credits), (2, 1, 2));
}
