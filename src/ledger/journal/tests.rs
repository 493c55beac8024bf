//! What a journal promises, shown.

mod crashing;
mod failing;
mod opening;
mod sweeping;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Archive, Journal, JournalEntry, Lane, Stored};
use crate::clock::{Clock, UnixMs};
use crate::ledger::id::StoreId;

/// 2026-01-01T00:00:00Z.
const START: UnixMs = UnixMs(1_767_225_600_000);
const STORE: StoreId = StoreId([7; 16]);

/// A directory of one test.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> TempDir {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tollgate-journal-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("journal.db")
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn open(path: &Path) -> Journal {
    Journal::open(path, STORE, Clock::manual(START)).unwrap()
}

fn entry(partition: u16, seq: u64) -> Arc<JournalEntry> {
    Arc::new(JournalEntry {
        partition,
        seq,
        at: START,
        script: "settle".into(),
        body: format!("{partition} {seq}").into_bytes(),
    })
}

/// All entries of the file beyond these numbers, a few at a time.
async fn beyond(archive: &Archive, marks: &[(Lane, u64)]) -> Vec<Stored> {
    let marks: HashMap<Lane, u64> = marks.iter().copied().collect();
    let mut from = archive.locate(marks.clone()).await.unwrap();
    let mut found = Vec::new();
    loop {
        let page = archive.page(from, 7).await.unwrap();
        let Some(last) = page.last() else {
            return found;
        };
        from = last.id + 1;
        found.extend(page.into_iter().filter(|stored| {
            let lane = Lane {
                opening: stored.opening,
                partition: stored.entry.partition,
            };
            marks
                .get(&lane)
                .is_some_and(|mark| stored.entry.seq > *mark)
        }));
    }
}
