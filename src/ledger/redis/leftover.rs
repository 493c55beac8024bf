//! The journal of a proxy that does not run: what waits in it, and its delivery to the store.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::error::LinkError;
use super::recovery::{Need, ReplayError, Tally, inherited, replay};
use super::remote::Remote;
use super::reply::list;
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::id::StoreId;
use crate::ledger::journal::{Archive, Lane, Nonce};

/// How many entries of one suspense list are told.
const SUSPENDED_TOLD_MAX: isize = 1_000;
/// For how long entries may wait for those of other proxies: somewhat longer than a partition waits for them.
const OTHERS_PATIENCE: Duration = Duration::from_secs(15);
const HELD_UP: &str = "what other proxies have in their journals has to come first; deliver that, and then this again";
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// One opening of a journal.
#[derive(Clone, Debug, Serialize)]
pub struct Opening {
    /// Its name in the store.
    pub nonce: String,
    /// When it was opened.
    pub opened_at: UnixMs,
    /// How many entries the file has of it.
    pub entries: u64,
    /// How many of them the store lacks; as far as the file knows, where the store was not asked.
    pub waiting: u64,
}

/// A mutation that a store has put aside: it was sent again from a journal, and could not be carried out.
#[derive(Clone, Debug, Serialize)]
pub struct Suspended {
    /// The partition.
    pub partition: u16,
    /// Of which opening it is.
    pub nonce: String,
    /// Its number there.
    pub number: String,
    /// When it was put aside.
    pub at: UnixMs,
    /// Why.
    pub why: String,
}

/// What a delivery came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Delivered {
    /// Entries that the store lacked and has now.
    pub delivered: u64,
    /// Of these, entries that it could not carry out, and put aside.
    pub suspended: u64,
    /// Entries that it still lacks.
    pub waiting: u64,
    /// Why it refuses them.
    pub refused: Option<String>,
}

/// Why a delivery ended early. What was delivered stays so, and the next one goes on.
#[derive(Debug, thiserror::Error)]
pub enum LeftoverError {
    /// The store is away, or refuses.
    #[error(transparent)]
    Store(#[from] LinkError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] LedgerError),
}

impl From<ReplayError> for LeftoverError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Link(error) => LeftoverError::Store(error),
            ReplayError::Journal(error) => LeftoverError::Journal(error),
        }
    }
}

/// The id of the store; none where nothing was ever kept.
///
/// # Errors
/// If the store does not answer.
pub async fn store_id(remote: &Remote) -> Result<Option<StoreId>, LinkError> {
    remote.store_id().await
}

/// The openings of a journal, oldest first; what waits, as the store's marks say where it is asked.
///
/// # Errors
/// If the file cannot be read, or the store does not answer.
pub async fn status(
    archive: &Archive,
    remote: Option<&Remote>,
) -> Result<Vec<Opening>, LeftoverError> {
    let counts = archive.counts().await?;
    let mut needs = inherited(archive);
    if let Some(remote) = remote {
        compare(archive, remote, &mut needs).await?;
    }
    let openings = archive.openings().iter().map(|opening| Opening {
        nonce: opening.nonce.to_string(),
        opened_at: opening.at,
        entries: counts.get(&opening.id).copied().unwrap_or(0),
        waiting: needs
            .iter()
            .filter(|(lane, _)| lane.opening == opening.id)
            .map(|(_, need)| need.upto.saturating_sub(need.mark))
            .sum(),
    });
    Ok(openings.collect())
}

/// What the store has put aside, of all proxies.
///
/// # Errors
/// If the store does not answer.
pub async fn suspended(remote: &Remote) -> Result<Vec<Suspended>, LinkError> {
    let mut all = Vec::new();
    for (partition, _) in remote.suspended().await? {
        let mut command = redis::cmd("LRANGE");
        let key = remote.layout.suspense(partition);
        command.arg(key).arg(0).arg(SUSPENDED_TOLD_MAX - 1);
        let answers = remote.link.batch(vec![command]).await?;
        let lines = answers.first().and_then(list).unwrap_or_default();
        all.extend(lines.into_iter().map(|line| {
            let mut words = line.splitn(4, ' ');
            let mut next = || words.next().unwrap_or_default().to_owned();
            Suspended {
                partition: partition.number(),
                nonce: next(),
                number: next(),
                at: UnixMs(next().parse().unwrap_or(0)),
                why: next(),
            }
        }));
    }
    Ok(all)
}

/// Sends what the store lacks of a journal.
///
/// # Errors
/// If the store goes away, or the file cannot be read; see [`LeftoverError`].
pub async fn deliver(archive: &Archive, remote: &Remote) -> Result<Delivered, LeftoverError> {
    let mut needs = inherited(archive);
    compare(archive, remote, &mut needs).await?;
    needs.retain(|_, need| need.mark < need.upto);
    if needs.is_empty() {
        return Ok(Delivered::default());
    }
    let (tally, since) = (Tally::default(), Instant::now());
    let replayed = loop {
        let replayed = replay(remote, archive, &mut needs, &tally).await;
        for (lane, need) in &mut needs {
            archive.applied(*lane, need.mark);
            need.stopped = false;
        }
        let replayed = replayed?;
        if !replayed.held_up || since.elapsed() >= OTHERS_PATIENCE {
            break replayed;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    };
    Ok(Delivered {
        refused: replayed
            .refusal
            .or_else(|| replayed.held_up.then(|| HELD_UP.to_owned())),
        delivered: tally.replayed.load(Ordering::Relaxed),
        suspended: tally.suspended.load(Ordering::Relaxed),
        waiting: needs
            .values()
            .map(|need| need.upto - need.mark.min(need.upto))
            .sum(),
    })
}

async fn compare(
    archive: &Archive,
    remote: &Remote,
    needs: &mut BTreeMap<Lane, Need>,
) -> Result<(), LinkError> {
    let lanes: Vec<(Lane, Nonce)> = needs.iter().map(|(lane, it)| (*lane, it.nonce)).collect();
    let marks = remote.marks(&lanes).await?;
    for (lane, need) in needs {
        need.mark = marks.get(lane).copied().unwrap_or(0);
        archive.applied(*lane, need.mark.min(need.upto));
    }
    Ok(())
}
