//! The grants of one wallet, in burn order.

use std::sync::Arc;

use super::funds::{Free, Split};
use super::planted::planted;
use crate::clock::UnixMs;
use crate::ledger::grant::{Grant, GrantState, GrantTake, GrantUnit};
use crate::ledger::hold::Quote;
use crate::ledger::id::GrantId;
use crate::money::Nano;

/// A grant and what is gone of it. `used + held <= amount`, always.
#[derive(Clone, Debug)]
pub(super) struct Quota {
    /// The grant as given; one copy is shared by all wallets that got the same.
    pub(super) grant: Arc<Grant>,
    /// Units charged.
    pub(super) used: u64,
    /// Units in live holds.
    pub(super) held: u64,
}

impl Quota {
    /// What nobody has used or holds.
    pub(super) fn rest(&self) -> u64 {
        self.grant
            .amount
            .saturating_sub(self.used)
            .saturating_sub(self.held)
    }

    /// For the wire and the store.
    pub(super) fn state(&self) -> GrantState {
        GrantState {
            grant: Grant::clone(&self.grant),
            used: self.used,
            held: self.held,
        }
    }

    fn serves(&self, quote: &Quote, now: UnixMs) -> bool {
        let expires_at = planted!(self.grant.expires_at, ExpiredGrantUsed => None);
        expires_at.is_none_or(|end| now < end) && quote.is_in(&self.grant.models)
    }
}

/// All grants of a wallet: soonest expiry first, then the narrowest, then by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Quotas(Vec<Quota>);

impl Quotas {
    /// The grants in burn order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Quota> {
        self.0.iter()
    }

    /// The grant of this name.
    pub(super) fn get(&self, name: &GrantId) -> Option<&Quota> {
        self.0.iter().find(|quota| quota.grant.name == *name)
    }

    /// The grant of this name, to be changed.
    pub(super) fn get_mut(&mut self, name: &GrantId) -> Option<&mut Quota> {
        self.0.iter_mut().find(|quota| quota.grant.name == *name)
    }

    /// Adds a grant, or replaces the one of the same name.
    pub(super) fn put(&mut self, quota: Quota) {
        self.0.retain(|other| other.grant.name != quota.grant.name);
        let order = quota.grant.burn_order();
        let place = self
            .0
            .partition_point(|other| other.grant.burn_order() < order);
        self.0.insert(place, quota);
        self.0.shrink_to_fit();
    }

    /// What a request may take; with `released`, as if no hold were live.
    pub(super) fn free(&self, quote: &Quote, now: UnixMs, released: bool) -> Free {
        let mut free = Free::default();
        for quota in self.0.iter().filter(|quota| quota.serves(quote, now)) {
            let rest = quota.rest() + if released { quota.held } else { 0 };
            let pool = match quota.grant.unit {
                GrantUnit::Tokens => &mut free.tokens,
                GrantUnit::Images => &mut free.images,
                GrantUnit::Requests => &mut free.requests,
                GrantUnit::Money => &mut free.money,
            };
            *pool = pool.saturating_add(rest);
        }
        free
    }

    /// Holds what `split` takes, grant by grant in burn order; units first, then money.
    pub(super) fn hold(&mut self, quote: &Quote, now: UnixMs, split: &Split) -> Vec<GrantTake> {
        let mut taken = Vec::new();
        let wanted = [
            (GrantUnit::Requests, split.free.requests),
            (GrantUnit::Tokens, split.free.tokens),
            (GrantUnit::Images, split.free.images),
            (GrantUnit::Money, split.free.money),
        ];
        for (unit, mut left) in wanted {
            for quota in self.0.iter_mut() {
                if left == 0 {
                    break;
                }
                if quota.grant.unit != unit || !quota.serves(quote, now) {
                    continue;
                }
                let units = quota.rest().min(left);
                if units == 0 {
                    continue;
                }
                quota.held += units;
                left -= units;
                taken.push(GrantTake {
                    grant: quota.grant.name.clone(),
                    unit,
                    units,
                });
            }
        }
        taken
    }

    /// Gives back what a hold took.
    pub(super) fn release(&mut self, taken: &[GrantTake]) {
        for take in taken {
            if let Some(quota) = self.get_mut(&take.grant) {
                quota.held = quota.held.saturating_sub(take.units);
            }
        }
    }
}

/// Grant units of money as an amount, as far as an amount goes.
pub(super) fn as_nano(units: u64) -> Nano {
    i64::try_from(units).map_or(Nano::MAX, Nano::new)
}
