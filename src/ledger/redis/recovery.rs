//! Lost writes, done again: entries of a journal that are beyond the store's marks are sent once more, in order.
//!
//! One pass over the journal serves all lanes at once. Sending is harmless: what the store has, it passes over.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use redis::Value;

use super::error::LinkError;
use super::layout::{hex, unhex};
use super::remote::{Remote, Verdict, verdict};
use crate::ledger::LedgerError;
use crate::ledger::id::KeyDigest;
use crate::ledger::journal::{Archive, Lane, Nonce, Stored};
use crate::ledger::key::Key;

/// How many entries are on their way at once.
const PAGE: u32 = 256;

/// What a lane lacks in the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    pub nonce: Nonce,
    /// The store has everything up to this.
    pub mark: u64,
    /// What is to be sent ends with this.
    pub upto: u64,
    /// What the store had acknowledged once.
    pub acked: u64,
    /// Its next entry waits, and so do those after it: the store refuses it, or another journal has to bring back
    /// first what it needs.
    pub stopped: bool,
    /// The first entry that it needs was found.
    pub met: bool,
}

impl Need {
    /// What is beyond `mark`, up to `upto`.
    pub fn beyond(nonce: Nonce, mark: u64, upto: u64, acked: u64) -> Need {
        Need {
            nonce,
            mark,
            upto,
            acked,
            stopped: false,
            met: false,
        }
    }
}

/// Why a replay ended early.
#[derive(Debug)]
pub(super) enum ReplayError {
    /// The store went away: what is left is sent when it is back.
    Link(LinkError),
    /// The journal cannot be read.
    Journal(LedgerError),
}

impl From<LinkError> for ReplayError {
    fn from(error: LinkError) -> Self {
        ReplayError::Link(error)
    }
}

impl From<LedgerError> for ReplayError {
    fn from(error: LedgerError) -> Self {
        ReplayError::Journal(error)
    }
}

impl std::fmt::Display for ReplayError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReplayError::Link(error) => error.fmt(f),
            ReplayError::Journal(error) => error.fmt(f),
        }
    }
}

/// How a replay came out that reached its end.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    /// The words of a refusal, if there was one.
    pub refusal: Option<String>,
    /// Entries wait for those of other journals, so that it is to be repeated; or the store has lost writes again.
    pub held_up: bool,
}

/// What replays came to, counted while they go on.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Entries that the store lacked and has now.
    pub replayed: AtomicU64,
    /// Of these, entries that it could not carry out.
    pub suspended: AtomicU64,
}

/// The lanes of all openings of before, and what the store lacks there as far as the file knows.
pub(super) fn inherited(archive: &Archive) -> BTreeMap<Lane, Need> {
    let nonces: BTreeMap<i64, Nonce> = archive
        .openings()
        .iter()
        .map(|opening| (opening.id, opening.nonce))
        .collect();
    let lanes = archive.lanes().into_iter();
    let needs = lanes.filter_map(|(lane, reach)| {
        let nonce = *nonces.get(&lane.opening)?;
        let (mark, upto) = (reach.applied, reach.last);
        Some((lane, Need::beyond(nonce, mark, upto, mark)))
    });
    needs.collect()
}

/// Sends what the lanes need, and moves their marks. A lane that has to wait keeps no other from going on: that may be
/// the one whose entries somebody else waits for.
pub(super) async fn replay(
    remote: &Remote,
    archive: &Archive,
    needs: &mut BTreeMap<Lane, Need>,
    tally: &Tally,
) -> Result<Replayed, ReplayError> {
    let beyond = needs.iter().map(|(lane, need)| (*lane, need.mark));
    let mut from = archive.locate(beyond.collect::<HashMap<_, _>>()).await?;
    let mut replayed = Replayed::default();
    loop {
        if needs
            .values()
            .all(|need| need.stopped || need.mark >= need.upto)
        {
            return Ok(replayed);
        }
        let page = archive.page(from, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(replayed);
        };
        from = last.id.saturating_add(1);
        let page: Vec<Stored> = page
            .into_iter()
            .filter(|stored| {
                let need = needs.get(&lane(stored));
                need.is_some_and(|need| {
                    !need.stopped && (need.mark + 1..=need.upto).contains(&stored.entry.seq)
                })
            })
            .collect();
        close_holes(remote, &page, needs).await?;
        point_to_keys(remote, &page).await?;
        let sent = send_page(remote, page, needs, tally).await?;
        replayed.refusal = sent.refusal.or(replayed.refusal);
        replayed.held_up |= sent.held_up;
    }
}

