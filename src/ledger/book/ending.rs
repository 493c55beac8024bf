//! How a hold ends: settled, voided, or lapsed.
//!
//! A settle computes its whole bill first and writes then, so that an error changes nothing.

use std::sync::Arc;

use super::bill::{Bill, less};
use super::change::Change;
use super::memory::Memory;
use super::planted::planted;
use super::wallet::{Activity, Outcome, Record, Request, Wallet};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::hold::{Charge, HoldRef, Settled};
use crate::ledger::id::{GrantId, RequestId, WalletId};
use crate::money::Nano;

/// How many lapsed leases one operation ends at most, so that none takes long.
const REAPED_MAX: usize = 16;

impl Wallet {
    /// Replaces a hold by its charge, or gives the same answer again.
    pub(super) fn settle(
        &mut self,
        now: UnixMs,
        id: &HoldRef,
        charge: Charge,
        memory: &mut Memory,
        changes: &mut Vec<Change>,
    ) -> Result<Settled, LedgerError> {
        let (record, late) = match self.request(&id.request) {
            Some(Request::Live(record)) => (record, false),
            Some(Request::Lapsed(_, record)) => (record, true),
            Some(Request::Settled(outcome)) => return Ok(self.answer(now, outcome)),
            Some(Request::Voided(_)) => {
                return Err(was_voided(id));
            }
            None => return Err(unknown(id)),
        };
        let bill = self.bill(now, record, &charge, late)?;
        let out_of_range = || passes_range(id);
        let balance = self.money.balance.checked_sub(bill.charged);
        let charged = self.money.charged.checked_add(bill.charged);
        let shortfall = self.money.shortfall.checked_add(bill.shortfall);
        let balance = balance.ok_or_else(out_of_range)?;
        let charged = charged.ok_or_else(out_of_range)?;
        let shortfall = shortfall.ok_or_else(out_of_range)?;

        // Everything is decided: from here on nothing can fail.
        self.money.balance = balance;
        self.money.charged = charged;
        self.money.shortfall = shortfall;
        let record = self.end(&id.request).ok_or_else(|| unknown(id))?;
        let grants = self.burn(&record, &bill);
        if !bill.late {
            self.money.held = less(self.money.held, record.hold.money);
        }
        self.count(now, &record, &charge, &bill);
        let receipt = Arc::new(bill.receipt(now, &record, charge));
        let outcome = Outcome {
            receipt: receipt.clone(),
            counters: record
                .parts
                .iter()
                .map(|part| part.counter.clone())
                .collect(),
            grants,
        };
        self.report(&id.wallet, &outcome, changes);
        let answer = self.answer(now, &outcome);
        let activity = self.activity.get_or_insert_default();
        if let Some(claim) = &record.idempotency
            && activity.claims.charge(now, claim, &receipt)
        {
            memory.claim_ended(now, &id.wallet, &record.key, claim);
        }
        let request = planted!(Request::Settled(Box::new(outcome)), DoubleSettle => Request::Lapsed(now, record));
        activity.requests.insert(id.request, request);
        memory.request_ended(now, id);
        self.reap(now, memory);
        Ok(answer)
    }

    /// Releases a hold without a charge, and keeps any later hold of this id out.
    pub(super) fn void(
        &mut self,
        now: UnixMs,
        id: &HoldRef,
        memory: &mut Memory,
    ) -> Result<(), LedgerError> {
        let live = match self.request(&id.request) {
            Some(Request::Settled(_)) => {
                return Err(was_charged(id));
            }
            Some(Request::Voided(_)) => return Ok(()),
            Some(Request::Live(_)) => true,
            Some(Request::Lapsed(..)) | None => false,
        };
        let known = self.end(&id.request);
        if let Some(record) = known.as_ref().filter(|_| live) {
            let leak = planted!(Nano::ZERO, VoidLeaksMoney => record.hold.money);
            self.release(now, record, memory);
            self.money.held = self.money.held.checked_add(leak).unwrap_or(leak);
        }
        if planted!(true, NoTombstone => known.is_some()) {
            let activity = self.activity.get_or_insert_default();
            activity.requests.insert(id.request, Request::Voided(now));
            memory.request_ended(now, id);
        }
        self.reap(now, memory);
        Ok(())
    }

    /// Extends the lease of a live hold; never shortens it.
    pub(super) fn renew(
        &mut self,
        now: UnixMs,
        id: &RequestId,
        lease_ms: u64,
        memory: &mut Memory,
    ) {
        if let Some(activity) = self.activity.as_deref_mut()
            && let Some(Request::Live(record)) = activity.requests.get_mut(id)
        {
            let until = record.hold.lease_until.max(now.plus(lease_ms));
            activity.leases.remove(&(record.hold.lease_until, *id));
            activity.leases.insert((until, *id));
            record.hold.lease_until = until;
        }
        self.reap(now, memory);
    }

    /// Ends holds whose leases ran out: releases all they reserved, and charges nothing.
    pub(super) fn reap(&mut self, now: UnixMs, memory: &mut Memory) {
        for _ in 0..REAPED_MAX {
            let leases = self.activity.as_ref().map(|activity| &activity.leases);
            let first = leases.and_then(|leases| leases.first());
            let Some((_, id)) = first.copied().filter(|(until, _)| *until <= now) else {
                return;
            };
            let Some(record) = self.end(&id) else { return };
            self.release(now, &record, memory);
            let fee = planted!(Nano::ZERO, LapseCharges => record.hold.money);
            self.money.balance = less(self.money.balance, fee);
            memory.request_lapsed(now, &record.hold.id);
            let activity = self.activity.get_or_insert_default();
            activity.requests.insert(id, Request::Lapsed(now, record));
        }
    }

