//! What is noted of an unfinished answer, for whoever settles it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;
use crate::gateway::job::{Job, SoFar};
use crate::gateway::kept::stored;
use crate::gateway::reservation::is_input;
use crate::ledger::grant::GrantTake;
use crate::ledger::hold::IdempotencyClaim;
use crate::ledger::limit::Limit;
use crate::ledger::object::{Object, ObjectId, Pending, STATE_BYTES_MAX};
use crate::money::Nano;
use crate::price::{KeptTerms, Segment};

/// What is needed to go on after a restart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) segments: Vec<Segment>,
    pub(super) terms: KeptTerms,
    pub(super) held_at: UnixMs,
    pub(super) price_version: Arc<str>,
    pub(super) money: Nano,
    pub(super) taken: Vec<GrantTake>,
    /// Left out where there are too many to be noted: what was held for them counts then.
    pub(super) limits: Vec<Limit>,
    pub(super) idempotency: Option<IdempotencyClaim>,
    pub(super) names_objects: bool,
    pub(super) so_far: Option<SoFar>,
}

/// The answer of a job under this id, unfinished.
pub(super) fn unfinished(job: &Job, id: ObjectId) -> Object {
    let reservation = &job.reservation;
    let state = State {
        segments: reservation.segments.clone(),
        terms: reservation.terms.keep(),
        held_at: reservation.held_at,
        price_version: Arc::clone(reservation.catalog.prices.version()),
        money: reservation.hold.money,
        taken: reservation.hold.taken.clone(),
        limits: reservation.limits.to_vec(),
        idempotency: job.idempotency.clone(),
        names_objects: job.names_objects,
        so_far: job.so_far,
    };
    let pending = Pending {
        request: reservation.request(),
        state: state.text(),
    };
    Object {
        pending: Some(pending),
        ..stored(job, id)
    }
}

/// What is noted of an unfinished answer, where it can be read.
pub(super) fn state(object: &Object) -> Option<State> {
    serde_json::from_str(&object.pending.as_ref()?.state).ok()
}

impl State {
    /// The most input that was held for.
    pub(super) fn input_bound(&self) -> u64 {
        let input = self.segments.iter().filter(|it| is_input(it.meter));
        input.fold(0, |sum, segment| sum.saturating_add(segment.count))
    }

    /// The answer with this noted of it.
    pub(super) fn of(&self, object: Object) -> Object {
        let state = self.text();
        Object {
            pending: object.pending.map(|pending| Pending { state, ..pending }),
            ..object
        }
    }

    /// As it is noted.
    pub(super) fn text(&self) -> String {
        let text = serde_json::to_string(self).expect("texts, numbers and lists become JSON");
        if text.len() <= STATE_BYTES_MAX || self.limits.is_empty() {
            return text;
        }
        State {
            limits: Vec::new(),
            ..self.clone()
        }
        .text()
    }
}
