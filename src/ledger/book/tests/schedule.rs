//! Random schedules of operations: after every one, the book must agree with the model and add up.
//!
//! `TOLLGATE_SCHEDULES` sets how many are run, `TOLLGATE_SEED` where they start. A failure names its seed.

use std::collections::HashMap;

use super::fixture::{digest, entry, id, key, models, request};
use super::model::{Model, ModelKey};
use super::schedule_dice::Dice;
use crate::clock::UnixMs;
use crate::ledger::book::planted::Planted;
use crate::ledger::book::{Book, Change};
use crate::ledger::credit::EntryKind;
use crate::ledger::grant::Grant;
use crate::ledger::hold::{Hold, HoldRef};
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

pub(super) fn plain(amount: Nano) -> u64 {
    u64::try_from(amount.get()).expect("not negative")
}

pub(super) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).expect("small")
}