    /// Takes a request that is live or lapsed out of the books of the living.
    fn end(&mut self, id: &RequestId) -> Option<Box<Record>> {
        let activity: &mut Activity = self.activity.as_deref_mut()?;
        match activity.requests.remove(id)? {
            Request::Live(record) => {
                activity.leases.remove(&(record.hold.lease_until, *id));
                Some(record)
            }
            Request::Lapsed(_, record) => Some(record),
            Request::Settled(_) | Request::Voided(_) => None,
        }
    }

    /// Gives back all that a hold reserved, its idempotency claim included.
    fn release(&mut self, now: UnixMs, record: &Record, memory: &mut Memory) {
        self.money.held = less(self.money.held, record.hold.money);
        self.quotas.release(&record.hold.taken);
        for part in &record.parts {
            if let Some(counter) = self.counters.get_mut(&part.counter) {
                *counter = counter.at(now);
                counter.release(planted!(part.held, VoidLeaksCounter => 0));
            }
        }
        if let Some((claim, activity)) = record.idempotency.as_ref().zip(self.activity.as_mut()) {
            let id = &record.hold.id;
            if activity.claims.release(now, &record.key, claim, id.request) {
                memory.claim_ended(now, &id.wallet, &record.key, claim);
            }
        }
    }

    /// Charges the grants, gives back what was not used, and names those that were burned from.
    fn burn(&mut self, record: &Record, bill: &Bill) -> Vec<GrantId> {
        if !bill.late {
            self.quotas.release(&record.hold.taken);
            if planted!(false, GrantReleasedTwice => true) {
                self.quotas.release(&record.hold.taken);
            }
        }
        let mut names = Vec::new();
        for (take, burned) in record.hold.taken.iter().zip(&bill.burned) {
            let burned = planted!(*burned, UnusedUnitsBurned => take.units);
            if burned == 0 {
                continue;
            }
            if let Some(quota) = self.quotas.get_mut(&take.grant) {
                quota.used = quota.used.saturating_add(burned);
                names.push(take.grant.clone());
            }
        }
        names
    }

    /// Replaces what the hold occupied of each counter by what the request came to.
    fn count(&mut self, now: UnixMs, record: &Record, charge: &Charge, bill: &Bill) {
        let charged = u64::try_from(bill.charged.get()).unwrap_or(0);
        for (index, part) in record.parts.iter().enumerate() {
            // After a lapse, the counter of a period long over may be gone: then nothing counts any more.
            let Some(counter) = self.counters.get_mut(&part.counter) else {
                continue;
            };
            let reported = charge.counters.get(index).copied().unwrap_or(part.held);
            let actual = if part.money { charged } else { reported };
            *counter = counter.at(now);
            if bill.late {
                counter.settle_late(part.held, actual);
            } else {
                counter.settle(part.held, actual);
            }
        }
    }

    /// Lists the rows that a settle changed.
    fn report(&self, id: &WalletId, outcome: &Outcome, changes: &mut Vec<Change>) {
        changes.push(Change::Receipt(outcome.receipt.clone()));
        changes.push(Change::Wallet(self.row(id)));
        for quota in outcome
            .grants
            .iter()
            .filter_map(|name| self.quotas.get(name))
        {
            changes.push(Change::Grant {
                wallet: id.clone(),
                state: quota.state(),
            });
        }
        for key in &outcome.counters {
            if let Some(row) = self.counters.get(key).and_then(|counter| counter.row()) {
                changes.push(Change::Counter {
                    wallet: id.clone(),
                    key: key.0.clone(),
                    row,
                });
            }
        }
    }

    /// What a settle is answered with: its receipt, and how things stand now.
    fn answer(&self, now: UnixMs, outcome: &Outcome) -> Settled {
        let grants = outcome
            .grants
            .iter()
            .filter_map(|name| self.quotas.get(name));
        Settled {
            receipt: outcome.receipt.clone(),
            balance: self.money.balance,
            counters: self.states(now, &outcome.counters),
            grants: grants.map(|quota| quota.state()).collect(),
        }
    }
}

/// A settle of a request without a hold.
pub(in crate::ledger) fn unknown(id: &HoldRef) -> LedgerError {
    let HoldRef { wallet, request } = id;
    LedgerError::NotFound(format!("{request} has no hold on wallet {wallet}"))
}

/// A settle of a voided request.
pub(in crate::ledger) fn was_voided(id: &HoldRef) -> LedgerError {
    LedgerError::Conflict(format!("{} was voided and cannot be settled", id.request))
}

/// A void of a charged request.
pub(in crate::ledger) fn was_charged(id: &HoldRef) -> LedgerError {
    LedgerError::Conflict(format!("{} was charged and cannot be voided", id.request))
}

/// A settle that takes a sum out of its range.
pub(in crate::ledger) fn passes_range(id: &HoldRef) -> LedgerError {
    LedgerError::Conflict(format!("{} passes 64 bits", id.request))
}
