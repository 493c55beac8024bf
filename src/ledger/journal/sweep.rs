//! Old entries go: a week after they were known to have applied, a bounded piece at a time.
//!
//! Entries are reviewed in their order, up to the first that has not applied. Every hour it is noted how far that
//! is; what a note of a week ago covers is removed. So nothing is written for each entry but the entry itself.

use rusqlite::{Connection, OptionalExtension, params};

use super::Journal;
use super::archive::{Lane, openings};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;

/// How long an entry is kept after it applied.
pub const KEPT_MS: u64 = 7 * 24 * HOUR_MS;
const HOUR_MS: u64 = 60 * 60 * 1000;
/// How many entries one sweep looks at, and how many it removes.
const REVIEWED_MAX: u32 = 50_000;
const REMOVED_MAX: i64 = 20_000;
/// How many are removed in one transaction; appends wait for no more than that.
const REMOVED_AT_ONCE: i64 = 1_000;

/// How far the entries were reviewed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Review {
    /// All entries up to this have applied.
    upto: i64,
    /// When that was noted last, and what.
    noted: Option<(UnixMs, i64)>,
}

impl Review {
    /// Goes on where the last process's latest note says.
    pub fn resume(connection: &Connection) -> rusqlite::Result<Review> {
        let sql = "SELECT at, entry FROM milestones ORDER BY at DESC LIMIT 1";
        let noted = connection.query_row(sql, [], |row| Ok((UnixMs(row.get(0)?), row.get(1)?)));
        let noted: Option<(UnixMs, i64)> = noted.optional()?;
        Ok(Review {
            upto: noted.map_or(0, |(_, entry)| entry),
            noted,
        })
    }
}

impl Journal {
    /// Removes entries that were known to have applied a week ago, a bounded number at once: to be called
    /// every second or so. Answers how many.
    ///
    /// # Errors
    /// Where the file cannot be read or written; then nothing more is removed than before.
    pub async fn sweep(&self) -> Result<u64, LedgerError> {
        let now = self.clock.now();
        self.review(now).await?;
        let before = UnixMs(now.0.saturating_sub_unsigned(KEPT_MS));
        let mut removed = 0;
        while removed < REMOVED_MAX {
            let piece = self
                .writer
                .run(move |connection| remove(connection, before));
            match piece.await? {
                0 => break,
                count => removed += count,
            }
        }
        if removed > 0 {
            let gone = self.writer.run(forget_openings).await?;
            self.archive.forget(&gone);
        }
        Ok(removed.unsigned_abs())
    }

    async fn review(&self, now: UnixMs) -> Result<(), LedgerError> {
        let mut review = *self.review.lock();
        let (from, lanes) = (review.upto, self.archive.lanes());
        let work = move |connection: &Connection| {
            let mut statement = connection.prepare(
                "SELECT opening, partition, seq, id FROM entries
                 WHERE id > ?1 ORDER BY id LIMIT ?2",
            )?;
            let mut rows = statement.query(params![from, REVIEWED_MAX])?;
            let mut upto = from;
            while let Some(row) = rows.next()? {
                let lane = Lane {
                    opening: row.get(0)?,
                    partition: row.get(1)?,
                };
                let applied = lanes.get(&lane).map_or(0, |reach| reach.applied);
                if row.get::<_, i64>(2)?.unsigned_abs() > applied {
                    break;
                }
                upto = row.get(3)?;
            }
            Ok(upto)
        };
        review.upto = self.archive.ask(work).await?;
        let (at, entry) = review.noted.unwrap_or((UnixMs(0), 0));
        if review.upto > entry && now.since(at) >= HOUR_MS {
            let upto = review.upto;
            let note = "INSERT OR REPLACE INTO milestones (at, entry) VALUES (?1, ?2)";
            self.writer
                .run(move |connection| connection.execute(note, params![now.0, upto]))
                .await?;
            review.noted = Some((now, upto));
        }
        *self.review.lock() = review;
        Ok(())
    }
}

/// Removes the oldest entries that a milestone of before `before` covers. What has not been noted in `progress`
/// stays: opening the file would miss it.
fn remove(connection: &Connection, before: UnixMs) -> rusqlite::Result<i64> {
    let covered: Option<i64> = connection.query_row(
        "SELECT min(max(entry), (SELECT value FROM meta WHERE name = 'noted'))
         FROM milestones WHERE at <= ?1",
        [before.0],
        |row| row.get(0),
    )?;
    let oldest: Option<i64> =
        connection.query_row("SELECT min(id) FROM entries", [], |row| row.get(0))?;
    let (Some(covered), Some(oldest)) = (covered, oldest) else {
        return Ok(0);
    };
    let upto = covered.min(oldest.saturating_add(REMOVED_AT_ONCE - 1));
    let gone = connection.execute("DELETE FROM entries WHERE id <= ?1", [upto])?;
    Ok(i64::try_from(gone).unwrap_or(i64::MAX))
}

/// Forgets the openings of which nothing is left, but for the newest; answers which.
pub(super) fn forget_openings(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let tx = connection.unchecked_transaction()?;
    let oldest: Option<i64> = tx.query_row("SELECT min(id) FROM entries", [], |row| row.get(0))?;
    let oldest = oldest.unwrap_or(i64::MAX);
    let kept = openings(&tx)?;
    let mut gone = Vec::new();
    for pair in kept.windows(2) {
        if let [empty, next] = pair
            && next.first <= oldest
        {
            tx.execute("DELETE FROM openings WHERE id = ?1", [empty.id])?;
            gone.push(empty.id);
        }
    }
    let without = "DELETE FROM progress WHERE opening NOT IN (SELECT id FROM openings)";
    tx.execute(without, [])?;
    let milestones =
        "DELETE FROM milestones WHERE entry < ?1 AND at < (SELECT max(at) FROM milestones)";
    if oldest < i64::MAX {
        tx.execute(milestones, [oldest])?;
    }
    tx.commit()?;
    Ok(gone)
}
