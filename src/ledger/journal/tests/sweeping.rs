//! Old entries go, a week after they applied and not before.

use super::{START, STORE, TempDir, beyond, entry};
use crate::clock::Clock;
use crate::ledger::journal::{Journal, KEPT_MS, Lane, Visit};

const HOUR_MS: u64 = 3_600_000;

#[tokio::test]
async fn entries_are_kept_for_a_week_after_they_applied() {
    let dir = TempDir::new();
    let clock = Clock::manual(START);
    let journal = Journal::open(&dir.file(), STORE, clock.clone()).unwrap();
    for seq in 1..=2_500 {
        drop(journal.append(entry(1, seq)));
    }
    drop(journal.append(entry(2, 1)));
    journal.flushed().await.unwrap();
    // Nothing has applied: however old, nothing goes.
    assert_eq!(journal.sweep().await.unwrap(), 0);
    clock.advance(2 * KEPT_MS);
    assert_eq!(journal.sweep().await.unwrap(), 0);
    journal.applied(1, 2_400);
    journal.applied(2, 1);
    assert_eq!(journal.sweep().await.unwrap(), 0);
    clock.advance(KEPT_MS - 1);
    assert_eq!(journal.sweep().await.unwrap(), 0);
    journal.close().await.unwrap();

    // A restart forgets nothing of it.
    let first = journal.opening();
    drop(journal);
    let journal = Journal::open(&dir.file(), STORE, clock.clone()).unwrap();
    assert_eq!(journal.sweep().await.unwrap(), 0);
    clock.advance(1);
    assert_eq!(journal.sweep().await.unwrap(), 2_400);
    assert_eq!(journal.sweep().await.unwrap(), 0);
    let lane = Lane {
        opening: first.id,
        partition: 1,
    };
    let left = beyond(journal.archive(), &[(lane, 0)]).await;
    assert_eq!((left.len(), left[0].entry.seq), (100, 2_401));

    // The rest applies, and a week later the opening itself is gone.
    journal.archive().applied(lane, 2_500);
    journal.sweep().await.unwrap();
    clock.advance(KEPT_MS + HOUR_MS);
    assert_eq!(journal.sweep().await.unwrap(), 101);
    journal.close().await.unwrap();
    drop(journal);
    let visit = Visit::open(&dir.file()).unwrap();
    assert_eq!(visit.archive().openings().len(), 1);
    assert_eq!(visit.archive().lanes().len(), 0);
}
