//! What a settle comes to, before anything is written.

use super::planted::planted;
use super::quota::as_nano;
use super::wallet::{Record, Wallet};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::grant::GrantUnit;
use crate::ledger::hold::{Charge, FreeUnits};
use crate::ledger::receipt::Receipt;
use crate::money::Nano;

/// What a settle comes to.
pub(super) struct Bill {
    /// Whether the hold had lapsed: nothing is reserved any more.
    pub(super) late: bool,
    /// Units burned of each take of the hold.
    pub(super) burned: Vec<u64>,
    pub(super) free: FreeUnits,
    pub(super) free_money: Nano,
    pub(super) charged: Nano,
    pub(super) shortfall: Nano,
}

impl Wallet {
    /// Computes what grants and money pay: at most what was held, and of a lapsed hold at most what is there.
    pub(super) fn bill(
        &self,
        now: UnixMs,
        record: &Record,
        charge: &Charge,
        late: bool,
    ) -> Result<Bill, LedgerError> {
        if charge.priced.is_negative() {
            let text = format!("{} is priced below nothing", record.hold.id.request);
            return Err(LedgerError::Conflict(text));
        }
        let mut due = charge.free;
        let mut due_money = u64::try_from(charge.priced.get()).unwrap_or(0);
        let mut free = FreeUnits::default();
        let mut burned = Vec::with_capacity(record.hold.taken.len());
        for take in &record.hold.taken {
            let rest = || self.quotas.get(&take.grant).map_or(0, |quota| quota.rest());
            let there = if late {
                planted!(rest(), LateBeyondGrant => u64::MAX)
            } else {
                u64::MAX
            };
            let (due, sum) = match take.unit {
                GrantUnit::Tokens => (&mut due.tokens, Some(&mut free.tokens)),
                GrantUnit::Images => (&mut due.images, Some(&mut free.images)),
                GrantUnit::Requests => (&mut due.requests, Some(&mut free.requests)),
                GrantUnit::Money => (&mut due_money, None),
            };
            let units = take.units.min(there).min(*due);
            *due -= units;
            if let Some(sum) = sum {
                *sum += units;
            }
            burned.push(units);
        }
        // What is still due of the price is for the balance, then for the operator.
        let due = as_nano(due_money);
        let held = planted!(record.hold.money, SettleBeyondHeld => due);
        let there = if late {
            as_nano(self.late_funds(now, record))
        } else {
            Nano::MAX
        };
        let charged = due.min(held).min(there);
        Ok(Bill {
            late,
            burned,
            free,
            free_money: less(charge.priced, due),
            charged,
            shortfall: planted!(less(due, charged), ShortfallForgotten => Nano::ZERO),
        })
    }

    /// What a late charge may take from the balance, without passing the floor or a limit on money.
    fn late_funds(&self, now: UnixMs, record: &Record) -> u64 {
        let spend = record.parts.iter().filter(|part| part.money);
        let room = spend
            .filter_map(|part| self.counters.get(&part.counter))
            .map(|counter| counter.at(now).late_room())
            .min()
            .unwrap_or(u64::MAX);
        planted!(self.money.available(), LateBeyondFunds => u64::MAX).min(room)
    }
}

impl Bill {
    /// The receipt that says so.
    pub(super) fn receipt(&self, now: UnixMs, record: &Record, charge: Charge) -> Receipt {
        Receipt {
            request_id: record.hold.id.request,
            wallet: record.hold.id.wallet.clone(),
            key: record.key.clone(),
            model: record.model.clone(),
            price_version: record.price_version.clone(),
            usage: charge.usage,
            counted: charge.counted,
            priced: charge.priced,
            free: self.free,
            free_money: self.free_money,
            charged: self.charged,
            shortfall: self.shortfall,
            held: record.hold.money,
            late: self.late,
            held_at: record.held_at,
            settled_at: now,
            idempotency: record.idempotency.clone(),
            detail: charge.detail,
        }
    }
}

/// `from - part`, of amounts within [`super::wallet::MONEY_MAX`].
pub(super) fn less(from: Nano, part: Nano) -> Nano {
    Nano::new(from.get().saturating_sub(part.get()))
}
