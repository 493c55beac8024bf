//! Many faults of one kind, one after the other, on processes that live through all of them.

use std::time::Instant;

use crate::round::{Losses, Round};
use crate::stage::Stage;
use crate::support::dice::{Dice, rounds, seed};

/// A stage, and how many faults it has seen.
pub struct Series {
    stage: Stage,
    seed: u64,
    round: u64,
    few: u64,
}

impl Series {
    pub fn new(name: &str, stage: Stage) -> Series {
        let seed = seed(name);
        Series {
            stage,
            seed,
            round: 0,
            few: 1,
        }
    }

    /// So many faults of each kind where the run is to be quick, instead of one.
    pub fn at_least(self, few: u64) -> Series {
        Series { few, ..self }
    }

    /// Twenty faults of a kind; fewer where the run is to be quick.
    pub fn faults(
        &mut self,
        kind: &str,
        losses: Losses,
        mut fault: impl FnMut(&mut Stage, &mut Dice),
    ) {
        for _ in 0..rounds(self.few, 20) {
            let dice = &mut Dice::new(self.seed.wrapping_add(self.round));
            let name = format!("{kind}-{}-{}", self.seed, self.round);
            self.round += 1;
            let started = Instant::now();
            let round = Round::run(&mut self.stage, &name, dice, &mut fault);
            let checked = round.check(&self.stage, losses, dice);
            let summary = checked.unwrap_or_else(|finding| panic!("{name}: {finding}"));
            eprintln!("{name}: {} ms: {summary}", started.elapsed().as_millis());
        }
    }
}
