//! Random schedules of operations: after every one, the book must agree with the model and add up.
//!
//! `TOLLGATE_SCHEDULES` sets how many are run, `TOLLGATE_SEED` where they start. A failure names its seed.

use std::collections::HashMap;

use super::fixture::{digest, entry, id, key, models, request};
use super::model::{Model, ModelKey, Phase, Verdict};
use super::model_bill::Bill;
use super::schedule_dice::Dice;
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::book::planted::Planted;
use crate::ledger::book::{Book, Change};
use crate::ledger::credit::EntryKind;
use crate::ledger::grant::Grant;
use crate::ledger::hold::{Hold, HoldRef, Refusal, Settled};
use crate::ledger::id::RequestId;
use crate::ledger::receipt::Receipt;
use crate::ledger::wallet::NewWallet;
use crate::money::Nano;

const STEPS: usize = 60;
pub(super) const WALLETS: usize = 2;
pub(super) const START: UnixMs = UnixMs(1_700_000_000_000);

pub(super) type Outcome = Result<(), String>;

macro_rules! agree {
    ($left:expr, $right:expr, $($what:tt)+) => {{
        let (left, right) = (&$left, &$right);
        if left != right {
            return Err(format!("{}: {left:?} is not {right:?}", format_args!($($what)+)));
        }
    }};
}
pub(super) use agree;

pub(super) struct Run {
    pub(super) dice: Dice,
    pub(super) book: Book,
    pub(super) models: Vec<Model>,
    pub(super) now: UnixMs,
    pub(super) changes: Vec<Change>,
    /// The answer to each hold that was admitted, and to each settle.
    pub(super) holds: HashMap<RequestId, Hold>,
    pub(super) receipts: HashMap<RequestId, std::sync::Arc<Receipt>>,
    pub(super) next: u64,
}

#[test]
fn random_schedules_agree_with_the_model_and_add_up() {
    let count = number("TOLLGATE_SCHEDULES", 1_000);
    let first = number("TOLLGATE_SEED", 1);
    for seed in first..first + count {
        if let Err(fault) = schedule(seed) {
            panic!("TOLLGATE_SEED={seed} TOLLGATE_SCHEDULES=1: {fault}");
        }
    }
}

