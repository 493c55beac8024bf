//! Random schedules of operations: after every one, the book must agree with the model and add up.
//!
//! `TOLLGATE_SCHEDULES` sets how many are run, `TOLLGATE_SEED` where they start. A failure names its seed.

use std::collections::HashMap;

use super::super::planted::Planted;
use super::fixture::{counter, digest, entry, grant, id, key, models, request, segment};
use super::model::{Ask1, Bill, Model, ModelKey, Phase, Verdict};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::book::{Book, Change};
use crate::ledger::credit::EntryKind;
use crate::ledger::grant::{Grant, GrantUnit};
use crate::ledger::hold::{
    Charge, FreeUnits, Hold, HoldRef, IdempotencyClaim, Quote, Refusal, Settled,
};
use crate::ledger::id::RequestId;
use crate::ledger::limit::{Ask, CounterAsk, Window};
use crate::ledger::receipt::{Detail, Receipt};
use crate::ledger::wallet::NewWallet;
use crate::money::Nano;
use crate::price::Segment;
use crate::usage::{Counted, Meter, Usage};

const STEPS: usize = 60;
const WALLETS: usize = 2;
const MODELS: [&str; 2] = ["a", "b"];
const START: UnixMs = UnixMs(1_700_000_000_000);

type Outcome = Result<(), String>;

macro_rules! agree {
    ($left:expr, $right:expr, $($what:tt)+) => {{
        let (left, right) = (&$left, &$right);
        if left != right {
            return Err(format!("{}: {left:?} is not {right:?}", format_args!($($what)+)));
        }
    }};
}

/// Numbers from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none.
    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let place = self.below(u64::try_from(from.len()).expect("short"));
        from.get(usize::try_from(place).expect("short"))
    }
}

struct Run {
    dice: Dice,
    book: Book,
    models: Vec<Model>,
    now: UnixMs,
    changes: Vec<Change>,
    /// The answer to each hold that was admitted, and to each settle.
    holds: HashMap<RequestId, Hold>,
    receipts: HashMap<RequestId, std::sync::Arc<Receipt>>,
    next: u64,
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

