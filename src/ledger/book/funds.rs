//! Who pays for a worst case: grants first, then money; and how far it is clamped when they fall short.
//!
//! The rules, in order: a grant of requests frees the whole request; grants of tokens and of images
//! cover segments in burn order, free segments aside; grants of money pay for what is left, then the
//! balance. Everything here is exact integer arithmetic on one request; nothing is written.

use super::planted::planted;
use crate::money::Nano;
use crate::price::Segment;
use crate::usage::Unit;

/// The segments of a quote may not come to this many nano units or more: below it, every store's
/// arithmetic is exact.
const QUOTE_NANO_MAX: i64 = 1 << 53;

/// Units of grants, by unit: what is there, or what is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Free {
    pub(super) tokens: u64,
    pub(super) images: u64,
    pub(super) requests: u64,
    /// Nano units.
    pub(super) money: u64,
}

/// Who pays for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// The count of each segment, clamped where it had to be.
    pub(super) counts: Vec<u64>,
    /// What grants pay.
    pub(super) free: Free,
    /// What the balance pays.
    pub(super) money: Nano,
}

/// Why there is no split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSplit {
    /// The segments leave the range of exact arithmetic.
    TooLarge,
    /// This much is needed beyond grants, with every count as low as it may be.
    Short(Nano),
}

/// Splits a worst case between grants, of which `free` is there, and the balance, of which `available`
/// is there. Beyond that, counts are clamped so that no more than `spend_room` is asked of the
/// balance, as far as they may be; whether that was enough is for the counters to say.
pub(super) fn split(
    segments: &[Segment],
    free: Free,
    available: u64,
    spend_room: u64,
) -> Result<Split, NoSplit> {
    check_range(segments)?;
    let priced = |segment: &Segment| segment.count > 0 && !segment.unit_price.is_zero();
    if free.requests > 0 && segments.iter().any(priced) {
        return Ok(Split {
            counts: segments.iter().map(|segment| segment.count).collect(),
            free: Free {
                requests: 1,
                ..Free::default()
            },
            money: Nano::ZERO,
        });
    }
    let mut lines = cover(segments, free);
    let affordable = free.money.saturating_add(available);
    if shed(&mut lines, affordable).is_err() {
        let need = cost(&lines).saturating_sub(free.money);
        return Err(NoSplit::Short(nano(need)?));
    }
    // Short of room under a spend limit, the counts end as low as they may be, and that limit refuses.
    let _refused_later = shed(&mut lines, free.money.saturating_add(spend_room));
    let due = cost(&lines);
    let free_money = due.min(free.money);
    let covered = |unit| {
        let of_unit = lines.iter().filter(|line| line.pool == Some(unit));
        of_unit.map(|line| line.free).sum()
    };
    Ok(Split {
        free: Free {
            tokens: covered(Unit::Tokens),
            images: covered(Unit::Images),
            requests: 0,
            money: free_money,
        },
        money: nano(due - free_money)?,
        counts: lines.into_iter().map(|line| line.count).collect(),
    })
}

/// A segment and how many of its units grants cover.
struct Line {
    count: u64,
    count_min: u64,
    free: u64,
    /// Nano units; below 2^53, and so is the sum of all lines' `count` times it.
    price: u64,
    /// Which grants cover it.
    pool: Option<Unit>,
}

impl Line {
    fn paid(&self) -> u64 {
        if self.price == 0 {
            0
        } else {
            self.count - self.free
        }
    }
}

/// Whether a quote's segments are within the range of exact arithmetic.
pub(super) fn check_range(segments: &[Segment]) -> Result<(), NoSplit> {
    let fits = |amount: &Nano| (0..QUOTE_NANO_MAX).contains(&amount.get());
    let mut sum = Nano::ZERO;
    for segment in segments {
        let product = segment.unit_price.checked_mul(segment.count);
        sum = product
            .filter(|_| fits(&segment.unit_price))
            .and_then(|product| sum.checked_add(product))
            .filter(fits)
            .ok_or(NoSplit::TooLarge)?;
    }
    Ok(())
}

/// Lets grants cover the units of priced segments, in burn order.
fn cover(segments: &[Segment], free: Free) -> Vec<Line> {
    let (mut tokens, mut images) = (free.tokens, free.images);
    let line = |segment: &Segment| {
        let price = u64::try_from(segment.unit_price.get()).unwrap_or(0);
        let unit = segment.meter.unit();
        let priced = planted!(price > 0, FreeSegmentBurns => true);
        let pool = match unit {
            Unit::Tokens if priced => Some(&mut tokens),
            Unit::Images if priced => Some(&mut images),
            _ => None,
        };
        let covered = pool.map(|left| {
            let units = segment.count.min(*left);
            *left -= units;
            units
        });
        Line {
            count: segment.count,
            count_min: segment.count_min.min(segment.count),
            free: covered.unwrap_or(0),
            price,
            pool: covered.map(|_| unit),
        }
    };
    segments.iter().map(line).collect()
}

/// The money that the lines come to.
fn cost(lines: &[Line]) -> u64 {
    lines.iter().map(|line| line.paid() * line.price).sum()
}

/// Lowers counts, the last segment's first, each by as little as it takes to cost at most `budget`.
fn shed(lines: &mut [Line], budget: u64) -> Result<(), ()> {
    let mut excess = cost(lines).saturating_sub(budget);
    for last in (0..lines.len()).rev() {
        // A unit that leaves is a paid one while there are any; after those, one that a grant covers,
        // and then the grant covers a paid unit of the next segment in its stead.
        let mut spare = lines[last].count - lines[last].count_min;
        for payer in last..lines.len() {
            if excess == 0 {
                return Ok(());
            }
            let covers = payer == last
                || (lines[last].pool.is_some() && lines[payer].pool == lines[last].pool);
            if !covers || lines[payer].price == 0 {
                continue;
            }
            let price = lines[payer].price;
            let enough = planted!(excess.div_ceil(price), ClampTooLow => excess / price + 1);
            let units = enough.min(lines[payer].paid()).min(spare);
            lines[last].count -= units;
            if payer > last {
                lines[last].free -= units;
                lines[payer].free += units;
            }
            spare -= units;
            excess = excess.saturating_sub(units * lines[payer].price);
        }
    }
    if excess == 0 { Ok(()) } else { Err(()) }
}

fn nano(units: u64) -> Result<Nano, NoSplit> {
    i64::try_from(units)
        .map(Nano::new)
        .map_err(|_| NoSplit::TooLarge)
}
