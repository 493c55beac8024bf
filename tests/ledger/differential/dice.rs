//! Numbers from a seed (SplitMix64), many of them where arithmetic breaks.

pub struct Dice(pub u64);

/// Where doubles, wallets, signed and unsigned numbers end.
const EDGES: [u64; 5] = [1 << 53, 1 << 61, 1 << 62, 1 << 63, u64::MAX];

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let place = self.below(from.len() as u64);
        from.get(usize::try_from(place).expect("short"))
    }

    /// One of a few.
    pub fn one<T: Copy>(&mut self, from: &[T]) -> T {
        *self.pick(from).expect("there are some")
    }

    /// `middle`, one less or one more.
    pub fn around(&mut self, middle: u64) -> u64 {
        match self.below(3) {
            0 => middle,
            1 => middle.saturating_sub(1),
            _ => middle.saturating_add(1),
        }
    }

    /// A number at, just below or just above an edge.
    pub fn edge(&mut self) -> u64 {
        let edge = self.one(&EDGES);
        self.around(edge)
    }

    /// The same as an amount: of either sign, the ends of the range among them.
    pub fn signed_edge(&mut self) -> i64 {
        let edge = self.edge();
        let amount = i64::try_from(edge).unwrap_or(i64::MAX);
        match self.below(8) {
            0 => i64::MIN,
            1..4 => -amount,
            _ => amount,
        }
    }
}
