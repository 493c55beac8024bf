//! Whether a book adds up.

use std::collections::HashMap;

use super::Book;
use super::wallet::{Record, Request, Wallet};
use crate::ledger::id::WalletId;
use crate::money::Nano;

impl Book {
    /// Checks everything that must hold between operations; a sentence for each thing that does not.
    ///
    /// Looks at every wallet and every credit: for audits and tests.
    pub fn check(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut credits: HashMap<&WalletId, Credits> = HashMap::new();
        for entry in self.entries.values() {
            let amount = i128::from(entry.amount.get());
            let sums = credits.entry(&entry.wallet).or_default();
            sums.all += amount;
            sums.down += amount.min(0);
        }
        for (id, wallet) in &self.wallets {
            let credits = credits.remove(id).unwrap_or_default();
            let found = wallet.faults(&credits);
            faults.extend(
                found
                    .into_iter()
                    .map(|fault| format!("wallet {id}: {fault}")),
            );
        }
        let unowned = credits.keys();
        faults.extend(unowned.map(|id| format!("wallet {id} has credits and does not exist")));
        for (key, found) in self.keys.iter() {
            if found != Some(key) {
                faults.push(format!("key {}: its secret finds another record", key.id));
            }
            if !self.wallets.contains_key(&key.wallet) {
                faults.push(format!("key {}: there is no wallet {}", key.id, key.wallet));
            }
        }
        faults
    }
}

/// The credits of one wallet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credits {
    /// What they sum to, in nano units.
    pub all: i128,
    /// Of those, the ones that took money away.
    pub down: i128,
}

fn equal(faults: &mut Vec<String>, what: &str, kept: i128, summed: i128) {
    if kept != summed {
        faults.push(format!("{what} is kept as {kept} and sums to {summed}"));
    }
}

fn nano(amount: Nano) -> i128 {
    i128::from(amount.get())
}

impl Wallet {
    fn faults(&self, credits: &Credits) -> Vec<String> {
        let mut faults = Vec::new();
        let money = &self.money;
        equal(&mut faults, "credited", nano(money.credited), credits.all);
        let balance = nano(money.credited) - nano(money.charged);
        equal(&mut faults, "the balance", nano(money.balance), balance);
        faults.extend(self.held_faults(credits));
        faults
    }

    /// What does not fit with its live holds: all but the sums over credits and charges.
    pub(super) fn held_faults(&self, credits: &Credits) -> Vec<String> {
        let mut faults = Vec::new();
        let mut equal = |what: &str, kept, summed| equal(&mut faults, what, kept, summed);
        let money = &self.money;
        let held = self.live().map(|record| nano(record.hold.money)).sum();
        equal("money held", nano(money.held), held);
        for quota in self.quotas.iter() {
            let takes = self.live().flat_map(|record| &record.hold.taken);
            let of_this = takes.filter(|take| take.grant == quota.grant.name);
            let held = of_this.map(|take| i128::from(take.units)).sum();
            let what = format!("grant {}: what is held", quota.grant.name);
            equal(&what, i128::from(quota.held), held);
        }
        for (key, counter) in &self.counters {
            let parts = self.live().flat_map(|record| &record.parts);
            let of_this = parts.filter(|part| part.counter == *key);
            let held = of_this.map(|part| i128::from(part.held)).sum();
            let what = format!("counter {}: what is held", key.0);
            equal(&what, i128::from(counter.held()), held);
        }
        let live = self.live().count();
        equal("live holds", i128::from(self.live_holds()), live as i128);

        // Only the operator's adjustments may pass the floor.
        if nano(money.balance) + nano(money.credit_line) - nano(money.held) < credits.down {
            faults.push("charges and holds pass the floor".to_owned());
        }
        for quota in self.quotas.iter() {
            let gone = u128::from(quota.used) + u128::from(quota.held);
            if gone > u128::from(quota.grant.amount) {
                faults.push(format!("grant {} gave more than it has", quota.grant.name));
            }
        }
        for (key, counter) in &self.counters {
            if let Some(fault) = counter.fault() {
                faults.push(format!("counter {}: {fault}", key.0));
            }
        }
        faults.extend(self.request_faults());
        faults
    }

    fn request_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let Some(activity) = &self.activity else {
            return faults;
        };
        for record in self.live() {
            let request = record.hold.id.request;
            if !activity
                .leases
                .contains(&(record.hold.lease_until, request))
            {
                faults.push(format!("{request} is live without a lease"));
            }
        }
        for request in activity.claims.in_flight() {
            if !matches!(activity.requests.get(&request), Some(Request::Live(_))) {
                faults.push(format!("{request} claims to be in flight and is not"));
            }
        }
        faults
    }

    fn live(&self) -> impl Iterator<Item = &Record> {
        let requests = self
            .activity
            .iter()
            .flat_map(|activity| activity.requests.values());
        requests.filter_map(|request| match request {
            Request::Live(record) => Some(&**record),
            _ => None,
        })
    }
}
