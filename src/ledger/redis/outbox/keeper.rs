//! The task that sends again: what was not answered, what the store lost, what earlier openings left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;

use super::slot::{Again, Window};
use super::{Inner, Suspect};
use crate::ledger::journal::{Lane, Nonce};
use crate::ledger::redis::error::LinkError;
use crate::ledger::redis::recovery::{Need, ReplayError, Replayed, inherited, replay};
use crate::ledger::redis::remote::{Verdict, verdict};
use crate::ledger::redis::reply::text;

/// How many entries of one partition are on their way at once, and in how many partitions.
const WINDOW: usize = 64;
const PARTITIONS_AT_ONCE: usize = 32;
/// How long the next try waits after one that failed.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// How often a partition is asked whether all others have replayed, too.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// With nothing to do, somebody wakes it.
const IDLE: Duration = Duration::from_secs(3600);
/// Who was seen in this time is waited for.
const PRESENT: Duration = Duration::from_secs(10);

/// Sends again until the outbox is closed.
pub(super) async fn keep(inner: Arc<Inner>) {
    let mut made = inner.remote.link.connections();
    let mut closing = inner.closing.subscribe();
    let mut backoff = BACKOFF_MIN;
    loop {
        let before = inner.replayed();
        let well = tokio::select! {
            well = round(&inner) => well,
            _ = closing.wait_for(|closing| *closing) => return,
        };
        let pause = match well {
            true if inner.is_idle() => IDLE,
            true => ASK_AGAIN,
            false => backoff,
        };
        // Where proxies wait for each other in turn, each of them comes soon.
        backoff = if well || inner.replayed() > before {
            BACKOFF_MIN
        } else {
            (backoff * 2).min(BACKOFF_MAX)
        };
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            // What was on its way on the old connection may have happened or not.
            Ok(()) = made.changed() => inner.doubt_all(),
            () = inner.wake.notified(), if well => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Does all that is to be done now; answers whether all of it could be.
pub(super) async fn round(inner: &Inner) -> bool {
    let mut refused = None;
    let compared = compare(inner).await;
    let (is_ours, mut well) = match compared {
        Ok(Replayed {
            refusal: None,
            held_up,
        }) => {
            if !held_up {
                inner.started.store(true, Ordering::Release);
            }
            (true, !held_up)
        }
        Ok(Replayed { refusal, .. }) => {
            refused = refusal;
            (false, false)
        }
        Err(error) => {
            tracing::debug!(%error, "the store's marks cannot be compared now");
            (false, false)
        }
    };
    // Nothing is sent to a store that is not known to be the journal's.
    let stuck: Vec<u16> = match is_ours {
        false => Vec::new(),
        true => inner.stuck.lock().iter().copied().collect(),
    };
    let mut pumps = stream::iter(stuck)
        .map(|partition| pump(inner, partition))
        .buffer_unordered(PARTITIONS_AT_ONCE);
    while let Some(pumped) = pumps.next().await {
        match pumped {
            Ok(()) => {}
            Err(LinkError::Away(error) | LinkError::NotNow(error)) => {
                tracing::debug!(%error, "entries wait for the store");
                well = false;
            }
            Err(LinkError::Refused(why)) => {
                refused = Some(why);
                well = false;
            }
        }
    }
    match refused {
        Some(why) => inner.refused(why),
        None if well => drop(inner.refusal.lock().take()),
        None => {}
    }
    tell_recovered(inner).await && well
}

impl Inner {
    fn replayed(&self) -> u64 {
        self.tally.replayed.load(Ordering::Relaxed)
    }

    fn is_idle(&self) -> bool {
        let suspect = self.suspect.lock();
        !suspect.all
            && suspect.some.is_empty()
            && self.stuck.lock().is_empty()
            && self.recovering.lock().is_empty()
    }
}

/// Sends what waits in a partition, in order, until nothing does. What only the journal has is left to the next round.
async fn pump(inner: &Inner, partition: u16) -> Result<(), LinkError> {
    loop {
        let (entries, acked) = {
            let mut slot = inner.slot(partition).lock();
            match slot.window(WINDOW) {
                Window::Entries(entries) if entries.is_empty() => {
                    slot.stuck = false;
                    inner.stuck.lock().remove(&partition);
                    return Ok(());
                }
                Window::Entries(entries) => (entries, slot.acked()),
                Window::Journal => {
                    inner.suspect.lock().some.insert(partition);
                    return Ok(());
                }
            }
        };
        let calls = entries.iter().map(|again| call(inner, again, acked));
        // Made one after the other: that is their order.
        let calls: Vec<_> = calls.collect();
        let answers = join_all(calls).await;
        let mut moved = false;
        for (again, answer) in entries.iter().zip(answers) {
            let answer = answer?;
            match verdict(&answer)? {
                Verdict::Passed { well } => {
                    if !well && again.unheard {
                        tracing::error!(
                            partition,
                            number = again.entry.seq,
                            script = %again.entry.script,
                            "the store cannot carry out an entry of the journal, and has put it aside: {answer:?}"
                        );
                    }
                    inner.slot(partition).lock().answer(again.entry.seq, answer);
                    moved = true;
                }
                Verdict::Gap(mark) => {
                    inner.gap(partition, mark);
                    let suspect = inner.suspect.lock().some.contains(&partition);
                    if suspect {
                        return Ok(());
                    }
                    if !moved && mark + 1 == again.entry.seq {
                        inner.recovering.lock().insert(partition);
                        inner.news.lock().insert(partition);
                        let why = "another proxy has to bring back first what the store lost";
                        return Err(LinkError::NotNow(why.to_owned()));
                    }
                    break;
                }
            }
        }
    }
}

fn call(
    inner: &Inner,
    again: &Again,
    acked: u64,
) -> impl Future<Output = Result<redis::Value, LinkError>> + use<> {
    let damaged = || LinkError::Refused("an entry in memory is damaged".to_owned());
    let sent = again
        .entry
        .unpack()
        .ok_or_else(damaged)
        .map(|[keys, args]| {
            let seq = Some(again.entry.seq);
            let mut all = inner.remote.header(&inner.nonce, seq, acked, again.unheard);
            all.extend(args);
            inner.remote.link.call(again.script, keys, all)
        });
    async { sent?.await }
}

/// Compares the store's marks with what it acknowledged, where there is reason to, and sends what it lacks.
async fn compare(inner: &Inner) -> Result<Replayed, ReplayError> {
    let suspect = std::mem::take(&mut *inner.suspect.lock());
    if !suspect.all && suspect.some.is_empty() {
        return Ok(Replayed::default());
    }
    let compared = compare_these(inner, &suspect).await;
    let is_whole = |replayed: &Replayed| replayed.refusal.is_none() && !replayed.held_up;
    if !compared.as_ref().is_ok_and(is_whole) {
        let mut again = inner.suspect.lock();
        again.all |= suspect.all;
        again.some.extend(suspect.some);
    }
    compared
}

async fn compare_these(inner: &Inner, suspect: &Suspect) -> Result<Replayed, ReplayError> {
    let archive = inner.journal.archive();
    // So that the file has all that the store acknowledged. Where it cannot be written, memory has the rest.
    let flushed = tokio::time::timeout(BACKOFF_MAX, inner.journal.flushed());
    drop(flushed.await);
    let mut needs = known(inner, suspect);
    let lanes: Vec<(Lane, Nonce)> = needs.iter().map(|(lane, it)| (*lane, it.nonce)).collect();
    let marks = inner.remote.marks(&lanes).await?;
    let own = inner.journal.opening().id;
    let mut lost = 0;
    needs.retain(|lane, need| {
        let mark = marks.get(lane).copied().unwrap_or(0);
        if mark < need.acked {
            lost += need.acked - mark;
            inner.recovering.lock().insert(lane.partition);
            inner.news.lock().insert(lane.partition);
        }
        need.mark = mark;
        if lane.opening != own {
            archive.applied(*lane, mark.min(need.upto));
            return mark < need.upto;
        }
        let mut slot = inner.slot(lane.partition).lock();
        if mark < need.acked {
            slot.lost(mark);
            // Whatever becomes of this comparison, somebody comes back to it.
            inner.send_again(lane.partition, &mut slot);
            return true;
        }
        slot.acknowledge(mark);
        false
    });
    if needs.is_empty() {
        return Ok(Replayed::default());
    }
    // Who lost everything may be somebody else: what is sent to a stranger is charged to strangers.
    if inner.remote.store_id().await? != archive.store() {
        let why = "Redis no longer has the ledger that the journal is of (its `meta` is gone or another's): \
                   lead the address to the right server, or restore its data";
        return Ok(Replayed {
            refusal: Some(why.to_owned()),
            held_up: false,
        });
    }
    let (before, since) = (inner.replayed(), Instant::now());
    tracing::warn!(
        lost,
        lanes = needs.len(),
        "the store lacks entries of the journal, which are sent again"
    );
    let replayed = replay(&inner.remote, archive, &mut needs, &inner.tally).await;
    let closed = settle(inner, &needs, own, replayed.is_ok()).await;
    let sent = inner.replayed() - before;
    tracing::warn!(
        sent,
        ms = since.elapsed().as_millis(),
        "entries of the journal were sent again"
    );
    let replayed = replayed?;
    closed?;
    Ok(replayed)
}

/// What is known of all lanes that are to be looked at. Their marks are what the store is thought to have.
fn known(inner: &Inner, suspect: &Suspect) -> BTreeMap<Lane, Need> {
    let meant = |partition: &u16| suspect.all || suspect.some.contains(partition);
    let archive = inner.journal.archive();
    let mut needs = inherited(archive);
    needs.retain(|lane, _| meant(&lane.partition));
    for (partition, slot) in (0..).zip(&inner.slots) {
        let slot = slot.lock();
        if slot.last() > 0 && meant(&partition) {
            let lane = Lane {
                opening: inner.journal.opening().id,
                partition,
            };
            let (mark, acked) = (slot.mark(), slot.acked());
            let need = Need::beyond(inner.journal.nonce(), mark, acked, acked);
            needs.insert(lane, need);
        }
    }
    needs
}

/// Takes note of how far a replay came, and has what only memory has sent after it.
async fn settle(
    inner: &Inner,
    needs: &BTreeMap<Lane, Need>,
    own: i64,
    whole: bool,
) -> Result<(), ReplayError> {
    for (lane, need) in needs {
        if lane.opening != own {
            inner.journal.archive().applied(*lane, need.mark);
            continue;
        }
        let first = {
            let mut slot = inner.slot(lane.partition).lock();
            slot.acknowledge(need.mark);
            slot.first().unwrap_or(slot.next())
        };
        // The file had nothing more; memory goes on later: what is between is nowhere.
        if whole && !need.stopped && !need.met && need.mark < need.upto && first > need.mark + 1 {
            let upto = need.upto.min(first - 1);
            inner
                .remote
                .skip(lane.partition, need.nonce, need.mark, upto)
                .await?;
            inner.slot(lane.partition).lock().acknowledge(upto);
        }
        let mut slot = inner.slot(lane.partition).lock();
        inner.send_again(lane.partition, &mut slot);
    }
    Ok(())
}

/// Tells partitions that lost writes that this proxy has replayed what was its own. Answers whether all were told.
async fn tell_recovered(inner: &Inner) -> bool {
    let waiting: Vec<u16> = {
        let (suspect, stuck) = (inner.suspect.lock(), inner.stuck.lock());
        let recovering = inner.recovering.lock();
        let quiet = |it: &&u16| !suspect.all && !suspect.some.contains(it) && !stuck.contains(it);
        recovering.iter().filter(quiet).copied().collect()
    };
    let present: Vec<Vec<u8>> = {
        let mut present = inner.present.lock();
        present.retain(|_, seen| seen.elapsed() < PRESENT);
        present
            .keys()
            .map(|nonce| nonce.clone().into_bytes())
            .collect()
    };
    if present.is_empty() {
        // Before the first heartbeat nobody is known: others may have something to replay.
        return true;
    }
    let calls = waiting.iter().map(|partition| {
        let acked = inner.slot(*partition).lock().acked();
        let mut args = inner.remote.header(&inner.nonce, None, acked, false);
        args.extend(present.iter().cloned());
        let keys = vec![inner.remote.meta(*partition)];
        inner.remote.link.call(inner.remote.recovered, keys, args)
    });
    let calls: Vec<_> = calls.collect();
    let mut all = true;
    for (partition, answer) in waiting.iter().zip(join_all(calls).await) {
        match answer {
            Ok(redis::Value::Array(words)) => {
                if words.first().and_then(text) != Some("recovering") {
                    inner.recovering.lock().remove(partition);
                    tracing::info!(partition, "the partition has recovered");
                }
            }
            Ok(_) => {
                inner.recovering.lock().remove(partition);
            }
            Err(error) => {
                tracing::debug!(%error, "a partition cannot be told that it has recovered");
                all = false;
            }
        }
    }
    all
}
