//! The rules of grants and clamping once more, unit by unit: too slow for use, too plain to be wrong.

use crate::clock::UnixMs;
use crate::ledger::grant::{Grant, GrantUnit};
use crate::price::Segment;
use crate::usage::Unit;

/// A grant in the model, with what is left of it.
#[derive(Clone, Debug)]
pub(super) struct Left {
    pub(super) grant: Grant,
    pub(super) rest: u64,
}

/// What a worst case comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Worst {
    pub(super) counts: Vec<u64>,
    /// Name of the grant and units, in the order of first use.
    pub(super) taken: Vec<(String, GrantUnit, u64)>,
    pub(super) money: u64,
}

/// What these counts cost.
pub(super) fn worst(
    segments: &[Segment],
    counts: &[u64],
    left: &[Left],
    names: &[&str],
    now: UnixMs,
) -> Worst {
    let mut left: Vec<Left> = left.to_vec();
    left.retain(|left| names.iter().any(|name| left.grant.models.has(name)));
    left.retain(|left| left.grant.expires_at.is_none_or(|end| end > now));
    left.sort_by_key(|left| {
        let grant = &left.grant;
        (
            grant.expires_at.is_none(),
            grant.expires_at,
            grant.models.width(),
            grant.name.clone(),
        )
    });
    let mut taken: Vec<(String, GrantUnit, u64)> = Vec::new();
    let mut take_one = |unit: GrantUnit| {
        let place = left
            .iter()
            .position(|left| left.grant.unit == unit && left.rest > 0);
        let Some(place) = place else { return false };
        left[place].rest -= 1;
        let name = left[place].grant.name.to_string();
        match taken.iter_mut().find(|take| take.0 == name) {
            Some(take) => take.2 += 1,
            None => taken.push((name, unit, 1)),
        }
        true
    };
    let mut money = 0;
    let costs = |(segment, count): (&Segment, &u64)| segment.unit_price.get() > 0 && *count > 0;
    if segments.iter().zip(counts).any(costs) && take_one(GrantUnit::Requests) {
        return Worst {
            counts: counts.to_vec(),
            taken,
            money: 0,
        };
    }
    let mut due = 0_u64;
    for unit in [
        Unit::Tokens,
        Unit::Images,
        Unit::Seconds,
        Unit::Characters,
        Unit::Requests,
    ] {
        for (segment, count) in segments.iter().zip(counts) {
            let price = u64::try_from(segment.unit_price.get()).expect("prices are not negative");
            if segment.meter.unit() != unit || price == 0 {
                continue;
            }
            for _ in 0..*count {
                let free = match unit {
                    Unit::Tokens => take_one(GrantUnit::Tokens),
                    Unit::Images => take_one(GrantUnit::Images),
                    _ => false,
                };
                due += if free { 0 } else { price };
            }
        }
    }
    for _ in 0..due {
        money += u64::from(!take_one(GrantUnit::Money));
    }
    Worst {
        counts: counts.to_vec(),
        taken,
        money,
    }
}

/// Lowers counts one by one, the last segment's first, until the cost passes `fits` or nothing is left to lower.
/// A count that brings nothing by being lowered is not.
pub(super) fn clamped(
    segments: &[Segment],
    from: &[u64],
    cost: impl Fn(&[u64]) -> u64,
    budget: u64,
) -> Vec<u64> {
    let mut counts = from.to_vec();
    for place in (0..segments.len()).rev() {
        while cost(&counts) > budget && counts[place] > segments[place].count_min {
            let mut fewer = counts.clone();
            fewer[place] -= 1;
            if cost(&fewer) == cost(&counts) {
                break;
            }
            counts = fewer;
        }
    }
    counts
}
