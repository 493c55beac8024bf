//! What a settle comes to in the model.

use super::model::{Model, Phase, body};
use crate::clock::UnixMs;
use crate::ledger::grant::GrantUnit;
use crate::ledger::hold::{Charge, FreeUnits};
use crate::ledger::id::RequestId;
use crate::ledger::limit::{Ask, Window};

/// What a settle comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bill {
    Unknown,
    Voided,
    Charged {
        free: FreeUnits,
        free_money: u64,
        charged: u64,
        shortfall: u64,
        late: bool,
    },
}

impl Model {
    /// Charges a request that was not settled yet.
    pub(super) fn settle(&mut self, now: UnixMs, id: RequestId, charge: &Charge) -> Bill {
        let Some(place) = self.find(id) else {
            return Bill::Unknown;
        };
        let late = match self.requests[place].phase {
            Phase::Live => false,
            Phase::Lapsed => true,
            Phase::Voided => return Bill::Voided,
            Phase::Settled => panic!("the schedule asks for the answer of the first settle"),
        };
        let ask = self.requests[place].clone();
        let mut bill_free = FreeUnits::default();
        let priced = u64::try_from(charge.priced.get()).expect("not negative");
        let mut want = [
            (GrantUnit::Tokens, charge.free.tokens),
            (GrantUnit::Images, charge.free.images),
            (GrantUnit::Requests, charge.free.requests),
            (GrantUnit::Money, priced),
        ];
        let mut burned = Vec::new();
        for (name, unit, units) in &ask.worst.taken {
            let (used, held) = self.grant(name);
            let grant = self.grants.iter().find(|grant| grant.name.as_str() == name);
            let rest = grant.expect("grants stay").amount - used - held;
            let most = if late { rest.min(*units) } else { *units };
            let want = want
                .iter_mut()
                .find(|want| want.0 == *unit)
                .expect("all units");
            let burn = most.min(want.1);
            want.1 -= burn;
            match unit {
                GrantUnit::Tokens => bill_free.tokens += burn,
                GrantUnit::Images => bill_free.images += burn,
                GrantUnit::Requests => bill_free.requests += burn,
                GrantUnit::Money => {}
            }
            burned.push(burn);
        }
        let due = want[3].1;
        let mut charged = due.min(ask.worst.money);
        if late {
            charged = charged.min(self.available());
            for counter in ask
                .quote
                .counters
                .iter()
                .filter(|counter| counter.ask == Ask::Money)
            {
                charged = charged.min(self.late_room(counter.window, &counter.key, counter.cap));
            }
        }
        let mut counted = Vec::new();
        for (index, counter) in ask.quote.counters.iter().enumerate() {
            let actual = match counter.ask {
                Ask::Money => charged,
                Ask::Fixed(_) => charge.counters[index],
            };
            let most = actual.min(ask.asked[index]);
            counted.push(match counter.window {
                Window::Concurrent | Window::Bucket { .. } => 0,
                _ if !self.plain.contains_key(&*counter.key) => 0,
                _ if late => most.min(self.late_room(counter.window, &counter.key, counter.cap)),
                _ => most,
            });
            if let Some(bucket) = self.buckets.get_mut(&*counter.key) {
                bucket.run(now);
                let back = if late { 0 } else { ask.asked[index] };
                bucket.add(i128::from(back) - i128::from(actual));
            }
        }
        if late
            && self
                .claimants(now, &ask.quote)
                .iter()
                .any(|other| body(other) != body(&ask))
        {
            self.requests[place].claims = false;
        }
        let latest = self.requests.iter().map(|ask| ask.claim_order).max();
        let ask = &mut self.requests[place];
        ask.phase = Phase::Settled;
        ask.ended_at = now;
        ask.claim_at = now;
        ask.claim_order = latest.unwrap_or(0) + 1;
        ask.burned = burned;
        ask.counted = counted;
        ask.charged = charged;
        ask.shortfall = due - charged;
        self.reap(now);
        Bill::Charged {
            free: bill_free,
            free_money: priced - due,
            charged,
            shortfall: due - charged,
            late,
        }
    }
}
