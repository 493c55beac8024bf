//! How much room the file system of a store has left: new work is turned away while enough is left
//! to write what has begun.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::ledger::LedgerError;

/// What is kept for the requests that run, and for operators: the log of writes grows to 16 MiB in
/// ordinary use, to 32 where commits are faster than the disk, and to more while a backup is read.
const RESERVE_BYTES: u64 = 64 * MIB;
const MIB: u64 = 1024 * 1024;
/// How often it is looked at.
pub(in crate::ledger) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tells how many bytes are free for this process; an error where nobody knows.
pub(in crate::ledger) type Measure = Box<dyn Fn() -> std::io::Result<u64> + Send>;

/// What the last look found.
pub(in crate::ledger) struct Space {
    /// Of what, in words.
    name: &'static str,
    free: AtomicU64,
}

impl Space {
    /// Enough, until a look finds less.
    pub fn of(name: &'static str) -> Space {
        Space {
            name,
            free: AtomicU64::new(u64::MAX),
        }
    }

    /// Refuses while less than the reserve is left.
    pub fn check(&self) -> Result<(), LedgerError> {
        let free = self.free.load(Ordering::Relaxed);
        if free < RESERVE_BYTES {
            return Err(LedgerError::Unavailable(format!(
                "the file system of {} has only {} MiB left, and {} MiB are kept for requests that run: \
                 nothing new begins until there is more",
                self.name,
                free / MIB,
                RESERVE_BYTES / MIB
            )));
        }
        Ok(())
    }

    /// Notes how much is free. Where that cannot be told, nobody is turned away for it: a commit that
    /// finds no room still ends the process.
    fn note(&self, found: std::io::Result<u64>) {
        let was_short = self.check().is_err();
        let free = found.as_ref().map_or(u64::MAX, |free| *free);
        self.free.store(free, Ordering::Relaxed);
        match (self.check(), found) {
            (Err(short), _) if !was_short => tracing::error!("{short}"),
            (Ok(()), Ok(free)) if was_short => {
                tracing::info!(free_mib = free / MIB, "{} has room again", self.name);
            }
            (Ok(()), Err(error)) if was_short => {
                let name = self.name;
                tracing::warn!("how much room {name} has cannot be told any more: {error}");
            }
            _ => {}
        }
    }
}

/// Looks from time to time.
pub(in crate::ledger) struct Watch {
    measure: Measure,
    looked: Instant,
}

impl Watch {
    /// Looks for the first time.
    pub fn start(measure: Measure, space: &Space) -> Watch {
        space.note(measure());
        Watch {
            measure,
            looked: Instant::now(),
        }
    }

    /// Looks again where it is time; answers how long until the next look.
    pub fn look(&mut self, space: &Space) -> Duration {
        let passed = self.looked.elapsed();
        if let Some(left) = LOOK_EVERY
            .checked_sub(passed)
            .filter(|left| !left.is_zero())
        {
            return left;
        }
        space.note((self.measure)());
        self.looked = Instant::now();
        LOOK_EVERY
    }
}

/// The room that is left for the file at `path`.
#[cfg(unix)]
pub(in crate::ledger) fn of_file(path: PathBuf) -> Measure {
    Box::new(move || {
        let found = rustix::fs::statvfs(&path)?;
        if found.f_blocks == 0 {
            // Some file systems do not count.
            return Err(std::io::ErrorKind::Unsupported.into());
        }
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    })
}

/// Elsewhere nobody asks.
#[cfg(not(unix))]
pub(in crate::ledger) fn of_file(_: PathBuf) -> Measure {
    endless()
}

/// For a store in memory.
pub(in crate::ledger) fn endless() -> Measure {
    Box::new(|| Ok(u64::MAX))
}
