//! Steps of a random schedule that hold, and that end or renew what is held.

use super::model::Phase;
use super::model_bill::Bill;
use super::model_holds::Verdict;
use super::schedule::{Outcome, Run, agree, name, plain, signed};
use crate::ledger::LedgerError;
use crate::ledger::hold::{Hold, Refusal, Settled};

impl Run {
    pub(super) fn hold(&mut self, place: usize) -> Outcome {
        let quote = match self.known(place) {
            Some(ask) if self.dice.percent(8) => ask.quote,
            _ => self.quote(place),
        };
        let answer = self.book.hold(self.now, quote.clone());
        let verdict = self.models[place].hold(self.now, &quote);
        if let (Ok(hold), Verdict::Admitted(_)) = (&answer, &verdict) {
            self.holds.insert(quote.request, hold.clone());
        }
        let seen = match &answer {
            Ok(hold) => {
                let first = &self.holds[&quote.request];
                let lease_until = hold.lease_until;
                let first = Hold {
                    lease_until,
                    ..first.clone()
                };
                agree!(*hold, first, "the hold of {}", quote.request);
                let taken = hold.taken.iter();
                let taken = taken.map(|take| (take.grant.to_string(), take.unit, take.units));
                if verdict == Verdict::Again {
                    Verdict::Again
                } else {
                    agree!(hold.balance.get(), self.models[place].balance(), "balance");
                    Verdict::Admitted(super::model_funds::Worst {
                        counts: hold.counts.clone(),
                        taken: taken.collect(),
                        money: plain(hold.money),
                    })
                }
            }
            Err(refusal) => verdict_of(refusal),
        };
        agree!(seen, verdict, "hold {quote:?}");
        Ok(())
    }

    pub(super) fn settle(&mut self, place: usize) -> Outcome {
        let known = self.known(place);
        let Some(ask) = known.filter(|ask| ask.phase == Phase::Live || self.dice.percent(70))
        else {
            return Ok(());
        };
        let request = ask.quote.request;
        let charge = self.charge(&ask);
        let id = name(place, 0).with(request);
        let answer = self
            .book
            .settle(self.now, &id, charge.clone(), &mut self.changes);
        if ask.phase == Phase::Settled && !ask.forgotten {
            let again = answer.map_err(|error| error.to_string())?;
            agree!(again.receipt, self.receipts[&request], "a second settle");
            return Ok(());
        }
        let bill = self.models[place].settle(self.now, request, &charge);
        let seen = match answer {
            Err(LedgerError::NotFound(_)) => Bill::Unknown,
            Err(LedgerError::Conflict(_)) => Bill::Voided,
            Err(other) => return Err(other.to_string()),
            Ok(settled) => {
                let receipt = &settled.receipt;
                agree!(receipt.held.get(), signed(ask.worst.money), "held");
                agree!(
                    settled.balance.get(),
                    self.models[place].balance(),
                    "balance"
                );
                agree!(receipt.priced, charge.priced, "priced");
                self.receipts.insert(request, receipt.clone());
                bill_of(&settled)
            }
        };
        agree!(seen, bill, "settle {charge:?} of {ask:?}");
        Ok(())
    }

    pub(super) fn void(&mut self, place: usize) -> Outcome {
        let quote = match self.known(place) {
            Some(ask) if self.dice.percent(90) => ask.quote,
            _ => self.quote(place),
        };
        let id = name(place, 0).with(quote.request);
        let done = self.book.void(self.now, &id).is_ok();
        agree!(
            done,
            self.models[place].void(self.now, &quote),
            "void {id:?}"
        );
        Ok(())
    }

    pub(super) fn renew(&mut self, place: usize) -> Outcome {
        if let Some(ask) = self.known(place) {
            let id = name(place, 0).with(ask.quote.request);
            let lease_ms = self.dice.below(200);
            self.book.renew(self.now, &id, lease_ms);
            self.models[place].renew(self.now, ask.quote.request, lease_ms);
        }
        Ok(())
    }
}

fn verdict_of(refusal: &Refusal) -> Verdict {
    match refusal {
        Refusal::Key => Verdict::Key,
        Refusal::KeyChanged => Verdict::KeyChanged,
        Refusal::Model => Verdict::Model,
        Refusal::Period { .. } => Verdict::Period,
        Refusal::Ended => Verdict::Ended,
        Refusal::InFlight => Verdict::InFlight,
        Refusal::OtherBody => Verdict::OtherBody,
        Refusal::AlreadyCharged(receipt) => Verdict::Charged(receipt.request_id),
        Refusal::TooLarge => Verdict::TooLarge,
        Refusal::Funds {
            need,
            held_by_others,
            ..
        } => Verdict::Funds {
            need: plain(*need),
            others: *held_by_others,
        },
        Refusal::Limit {
            index,
            need,
            held_by_others,
            retry_after_ms,
            ..
        } => Verdict::Limit {
            index: *index,
            need: *need,
            others: *held_by_others,
            retry_after_ms: *retry_after_ms,
        },
    }
}

fn bill_of(settled: &Settled) -> Bill {
    let receipt = &settled.receipt;
    Bill::Charged {
        free: receipt.free,
        free_money: plain(receipt.free_money),
        charged: plain(receipt.charged),
        shortfall: plain(receipt.shortfall),
        late: receipt.late,
    }
}
