//! Restores: audited, of nothing that is in use, and what was there is kept.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::copying::{copy_in, files, some_requests};
use super::support::{
    START, TempDir, entry, furnish, object, open, options, request, serve, wallet_id,
};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::ledger::embedded::{
    Embedded, OpenError, Present, Replacement, RestoreError, Sum, audit_file, backup,
};
use crate::ledger::object::{Object, Pending};

#[tokio::test]
async fn a_restore_brings_back_the_store_of_then_and_keeps_the_one_of_now() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let store = open(&dir.store(), &clock);
    furnish(&store, 2).await;
    some_requests(&store, &clock, 0..20).await;
    let then = store.wallet(wallet_id(0)).await.unwrap().unwrap();
    backup(&dir.store(), &copy_in(&dir), false).unwrap();
    some_requests(&store, &clock, 20..25).await;
    store.credit(entry("topup", 0, 700)).await.unwrap();
    store.revoke_key("key-1".parse().unwrap()).await.unwrap();
    let now = store.wallet(wallet_id(0)).await.unwrap().unwrap();

    let refused = Replacement::prepare(&copy_in(&dir), &dir.store())
        .err()
        .unwrap();
    let words = refused.to_string();
    let pid = std::process::id();
    assert!(
        words.contains(&format!("in use by process {pid}")),
        "{words}"
    );
    store.close().await.unwrap();

    let replacement = Replacement::prepare(&copy_in(&dir), &dir.store()).unwrap();
    assert!(
        matches!(
            Embedded::open(options(&dir.store(), &clock)).err(),
            Some(OpenError::InUse { .. })
        ),
        "nobody opens the store meanwhile"
    );
    let Present::Store { holdings, lost } = &replacement.present else {
        panic!("{:?}", replacement.present);
    };
    assert_eq!(holdings.receipts, 25);
    assert_eq!((lost.receipts, lost.credits, lost.keys), (5, 1, 1));
    assert_eq!(lost.credited, Sum(700));
    let kept = replacement.put().unwrap().unwrap();

    let store = open(&dir.store(), &clock);
    let restored = store.wallet(wallet_id(0)).await.unwrap().unwrap();
    assert_eq!(
        (restored.balance, restored.charged, restored.credited),
        (then.balance, then.charged, then.credited)
    );
    assert!(store.receipt(request(19), None).await.unwrap().is_some());
    assert!(store.receipt(request(20), None).await.unwrap().is_none());
    assert_eq!(store.audit().await.unwrap().findings, Vec::<String>::new());
    store.close().await.unwrap();

    // And back again: what was kept is a store like any other.
    let back = Replacement::prepare(&kept, &dir.store()).unwrap();
    back.put().unwrap();
    let store = open(&dir.store(), &clock);
    let again = store.wallet(wallet_id(0)).await.unwrap().unwrap();
    assert_eq!((again.balance, again.charged), (now.balance, now.charged));
}

#[tokio::test]
async fn a_restore_that_is_not_done_changes_nothing() {
    let dir = TempDir::new();
    let store = open(&dir.store(), &Clock::manual(START));
    furnish(&store, 2).await;
    backup(&dir.store(), &copy_in(&dir), false).unwrap();
    store.close().await.unwrap();
    let (before, bytes) = (files(&dir), std::fs::read(dir.store()).unwrap());
    drop(Replacement::prepare(&copy_in(&dir), &dir.store()).unwrap());
    assert_eq!(files(&dir), before);
    assert!(std::fs::read(dir.store()).unwrap() == bytes);
}

/// What is left when the server was killed: charges that are in the log only.
fn killed(store: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = ["", "-wal"].map(|end| {
        let mut name = store.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    });
    let files = files.map(|file| {
        let bytes = std::fs::read(&file).unwrap();
        (file, bytes)
    });
    files.into()
}

#[tokio::test]
async fn charges_that_are_in_the_log_only_are_copied_compared_and_kept() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let store = open(&dir.store(), &clock);
    furnish(&store, 2).await;
    let empty = dir.store().with_file_name("empty.db");
    backup(&dir.store(), &empty, false).unwrap();
    some_requests(&store, &clock, 0..20).await;
    let left = killed(&dir.store());
    store.close().await.unwrap();
    for (file, bytes) in &left {
        std::fs::write(file, bytes).unwrap();
    }
    let taken = backup(&dir.store(), &copy_in(&dir), false).unwrap();
    assert_eq!(taken.holdings.receipts, 20, "no server is running");
    for (file, bytes) in &left {
        std::fs::write(file, bytes).unwrap();
    }
    let replacement = Replacement::prepare(&empty, &dir.store()).unwrap();
    let present = replacement.present.clone();
    assert!(
        matches!(&present, Present::Store { lost, .. } if lost.receipts == 20),
        "{present:?}"
    );
    let kept = replacement.put().unwrap().unwrap();
    assert!(
        !dir.store().with_file_name("tollgate.db-wal").exists(),
        "an old log would be taken for the new file's"
    );
    assert_eq!(audit_file(&kept).unwrap().receipts, 20);
    assert_eq!(audit_file(&dir.store()).unwrap().receipts, 0);
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_kept_with_its_log() {
    let dir = TempDir::new();
    let store = open(&dir.store(), &Clock::manual(START));
    furnish(&store, 2).await;
    backup(&dir.store(), &copy_in(&dir), false).unwrap();
    store.close().await.unwrap();
    // Its log is not the whole store, as that of a new one is.
    let store = open(&dir.store(), &Clock::manual(START));
    serve(&store, 1, 0, 5).await;
    let log = killed(&dir.store()).remove(1);
    store.close().await.unwrap();
    let broken = "not a database, however long it may be".repeat(1_000);
    std::fs::write(dir.store(), &broken).unwrap();
    std::fs::write(&log.0, &log.1).unwrap();
    let replacement = Replacement::prepare(&copy_in(&dir), &dir.store()).unwrap();
    assert!(matches!(replacement.present, Present::Unreadable(_)));
    let kept = replacement.put().unwrap().unwrap();
    let report = audit_file(&dir.store()).unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!(
        (report.wallets, report.receipts),
        (2, 0),
        "the old log was taken for the new file's"
    );
    let names = files(&dir);
    let kept = kept.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(
        names.contains(&kept) && names.contains(&format!("{kept}-wal")),
        "{names:?}"
    );
}

