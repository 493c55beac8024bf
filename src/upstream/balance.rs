//! The order in which one request tries the endpoints of its model.

use std::sync::atomic::{AtomicU64, Ordering};

/// Alternatives with a priority (lower first) and a weight within it.
///
/// Draws are a fixed pseudo-random sequence: a counter, well mixed. There is no lock and no state
/// to share, and long runs meet the weights.
#[derive(Debug)]
pub(super) struct Choices<T> {
    /// By priority.
    entries: Vec<Entry<T>>,
    drawn: AtomicU64,
}

#[derive(Debug)]
struct Entry<T> {
    priority: u32,
    weight: u32,
    value: T,
}

impl<T: Clone> Choices<T> {
    /// The alternatives as `(priority, weight, value)`. A weight of zero comes last in its priority.
    pub(super) fn new(choices: Vec<(u32, u32, T)>) -> Self {
        let mut entries: Vec<_> = choices
            .into_iter()
            .map(|(priority, weight, value)| Entry {
                priority,
                weight,
                value,
            })
            .collect();
        entries.sort_by_key(|entry| entry.priority);
        Choices {
            entries,
            drawn: AtomicU64::new(0),
        }
    }

    /// All alternatives in the order of one draw.
    pub(super) fn draw(&self) -> Vec<T> {
        if let [only] = self.entries.as_slice() {
            return vec![only.value.clone()];
        }
        let mut dice = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut order: Vec<&Entry<T>> = self.entries.iter().collect();
        for group in order.chunk_by_mut(|a, b| a.priority == b.priority) {
            for next in 0..group.len() {
                dice = mix(dice);
                let chosen = next + pick(&group[next..], dice);
                group[next..=chosen].rotate_right(1);
            }
        }
        order.into_iter().map(|entry| entry.value.clone()).collect()
    }
}

/// The index of the entry on which a weighted draw falls; the first if none has a weight.
fn pick<T>(entries: &[&Entry<T>], dice: u64) -> usize {
    let total: u64 = entries.iter().map(|entry| u64::from(entry.weight)).sum();
    let Some(mut rest) = dice.checked_rem(total) else {
        return 0;
    };
    for (index, entry) in entries.iter().enumerate() {
        match rest.checked_sub(u64::from(entry.weight)) {
            Some(less) => rest = less,
            None => return index,
        }
    }
    0
}

/// One step of SplitMix64.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_meet_the_weights_and_hold_every_choice_once() {
        let choices = Choices::new(vec![(1, 3, 'a'), (1, 1, 'b'), (0, 1, 'c'), (1, 0, 'd')]);
        let mut firsts = [0_u32; 2];
        for _ in 0..4_000 {
            let order = choices.draw();
            assert_eq!((order[0], order[3]), ('c', 'd'));
            match order[1..3] {
                ['a', 'b'] => firsts[0] += 1,
                ['b', 'a'] => firsts[1] += 1,
                _ => panic!("not an order of all four: {order:?}"),
            }
        }
        assert!((2_900..=3_100).contains(&firsts[0]), "{firsts:?}");
    }

    #[test]
    fn equal_weights_share_evenly() {
        let choices = Choices::new((0..5).map(|value| (0, 1, value)).collect());
        let mut firsts = [0_u32; 5];
        for _ in 0..5_000 {
            firsts[choices.draw()[0]] += 1;
        }
        assert!(
            firsts.iter().all(|count| (900..=1_100).contains(count)),
            "{firsts:?}"
        );
    }

    #[test]
    fn without_weights_the_given_order_stays() {
        let choices = Choices::new(vec![(0, 0, 1), (0, 0, 2), (0, 0, 3)]);
        assert_eq!(choices.draw(), [1, 2, 3]);
        assert_eq!(choices.draw(), [1, 2, 3]);
    }
}
