//! What a book must remember of ended requests, in the order in which it may forget it.
//!
//! Housekeeping only: no rule depends on what is forgotten but how long a repeated call is known for one.

use std::collections::VecDeque;

use super::idempotency::ClaimKey;
use crate::clock::UnixMs;
use crate::ledger::hold::{HoldRef, IdempotencyClaim};
use crate::ledger::id::{KeyId, WalletId};

/// Ended requests and claims, oldest first. Time never runs back, so these are queues.
#[derive(Debug, Default)]
pub(super) struct Memory {
    requests: VecDeque<(UnixMs, HoldRef)>,
    /// Apart, since they are waited for longer than the others are remembered.
    lapsed: VecDeque<(UnixMs, HoldRef)>,
    lapses: u64,
    claims: VecDeque<(UnixMs, WalletId, ClaimKey)>,
}

impl Memory {
    /// A request was settled or voided.
    pub(super) fn request_ended(&mut self, now: UnixMs, id: &HoldRef) {
        self.requests.push_back((now, id.clone()));
    }

    /// A request's lease ran out; its settle may still come.
    pub(super) fn request_lapsed(&mut self, now: UnixMs, id: &HoldRef) {
        self.lapsed.push_back((now, id.clone()));
        self.lapses = self.lapses.saturating_add(1);
    }

    /// How many leases ran out so far.
    pub(super) fn lapses(&self) -> u64 {
        self.lapses
    }

    /// A claim was released or charged, and is not waited for already.
    pub(super) fn claim_ended(
        &mut self,
        now: UnixMs,
        wallet: &WalletId,
        key: &KeyId,
        claim: &IdempotencyClaim,
    ) {
        let key = (key.clone(), claim.token.clone());
        self.claims.push_back((now, wallet.clone(), key));
    }

    /// A claim that was waited for ended again at `at`. It comes after what has ended since: late by the time
    /// that has passed, and once only.
    pub(super) fn claim_kept(&mut self, at: UnixMs, wallet: WalletId, key: ClaimKey) {
        self.claims.push_back((at, wallet, key));
    }

    /// How many claims are waited for.
    #[cfg(test)]
    pub(super) fn claims(&self) -> usize {
        self.claims.len()
    }

    /// The next request that was settled or voided before `ended`, or lapsed before `lapsed`.
    pub(super) fn next_request(&mut self, ended: UnixMs, lapsed: UnixMs) -> Option<HoldRef> {
        next_before(&mut self.requests, ended).or_else(|| next_before(&mut self.lapsed, lapsed))
    }

    /// The next claim that ended at `until` or before.
    pub(super) fn next_claim(&mut self, until: UnixMs) -> Option<(WalletId, ClaimKey)> {
        let (at, _, _) = self.claims.front()?;
        let due = (*at <= until).then(|| self.claims.pop_front())?;
        due.map(|(_, wallet, key)| (wallet, key))
    }
}

fn next_before(queue: &mut VecDeque<(UnixMs, HoldRef)>, before: UnixMs) -> Option<HoldRef> {
    let (at, _) = queue.front()?;
    (*at < before).then(|| queue.pop_front())?.map(|(_, id)| id)
}
