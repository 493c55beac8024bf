//! Stores of older versions: brought up to date whole or not at all, with a copy kept.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::support::{START, TempDir, new_wallet, open, options, wallet_id};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::ledger::embedded::migrate::{STEPS, Step, upgrade};
use crate::ledger::embedded::{
    Embedded, OpenError, OpenOptions, Present, Replacement, audit_file, backup, schema,
};
use crate::ledger::key::Freshness;
use crate::ledger::receipt::ReceiptQuery;

/// A store that version 1 of the schema's program wrote: wallets, keys (one revoked), credits, grants,
/// counters, receipts (some folded), idempotency claims.
const VERSION_1: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/store_v1.sql"
));

fn old_store(dir: &TempDir) -> PathBuf {
    let path = dir.store();
    Connection::open(&path)
        .unwrap()
        .execute_batch(VERSION_1)
        .unwrap();
    path
}

fn version(path: &Path) -> i64 {
    let connection = Connection::open(path).unwrap();
    let version = "SELECT value FROM meta WHERE name = 'schema_version'";
    connection.query_row(version, [], |row| row.get(0)).unwrap()
}

/// Everything but the facts about the store as a whole, as text.
fn content(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let tables = [
        "wallets",
        "keys",
        "entries",
        "terms",
        "grants",
        "counters",
        "receipts",
        "prices",
        "checkpoints",
    ];
    let mut found = Vec::new();
    for table in tables {
        let mut rows = connection
            .prepare(&format!("SELECT * FROM {table}"))
            .unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cells = (0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap()));
            found.push(format!("{table}: {}", cells.collect::<Vec<_>>().join("|")));
        }
    }
    found
}

/// What the tables are made of; a column that was added later stands in its line.
fn tables(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut rows = connection
        .prepare("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name")
        .unwrap();
    let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let plain = |text: String| text.split_whitespace().collect::<String>();
    rows.map(|text| plain(text.unwrap())).collect()
}

#[tokio::test]
async fn a_store_of_version_1_is_brought_up_to_date_and_adds_up() {
    let dir = TempDir::new();
    let path = old_store(&dir);
    let before = content(&path);
    assert!(before.len() > 40, "{before:#?}");
    let store = Embedded::open(OpenOptions {
        clock: None,
        ..options(&path, &Clock::manual(START))
    })
    .unwrap();
    let report = store.audit().await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!(
        (report.wallets, report.receipts, report.credits),
        (4, 16, 6)
    );
    let alice = store
        .key(
            store.digest("alice-0123456789-abcdefghij-XYZ"),
            Freshness::Shown,
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (alice.wallet.as_str(), alice.limits.len()),
        ("alice", 3),
        "digests and records are read as before"
    );
    let wallet = store.wallet(alice.wallet.clone()).await.unwrap().unwrap();
    assert_eq!(wallet.balance.to_string(), "11.19624");
    let receipts = store.receipts(ReceiptQuery::default()).await.unwrap();
    assert_eq!(receipts.len(), 16);
    assert!(store.open_wallet(new_wallet(0)).await.unwrap());
    store.close().await.unwrap();
    assert_eq!(version(&path), 4);

    let kept = dir.store().with_file_name("tollgate.db.v1-before-v4");
    assert_eq!((version(&kept), content(&kept)), (1, before));
    assert_eq!(audit_file(&kept).unwrap().findings, Vec::<String>::new());
    assert_eq!(version(&kept), 1, "an audit changes nothing");
}

#[test]
fn a_store_that_was_brought_up_to_date_is_like_a_new_one() {
    let (dir, new) = (TempDir::new(), TempDir::new());
    let clock = Clock::manual(START);
    let path = old_store(&dir);
    drop(open(&path, &clock));
    drop(open(&new.store(), &clock));
    assert_eq!(tables(&path), tables(&new.store()));
    let facts = |path: &Path| {
        let connection = Connection::open(path).unwrap();
        let mut names = connection
            .prepare("SELECT name FROM meta ORDER BY name")
            .unwrap();
        let names = names.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect::<Vec<String>>()
    };
    assert_eq!(facts(&path), facts(&new.store()));
    let id = |path: &Path| {
        schema::read(&Connection::open(path).unwrap())
            .unwrap()
            .store_id
    };
    assert_ne!(id(&path), id(&new.store()));
}

#[test]
fn every_copy_of_a_store_gets_the_same_name() {
    let (one, other) = (TempDir::new(), TempDir::new());
    let clock = Clock::manual(START);
    let id = |dir: &TempDir| {
        let path = old_store(dir);
        drop(open(&path, &clock));
        schema::read(&Connection::open(path).unwrap())
            .unwrap()
            .store_id
    };
    assert_eq!(id(&one), id(&other));
}