/// Puts the keys of a page into the directory: it lies elsewhere, and may have lost them too. It is a hint, which is
/// never believed without a key's record.
async fn point_to_keys(remote: &Remote, page: &[Stored]) -> Result<(), LinkError> {
    let mut commands = Vec::new();
    for stored in page.iter().filter(|stored| &*stored.entry.script == "key") {
        let Some([_, args]) = stored.entry.unpack() else {
            continue;
        };
        let [_, _, _, record, digest] = args.as_slice() else {
            continue;
        };
        let digest = std::str::from_utf8(digest).ok().and_then(unhex::<32>);
        if let (Ok(key), Some(digest)) = (serde_json::from_slice::<Key>(record), digest) {
            let mut claim = redis::cmd("SET");
            claim.arg(remote.layout.key(&key.id));
            claim
                .arg(format!("{} {}", key.wallet, hex(&digest)))
                .arg("NX");
            let mut point = redis::cmd("SET");
            point.arg(remote.layout.digest(&KeyDigest(digest)));
            point.arg(format!("{} {}", key.wallet, key.id));
            commands.extend([claim, point]);
        }
    }
    remote.link.batch(commands).await.map(drop)
}

/// Sends a page until the store has all of it, but for what has to wait and what comes after that.
async fn send_page(
    remote: &Remote,
    mut page: Vec<Stored>,
    needs: &mut BTreeMap<Lane, Need>,
    tally: &Tally,
) -> Result<Replayed, ReplayError> {
    let mut replayed = Replayed::default();
    while !page.is_empty() {
        let before = page.len();
        let answers = send(remote, &page, needs).await;
        for (stored, answer) in page.iter().zip(answers) {
            let Some(need) = needs.get_mut(&lane(stored)) else {
                continue;
            };
            match answer.and_then(|answer| Ok((verdict(&answer)?, answer))) {
                Ok((Verdict::Passed { well }, answer)) => {
                    need.mark = need.mark.max(stored.entry.seq);
                    tally.replayed.fetch_add(1, Ordering::Relaxed);
                    if !well {
                        tally.suspended.fetch_add(1, Ordering::Relaxed);
                        put_aside(stored, need.nonce, &answer);
                    }
                }
                // It overtook the one before it, or that has to wait.
                Ok((Verdict::Gap(_), _)) => {}
                Err(LinkError::Refused(why)) => {
                    need.stopped = true;
                    replayed.refusal = Some(why);
                }
                Err(away) => return Err(away.into()),
            }
        }
        page.retain(|stored| {
            let need = needs.get(&lane(stored));
            need.is_some_and(|need| !need.stopped && stored.entry.seq > need.mark)
        });
        if page.len() == before {
            replayed.held_up = true;
            for stored in page.drain(..) {
                if let Some(need) = needs.get_mut(&lane(&stored)) {
                    need.stopped = true;
                }
            }
        }
    }
    Ok(replayed)
}

fn lane(stored: &Stored) -> Lane {
    Lane {
        opening: stored.opening,
        partition: stored.entry.partition,
    }
}

/// Where the entry that a lane needs first is not in the file any more, the store's mark is moved up to what is
/// there. Only old entries go, so whatever follows one that was met has no hole before it.
async fn close_holes(
    remote: &Remote,
    page: &[Stored],
    needs: &mut BTreeMap<Lane, Need>,
) -> Result<(), LinkError> {
    for stored in page {
        let (lane, seq) = (lane(stored), stored.entry.seq);
        let Some(need) = needs.get_mut(&lane).filter(|need| !need.met) else {
            continue;
        };
        need.met = true;
        if seq > need.mark + 1 {
            let upto = seq - 1;
            remote
                .skip(lane.partition, need.nonce, need.mark, upto)
                .await?;
            need.mark = upto;
        }
    }
    Ok(())
}

/// Sends all of a page, in order, and waits for all answers.
async fn send(
    remote: &Remote,
    page: &[Stored],
    needs: &BTreeMap<Lane, Need>,
) -> Vec<Result<Value, LinkError>> {
    let calls = page.iter().map(|stored| {
        let entry = &stored.entry;
        let script = (remote.named)(&entry.script).ok_or_else(|| {
            let name = &entry.script;
            LinkError::Refused(format!(
                "the journal has a `{name}`, which this program does not know: use a newer one"
            ))
        })?;
        let damaged = || LinkError::Refused("an entry of the journal is damaged".to_owned());
        let [keys, args] = entry.unpack().ok_or_else(damaged)?;
        let need = needs.get(&lane(stored)).ok_or_else(damaged)?;
        let nonce = need.nonce.to_string();
        let mut all = remote.header(&nonce, Some(entry.seq), need.acked, true);
        all.extend(args);
        Ok(remote.link.call(script, keys, all))
    });
    let calls: Vec<Result<_, LinkError>> = calls.collect();
    join_all(calls.into_iter().map(|call| async { call?.await })).await
}

fn put_aside(stored: &Stored, nonce: Nonce, answer: &Value) {
    tracing::error!(
        partition = stored.entry.partition,
        journal = %nonce,
        number = stored.entry.seq,
        script = %stored.entry.script,
        "the store cannot carry out an entry of the journal, and has put it aside: {answer:?}"
    );
}
