//! Backups: whole, private, audited, and never onto anything that is in use.

use std::path::PathBuf;

use rusqlite::Connection;

use super::support::{START, TempDir, furnish, open, serve};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::ledger::embedded::{BackupError, Embedded, audit_file, backup};
use crate::ledger::receipt::ReceiptQuery;

pub fn copy_in(dir: &TempDir) -> PathBuf {
    dir.store().with_file_name("copy.db")
}

/// The names of the files in a store's directory.
pub fn files(dir: &TempDir) -> Vec<String> {
    let folder = dir.store();
    let found = std::fs::read_dir(folder.parent().unwrap()).unwrap();
    let names = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

pub async fn some_requests(store: &Embedded, clock: &Clock, numbers: std::ops::Range<u64>) {
    for n in numbers {
        serve(store, n, n % 2, n % 51).await;
        clock.advance(60_000);
    }
}

#[tokio::test]
async fn a_backup_of_an_open_store_holds_what_was_acknowledged_before_it() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let store = open(&dir.store(), &clock);
    furnish(&store, 2).await;
    some_requests(&store, &clock, 0..20).await;
    let taken = backup(&dir.store(), &copy_in(&dir), false).unwrap();
    some_requests(&store, &clock, 20..30).await;
    assert_eq!(taken.file, copy_in(&dir));
    assert_eq!(taken.report.findings, Vec::<String>::new());
    let held = &taken.holdings;
    assert_eq!((held.wallets, held.keys, held.credits), (2, 2, 2));
    assert_eq!((held.receipts, held.receipts_folded), (20, 0));
    assert_eq!(held.credited.to_string(), "0.01");
    assert_eq!(held.last_settled_at, Some(START.plus(19 * 60_000)));
    assert!(held.taken_at.is_some());
    assert_eq!(
        std::fs::metadata(&taken.file).unwrap().len(),
        taken.bytes,
        "the size is the file's"
    );

    let copy = open(&copy_in(&dir), &clock);
    let (here, there) = (
        store.receipts(ReceiptQuery::default()).await.unwrap(),
        copy.receipts(ReceiptQuery::default()).await.unwrap(),
    );
    assert_eq!(there, here[10..]);
    assert_eq!(store.digest("sk-secret"), copy.digest("sk-secret"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_backup_is_private_and_leaves_nothing_else_behind() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, out) = (TempDir::new(), TempDir::new());
    let store = open(&dir.store(), &Clock::manual(START));
    furnish(&store, 2).await;
    backup(&dir.store(), &out.store(), false).unwrap();
    let mode = std::fs::metadata(out.store()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(files(&out), ["tollgate.db"]);
}

#[tokio::test]
async fn a_backup_replaces_only_what_it_is_told_to_and_never_the_store() {
    let dir = TempDir::new();
    let store = open(&dir.store(), &Clock::manual(START));
    furnish(&store, 1).await;
    let out = copy_in(&dir);
    std::fs::write(&out, "precious").unwrap();
    let refused = backup(&dir.store(), &out, false).unwrap_err();
    assert!(matches!(refused, BackupError::Exists(_)), "{refused}");
    assert_eq!(std::fs::read(&out).unwrap(), b"precious");
    backup(&dir.store(), &out, true).unwrap();
    assert_eq!(audit_file(&out).unwrap().findings, Vec::<String>::new());

    let folder = dir.store().parent().unwrap().to_owned();
    for own in [
        "tollgate.db",
        "tollgate.db-wal",
        "tollgate.db-shm",
        "tollgate.db.lock",
    ] {
        let name = folder.join(".").join(own);
        let refused = backup(&dir.store(), &name, true).unwrap_err();
        assert!(
            matches!(refused, BackupError::Itself(_)),
            "{own}: {refused}"
        );
    }
    let refused = backup(&dir.store(), &folder, true).unwrap_err();
    assert!(matches!(refused, BackupError::Directory(_)), "{refused}");
    assert_eq!(store.audit().await.unwrap().findings, Vec::<String>::new());
}

#[tokio::test]
async fn a_backup_that_does_not_add_up_is_kept_under_another_name() {
    let dir = TempDir::new();
    let store = open(&dir.store(), &Clock::manual(START));
    furnish(&store, 1).await;
    store.close().await.unwrap();
    let tamper = "UPDATE wallets SET balance = balance + 1";
    Connection::open(dir.store())
        .unwrap()
        .execute(tamper, [])
        .unwrap();
    let taken = backup(&dir.store(), &copy_in(&dir), false).unwrap();
    assert_eq!(taken.file, dir.store().with_file_name("copy.db.suspect"));
    assert!(taken.file.exists() && !copy_in(&dir).exists());
    let first = std::fs::read(&taken.file).unwrap();
    let again = backup(&dir.store(), &copy_in(&dir), true).unwrap();
    assert_eq!(again.file, dir.store().with_file_name("copy.db.suspect-2"));
    assert!(
        std::fs::read(&taken.file).unwrap() == first,
        "it was replaced"
    );
    let finding = &taken.report.findings[0];
    assert!(
        finding.contains("wallet wallet-0: its balance is"),
        "{finding}"
    );
}
