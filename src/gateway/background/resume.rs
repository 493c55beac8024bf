//! Taking up what another process followed, or this one before it was started again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::state::{State, state};
use super::{AGAIN, run};
use crate::gateway::Gateway;
use crate::gateway::catalog::Pinned;
use crate::gateway::job::Job;
use crate::gateway::observe::Record;
use crate::gateway::reservation::Reservation;
use crate::gateway::service::Service;
use crate::gateway::window::{Demand, counters};
use crate::ledger::hold::{Hold, HoldRef, Quote, Refusal};
use crate::ledger::id::KeyId;
use crate::ledger::key::{Key, OnDisconnect};
use crate::ledger::limit::Limit;
use crate::ledger::object::{Object, Pending};
use crate::money::Nano;

/// How many are read at once.
const PAGE: u32 = 500;

/// Follows all that is noted as unfinished. In a ledger that several processes share, another one may follow it too:
/// whoever settles first has settled it.
pub async fn resume(gateway: Arc<Gateway>) {
    let mut after = None;
    let mut keys = HashMap::new();
    loop {
        let page = match gateway.ledger.pending_objects(after.clone(), PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "what runs in the background cannot be listed; that is tried again");
                sleep(AGAIN).await;
                continue;
            }
        };
        let Some(last) = page.last() else {
            return;
        };
        after = Some(last.name());
        if keys.is_empty() {
            keys = all_keys(&gateway).await;
        }
        for object in page {
            let key = keys.get(&object.key).cloned();
            tokio::spawn(take_up(Arc::clone(&gateway), object, key));
        }
    }
}

async fn all_keys(gateway: &Gateway) -> HashMap<KeyId, Arc<Key>> {
    loop {
        match gateway.ledger.keys().await {
            Ok(keys) => return keys.into_iter().map(|key| (key.id.clone(), key)).collect(),
            Err(error) => {
                tracing::warn!(%error, "keys cannot be listed; that is tried again");
                sleep(AGAIN).await;
            }
        }
    }
}

/// Holds again for an unfinished answer, and follows it.
async fn take_up(gateway: Arc<Gateway>, object: Object, key: Option<Arc<Key>>) {
    let (Some(pending), Some(state), Some(key)) = (object.pending.clone(), state(&object), key)
    else {
        tracing::error!(
            object = %object.id,
            "what runs in the background has no key or no readable state: it is tried again at the next start"
        );
        return;
    };
    loop {
        if gateway.stop.is_raised() {
            return;
        }
        let Some(claim) = gateway.followed.claim(object.clone()) else {
            return;
        };
        let job = match hold(&gateway, &object, &key, &pending, &state).await {
            // Its lease ran out meanwhile, or it was settled: either way a settle says so, and charges at most once.
            Err(Refusal::Ended) => {
                lapsed(&gateway, &object, &pending, &state).ok_or(Refusal::Model)
            }
            held => held,
        };
        match job {
            Ok(mut job) => {
                job.claim = Some(claim);
                return run(gateway, job).await;
            }
            Err(refusal) => {
                tracing::warn!(
                    object = %object.id, ?refusal,
                    "nothing is held for what runs in the background; that is tried again"
                );
            }
        }
        drop(claim);
        sleep(AGAIN).await;
    }
}

/// The job of a hold that has lapsed: what it took is the store's to know.
fn lapsed(
    gateway: &Arc<Gateway>,
    object: &Object,
    pending: &Pending,
    state: &State,
) -> Option<Job> {
    let hold = Hold {
        id: HoldRef {
            wallet: object.wallet.clone(),
            request: pending.request,
        },
        money: Nano::ZERO,
        taken: state.taken.clone(),
        counts: state.segments.iter().map(|segment| segment.count).collect(),
        balance: Nano::ZERO,
        counters: Vec::new(),
        lease_until: gateway.ledger.now(),
    };
    let pinned = pinned(gateway, object, state)?;
    Some(job(
        gateway,
        object,
        hold,
        state.limits.clone(),
        pinned,
        state,
    ))
}

/// What it is priced by: as it was held first, whatever the list says now.
fn pinned(gateway: &Gateway, object: &Object, state: &State) -> Option<Pinned> {
    let catalog = gateway.catalog();
    let model = catalog.find_model(&object.model)?;
    Some(Pinned {
        held_at: state.held_at,
        terms: state.terms.terms(model.category),
        catalog,
        model,
    })
}

async fn hold(
    gateway: &Arc<Gateway>,
    object: &Object,
    key: &Arc<Key>,
    pending: &Pending,
    state: &State,
) -> Result<Job, Refusal> {
    let pinned = pinned(gateway, object, state).ok_or(Refusal::Model)?;
    let model = &pinned.model;
    let now = gateway.ledger.now();
    let demand = Demand::of(&state.segments);
    let (limits, counters) = counters(key, model, demand, now, &gateway.zone);
    let quote = Quote {
        request: pending.request,
        wallet: object.wallet.clone(),
        key: key.id.clone(),
        key_revision: key.revision,
        model: Arc::clone(&model.id),
        aliases: Arc::clone(&model.aliases),
        price_version: Arc::clone(&state.price_version),
        segments: state.segments.clone(),
        counters,
        lease_ms: gateway.lease_ms,
        idempotency: None,
    };
    let held = gateway.ledger.hold(quote).await.map_err(|error| {
        tracing::warn!(%error, "nothing can be held");
        Refusal::KeyChanged
    })??;
    Ok(job(gateway, object, held, limits, pinned, state))
}

fn job(
    gateway: &Arc<Gateway>,
    object: &Object,
    hold: Hold,
    limits: Vec<Limit>,
    pinned: Pinned,
    state: &State,
) -> Job {
    let path = Service::Responses.path();
    let record = Record::resumed(gateway, hold.id.request, path);
    let segments = state.segments.clone();
    let gateway = Arc::clone(gateway);
    let mut reservation = Reservation::new(gateway, record, hold, segments, limits, pinned, path);
    reservation.detail.upstream = Arc::clone(&object.upstream);
    reservation.detail.status = 200;
    reservation.detail.attempts = 1;
    Job {
        reservation,
        service: Service::Responses,
        request_body: bytes::Bytes::new(),
        request_memory: None,
        on_disconnect: OnDisconnect::Drain,
        idle: Duration::ZERO,
        trailers: false,
        key: object.key.clone(),
        streams_images: false,
        choices: 1,
        recording: None,
        names_objects: state.names_objects,
        stored: true,
        background: true,
        so_far: state.so_far,
        claim: None,
    }
}