#[tokio::test]
async fn what_is_no_sound_backup_is_refused_and_what_is_wrong_is_named() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let store = open(&dir.store(), &clock);
    furnish(&store, 2).await;
    some_requests(&store, &clock, 0..50).await;
    store.put_object(object("file-1", 0), 9).await.unwrap();
    let out = copy_in(&dir);
    backup(&dir.store(), &out, false).unwrap();
    store.close().await.unwrap();
    let (whole, before) = (std::fs::read(&out).unwrap(), files(&dir));
    let prepare = || Replacement::prepare(&out, &dir.store()).err();

    // A digit of a balance, which no checksum of the file knows of.
    let tamper = "UPDATE wallets SET balance = balance + 1 WHERE id = 'wallet-1'";
    Connection::open(&out).unwrap().execute(tamper, []).unwrap();
    let Some(RestoreError::Damaged { findings, .. }) = prepare() else {
        panic!("{:?}", prepare());
    };
    assert!(
        findings[0].contains("wallet wallet-1: its balance"),
        "{findings:?}"
    );

    // Pages overwritten, one by one: each is noticed, but for one that was free. (Of a table without rows, a copy
    // makes the indexes anew.)
    let page = 4096;
    let mut noticed = 0;
    for at in (page..whole.len()).step_by(page) {
        let mut bytes = whole.clone();
        bytes[at..at + 64].fill(0xa5);
        std::fs::write(&out, &bytes).unwrap();
        let refused = prepare().unwrap_or_else(|| panic!("page {} passed", at / page));
        let RestoreError::Damaged { findings, .. } = &refused else {
            panic!("page {}: {refused}", at / page);
        };
        assert!(!findings.is_empty());
        noticed += 1;
    }
    assert!(noticed > 10, "{noticed}");

    // Cut off.
    std::fs::write(&out, &whole[..whole.len() / 2]).unwrap();
    assert!(prepare().is_some());
    for text in ["", "not a database, however long it may be"] {
        std::fs::write(&out, text.repeat(100)).unwrap();
        let refused = prepare().unwrap();
        assert!(matches!(refused, RestoreError::Backup { .. }), "{refused}");
    }
    assert_eq!(files(&dir), before, "nothing is left behind");
    std::fs::write(&out, &whole).unwrap();
    assert!(prepare().is_none());
}

#[tokio::test]
async fn a_backup_restored_where_nothing_was_makes_its_directories() {
    let (dir, other) = (TempDir::new(), TempDir::new());
    let store = open(&dir.store(), &Clock::manual(START));
    furnish(&store, 2).await;
    backup(&dir.store(), &copy_in(&dir), false).unwrap();
    let place = other.store().with_file_name("a/b/c.db");
    let replacement = Replacement::prepare(&copy_in(&dir), &place).unwrap();
    assert!(matches!(replacement.present, Present::Nothing));
    assert_eq!(replacement.put().unwrap(), None);
    assert_eq!(audit_file(&place).unwrap().wallets, 2);
    let itself = Replacement::prepare(&place, &place).err().unwrap();
    assert!(matches!(itself, RestoreError::Itself(_)), "{itself}");
}

#[tokio::test]
async fn a_backup_has_the_objects_and_so_has_what_it_replaces() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let store = open(&dir.store(), &clock);
    furnish(&store, 1).await;
    let job = Object {
        pending: Some(Pending {
            request: request(1),
            state: "{}".to_owned(),
        }),
        ..object("job-1", 0)
    };
    for object in [object("file-1", 0), job.clone()] {
        store.put_object(object, 9).await.unwrap();
    }
    backup(&dir.store(), &copy_in(&dir), false).unwrap();
    for gone in [object("file-1", 0), job.clone()] {
        store.drop_object(gone.name()).await.unwrap();
    }
    assert_eq!(store.pending_objects(None, 9).await.unwrap(), []);
    store.close().await.unwrap();
    let replacement = Replacement::prepare(&copy_in(&dir), &dir.store()).unwrap();
    replacement.put().unwrap();
    let store = open(&dir.store(), &clock);
    assert_eq!(store.pending_objects(None, 9).await.unwrap(), [job]);
    let file = object("file-1", 0);
    assert_eq!(store.object(file.name()).await.unwrap(), Some(file));
    // Counted as they were: there is room for one.
    let second = store.put_object(object("file-2", 0), 2).await;
    second.unwrap();
    assert!(
        store
            .object(object("file-1", 0).name())
            .await
            .unwrap()
            .is_none()
    );
}
