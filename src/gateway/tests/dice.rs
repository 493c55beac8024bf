//! Choices out of a list of numbers.

/// Every choice takes the next number. A list that has ended gives the first of everything, so that a failure becomes
/// simpler as its list becomes shorter and its numbers smaller.
pub struct Dice<'d> {
    draws: std::slice::Iter<'d, u32>,
}

impl<'d> Dice<'d> {
    pub fn new(draws: &'d [u32]) -> Self {
        Dice {
            draws: draws.iter(),
        }
    }

    pub fn draw(&mut self) -> u64 {
        self.draws.next().copied().unwrap_or(0).into()
    }

    /// From 0 to less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// Once in so many times; what has ended is a no.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == times - 1
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).expect("an index")]
    }

    /// From 0 to `most`; half of the time all of it, since bounds are passed at their ends.
    pub fn up_to(&mut self, most: u64) -> u64 {
        match self.below(4) {
            0 => self.below(40).min(most),
            1 => {
                let share = u128::from(self.draw()) * (u128::from(most) + 1);
                u64::try_from(share >> 32).expect("at most the most")
            }
            _ => most,
        }
    }

    /// Words of several scripts, quotes and line ends among them.
    pub fn text(&mut self) -> String {
        let words = self.below(9);
        let word = |_| {
            self.pick(&[
                "cat", "a", "Grüße", "天气", "\"so\"", "1/2", "\n", "🦀", "\\n",
            ])
        };
        let words: Vec<&str> = (0..words).map(word).collect();
        words.join(" ")
    }
}
