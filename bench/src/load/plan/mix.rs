//! A seeded mixture of everything that happens to a proxy: good answers, clients that leave, upstreams that fail.

use std::time::Duration;

use super::{Kind, Plan};

/// A mixture's weights, out of 100.
const MIX: [(Kind, u64); 9] = [
    (Kind::Chat, 38),
    (Kind::Stream, 26),
    (Kind::Image, 10),
    (Kind::StreamLeft, 10),
    (Kind::ChatAbandoned, 4),
    (Kind::StreamCut, 5),
    (Kind::Refused, 3),
    (Kind::ChatNoUsage, 2),
    (Kind::StreamNoUsage, 2),
];

/// What the requests of a mixture allow; above any completion, so that the mock stays within the bound.
pub const MAX_TOKENS: u64 = 64;
const COMPLETION_MAX: u64 = 32;
const PROMPT_MAX: u64 = 64;
pub const IMAGES_MAX: u64 = 3;
/// Slow enough that a client can leave in the middle.
const LEFT_CHUNK_MS: u64 = 2;
const ABANDONED_DELAY_MS: u64 = 80;
const ABANDONED_AFTER_MS_MAX: u64 = 40;

/// SplitMix64: small, seeded, good enough to mix requests.
struct Dice(u64);

/// A request of the mixture.
pub fn plan(id: String, seed: u64, index: u64) -> Plan {
    let dice = &mut Dice::new(seed, index);
    let kind = dice.kind();
    let prompt = dice.within(1, PROMPT_MAX);
    let completion = dice.within(1, COMPLETION_MAX);
    let include_usage = dice.within(0, 1) == 1;
    let mut plan = Plan {
        id,
        kind,
        directions: Vec::with_capacity(4),
        include_usage,
        leave_after: None,
        abandon_after: None,
        prompt: None,
        completion: None,
        images: 0,
    };
    if kind == Kind::Image {
        plan.images = dice.within(1, IMAGES_MAX);
        return plan;
    }
    (plan.prompt, plan.completion) = (Some(prompt), Some(completion));
    plan.directions.push(("x-mock-prompt", prompt.to_string()));
    plan.directions
        .push(("x-mock-completion", completion.to_string()));
    let fault = match kind {
        Kind::StreamCut => Some(format!("cut-after={}", dice.within(0, completion))),
        Kind::Refused => Some("status=500".to_owned()),
        Kind::ChatNoUsage | Kind::StreamNoUsage => Some("no-usage".to_owned()),
        Kind::StreamLeft => {
            plan.leave_after = Some(dice.within(1, completion));
            plan.directions
                .push(("x-mock-chunk-ms", LEFT_CHUNK_MS.to_string()));
            None
        }
        Kind::ChatAbandoned => {
            plan.abandon_after = Some(Duration::from_millis(
                dice.within(1, ABANDONED_AFTER_MS_MAX),
            ));
            plan.directions
                .push(("x-mock-delay-ms", ABANDONED_DELAY_MS.to_string()));
            None
        }
        _ => None,
    };
    plan.directions
        .extend(fault.map(|fault| ("x-mock-fault", fault)));
    plan
}

// === impl Dice ===

impl Dice {
    fn new(seed: u64, index: u64) -> Dice {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ index);
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Both ends included; the slight bias of the remainder does not matter here.
    fn within(&mut self, first: u64, last: u64) -> u64 {
        first + self.next() % (last - first + 1)
    }

    fn kind(&mut self) -> Kind {
        let mut point = self.within(0, MIX.iter().map(|(_, weight)| weight).sum::<u64>() - 1);
        for (kind, weight) in MIX {
            if point < weight {
                return kind;
            }
            point -= weight;
        }
        Kind::Chat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_replays_from_its_seed_and_holds_every_kind() {
        let mut counts = std::collections::BTreeMap::new();
        let mut differing = 0;
        for index in 0..1_000 {
            let first = plan(String::new(), 7, index);
            assert_eq!(
                format!("{first:?}"),
                format!("{:?}", plan(String::new(), 7, index))
            );
            differing += usize::from(first.kind != plan(String::new(), 8, index).kind);
            *counts.entry(first.kind).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), MIX.len());
        assert!((300..460).contains(&counts[&Kind::Chat]), "{counts:?}");
        assert!(differing > 500);
    }
}