#[test]
fn random_schedules_catch_every_planted_bug() {
    let missed: Vec<Planted> = Planted::ALL
        .into_iter()
        .filter(|bug| bug.run(|| (1..=1_000).all(passes)))
        .collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

fn passes(seed: u64) -> bool {
    std::panic::catch_unwind(|| schedule(seed)).is_ok_and(|outcome| outcome.is_ok())
}

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

fn schedule(seed: u64) -> Outcome {
    let mut run = Run::new(seed);
    for step in 0..STEPS {
        run.step()
            .map_err(|fault| format!("step {step}: {fault}"))?;
        run.compare()
            .map_err(|fault| format!("after step {step}: {fault}"))?;
    }
    run.restored()
        .map_err(|fault| format!("restored: {fault}"))?;
    run.finish().map_err(|fault| format!("at the end: {fault}"))
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut run = Run {
            dice: Dice(seed),
            book: Book::new(),
            models: Vec::new(),
            now: START,
            changes: Vec::new(),
            holds: HashMap::new(),
            receipts: HashMap::new(),
            next: seed << 32,
        };
        for place in 0..WALLETS {
            run.open(place);
        }
        run
    }

    fn open(&mut self, place: usize) {
        let wallet = format!("w{place}");
        let balance = i64::try_from(self.dice.below(150)).expect("small");
        let credit_line = i64::try_from(self.dice.below(3) * 20).expect("small");
        let opening = entry(
            &format!("config:{wallet}"),
            &wallet,
            EntryKind::Opening,
            balance,
        );
        let opening = Some(opening).filter(|_| balance > 0);
        let grants: Vec<Grant> = (0..self.dice.below(5))
            .map(|number| self.grant(number))
            .collect();
        self.models.push(Model {
            credit_line,
            credits: vec![balance],
            grants: grants.clone(),
            ..Model::default()
        });
        let new = NewWallet {
            id: id(&wallet),
            credit_line: Nano::new(credit_line),
            opening,
            grants,
        };
        let opened = self.book.open_wallet(self.now, new, &mut self.changes);
        assert!(opened.expect("a fresh wallet opens"));
        for number in 0..2 {
            let name = format!("k{place}{number}");
            let mut record = key(&name, &wallet);
            let only_model = self.dice.percent(15).then(|| "a".to_owned());
            record.models = models(&only_model.iter().map(String::as_str).collect::<Vec<_>>());
            record.expires_at = self
                .dice
                .percent(10)
                .then(|| START.plus(self.dice.below(2000)));
            let model = ModelKey {
                enabled: true,
                revision: 1,
                expires_at: record.expires_at,
                only_model,
            };
            self.models[place].keys.insert(name, model);
            let number = u8::try_from(place * 2 + number).expect("few");
            let put = self.book.put_key(record, digest(number), &mut self.changes);
            put.expect("a fresh key");
        }
    }

    fn step(&mut self) -> Outcome {
        let place = usize::try_from(self.dice.below(2)).expect("few");
        match self.dice.below(100) {
            0..45 => self.hold(place),
            45..68 => self.settle(place),
            68..76 => self.void(place),
            76..80 => self.renew(place),
            80..92 => self.wait(),
            92..96 => self.credit(place),
            96 => self.change_key(place),
            97 => self.set_line(place),
            98 => self.give(place),
            _ => self.forget(),
        }
    }

    fn wait(&mut self) -> Outcome {
        let ms = match self.dice.below(20) {
            0 => 86_400_000 + self.dice.below(1000),
            1..4 => self.dice.below(1000),
            _ => self.dice.below(40),
        };
        // Time that is said to run back stands still.
        let back = self.now.0.saturating_sub_unsigned(self.dice.below(50));
        self.book.renew(UnixMs(back), &name(9, self.next), 1);
        self.now = self.now.plus(ms);
        Ok(())
    }

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

    fn settle(&mut self, place: usize) -> Outcome {
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

    fn void(&mut self, place: usize) -> Outcome {
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

    fn renew(&mut self, place: usize) -> Outcome {
        if let Some(ask) = self.known(place) {
            let id = name(place, 0).with(ask.quote.request);
            let lease_ms = self.dice.below(200);
            self.book.renew(self.now, &id, lease_ms);
            self.models[place].renew(self.now, ask.quote.request, lease_ms);
        }
        Ok(())
    }

    fn credit(&mut self, place: usize) -> Outcome {
        let number = self.next;
        self.next += 1;
        let (kind, amount) = match self.dice.below(6) {
            0 => (EntryKind::Adjustment, -signed(self.dice.below(60))),
            1 => (EntryKind::Refund, signed(1 + self.dice.below(10))),
            _ => (EntryKind::Topup, signed(1 + self.dice.below(60))),
        };
        let entry = entry(&format!("e{number}"), &format!("w{place}"), kind, amount);
        self.models[place].credits.push(amount);
        for applied in [true, false] {
            let credited = self.book.credit(self.now, entry.clone(), &mut self.changes);
            let credited = credited.map_err(|error| error.to_string())?;
            agree!(credited.applied, applied, "applied");
            agree!(
                credited.balance.get(),
                self.models[place].balance(),
                "balance"
            );
        }
        Ok(())
    }

    fn set_line(&mut self, place: usize) -> Outcome {
        let line = signed(self.dice.below(60));
        let model = &mut self.models[place];
        let owed = i64::try_from(model.held()).expect("small") - model.balance();
        let fits = line >= model.credit_line || line >= owed;
        if fits {
            model.credit_line = line;
        }
        let id = id(&format!("w{place}"));
        let set = self
            .book
            .set_credit_line(self.now, &id, Nano::new(line), &mut self.changes);
        agree!(set.is_ok(), fits, "credit line {line}, owed {owed}");
        Ok(())
    }

    fn change_key(&mut self, place: usize) -> Outcome {
        let number = self.dice.below(2);
        let name = format!("k{place}{number}");
        let revoke = self.dice.percent(20);
        let known = self.models[place].keys.get_mut(&name).ok_or("no key")?;
        let kept = if revoke {
            known.revision += u64::from(known.enabled);
            known.enabled = false;
            self.book.revoke_key(&id(&name), &mut self.changes)
        } else {
            let mut record = key(&name, &format!("w{place}"));
            self.next += 1;
            record.name = self.next.to_string();
            known.revision += 1;
            known.only_model = None;
            known.expires_at = None;
            let number = u8::try_from(place * 2).expect("few") + u8::try_from(number).expect("few");
            if self.dice.percent(50) && known.enabled {
                record.revision = known.revision - 1;
                self.book.edit_key(record, &mut self.changes)
            } else {
                self.book.put_key(record, digest(number), &mut self.changes)
            }
        };
        let kept = kept.map_err(|error| error.to_string())?;
        agree!(
            (kept.enabled, kept.revision),
            (known.enabled, known.revision),
            "key"
        );
        Ok(())
    }

    /// Opens a wallet that is open: grants that are new are given, and nothing else.
    fn give(&mut self, place: usize) -> Outcome {
        let given = [self.grant(0), self.grant(5)];
        for grant in &given {
            let known = &mut self.models[place].grants;
            if known.iter().all(|other| other.name != grant.name) {
                known.push(grant.clone());
            }
        }
        let wallet = format!("w{place}");
        let booked = self.models[place].credits[0] > 0;
        let opening = entry(
            &format!("config:{wallet}"),
            &wallet,
            EntryKind::Opening,
            999,
        );
        let new = NewWallet {
            id: id(&wallet),
            credit_line: Nano::new(7),
            opening: Some(opening).filter(|_| booked),
            grants: given.to_vec(),
        };
        let opened = self.book.open_wallet(self.now, new, &mut self.changes);
        agree!(opened.map_err(|error| error.to_string())?, false, "opened");
        Ok(())
    }

    fn forget(&mut self) -> Outcome {
        let before = UnixMs(self.now.0.saturating_sub_unsigned(self.dice.below(400)));
        let lapsed = UnixMs(before.0.saturating_sub_unsigned(self.dice.below(400)));
        self.book.forget_ended(before, lapsed);
        for model in &mut self.models {
            model.forget_ended(before, lapsed);
        }
        Ok(())
    }
}

impl HoldRef {
    pub(super) fn with(self, request: RequestId) -> HoldRef {
        HoldRef { request, ..self }
    }
}

pub(super) fn name(place: usize, number: u64) -> HoldRef {
    HoldRef {
        wallet: id(&format!("w{place}")),
        request: request(number),
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

pub(super) fn plain(amount: Nano) -> u64 {
    u64::try_from(amount.get()).expect("not negative")
}

pub(super) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).expect("small")
}
