//! Who may open a journal, and what is found there.

use super::{START, STORE, TempDir, beyond, entry, open};
use crate::clock::Clock;
use crate::ledger::id::StoreId;
use crate::ledger::journal::{Journal, JournalError, Lane, Reach, Visit};

#[tokio::test]
async fn what_was_appended_is_there_in_order_after_reopening() {
    let dir = TempDir::new();
    let journal = open(&dir.file());
    let first = journal.opening();
    for seq in 1..=20 {
        drop(journal.append(entry(3, seq)));
        drop(journal.append(entry(9, seq)));
    }
    journal.flushed().await.unwrap();
    let lane = |partition| Lane {
        opening: first.id,
        partition,
    };
    let found = beyond(journal.archive(), &[(lane(3), 17), (lane(9), 18)]).await;
    let numbers: Vec<_> = found
        .iter()
        .map(|it| (it.entry.partition, it.entry.seq))
        .collect();
    assert_eq!(numbers, [(3, 18), (3, 19), (9, 19), (3, 20), (9, 20)]);
    assert_eq!(found[0].entry, *entry(3, 18));
    assert_eq!(beyond(journal.archive(), &[(lane(3), 20)]).await, []);
    journal.applied(3, 20);
    journal.close().await.unwrap();

    let journal = open(&dir.file());
    assert_ne!(journal.nonce(), first.nonce);
    assert_eq!(journal.archive().openings(), [first]);
    let lanes = journal.archive().lanes();
    let reach = |last, applied| Reach { last, applied };
    let lanes: Vec<_> = lanes.into_iter().collect();
    assert_eq!(lanes, [(lane(3), reach(20, 20)), (lane(9), reach(20, 0))]);
    let all = beyond(journal.archive(), &[(lane(3), 0), (lane(9), 0)]).await;
    assert_eq!(all.len(), 40);
    // Its own numbers begin anew, under its own nonce.
    journal.append(entry(3, 1)).await.unwrap();
    let own = Lane {
        opening: journal.opening().id,
        partition: 3,
    };
    assert_eq!(beyond(journal.archive(), &[(own, 0)]).await.len(), 1);
}

#[tokio::test]
async fn a_second_opener_is_told_who_has_it() {
    let dir = TempDir::new();
    let journal = open(&dir.file());
    let visit = Visit::open(&dir.file()).err().unwrap();
    let second = Journal::open(&dir.file(), STORE, Clock::manual(START));
    for refused in [visit, second.err().unwrap()] {
        let words = refused.to_string();
        let pid = std::process::id();
        assert!(
            words.contains(&format!("in use by process {pid}")),
            "{words}"
        );
        assert!(words.contains("/readyz"), "{words}");
    }
    journal.close().await.unwrap();
    assert!(journal.close().await.is_err());
    assert!(journal.append(entry(1, 1)).await.is_err());
    Visit::open(&dir.file()).unwrap();
}

#[test]
fn a_journal_of_another_store_is_refused() {
    let dir = TempDir::new();
    drop(open(&dir.file()));
    let other = StoreId([8; 16]);
    let refused = Journal::open(&dir.file(), other, Clock::manual(START));
    let words = refused.err().unwrap().to_string();
    let named = [STORE, other]
        .iter()
        .all(|id| words.contains(&id.to_string()));
    assert!(named && words.contains("ledger.journal"), "{words}");
}

#[test]
fn a_newer_schema_and_foreign_files_are_refused() {
    let dir = TempDir::new();
    drop(open(&dir.file()));
    let sqlite = rusqlite::Connection::open(dir.file()).unwrap();
    let newer = "UPDATE meta SET value = 2 WHERE name = 'schema_version'";
    sqlite.execute(newer, []).unwrap();
    drop(sqlite);
    let refused = Visit::open(&dir.file()).err().unwrap();
    let newer = matches!(refused, JournalError::Schema { found: 2, known: 1 });
    assert!(newer, "{refused}");

    let foreign = dir.0.join("foreign.db");
    let sqlite = rusqlite::Connection::open(&foreign).unwrap();
    sqlite
        .execute_batch("CREATE TABLE songs (title TEXT)")
        .unwrap();
    drop(sqlite);
    let refused = Visit::open(&foreign).err().unwrap();
    assert!(matches!(refused, JournalError::Foreign(_)), "{refused}");
    let refused = Visit::open(&dir.0.join("absent.db")).err().unwrap();
    assert!(matches!(refused, JournalError::Missing(_)), "{refused}");
    let refused = Visit::open(&dir.0).err().unwrap();
    assert!(refused.to_string().contains("no regular file"), "{refused}");
}

#[tokio::test]
async fn a_copy_of_the_file_numbers_under_another_nonce() {
    let (dir, other) = (TempDir::new(), TempDir::new());
    let journal = open(&dir.file());
    journal.append(entry(5, 1)).await.unwrap();
    let first = journal.opening();
    journal.close().await.unwrap();
    std::fs::copy(dir.file(), other.file()).unwrap();
    let (one, two) = (open(&dir.file()), open(&other.file()));
    assert_ne!(one.nonce(), two.nonce());
    // What both have from before has the same name in both: the store does it once.
    for journal in [one, two] {
        assert_eq!(journal.archive().openings(), [first]);
    }
}

#[tokio::test]
async fn openings_that_wrote_nothing_leave_nothing_behind() {
    let dir = TempDir::new();
    for _ in 0..5 {
        drop(open(&dir.file()));
    }
    let visit = Visit::open(&dir.file()).unwrap();
    assert_eq!(visit.archive().openings().len(), 1);
    assert_eq!(visit.archive().store(), Some(STORE));
    assert_eq!(visit.archive().counts().await.unwrap().len(), 0);
    visit.close().unwrap();
}
