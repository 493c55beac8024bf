//! Which keys an object has had so far.

use std::borrow::Cow;
use std::collections::HashSet;

/// From how many unknown keys on an object's keys are hashed to find duplicates.
const HASHED_FROM: usize = 16;

/// The keys of one object so far.
#[derive(Default)]
pub(super) struct Seen<'b> {
    /// A bit for every row of the table.
    rows: u128,
    /// Others, while they are few.
    few: Vec<Cow<'b, str>>,
    /// Others, once they are many: a search through a list would take quadratic time.
    many: HashSet<Cow<'b, str>>,
}

impl<'b> Seen<'b> {
    /// Whether the row at `index` was not seen before.
    pub(super) fn first(&mut self, index: usize) -> bool {
        let bit = 1_u128 << index;
        let first = self.rows & bit == 0;
        self.rows |= bit;
        first
    }

    /// Remembers a key that is not in the table; gives it back where it was seen before.
    pub(super) fn unknown(&mut self, key: Cow<'b, str>) -> Option<Cow<'b, str>> {
        if self.few.contains(&key) || self.many.contains(&key) {
            return Some(key);
        }
        if self.few.len() < HASHED_FROM {
            self.few.push(key);
        } else {
            self.many.insert(key);
        }
        None
    }
}
