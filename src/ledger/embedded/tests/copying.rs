//! Backups and restores: whole, private, audited, and never onto anything that is in use.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::support::{START, TempDir, entry, furnish, object, open, request, serve, wallet_id};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::ledger::embedded::{
    BackupError, Embedded, OpenError, Present, Replacement, RestoreError, Sum, audit_file, backup,
};
use crate::ledger::object::{Object, Pending};
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

async fn some_requests(store: &Embedded, clock: &Clock, numbers: std::ops::Range<u64>) {
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
            Embedded::open(super::support::options(&dir.store(), &clock)).err(),
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

#[tokio::test]
async fn objects_that_have_ended_leave_the_file_by_themselves() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let store = open(&dir.store(), &clock);
    furnish(&store, 1).await;
    for n in 0..5 {
        let object = object(&format!("file-{n}"), 0);
        store.put_object(object, 9).await.unwrap();
    }
    // Something has to be done for anything to be swept, a few seconds at a time.
    for _ in 0..60 {
        clock.advance(5_000);
        store.wallet(wallet_id(0)).await.unwrap();
    }
    store.close().await.unwrap();
    let file = Connection::open(dir.store()).unwrap();
    let count = |sql: &str| file.query_row(sql, [], |row| row.get::<_, i64>(0));
    assert_eq!(count("SELECT count(*) FROM objects").unwrap(), 0);
    assert_eq!(count("SELECT sum(count) FROM object_counts").unwrap(), 0);
}
