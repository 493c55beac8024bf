//! How a request gets smaller: which of its parts is the dearest, and the field that lowers it.

use crate::gateway::service::{Service, Smaller};
use crate::money::Nano;
use crate::price::Segment;
use crate::usage::{Meter, Unit};

/// The dearest part of a request that fields of it can lower.
pub(super) struct Dearest {
    /// Its share of what is needed, in the unit of that.
    pub(super) share: u64,
    /// How to lower it.
    pub(super) smaller: Smaller,
}

/// The dearest part of `need` nano units, once counts are as low as the key lets them be clamped.
pub(super) fn by_money(service: Service, segments: &[Segment], need: Nano) -> Option<Dearest> {
    dearest(service, segments, units(need), |segment| {
        cost(segment, segment.count_min)
    })
}

/// The largest part of `need` tokens or images.
pub(super) fn by_units(
    service: Service,
    segments: &[Segment],
    need: u64,
    unit: Unit,
) -> Option<Dearest> {
    dearest(service, segments, need, |segment| {
        Some(segment.count).filter(|_| segment.meter.unit() == unit)
    })
}

/// Whether free quotas would cover a part of the request, so that less than its price is needed.
pub(super) fn is_partly_free(segments: &[Segment], need: Nano) -> bool {
    let costs = segments
        .iter()
        .map(|segment| cost(segment, segment.count_min).unwrap_or(u64::MAX));
    units(need) < costs.fold(0, u64::saturating_add)
}

/// Free quotas burn from the first segment on, so that what is still needed is for the last ones.
fn dearest(
    service: Service,
    segments: &[Segment],
    need: u64,
    amount: impl Fn(&Segment) -> Option<u64>,
) -> Option<Dearest> {
    let mut left = need;
    let mut most: Option<(u64, &Segment)> = None;
    for segment in segments.iter().rev() {
        let share = amount(segment).unwrap_or(0).min(left);
        left -= share;
        if share > most.map_or(0, |(most, _)| most) {
            most = Some((share, segment));
        }
    }
    let (share, segment) = most?;
    let is_least = segment.meter == Meter::Requests && segment.count == 1;
    let smaller = service.smaller(segment.meter).filter(|_| !is_least)?;
    Some(Dearest { share, smaller })
}

fn cost(segment: &Segment, count: u64) -> Option<u64> {
    segment.unit_price.checked_mul(count).map(units)
}

fn units(money: Nano) -> u64 {
    u64::try_from(money.get()).unwrap_or(0)
}