#[tokio::test]
async fn an_older_backup_is_of_the_same_ledger_and_is_brought_up_to_date_when_opened() {
    let dir = TempDir::new();
    let path = old_store(&dir);
    let clock = Clock::manual(START);
    let copy = dir.store().with_file_name("copy.db");
    let taken = backup(&path, &copy, false).unwrap();
    assert_eq!((taken.holdings.schema_version, version(&copy)), (1, 1));
    let store = open(&path, &clock);
    store.revoke_key("bob".parse().unwrap()).await.unwrap();
    store.close().await.unwrap();
    let replacement = Replacement::prepare(&copy, &path).unwrap();
    let Present::Store { holdings, lost } = &replacement.present else {
        panic!("{:?}", replacement.present);
    };
    assert_eq!(holdings.store_id, replacement.backup.store_id);
    assert_eq!((lost.receipts, lost.credits, lost.keys), (0, 0, 1));
    replacement.put().unwrap();
    assert_eq!(version(&path), 1);
    let store = open(&path, &clock);
    let report = store.audit().await.unwrap();
    assert_eq!((report.findings, report.receipts), (Vec::new(), 16));
    store.close().await.unwrap();
    assert_eq!(version(&path), 4);
}

#[test]
fn a_store_that_the_config_may_not_open_stays_as_it_is() {
    let dir = TempDir::new();
    let path = old_store(&dir);
    let mut other = options(&path, &Clock::manual(START));
    other.currency = "USD".to_owned();
    assert!(matches!(
        Embedded::open(other).err(),
        Some(OpenError::Currency { .. })
    ));
    assert_eq!(version(&path), 1);
}

/// Changes a lot, and fails.
fn fails(connection: &Connection) -> Result<(), OpenError> {
    connection.execute_batch(
        "ALTER TABLE wallets ADD COLUMN nonsense TEXT;
         DELETE FROM receipts;
         INSERT INTO no_such_table VALUES (1);",
    )?;
    Ok(())
}

#[tokio::test]
async fn a_step_that_fails_leaves_the_old_store_usable() {
    let dir = TempDir::new();
    let path = old_store(&dir);
    let (before, shape) = (content(&path), tables(&path));
    let connection = Connection::open(&path).unwrap();
    let steps: [Step; 1] = [fails];
    let words = upgrade(&connection, Some(&path), &steps)
        .unwrap_err()
        .to_string();
    assert!(words.contains("from schema version 1 to 2"), "{words}");
    assert!(words.contains("no_such_table"), "{words}");
    drop(connection);
    assert_eq!((version(&path), content(&path)), (1, before));
    assert_eq!(tables(&path), shape);
    let store = open(&path, &Clock::manual(START));
    assert!(
        store
            .wallet("alice".parse().unwrap())
            .await
            .unwrap()
            .is_some()
    );
    assert!(store.wallet(wallet_id(0)).await.unwrap().is_none());
}

#[test]
fn steps_before_the_one_that_fails_stay_taken() {
    let dir = TempDir::new();
    let path = old_store(&dir);
    let before = content(&path);
    let connection = Connection::open(&path).unwrap();
    let steps: [Step; 2] = [STEPS[0], fails];
    assert!(upgrade(&connection, Some(&path), &steps).is_err());
    drop(connection);
    assert_eq!((version(&path), content(&path)), (2, before));
    open(&path, &Clock::manual(START));
}

/// Changes a lot, and leaves the files beside as they are on disk then: as power loss would.
fn torn(connection: &Connection) -> Result<(), OpenError> {
    connection
        .execute_batch("ALTER TABLE wallets ADD COLUMN nonsense TEXT; DELETE FROM receipts;")?;
    connection.cache_flush()?;
    let path = connection.path().unwrap().to_owned();
    for end in ["", "-wal"] {
        std::fs::copy(format!("{path}{end}"), format!("{path}.torn{end}")).unwrap();
    }
    Ok(())
}

#[test]
fn power_loss_in_the_middle_of_a_step_leaves_the_old_version() {
    let dir = TempDir::new();
    let path = old_store(&dir);
    let before = content(&path);
    let connection = Connection::open(&path).unwrap();
    let wal: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .unwrap();
    assert_eq!(wal, "wal");
    upgrade(&connection, Some(&path), &[torn]).unwrap();
    let torn = path.with_file_name("tollgate.db.torn");
    let log = std::fs::metadata(path.with_file_name("tollgate.db.torn-wal")).unwrap();
    assert!(log.len() > 4096, "the step was under way");
    assert_eq!((version(&torn), content(&torn)), (1, before));
    open(&torn, &Clock::manual(START));
    assert_eq!(version(&torn), 4);
}
