//! Prices of one unit, by meter, and what a meter without one falls back to.

use crate::config::PriceField;
use crate::money::UnitPrice;
use crate::usage::Meter;

/// The meters of input tokens.
pub(super) const INPUT_SIDE: [Meter; 6] = [
    Meter::Input,
    Meter::CachedInput,
    Meter::CacheWrite,
    Meter::CacheWriteHour,
    Meter::AudioInput,
    Meter::ImageInput,
];
/// The meters of output tokens.
pub(super) const OUTPUT_SIDE: [Meter; 4] = [
    Meter::Output,
    Meter::Reasoning,
    Meter::AudioOutput,
    Meter::ImageOutput,
];

/// A price for some of the meters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Rates([Option<UnitPrice>; Meter::ALL.len()]);

impl Rates {
    pub(super) fn set(&mut self, meter: Meter, price: UnitPrice) {
        self.0[meter as usize] = Some(price);
    }

    /// The price of one unit as it is written.
    pub(super) fn own(&self, meter: Meter) -> Option<UnitPrice> {
        self.0[meter as usize]
    }

    /// The price of one unit, and the meter under which it is written.
    pub(super) fn find(&self, meter: Meter) -> Option<(Meter, UnitPrice)> {
        match self.own(meter) {
            Some(price) => Some((meter, price)),
            None => self.find(fallback(meter)?),
        }
    }

    /// The highest price among meters; `None` where none of them has one.
    pub(super) fn dearest(&self, meters: &[Meter]) -> Option<UnitPrice> {
        meters.iter().filter_map(|meter| self.own(*meter)).max()
    }

    /// These prices, and those of `base` for meters that have none here.
    pub(super) fn or(&self, base: &Rates) -> Rates {
        let mut rates = *base;
        for (meter, price) in self.written() {
            rates.set(meter, price);
        }
        rates
    }

    /// Every meter that has a price of its own.
    pub(super) fn written(&self) -> impl Iterator<Item = (Meter, UnitPrice)> {
        Meter::ALL
            .into_iter()
            .filter_map(|meter| Some((meter, self.own(meter)?)))
    }
}

/// The meter whose price counts where one has none of its own.
fn fallback(meter: Meter) -> Option<Meter> {
    match meter {
        Meter::CacheWriteHour => Some(Meter::CacheWrite),
        Meter::CachedInput | Meter::CacheWrite | Meter::AudioInput | Meter::ImageInput => {
            Some(Meter::Input)
        }
        Meter::Reasoning | Meter::AudioOutput | Meter::ImageOutput => Some(Meter::Output),
        Meter::Input
        | Meter::Output
        | Meter::Images
        | Meter::Seconds
        | Meter::Characters
        | Meter::Requests => None,
    }
}

/// The meter that a price is of.
pub(super) fn meter(field: PriceField) -> Meter {
    match field {
        PriceField::Input => Meter::Input,
        PriceField::CachedInput => Meter::CachedInput,
        PriceField::CacheWrite => Meter::CacheWrite,
        PriceField::CacheWriteHour => Meter::CacheWriteHour,
        PriceField::AudioInput => Meter::AudioInput,
        PriceField::ImageInput => Meter::ImageInput,
        PriceField::Output => Meter::Output,
        PriceField::Reasoning => Meter::Reasoning,
        PriceField::AudioOutput => Meter::AudioOutput,
        PriceField::ImageOutput => Meter::ImageOutput,
        PriceField::Image => Meter::Images,
        PriceField::Second | PriceField::Minute => Meter::Seconds,
        PriceField::Character | PriceField::ThousandCharacters | PriceField::MillionCharacters => {
            Meter::Characters
        }
        PriceField::Request => Meter::Requests,
    }
}
