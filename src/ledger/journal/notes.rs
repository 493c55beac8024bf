//! How far the lanes go, written into the file now and then, so that opening it does not mean reading all of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::archive::{Lane, Lanes, Reach};
use super::entry::JournalEntry;
use super::schema;

/// How often it is written, where anything changed.
const EVERY: Duration = Duration::from_secs(10);

/// What the thread that writes knows of the lanes.
pub(super) struct Notes {
    opening: i64,
    /// The number in the file that the next entry gets.
    next: i64,
    lanes: Lanes,
    /// What the file says.
    noted: BTreeMap<Lane, Reach>,
    due: Instant,
}

impl Notes {
    /// Of a file that was just opened: `next` is the number of its next entry.
    pub fn new(opening: i64, next: i64, lanes: Lanes) -> Notes {
        Notes {
            opening,
            next,
            lanes,
            noted: BTreeMap::new(),
            due: Instant::now() + EVERY,
        }
    }

    pub fn opening(&self) -> i64 {
        self.opening
    }

    pub fn next(&self) -> i64 {
        self.next
    }

    /// Takes note of entries that were written.
    pub fn wrote<'a>(&mut self, entries: impl Iterator<Item = &'a JournalEntry>) {
        let mut lanes = self.lanes.lock();
        for entry in entries {
            let lane = Lane {
                opening: self.opening,
                partition: entry.partition,
            };
            lanes.entry(lane).or_default().last = entry.seq;
            self.next += 1;
        }
    }

    pub fn are_due(&self) -> bool {
        Instant::now() >= self.due
    }

    /// Writes what changed since the last time, in one transaction.
    pub fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.due = Instant::now() + EVERY;
        let lanes = self.lanes.lock().clone();
        if lanes == self.noted {
            return Ok(());
        }
        let tx = connection.unchecked_transaction()?;
        let mut put = tx.prepare(
            "INSERT OR REPLACE INTO progress (opening, partition, last, applied)
             VALUES (?1, ?2, ?3, ?4)",
        )?;
        for (lane, reach) in &lanes {
            if self.noted.get(lane) != Some(reach) {
                put.execute(params![
                    lane.opening,
                    lane.partition,
                    reach.last.cast_signed(),
                    reach.applied.cast_signed()
                ])?;
            }
        }
        drop(put);
        schema::put(&tx, "noted", self.next - 1)?;
        tx.commit()?;
        self.noted = lanes;
        Ok(())
    }
}
