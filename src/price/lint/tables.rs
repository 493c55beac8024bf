//! What looks wrong in tiers, hours, and prices by size and quality.

use super::super::{HourRule, ImagePrice, PriceVersion, Tier};
use super::{OFF_FACTOR, Severity, from, off};
use crate::money::UnitPrice;
use crate::usage::Meter;

type Found = (&'static str, Severity, String);

/// Every finding, with its field.
pub(super) fn findings(version: &PriceVersion) -> Vec<Found> {
    let mut found = cheaper_tiers(version);
    found.extend(overlaps(version));
    found.extend(far_off_images(version));
    let since = from(version.effective_from);
    for (_, _, message) in &mut found {
        *message = format!("{since}: {message}");
    }
    found
}

/// A longer input that costs less.
fn cheaper_tiers(version: &PriceVersion) -> Vec<Found> {
    let tiers = version.tiers();
    let below = |index: usize| match index.checked_sub(1) {
        Some(index) => &tiers[index].rates,
        None => &version.rates,
    };
    let cheaper = |(index, tier): (usize, &Tier)| {
        let above = tier.above_input_tokens;
        let meters = Meter::ALL.into_iter();
        let meters = meters.filter(|meter| tier.rates.own(*meter) < below(index).own(*meter));
        let message = |meter: Meter| {
            format!(
                "{} above {above} input tokens is cheaper than below",
                meter.name()
            )
        };
        meters
            .map(|meter| ("tiers", Severity::Note, message(meter)))
            .collect::<Vec<_>>()
    };
    tiers.iter().enumerate().flat_map(cheaper).collect()
}

/// Rules for the same minute.
fn overlaps(version: &PriceVersion) -> Vec<Found> {
    let rules = version.hours().rules();
    let hours = |rule: &HourRule| {
        format!(
            "{}-{}",
            HourRule::clock(rule.from),
            HourRule::clock(rule.to)
        )
    };
    let mut found = Vec::new();
    for (index, one) in rules.iter().enumerate() {
        let others = rules[index + 1..].iter();
        for other in others.filter(|other| one.covers(other.from) || other.covers(one.from)) {
            let (one, other) = (hours(one), hours(other));
            let message = format!("{one} and {other} overlap; the larger factor counts");
            found.push(("hours", Severity::Warning, message));
        }
    }
    found
}

/// Images far off the others of their row.
fn far_off_images(version: &PriceVersion) -> Vec<Found> {
    let entries = version.images().entries();
    let mut prices: Vec<UnitPrice> = entries
        .iter()
        .map(|entry| entry.price)
        .chain(version.own_rate(Meter::Images))
        .filter(|price| !price.is_zero())
        .collect();
    prices.sort_unstable();
    let Some(median) = prices.get(prices.len().saturating_sub(1) / 2).copied() else {
        return Vec::new();
    };
    let far = |entry: &ImagePrice| {
        let where_ = off(entry.price, median)?;
        let words = [&entry.shape.size, &entry.shape.quality];
        let words: Vec<&str> = words.into_iter().flatten().map(|word| &**word).collect();
        let message = format!(
            "{} ({}) is {OFF_FACTOR} times or more {where_} the row's median ({median})",
            words.join(" "),
            entry.price
        );
        Some(("images", Severity::Warning, message))
    };
    entries.iter().filter_map(far).collect()
}
