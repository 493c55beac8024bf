//! Randomness that replays: everything that a round does follows from its seed.

use super::quick;

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        dice.next();
        dice
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `first` to `last`, both included.
    pub fn within(&mut self, first: u64, last: u64) -> u64 {
        first + self.next() % (last - first + 1)
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.within(1, 100) <= percent
    }
}

/// The seed of this run: `TOLLGATE_TEST_SEED`, or a new one; printed.
pub fn seed(test: &str) -> u64 {
    let seed = match std::env::var("TOLLGATE_TEST_SEED") {
        Ok(text) => text.parse().expect("TOLLGATE_TEST_SEED is a number"),
        Err(_) => {
            let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
            let digits = uuid.expect("a random id")[..8].to_owned();
            u64::from_str_radix(&digits, 16).expect("hexadecimal digits")
        }
    };
    eprintln!("{test}: seed {seed}");
    seed
}

/// How often: fewer times where the run is to be quick.
pub fn rounds(few: u64, all: u64) -> u64 {
    if quick() { few } else { all }
}
