//! An independent model of one wallet: it keeps the history and sums it up anew for every question.

use std::collections::BTreeMap;

use super::model_counters::Bucket;
use super::model_funds::Worst;
use crate::clock::UnixMs;
use crate::ledger::grant::Grant;
use crate::ledger::hold::Quote;
use crate::ledger::id::RequestId;

pub(super) const DAY_MS: u64 = 86_400_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Live,
    Lapsed,
    Settled,
    Voided,
}

/// One request, with all that ever became of it.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) quote: Quote,
    pub(super) phase: Phase,
    /// Not known to the book any more; its effects stay.
    pub(super) forgotten: bool,
    pub(super) lease_until: UnixMs,
    pub(super) ended_at: UnixMs,
    /// When it ended as far as its idempotency claim goes, and as which one.
    pub(super) claim_at: UnixMs,
    pub(super) claim_order: usize,
    pub(super) worst: Worst,
    /// What each counter of the quote was asked for.
    pub(super) asked: Vec<u64>,
    /// What each counter counted in the end.
    pub(super) counted: Vec<u64>,
    /// Units burned of each take.
    pub(super) burned: Vec<u64>,
    pub(super) charged: u64,
    pub(super) shortfall: u64,
    /// Whether its idempotency claim counts.
    pub(super) claims: bool,
}

#[derive(Clone, Debug)]
pub(super) struct ModelKey {
    pub(super) enabled: bool,
    pub(super) revision: u64,
    pub(super) expires_at: Option<UnixMs>,
    pub(super) only_model: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) credit_line: i64,
    pub(super) credits: Vec<i64>,
    pub(super) grants: Vec<Grant>,
    pub(super) requests: Vec<Past>,
    pub(super) keys: BTreeMap<String, ModelKey>,
    pub(super) buckets: BTreeMap<String, Bucket>,
    /// The counters that are no buckets, by name, with the end of their period.
    pub(super) plain: BTreeMap<String, Option<UnixMs>>,
}

impl Model {
    pub(super) fn balance(&self) -> i64 {
        let charges: u64 = self.requests.iter().map(|ask| ask.charged).sum();
        self.credits.iter().sum::<i64>() - i64::try_from(charges).expect("small")
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Past> {
        self.requests.iter().filter(|ask| ask.phase == Phase::Live)
    }

    pub(super) fn held(&self) -> u64 {
        self.live().map(|ask| ask.worst.money).sum()
    }

    pub(super) fn available(&self) -> u64 {
        let left = self.balance() + self.credit_line - i64::try_from(self.held()).expect("small");
        u64::try_from(left).unwrap_or(0)
    }

    /// Used and held of a grant.
    pub(super) fn grant(&self, name: &str) -> (u64, u64) {
        let (mut used, mut held) = (0, 0);
        for ask in &self.requests {
            for (place, take) in ask.worst.taken.iter().enumerate() {
                if take.0 == name {
                    used += ask.burned.get(place).copied().unwrap_or(0);
                    held += if ask.phase == Phase::Live { take.2 } else { 0 };
                }
            }
        }
        (used, held)
    }

    /// Ends leases that ran out: the 16 that ran out first.
    pub(super) fn reap(&mut self, now: UnixMs) {
        for _ in 0..16 {
            let over = self.live().filter(|ask| ask.lease_until <= now);
            let first = over.min_by_key(|ask| (ask.lease_until, ask.quote.request));
            let Some(id) = first.map(|ask| ask.quote.request) else {
                return;
            };
            self.release(now, id, Phase::Lapsed);
        }
    }

    pub(super) fn release(&mut self, now: UnixMs, id: RequestId, phase: Phase) {
        let place = self.find(id).expect("it is known");
        self.requests[place].phase = phase;
        self.requests[place].ended_at = now;
        self.requests[place].claim_at = now;
        let ask = self.requests[place].clone();
        for (counter, asked) in ask.quote.counters.iter().zip(&ask.asked) {
            if let Some(bucket) = self.buckets.get_mut(&*counter.key) {
                bucket.run(now);
                bucket.add(i128::from(*asked));
            }
        }
    }

    pub(super) fn find(&self, id: RequestId) -> Option<usize> {
        let known = |ask: &Past| ask.quote.request == id && !ask.forgotten;
        self.requests.iter().position(known)
    }

    /// Whether it is void now.
    pub(super) fn void(&mut self, now: UnixMs, quote: &Quote) -> bool {
        match self.find(quote.request) {
            None => {
                let mut tomb = blank(quote.clone(), Phase::Voided, now);
                tomb.claims = false;
                self.requests.push(tomb);
            }
            Some(place) => match self.requests[place].phase {
                Phase::Live => self.release(now, quote.request, Phase::Voided),
                Phase::Lapsed => {
                    // Its claim has been free since it lapsed.
                    self.requests[place].phase = Phase::Voided;
                    self.requests[place].ended_at = now;
                }
                Phase::Voided => return true,
                Phase::Settled => return false,
            },
        }
        self.reap(now);
        true
    }

    pub(super) fn renew(&mut self, now: UnixMs, id: RequestId, lease_ms: u64) {
        if let Some(place) = self.find(id)
            && self.requests[place].phase == Phase::Live
        {
            let until = &mut self.requests[place].lease_until;
            *until = (*until).max(now.plus(lease_ms));
        }
        self.reap(now);
    }

    pub(super) fn forget_ended(&mut self, ended: UnixMs, lapsed: UnixMs) {
        for ask in &mut self.requests {
            ask.forgotten |= match ask.phase {
                Phase::Live => false,
                Phase::Lapsed => ask.ended_at < lapsed,
                _ => ask.ended_at < ended,
            };
        }
    }
}

pub(super) fn body(ask: &Past) -> Option<[u8; 32]> {
    ask.quote.idempotency.as_ref().map(|claim| claim.body)
}

pub(super) fn blank(quote: Quote, phase: Phase, now: UnixMs) -> Past {
    Past {
        forgotten: false,
        lease_until: now,
        ended_at: now,
        claim_at: now,
        claim_order: 0,
        worst: Worst {
            counts: Vec::new(),
            taken: Vec::new(),
            money: 0,
        },
        asked: Vec::new(),
        counted: Vec::new(),
        burned: Vec::new(),
        charged: 0,
        shortfall: 0,
        claims: quote.idempotency.is_some(),
        phase,
        quote,
    }
}
