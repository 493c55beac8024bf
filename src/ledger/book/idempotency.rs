//! Clients' wishes to be charged at most once: claims on an idempotency key.

use std::collections::HashMap;
use std::sync::Arc;

use super::planted::planted;
use crate::clock::UnixMs;
use crate::ledger::hold::{IdempotencyClaim, Refusal};
use crate::ledger::id::{BodyHash, KeyId, RequestId};
use crate::ledger::receipt::Receipt;

/// How long a claim is kept after its request ended, in milliseconds.
pub(super) const CLAIM_KEPT_MS: u64 = 24 * 60 * 60 * 1000;

/// What a claim is known by: the key and the client's token.
pub(super) type ClaimKey = (KeyId, Arc<str>);

/// One claim, kept until 24 hours after the last request under it ended.
#[derive(Clone, Debug)]
struct Claim {
    body: BodyHash,
    in_flight: Option<RequestId>,
    charged: Option<Arc<Receipt>>,
    /// When a request under it last ended, or began.
    at: UnixMs,
}

impl Claim {
    fn is_over(&self, now: UnixMs) -> bool {
        self.in_flight.is_none() && now.since(self.at) >= CLAIM_KEPT_MS
    }
}

/// The claims of one wallet.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<ClaimKey, Claim>);

impl Claims {
    /// Whether a request may claim this now.
    pub(super) fn check(
        &self,
        now: UnixMs,
        key: &KeyId,
        claim: &IdempotencyClaim,
    ) -> Result<(), Refusal> {
        let key = (key.clone(), claim.token.clone());
        let Some(known) = self.0.get(&key).filter(|known| !known.is_over(now)) else {
            return Ok(());
        };
        if known.body != claim.body {
            return Err(Refusal::OtherBody);
        }
        let charged = planted!(known.charged.as_ref(), ChargedClaimForgotten => None);
        if let Some(receipt) =
            charged.filter(|receipt| now.since(receipt.settled_at) < CLAIM_KEPT_MS)
        {
            return Err(Refusal::AlreadyCharged(receipt.clone()));
        }
        match known.in_flight {
            Some(_) => Err(Refusal::InFlight),
            None => Ok(()),
        }
    }

    /// A request was admitted with this claim, which was free.
    pub(super) fn begin(
        &mut self,
        now: UnixMs,
        key: &KeyId,
        claim: &IdempotencyClaim,
        by: RequestId,
    ) {
        let begun = Claim {
            body: claim.body,
            in_flight: Some(by),
            charged: None,
            at: now,
        };
        self.0.insert((key.clone(), claim.token.clone()), begun);
    }

    /// A request that claimed this was voided, or lapsed: the same body may run anew.
    pub(super) fn release(
        &mut self,
        now: UnixMs,
        key: &KeyId,
        claim: &IdempotencyClaim,
        by: RequestId,
    ) {
        let known = self.0.get_mut(&(key.clone(), claim.token.clone()));
        if let Some(known) = known.filter(|known| known.in_flight == Some(by)) {
            known.in_flight = None;
            known.at = now;
        }
    }

    /// A request that claimed this was charged. It may have lapsed before, and another request may be in
    /// flight under the claim since; then both say so. A claim that has passed on to another body is left alone.
    pub(super) fn charge(&mut self, now: UnixMs, claim: &IdempotencyClaim, receipt: &Arc<Receipt>) {
        let key = (receipt.key.clone(), claim.token.clone());
        let known = self.0.get(&key).filter(|known| !known.is_over(now));
        if known.is_some_and(|known| known.body != claim.body) {
            return;
        }
        let in_flight = known.and_then(|known| known.in_flight);
        let charged = Claim {
            body: claim.body,
            in_flight: in_flight.filter(|by| *by != receipt.request_id),
            charged: Some(receipt.clone()),
            at: now,
        };
        self.0.insert(key, charged);
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
        self.0.values().filter_map(|claim| claim.in_flight)
    }
}
