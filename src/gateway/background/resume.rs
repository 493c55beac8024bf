//! Taking up what another process followed, or this one before it was started again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::state::{State, state};
use super::{AGAIN, run};
use crate::clock::UnixMs;
use crate::gateway::Gateway;
use crate::gateway::catalog::Pinned;
use crate::gateway::job::Job;
use crate::gateway::observe::Record;
use crate::gateway::reservation::Reservation;
use crate::gateway::service::Service;
use crate::gateway::window::{Demand, asks};
use crate::ledger::LedgerError;
use crate::ledger::hold::{Hold, HoldRef, Quote, Refusal};
use crate::ledger::key::OnDisconnect;
use crate::ledger::object::{Object, Pending};
use crate::money::Nano;
use crate::price::{Model, Segment};

/// How many are read at once.
const PAGE: u32 = 500;

/// Follows all that is noted as unfinished and not followed here. In a ledger that several processes share, another
/// one may follow it too: whoever settles first has settled it.
pub(super) async fn resume(gateway: &Arc<Gateway>) {
    let mut after = None;
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
        for object in page {
            tokio::spawn(take_up(Arc::clone(gateway), object));
        }
    }
}

/// Holds again for an unfinished answer, and follows it, unless that is done already.
pub(super) async fn take_up(gateway: Arc<Gateway>, object: Object) {
    let Some(mut claim) = gateway.followed.claim(object.clone()) else {
        return;
    };
    (claim.is_noted, claim.is_shared) = (true, gateway.ledger.is_shared());
    let (Some(pending), Some(state)) = (object.pending.clone(), state(&object)) else {
        tracing::error!(object = %object.id, "what runs in the background has no readable state");
        return;
    };
    loop {
        if gateway.stop.is_raised() {
            return;
        }
        match job(&gateway, &object, &pending, &state).await {
            Ok(mut job) => {
                job.claim = Some(claim);
                return run(gateway, job).await;
            }
            Err(error) => {
                tracing::warn!(
                    %error, object = %object.id,
                    "nothing is held for what runs in the background; that is tried again"
                );
            }
        }
        sleep(AGAIN).await;
    }
}

/// The job of an unfinished answer: with a hold, else as one whose hold has lapsed, which is settled late.
async fn job(
    gateway: &Arc<Gateway>,
    object: &Object,
    pending: &Pending,
    state: &State,
) -> Result<Box<Job>, LedgerError> {
    let pinned = pinned(gateway, object, state);
    let hold = lapsed(gateway, object, pending, state);
    // Where holds outlive their processes, this one is there, or has lapsed: the store knows it better.
    if gateway.ledger.is_shared() {
        return Ok(assemble(gateway, object, hold, pinned, state));
    }
    let key = gateway
        .ledger
        .key_of(object.wallet.clone(), object.key.clone());
    let key_revision = key.await?.map_or(0, |key| key.revision);
    let now = gateway.ledger.now();
    let quote = |now| quote(gateway, object, pending, state, &pinned.model, now);
    let anew = Quote {
        key_revision,
        ..quote(now)
    };
    let refusal = match gateway.ledger.hold(anew).await? {
        Ok(hold) => return Ok(assemble(gateway, object, hold, pinned, state)),
        Err(refusal) => refusal,
    };
    if !matches!(refusal, Refusal::Ended) {
        tracing::warn!(
            object = %object.id, ?refusal,
            "nothing can be held again for what runs in the background: it is charged from what is there then"
        );
        // Its counters are those of the time when it was held.
        let then = quote(state.held_at);
        let adopted = gateway.ledger.adopt(then, hold.clone(), state.held_at);
        adopted.await?;
    }
    Ok(assemble(gateway, object, hold, pinned, state))
}

/// A hold that has lapsed. What the store knows of it counts, if it does.
fn lapsed(gateway: &Gateway, object: &Object, pending: &Pending, state: &State) -> Hold {
    Hold {
        id: HoldRef {
            wallet: object.wallet.clone(),
            request: pending.request,
        },
        money: state.money,
        taken: state.taken.clone(),
        counts: state.segments.iter().map(|segment| segment.count).collect(),
        balance: Nano::ZERO,
        counters: Vec::new(),
        lease_until: gateway.ledger.now(),
    }
}

/// What it is priced by: as it was held first, whatever the list says now.
fn pinned(gateway: &Gateway, object: &Object, state: &State) -> Pinned {
    let catalog = gateway.catalog();
    let model = catalog.find_model(&object.model);
    let model = model.unwrap_or_else(|| Arc::new(Model::unlisted(&object.model)));
    Pinned {
        held_at: state.held_at,
        terms: state.terms.terms(model.category),
        catalog,
        model,
    }
}

/// The quote of then, with the counters of `at`.
fn quote(
    gateway: &Gateway,
    object: &Object,
    pending: &Pending,
    state: &State,
    model: &Model,
    at: UnixMs,
) -> Quote {
    let demand = Demand::of(&state.segments);
    // What was admitted is not to be lowered once more.
    let settled = |segment: &Segment| Segment {
        count_min: segment.count,
        ..*segment
    };
    Quote {
        request: pending.request,
        wallet: object.wallet.clone(),
        key: object.key.clone(),
        key_revision: 0,
        model: Arc::clone(&model.id),
        aliases: Arc::clone(&model.aliases),
        price_version: Arc::clone(&state.price_version),
        segments: state.segments.iter().map(settled).collect(),
        counters: asks(&object.key, &state.limits, demand, at, &gateway.zone),
        lease_ms: gateway.lease_ms,
        idempotency: state.idempotency.clone(),
    }
}

fn assemble(
    gateway: &Arc<Gateway>,
    object: &Object,
    hold: Hold,
    pinned: Pinned,
    state: &State,
) -> Box<Job> {
    let path = Service::Responses.path();
    let record = Record::resumed(gateway, hold.id.request, path);
    let segments = state.segments.clone();
    let limits = state.limits.clone();
    let gateway = Arc::clone(gateway);
    let mut reservation = Reservation::new(gateway, record, hold, segments, limits, pinned, path);
    reservation.detail.upstream = Arc::clone(&object.upstream);
    reservation.detail.status = 200;
    reservation.detail.attempts = 1;
    Box::new(Job {
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
        idempotency: state.idempotency.clone(),
        so_far: state.so_far,
        claim: None,
    })
}
