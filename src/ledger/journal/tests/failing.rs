//! A disk that takes no more: the caller is told, nothing is lost or torn, and it goes on when there is room.

use std::time::Duration;

use super::{TempDir, beyond, entry, open};
use crate::ledger::journal::{Journal, Lane};

/// Lets the file have so many pages, and no more.
async fn allow(journal: &Journal, pages: Option<i64>) {
    let limit = move |connection: &rusqlite::Connection| {
        let size: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        let pages = pages.map_or(1 << 30, |more| size + more);
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
    };
    journal.writer.run(limit).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_file_has_no_hole_when_there_is_room_again() {
    let dir = TempDir::new();
    let journal = open(&dir.file());
    allow(&journal, Some(20)).await;
    let (mut seq, mut told) = (0, None);
    while told.is_none() {
        seq += 1;
        assert!(seq < 10_000, "it never filled up");
        told = journal.append(entry(1, seq)).await.err();
    }
    let words = told.unwrap().to_string();
    assert!(
        words.contains("the journal cannot be written") && words.contains("full"),
        "{words}"
    );
    assert_eq!(journal.check().unwrap_err().to_string(), words);
    let acknowledged = seq - 1;
    for seq in seq + 1..=seq + 3_000 {
        drop(journal.append(entry(1, seq)));
    }
    assert!(journal.flushed().await.is_err() && journal.durable().await.is_err());
    let lane = Lane {
        opening: journal.opening().id,
        partition: 1,
    };
    let there = beyond(journal.archive(), &[(lane, 0)]).await.len() as u64;
    assert_eq!(there, acknowledged, "what was refused is not half there");

    allow(&journal, None).await;
    while journal.check().is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    journal.durable().await.unwrap();
    let found = beyond(journal.archive(), &[(lane, 0)]).await;
    let numbers: Vec<u64> = found.iter().map(|it| it.entry.seq).collect();
    assert_eq!(numbers, (1..=seq + 3_000).collect::<Vec<_>>());
}
