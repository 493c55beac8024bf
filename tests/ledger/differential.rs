//! Random schedules: every store answers as the book does, and ends as it does.
//!
//! `TOLLGATE_SCHEDULES` sets how many are run on each store, `TOLLGATE_SEED` where they start. A
//! failure names its seed.

#[path = "differential/coverage.rs"]
pub mod coverage;
#[path = "differential/dice.rs"]
mod dice;
#[path = "differential/edited.rs"]
mod edited;
#[path = "differential/end.rs"]
mod end;
#[path = "differential/objects.rs"]
mod objects;
#[path = "differential/op.rs"]
mod op;
#[path = "differential/operators.rs"]
mod operators;
#[path = "differential/planted.rs"]
mod planted;
#[path = "differential/quotes.rs"]
mod quotes;
#[path = "differential/schedule.rs"]
mod schedule;

use tollgate::clock::Clock;
use tollgate::ledger::Ledger;

use crate::kit::{DAY_MS, START};
use crate::reference::Reference;
use crate::stores::Store;
use coverage::Coverage;
use dice::Dice;
use op::{Op, Said, perform};
use schedule::Schedule;

/// How many operations a schedule has.
const STEPS: usize = 54;
/// How many schedules share a store, each with wallets of its own.
const SHARING: u64 = 50;
/// Schedules begin at a multiple of this, so that each goes the same way alone.
const ALIGNED_MS: u64 = 420 * DAY_MS;
/// Schedules of a run that nobody asked to be long.
const SCHEDULES: u64 = 300;
/// Of the first so many schedules it is known that they come upon everything.
const THOROUGH: u64 = 300;

pub type Outcome = Result<(), String>;

/// Fails with words where two things differ.
macro_rules! agree {
    ($left:expr, $right:expr, $($what:tt)+) => {{
        let (left, right) = (&$left, &$right);
        if left != right {
            return Err(format!("{}:\n  {left:?}\nis not\n  {right:?}", format_args!($($what)+)));
        }
    }};
}
use agree;

/// The schedules from `first` on, each group on a store of its own, on stores of one kind.
pub async fn run(store: Store, schedules: u64, first: u64) {
    let mut coverage = Coverage::default();
    let mut seed = first;
    while seed < first + schedules {
        let count = SHARING.min(first + schedules - seed);
        let clock = Clock::manual(START);
        let opened = store.open(&clock).await;
        let mut pair = Pair::new(&*opened.ledger, clock, &mut coverage);
        if let Err(fault) = pair.run(seed, count).await {
            panic!("{store:?}: {fault}");
        }
        seed += count;
    }
    if first == 1 && schedules >= THOROUGH {
        assert_eq!(coverage.missed(), Vec::<&str>::new(), "never came upon");
    }
}

/// A ledger under test and the specification, with one time.
pub struct Pair<'a> {
    ledger: &'a dyn Ledger,
    book: Reference,
    clock: Clock,
    coverage: &'a mut Coverage,
    /// What happens to an operation on its way to the ledger under test; nothing, unless a bug is planted.
    mistake: fn(&mut Op),
}

impl<'a> Pair<'a> {
    pub fn new(ledger: &'a dyn Ledger, clock: Clock, coverage: &'a mut Coverage) -> Pair<'a> {
        let book = Reference::new(clock.clone());
        Pair {
            ledger,
            book,
            clock,
            coverage,
            mistake: |_| {},
        }
    }

    /// The same with a planted bug.
    fn mistaken(self, mistake: fn(&mut Op)) -> Self {
        Pair { mistake, ..self }
    }

    /// Runs `count` schedules, and compares the two as a whole.
    pub async fn run(&mut self, first: u64, count: u64) -> Outcome {
        for seed in first..first + count {
            let ran = self.schedule(seed).await;
            ran.map_err(|fault| format!("TOLLGATE_SEED={seed} TOLLGATE_SCHEDULES=1: {fault}"))?;
        }
        let whole = self.compare_whole(&mut Dice(first)).await;
        whole.map_err(|fault| {
            format!("TOLLGATE_SEED={first} TOLLGATE_SCHEDULES={count}, at the end of all: {fault}")
        })
    }

    /// Runs one schedule.
    pub async fn schedule(&mut self, seed: u64) -> Outcome {
        let aligned = self.clock.now().0.unsigned_abs() % ALIGNED_MS;
        self.clock.advance(ALIGNED_MS - aligned);
        let (mut schedule, first) = Schedule::new(seed, self.clock.now());
        let begun = first.len();
        let mut first = first.into_iter();
        for step in 0..begun + STEPS {
            let next = first.next();
            let op = next.unwrap_or_else(|| schedule.draw(&self.book, self.clock.now()));
            let said = self.step(&op).await;
            let said = said.map_err(|fault| format!("step {step}, {op:?}: {fault}"))?;
            self.coverage.note(&op, &said);
            schedule.heard(&op, &said, self.clock.now());
        }
        let ended = self.compare_wallets(&mut schedule).await;
        ended.map_err(|fault| format!("at the end: {fault}"))
    }

    /// Does an operation on both.
    async fn step(&self, op: &Op) -> Result<Said, String> {
        let expected = perform(&self.book, &self.clock, op.clone()).await;
        if matches!(op, Op::Wait(_)) {
            return Ok(expected);
        }
        let mut sent = op.clone();
        (self.mistake)(&mut sent);
        let said = perform(self.ledger, &self.clock, sent).await;
        agree!(said, expected, "its answer");
        Ok(said)
    }
}

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

async fn as_asked(store: Store) {
    let schedules = number("TOLLGATE_SCHEDULES", SCHEDULES);
    run(store, schedules, number("TOLLGATE_SEED", 1)).await;
}

#[tokio::test]
async fn a_store_in_memory_answers_as_the_book_does() {
    as_asked(Store::Memory).await;
}

#[tokio::test]
async fn a_store_in_redis_answers_as_the_book_does() {
    as_asked(Store::Redis).await;
}

#[tokio::test]
async fn three_proxies_of_two_versions_answer_as_the_book_does() {
    let schedules = number("TOLLGATE_SCHEDULES", SCHEDULES) / 2;
    run(Store::Proxies, schedules.max(1), number("TOLLGATE_SEED", 1)).await;
}

/// Fewer than on one server: the code is the same, and each round trip takes longer.
#[tokio::test]
async fn a_store_in_a_cluster_answers_as_the_book_does() {
    let schedules = number("TOLLGATE_SCHEDULES", SCHEDULES) / 10;
    run(Store::Cluster, schedules.max(1), number("TOLLGATE_SEED", 1)).await;
}
