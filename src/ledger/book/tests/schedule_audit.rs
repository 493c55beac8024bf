//! What must hold after every step of a random schedule, and after its last.

use std::collections::HashMap;

use super::fixture;
use super::model::Past;
use super::schedule::{Outcome, Run, WALLETS, agree, name, plain};
use crate::ledger::book::{Book, Change};
use crate::ledger::hold::HoldRef;
use crate::money::Nano;

impl Run {
    /// Everything that can be seen of the book is as in the model, and adds up.
    pub(super) fn compare(&self) -> Outcome {
        agree!(self.book.check(), Vec::<String>::new(), "check");
        for (place, model) in self.models.iter().enumerate() {
            let wallet = name(place, 0).wallet;
            let view = self.book.wallet(self.now, &wallet).ok_or("no wallet")?;
            agree!(view.balance.get(), model.balance(), "balance of {wallet}");
            agree!(plain(view.held), model.held(), "held of {wallet}");
            agree!(
                plain(view.available),
                model.available(),
                "available of {wallet}"
            );
            agree!(
                view.credited.get(),
                model.credits.iter().sum::<i64>(),
                "credits of {wallet}"
            );
            let live = u64::try_from(model.live().count()).expect("few");
            agree!(view.holds, live, "live holds of {wallet}");
            let shortfall: u64 = model.requests.iter().map(|ask| ask.shortfall).sum();
            agree!(plain(view.shortfall), shortfall, "shortfall of {wallet}");
            agree!(view.grants.len(), model.grants.len(), "grants of {wallet}");
            for state in &view.grants {
                let name = state.grant.name.as_str();
                agree!(
                    (state.used, state.held),
                    model.grant(name),
                    "grant {name} of {wallet}"
                );
            }
            let mut plain_counters = 0;
            for seen in &view.counters {
                let bucket = model.bucket_use(self.now, &seen.key);
                plain_counters += usize::from(bucket.is_none());
                let kept = bucket.unwrap_or_else(|| model.counter(&seen.key));
                agree!((seen.used, seen.held), kept, "counter {}", seen.key);
            }
            agree!(plain_counters, model.plain.len(), "counters of {wallet}");
        }
        self.audit()
    }

    /// The equations that an auditor would check, from receipts and credits alone.
    pub(super) fn audit(&self) -> Outcome {
        let mut charged: HashMap<String, (i64, i64)> = HashMap::new();
        for change in &self.changes {
            if let Change::Receipt(receipt) = change {
                let paid =
                    receipt.free_money.get() + receipt.charged.get() + receipt.shortfall.get();
                agree!(receipt.priced.get(), paid, "the sum of {receipt:?}");
                let sums = charged.entry(receipt.wallet.to_string()).or_default();
                sums.0 += receipt.charged.get();
                sums.1 += receipt.shortfall.get();
            }
        }
        for (place, model) in self.models.iter().enumerate() {
            let wallet = name(place, 0).wallet;
            let view = self.book.wallet(self.now, &wallet).ok_or("no wallet")?;
            let sums = charged.remove(wallet.as_str()).unwrap_or_default();
            agree!(
                (view.charged.get(), view.shortfall.get()),
                sums,
                "receipts of {wallet}"
            );
            let down: i64 = model.credits.iter().map(|amount| (*amount).min(0)).sum();
            if view.balance.get() - view.held.get() < down - view.credit_line.get() {
                return Err(format!("{wallet} is below its floor"));
            }
            if view
                .grants
                .iter()
                .any(|state| state.used + state.held > state.grant.amount)
            {
                return Err(format!("a grant of {wallet} gave more than it has"));
            }
        }
        Ok(())
    }

    /// A book made of the stored rows is this one with every live hold voided.
    pub(super) fn restored(&mut self) -> Outcome {
        let mut again = Book::new();
        for change in self.changes.clone() {
            again.restore(change).map_err(|error| error.to_string())?;
        }
        agree!(again.check(), Vec::<String>::new(), "check");
        agree!(again.keys(), self.book.keys(), "keys");
        for (place, model) in self.models.iter().enumerate() {
            let wallet = name(place, 0).wallet;
            let view = again.wallet(self.now, &wallet).ok_or("no wallet")?;
            agree!(view.balance.get(), model.balance(), "balance of {wallet}");
            agree!(view.held, Nano::ZERO, "held of {wallet}");
            for state in &view.grants {
                let used = model.grant(state.grant.name.as_str()).0;
                agree!((state.used, state.held), (used, 0), "grant of {wallet}");
            }
            for seen in view
                .counters
                .iter()
                .filter(|seen| model.plain.contains_key(&seen.key))
            {
                let used = model.counter(&seen.key).0;
                agree!((seen.used, seen.held), (used, 0), "counter {}", seen.key);
            }
        }
        for (request, receipt) in &self.receipts {
            let id = HoldRef {
                wallet: receipt.wallet.clone(),
                request: *request,
            };
            let charge = fixture::charge(0);
            let settled = again.settle(self.now, &id, charge, &mut Vec::new());
            let settled = settled.map_err(|error| error.to_string())?;
            agree!(settled.receipt, *receipt, "a settle after a restart");
        }
        Ok(())
    }

    /// When every request has ended, nothing is held any more.
    pub(super) fn finish(&mut self) -> Outcome {
        for place in 0..WALLETS {
            let live: Vec<Past> = self.models[place].live().cloned().collect();
            for ask in live {
                let id = name(place, 0).with(ask.quote.request);
                if self.dice.percent(50) {
                    let charge = self.charge(&ask);
                    self.models[place].settle(self.now, id.request, &charge);
                    let settled = self.book.settle(self.now, &id, charge, &mut self.changes);
                    settled.map_err(|error| error.to_string())?;
                } else {
                    self.models[place].void(self.now, &ask.quote);
                    self.book
                        .void(self.now, &id)
                        .map_err(|error| error.to_string())?;
                }
                self.compare()?;
            }
            let wallet = name(place, 0).wallet;
            let view = self.book.wallet(self.now, &wallet).ok_or("no wallet")?;
            agree!((view.held, view.holds), (Nano::ZERO, 0), "held of {wallet}");
            agree!(
                view.grants.iter().map(|state| state.held).sum::<u64>(),
                0,
                "units held"
            );
            agree!(
                view.counters
                    .iter()
                    .map(|counter| counter.held)
                    .sum::<u64>(),
                0,
                "counters held"
            );
        }
        for place in 0..WALLETS {
            self.hold(place)?;
        }
        self.compare()
    }
}
