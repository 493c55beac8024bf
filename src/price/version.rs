//! What a model costs from some time on.

use super::hours::Hours;
use super::images::ImageTable;
use super::rates::{INPUT_SIDE, Rates};
use super::{Category, Per};
use crate::clock::UnixMs;
use crate::money::UnitPrice;
use crate::usage::{Meter, Unit, Usage};

/// What a model costs from some time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceVersion {
    /// From when on; `None` is always.
    pub effective_from: Option<UnixMs>,
    /// Whether everything is free.
    pub free: bool,
    /// What the token prices were written for; the rates are per one whatever it says.
    pub per: Per,
    pub(super) rates: Rates,
    pub(super) tiers: Vec<Tier>,
    pub(super) images: ImageTable,
    pub(super) hours: Hours,
    pub(super) category: Category,
    pub(super) written: Vec<Written>,
}

/// Prices of requests whose input has more tokens than a threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The threshold.
    pub above_input_tokens: u64,
    /// Those of the row where the tier has none.
    pub(super) rates: Rates,
    /// As the tier has them.
    pub(super) own: Rates,
}

/// A price as the list prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The field, such as `input`.
    pub field: &'static str,
    /// The price without trailing zeros, such as `0.8`.
    pub price: String,
    /// What it is for, such as `1M tokens` or `minute`.
    pub unit: &'static str,
}

impl PriceVersion {
    /// The same with nothing to pay.
    #[must_use]
    pub fn freed(&self) -> Self {
        PriceVersion {
            effective_from: self.effective_from,
            free: true,
            per: self.per,
            rates: Rates::default(),
            tiers: Vec::new(),
            images: ImageTable::default(),
            hours: Hours::default(),
            category: self.category,
            written: Vec::new(),
        }
    }

    /// The price of one unit of a meter in the plain tier: its own, else that of the meter it falls
    /// back to, in the end that of its side (input, output); `None` where none is written, as
    /// everywhere in a free version.
    pub fn rate(&self, meter: Meter) -> Option<UnitPrice> {
        self.rates.find(meter).map(|(_, price)| price)
    }

    /// The price of one unit of a meter as the list has it, without falling back.
    pub fn own_rate(&self, meter: Meter) -> Option<UnitPrice> {
        self.rates.own(meter)
    }

    /// Every price outside of tiers and of sizes as the list prints it. Empty in a free version.
    pub fn printed(&self) -> &[Written] {
        &self.written
    }

    /// The tiers, the lowest threshold first.
    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// The prices of images by size and quality.
    pub fn images(&self) -> &ImageTable {
        &self.images
    }

    /// What prices are multiplied by at which hours.
    pub fn hours(&self) -> &Hours {
        &self.hours
    }

    /// The tier of a request with this many input tokens.
    pub(super) fn tier(&self, input_tokens: u64) -> Option<&Tier> {
        let mut tiers = self.tiers.iter().rev();
        tiers.find(|tier| input_tokens > tier.above_input_tokens)
    }

    /// The rates of a request with this usage, all of it.
    pub(super) fn rates_of(&self, usage: &Usage) -> (&Rates, Option<&Tier>) {
        let input = INPUT_SIDE
            .into_iter()
            .fold(0_u64, |sum, meter| sum.saturating_add(usage.get(meter)));
        let tier = self.tier(input);
        (tier.map_or(&self.rates, |tier| &tier.rates), tier)
    }

    /// Whether any meter of a unit has a price.
    pub(super) fn prices(&self, unit: Unit) -> bool {
        match unit {
            Unit::Images => !self.images.is_empty(),
            _ => self.rates.written().any(|(meter, _)| meter.unit() == unit),
        }
    }
}

impl Tier {
    /// The price of one unit of a meter as the tier has it, without falling back.
    pub fn own_rate(&self, meter: Meter) -> Option<UnitPrice> {
        self.own.own(meter)
    }
}
