//! Clients' wishes to be charged at most once: claims on an idempotency key.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::UnixMs;
use crate::ledger::hold::{IdempotencyClaim, Refusal};
use crate::ledger::id::{BodyHash, KeyId, RequestId};
use crate::ledger::receipt::Receipt;

/// How long a claim is kept after its request ended, in milliseconds.
pub(super) const CLAIM_KEPT_MS: u64 = 24 * 60 * 60 * 1000;

/// What a claim is known by: the key and the client's token.
pub(super) type ClaimKey = (KeyId, Arc<str>);

/// One claim.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    body: BodyHash,
    state: State,
    /// When the state was entered.
    at: UnixMs,
}

#[derive(Clone, Debug)]
enum State {
    InFlight(RequestId),
    /// Voided or lapsed: the same body may run anew.
    Released,
    Charged(Arc<Receipt>),
}

impl Claim {
    fn is_over(&self, now: UnixMs) -> bool {
        !matches!(self.state, State::InFlight(_)) && now.since(self.at) >= CLAIM_KEPT_MS
    }
}

/// The claims of one wallet.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(HashMap<ClaimKey, Claim>);

impl Claims {
    /// Whether a request may claim this now.
    pub(super) fn check(
        &self,
        now: UnixMs,
        key: &ClaimKey,
        body: &BodyHash,
    ) -> Result<(), Refusal> {
        match self.0.get(key).filter(|claim| !claim.is_over(now)) {
            None => Ok(()),
            Some(claim) if claim.body != *body => Err(Refusal::OtherBody),
            Some(claim) => match &claim.state {
                State::InFlight(_) => Err(Refusal::InFlight),
                State::Released => Ok(()),
                State::Charged(receipt) => Err(Refusal::AlreadyCharged(receipt.clone())),
            },
        }
    }

    /// A request was admitted with this claim.
    pub(super) fn begin(
        &mut self,
        now: UnixMs,
        key: &KeyId,
        claim: &IdempotencyClaim,
        by: RequestId,
    ) {
        self.put(now, key, claim, State::InFlight(by));
    }

    /// A request that claimed this was voided, or lapsed.
    pub(super) fn release(
        &mut self,
        now: UnixMs,
        key: &KeyId,
        claim: &IdempotencyClaim,
        by: RequestId,
    ) {
        if self.is_free_to(key, claim, by) {
            self.put(now, key, claim, State::Released);
        }
    }

    /// A request that claimed this was charged. A later request that claimed it since keeps the claim.
    pub(super) fn charge(&mut self, now: UnixMs, claim: &IdempotencyClaim, receipt: &Arc<Receipt>) {
        if self.is_free_to(&receipt.key, claim, receipt.request_id) {
            self.put(now, &receipt.key, claim, State::Charged(receipt.clone()));
        }
    }

    /// Drops a claim whose time is over.
    pub(super) fn forget(&mut self, now: UnixMs, key: &ClaimKey) {
        if self.0.get(key).is_some_and(|claim| claim.is_over(now)) {
            self.0.remove(key);
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The requests that claims take to be in flight.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.0.values().filter_map(|claim| match claim.state {
            State::InFlight(request) => Some(request),
            State::Released | State::Charged(_) => None,
        })
    }

    fn put(&mut self, now: UnixMs, key: &KeyId, claim: &IdempotencyClaim, state: State) {
        let value = Claim {
            body: claim.body,
            state,
            at: now,
        };
        self.0.insert((key.clone(), claim.token.clone()), value);
    }

    /// Whether no other request holds this claim, or was charged under it.
    fn is_free_to(&self, key: &KeyId, claim: &IdempotencyClaim, by: RequestId) -> bool {
        match self
            .0
            .get(&(key.clone(), claim.token.clone()))
            .map(|claim| &claim.state)
        {
            None | Some(State::Released) => true,
            Some(State::InFlight(request)) => *request == by,
            Some(State::Charged(receipt)) => receipt.request_id == by,
        }
    }
}