    fn grant(&mut self, number: u64) -> Grant {
        use GrantUnit::{Images, Money, Requests, Tokens};
        let units = [Tokens, Tokens, Images, Money, Requests];
        let unit = *self.dice.pick(&units).expect("there are some");
        let most = if unit == Requests { 3 } else { 40 };
        let mut given = grant(&format!("g{number}"), unit, self.dice.below(most));
        given.models = match self.dice.below(3) {
            0 => models(&["a"]),
            1 => models(&["a", "b"]),
            _ => models(&[]),
        };
        let soon = START.plus(self.dice.below(1500));
        given.expires_at = self.dice.percent(50).then_some(soon);
        given
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
            96..98 => self.change_key(place),
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

    fn hold(&mut self, place: usize) -> Outcome {
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
            self.book.put_key(record, digest(number), &mut self.changes)
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
        self.book.forget_ended(before);
        for model in &mut self.models {
            model.forget_ended(before);
        }
        Ok(())
    }

    /// A request that was made before, preferably a live one.
    fn known(&mut self, place: usize) -> Option<Ask1> {
        let model = &self.models[place];
        let live: Vec<Ask1> = model.live().cloned().collect();
        let all: Vec<Ask1> = model.requests.clone();
        let from = if self.dice.percent(70) { live } else { all };
        let request = self.dice.pick(&from)?.quote.request;
        // Of an id that was forgotten and used again, the latest.
        let model = &self.models[place];
        let place = model.find(request);
        let last = || {
            model
                .requests
                .iter()
                .rposition(|ask| ask.quote.request == request)
        };
        place
            .or_else(last)
            .map(|place| model.requests[place].clone())
    }

    fn quote(&mut self, place: usize) -> Quote {
        self.next += 1;
        let key = format!("k{place}{}", self.dice.below(2));
        let counters = self.counters(&key);
        let stale = u64::from(self.dice.percent(3));
        let revision = self.models[place].keys[&key].revision + stale;
        let key = if self.dice.percent(1) {
            "k99".to_owned()
        } else {
            key
        };
        let claim = IdempotencyClaim {
            token: self.dice.below(3).to_string().into(),
            body: [u8::from(self.dice.percent(10)); 32],
        };
        Quote {
            request: request(self.next),
            wallet: id(&format!("w{place}")),
            key: id(&key),
            key_revision: revision,
            model: (*self.dice.pick(&MODELS).expect("two")).into(),
            price_version: "v".into(),
            segments: self.segments(),
            counters,
            lease_ms: 5 + self.dice.below(300),
            idempotency: self.dice.percent(15).then_some(claim),
        }
    }

    fn segments(&mut self) -> Vec<Segment> {
        use Meter::{Images, Input, Output, Seconds};
        let meters: &[Meter] = match self.dice.below(6) {
            0 => &[Images],
            1 => &[Input, Images],
            2 => &[Input, Output, Images, Seconds],
            _ => &[Input, Output],
        };
        let clamps = self.dice.percent(40);
        let one = |meter: &Meter| {
            let mut segment = segment(*meter, self.dice.below(12), signed(self.dice.below(5)));
            if clamps && self.dice.percent(60) {
                segment.count_min = self.dice.below(segment.count + 1);
            }
            segment
        };
        meters.iter().map(one).collect()
    }

    fn counters(&mut self, key: &str) -> Vec<CounterAsk> {
        let start = UnixMs(self.now.0 - self.now.0.rem_euclid(500));
        // Now and then the proxy's idea of the time is a little old.
        let start = UnixMs(start.0 - if self.dice.percent(2) { 500 } else { 0 });
        let period = Window::Period {
            start,
            end: start.plus(500),
        };
        let bucket = Window::Bucket { refill_ms: 20 };
        let rate = [0, 3, 8, 8, 8, 8, 8, 8][usize::try_from(self.dice.below(8)).expect("few")];
        let (tokens, images) = (self.dice.below(9), self.dice.below(12));
        let all = [
            counter(&format!("{key}/spend"), Ask::Money, 150, Window::Total),
            counter(
                &format!("{key}/tokens"),
                Ask::Fixed(tokens),
                90,
                Window::Total,
            ),
            counter(&format!("{key}/day/{start}"), Ask::Money, 45, period),
            counter(&format!("{key}/count/{start}"), Ask::Fixed(1), 6, period),
            counter(&format!("{key}/rate"), Ask::Fixed(images), rate, bucket),
            counter(&format!("{key}/money-rate"), Ask::Money, 60, bucket),
            counter(
                &format!("{key}/parallel"),
                Ask::Fixed(1),
                4,
                Window::Concurrent,
            ),
        ];
        all.into_iter().filter(|_| self.dice.percent(35)).collect()
    }

    fn charge(&mut self, ask: &Ask1) -> Charge {
        let mut free = FreeUnits::default();
        let mut most = ask.worst.money;
        for (_, unit, units) in &ask.worst.taken {
            match unit {
                GrantUnit::Tokens => free.tokens += self.dice.below(units + 1),
                GrantUnit::Images => free.images += self.dice.below(units + 1),
                GrantUnit::Requests => free.requests += units,
                GrantUnit::Money => most += units,
            }
        }
        let beyond = if self.dice.percent(15) { 30 } else { 1 };
        let full = self.dice.percent(30);
        let priced = if full {
            most
        } else {
            self.dice.below(most + beyond)
        };
        let counters = ask.quote.counters.iter();
        Charge {
            usage: Usage::NONE,
            counted: Counted::Exact,
            priced: Nano::new(signed(priced)),
            free,
            counters: counters.map(|_| self.dice.below(14)).collect(),
            detail: Detail::default(),
        }
    }

    /// Everything that can be seen of the book is as in the model, and adds up.
    fn compare(&self) -> Outcome {
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
    fn audit(&self) -> Outcome {
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
    fn restored(&mut self) -> Outcome {
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
            let charge = self.blank_charge();
            let settled = again.settle(self.now, &id, charge, &mut Vec::new());
            let settled = settled.map_err(|error| error.to_string())?;
            agree!(settled.receipt, *receipt, "a settle after a restart");
        }
        Ok(())
    }

    /// When every request has ended, nothing is held any more.
    fn finish(&mut self) -> Outcome {
        for place in 0..WALLETS {
            let live: Vec<Ask1> = self.models[place].live().cloned().collect();
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

    fn blank_charge(&self) -> Charge {
        Charge {
            usage: Usage::NONE,
            counted: Counted::Exact,
            priced: Nano::ZERO,
            free: FreeUnits::default(),
            counters: Vec::new(),
            detail: Detail::default(),
        }
    }
}

impl HoldRef {
    fn with(self, request: RequestId) -> HoldRef {
        HoldRef { request, ..self }
    }
}

fn name(place: usize, number: u64) -> HoldRef {
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
        Refusal::TooLarge => panic!("no schedule asks for so much"),
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

fn plain(amount: Nano) -> u64 {
    u64::try_from(amount.get()).expect("not negative")
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).expect("small")
}
