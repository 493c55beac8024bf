//! What a proxy does once a second: says that it is present, hears of the others, and keeps its house.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use redis::Value;
use tokio::time::MissedTickBehavior;

use super::Inner;
use crate::ledger::redis::error::LinkError;
use crate::ledger::redis::reply::text;
use crate::ledger::redis::scripts::Script;

const EVERY: Duration = Duration::from_secs(1);
/// How many beats pass between two counts of what is put aside.
const COUNT_EVERY: u64 = 60;
/// A heartbeat of another proxy, or news of lost writes, older than this is history.
const RECENT_MS: u64 = 10_000;

static HEARTBEAT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "heartbeat",
        include_str!("../scripts/heartbeat.lua").to_owned(),
    )
});

/// Beats until the outbox is closed.
pub(super) async fn beat(inner: Arc<Inner>) {
    let mut closing = inner.closing.subscribe();
    let mut seconds = tokio::time::interval(EVERY);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let work = async {
        let (mut serving, mut news) = (None, HashMap::new());
        for beats in 0_u64.. {
            seconds.tick().await;
            if let Ok(found) = inner.remote.link.identities().await {
                if serving.as_ref().is_some_and(|before| *before != found) {
                    tracing::warn!(
                        "Redis was started again or replaced: what it has is compared with the journal"
                    );
                    inner.doubt_all();
                }
                serving = Some(found);
            }
            match exchange(&inner, &mut news).await {
                Ok(()) => {}
                Err(error) => tracing::debug!(%error, "the heartbeat did not reach the store"),
            }
            // A disk that hangs must not make this proxy look absent.
            if tokio::time::timeout(EVERY, tidy(&inner)).await.is_err() {
                tracing::debug!("the journal's disk is slow");
            }
            if beats % COUNT_EVERY == 0
                && let Ok(found) = inner.remote.suspended().await
            {
                let sum = found.iter().map(|(_, count)| count).sum();
                inner.suspended.store(sum, Ordering::Relaxed);
            }
        }
    };
    tokio::select! {
        () = work => {}
        _ = closing.wait_for(|closing| *closing) => {}
    }
}

/// Says that this proxy is present, and what it found out; hears the same of the others.
async fn exchange(inner: &Inner, known: &mut HashMap<String, u64>) -> Result<(), LinkError> {
    let news: Vec<u16> = inner.news.lock().iter().copied().collect();
    let mut args = vec![inner.nonce.clone().into_bytes()];
    args.push(format!("process {}", std::process::id()).into_bytes());
    args.extend(news.iter().map(|it| it.to_string().into_bytes()));
    let keys = vec![inner.remote.layout.proxies()];
    let told = inner.remote.link.call(&HEARTBEAT, keys, args).await?;
    inner.news.lock().retain(|it| !news.contains(it));
    let Value::Array(told) = told else {
        return Ok(());
    };
    let words: Vec<&str> = told.iter().filter_map(text).collect();
    let Some((now, pairs)) = words.split_first() else {
        return Ok(());
    };
    let now: u64 = now.parse().unwrap_or(0);
    for pair in pairs.chunks_exact(2) {
        let (name, at) = (pair[0], pair[1].parse().unwrap_or(0));
        let recent = now.saturating_sub(at) < RECENT_MS;
        match name.strip_prefix("lost:") {
            None if recent => {
                inner.present.lock().insert(name.to_owned(), Instant::now());
            }
            Some(partition) if recent && known.insert(name.to_owned(), at) != Some(at) => {
                if let Ok(partition) = partition.parse() {
                    inner.doubt(partition);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Notes in the journal what the store has, lets go of what the journal has, and sweeps.
async fn tidy(inner: &Inner) {
    let mut unwritten = Vec::new();
    for (partition, slot) in (0_u16..).zip(&inner.slots) {
        let slot = slot.lock();
        if slot.last() > 0 {
            inner.journal.applied(partition, slot.mark());
            if slot.unwritten() {
                unwritten.push((partition, slot.last()));
            }
        }
    }
    if !unwritten.is_empty() && inner.journal.flushed().await.is_ok() {
        for (partition, last) in unwritten {
            inner.slot(partition).lock().wrote_all(last);
        }
    }
    if let Err(error) = inner.journal.sweep().await {
        tracing::debug!(%error, "the journal cannot be swept now");
    }
}

/// The last beat: what the store has is noted, and who has nothing left to send is not waited for.
pub(super) async fn leave(inner: &Inner, nothing_waits: bool) {
    for (partition, slot) in (0_u16..).zip(&inner.slots) {
        let slot = slot.lock();
        if slot.last() > 0 {
            inner.journal.applied(partition, slot.mark());
        }
    }
    if nothing_waits {
        let mut command = redis::cmd("HDEL");
        command.arg(inner.remote.layout.proxies()).arg(&inner.nonce);
        if let Err(error) = inner.remote.link.batch(vec![command]).await {
            tracing::debug!(%error, "the store was not told that this proxy has gone");
        }
    }
}
