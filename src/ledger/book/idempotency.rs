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

/// The most claims of one wallet that are kept for no more than their body: their requests were voided or
/// lapsed, and charged nothing. What is beyond is forgotten at once, so that failing requests cannot fill
/// the memory; such a key may then be used with another body.
pub(super) const RELEASED_MAX: usize = 1_000;

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
    /// Whether the book's memory will come back to it.
    queued: bool,
}

impl Claim {
    fn is_over(&self, now: UnixMs) -> bool {
        self.in_flight.is_none() && now.since(self.at) >= CLAIM_KEPT_MS
    }

    /// Whether nothing is known of it but its body.
    fn is_released(&self) -> bool {
        self.in_flight.is_none() && self.charged.is_none()
    }
}

/// The claims of one wallet.
#[derive(Debug, Default)]
pub(super) struct Claims {
    claims: HashMap<ClaimKey, Claim>,
    /// How many of them are released.
    released: usize,
}

impl Claims {
    /// Whether a request may claim this now.
    pub(super) fn check(
        &self,
        now: UnixMs,
        key: &KeyId,
        claim: &IdempotencyClaim,
    ) -> Result<(), Refusal> {
        let key = (key.clone(), claim.token.clone());
        let Some(known) = self.claims.get(&key).filter(|known| !known.is_over(now)) else {
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
        let key = (key.clone(), claim.token.clone());
        let begun = Claim {
            body: claim.body,
            in_flight: Some(by),
            charged: None,
            at: now,
            queued: self.claims.get(&key).is_some_and(|known| known.queued),
        };
        self.put(key, begun);
    }

    /// A request that claimed this was voided, or lapsed: the same body may run anew. Answers whether
    /// the memory has to note that the claim ended.
    pub(super) fn release(
        &mut self,
        now: UnixMs,
        key: &KeyId,
        claim: &IdempotencyClaim,
        by: RequestId,
    ) -> bool {
        let key = (key.clone(), claim.token.clone());
        let known = self.claims.get_mut(&key);
        let Some(known) = known.filter(|known| known.in_flight == Some(by)) else {
            return false;
        };
        known.in_flight = None;
        known.at = now;
        if known.is_released() {
            if self.released >= RELEASED_MAX {
                self.claims.remove(&key);
                return false;
            }
            self.released += 1;
        }
        !std::mem::replace(&mut known.queued, true)
    }

    /// A request that claimed this was charged. It may have lapsed before, and another request may be in
    /// flight under the claim since; then both say so. A claim that has passed on to another body is left
    /// alone. Answers whether the memory has to note that the claim ended.
    pub(super) fn charge(
        &mut self,
        now: UnixMs,
        claim: &IdempotencyClaim,
        receipt: &Arc<Receipt>,
    ) -> bool {
        let key = (receipt.key.clone(), claim.token.clone());
        let known = self.claims.get(&key);
        let queued = known.is_some_and(|known| known.queued);
        let known = known.filter(|known| !known.is_over(now));
        if known.is_some_and(|known| known.body != claim.body) {
            return false;
        }
        let in_flight = known.and_then(|known| known.in_flight);
        let charged = Claim {
            body: claim.body,
            in_flight: in_flight.filter(|by| *by != receipt.request_id),
            charged: Some(receipt.clone()),
            at: now,
            queued: true,
        };
        self.put(key, charged);
        !queued
    }

    /// Drops a claim whose time is over. Answers when one ended again that was used meanwhile: the memory
    /// has to come back to it.
    pub(super) fn forget(&mut self, now: UnixMs, key: &ClaimKey) -> Option<UnixMs> {
        let known = self.claims.get_mut(key)?;
        if known.in_flight.is_some() {
            known.queued = false;
            return None;
        }
        if !known.is_over(now) {
            return Some(known.at);
        }
        let over = self.claims.remove(key);
        self.released -= usize::from(over.is_some_and(|claim| claim.is_released()));
        None
    }

    fn put(&mut self, key: ClaimKey, claim: Claim) {
        let before = self.claims.insert(key, claim);
        self.released -= usize::from(before.is_some_and(|claim| claim.is_released()));
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// The requests that claims take to be in flight.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.claims.values().filter_map(|claim| claim.in_flight)
    }
}
