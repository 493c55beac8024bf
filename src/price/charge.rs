//! The exact charge of a usage, given what its hold took from grants.

use super::rates::Rates;
use super::{Applied, FreeUnits, ImageShape, Segment, Terms};
use crate::money::{Atto, Nano, UnitPrice};
use crate::usage::{Meter, Unit, Usage};

/// What a usage comes to.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Priced {
    /// The exact value of everything that units of grants did not cover, rounded once, half to even.
    pub priced: Nano,
    /// The units of grants that were burned; never more than were taken.
    pub free: FreeUnits,
    /// Which of several prices it went by.
    pub applied: Applied,
    /// Whether a meter without a price went by that of another. Reasoning that is priced as output is
    /// as usual.
    pub fell_back: bool,
    /// A meter that has no price, directly or by falling back, though it should: it is in `priced`
    /// with nothing, and the whole charge is to be [`bound`].
    pub unpriced: Option<Meter>,
    /// Whether the answer states images that are dearer than any that were asked for.
    pub dearer_image: bool,
}

/// The price of an image, and what it goes by.
#[derive(Default)]
struct Image {
    price: Option<UnitPrice>,
    shape: ImageShape,
}

impl Terms {
    /// What `usage` comes to where a hold `took` these units from grants, of an answer that `stated`
    /// so much of its images.
    ///
    /// Units are burned in the order of [`Meter::ALL`], by meters that have a price only; a unit
    /// of requests frees everything. The rest is summed exactly, multiplied by the factors, and rounded
    /// once, half to even. `None` if the sum leaves the range of money, which no usage within a quote
    /// can reach.
    pub fn charge(&self, usage: &Usage, took: &FreeUnits, stated: &ImageShape) -> Option<Priced> {
        // A request is one request at least; the upstream does not have to report that.
        let usage = &usage.with(Meter::Requests, usage.get(Meter::Requests).max(1));
        if took.requests == 0 {
            return self.value(usage, took, stated);
        }
        let value = self.value(usage, &FreeUnits::default(), stated)?;
        let costs = !value.priced.is_zero() || value.unpriced.is_some();
        Some(Priced {
            priced: Nano::ZERO,
            free: FreeUnits {
                requests: u64::from(costs),
                ..FreeUnits::default()
            },
            ..value
        })
    }

    fn value(&self, usage: &Usage, took: &FreeUnits, stated: &ImageShape) -> Option<Priced> {
        let (rates, tier) = self.version.rates_of(usage);
        let image = self.image_price(usage, stated);
        let mut applied = self.factors();
        applied.above_input_tokens = tier.map(|tier| tier.above_input_tokens);
        applied.image = image.shape;
        if self.is_free() {
            return Some(Priced {
                applied,
                ..Priced::default()
            });
        }
        let mut left = *took;
        let mut sum = Atto::ZERO;
        let mut fell_back = false;
        for (meter, count) in usage.iter() {
            let Some((of, rate)) = find(rates, image.price, meter) else {
                continue;
            };
            fell_back |= of != meter && meter != Meter::Reasoning;
            if rate.is_zero() {
                continue;
            }
            let free = match meter.unit() {
                Unit::Tokens => burn(&mut left.tokens, count),
                Unit::Images => burn(&mut left.images, count),
                Unit::Seconds | Unit::Characters | Unit::Requests => 0,
            };
            sum = sum.checked_add(rate.times(count - free)?)?;
        }
        Some(Priced {
            priced: sum.round(self.scale())?,
            free: FreeUnits {
                tokens: took.tokens - left.tokens,
                images: took.images - left.images,
                requests: 0,
            },
            applied,
            fell_back,
            unpriced: self.unpriced(usage, rates, image.price),
            dearer_image: self.is_dearer(image.price),
        })
    }

    fn image_price(&self, usage: &Usage, stated: &ImageShape) -> Image {
        let table = &self.version.images;
        if usage.get(Meter::Images) == 0 {
            return Image::default();
        }
        let Some((price, shape)) = table.charged(table.asked(&self.worst), stated) else {
            return Image::default();
        };
        Image {
            price: Some(price),
            // Where there is one price only, it goes by nothing.
            shape: match table.entries().is_empty() {
                true => ImageShape::default(),
                false => shape,
            },
        }
    }

    /// Whether an image costs more than the quote took one for.
    fn is_dearer(&self, charged: Option<UnitPrice>) -> bool {
        let table = &self.version.images;
        charged > table.dearest(&table.asked(&self.worst)) && charged.is_some()
    }

    /// A meter that was consumed and should have a price. One that has none is no loss where its unit has
    /// no prices at all and something else that was consumed has one: a model that is priced by image
    /// may tell of tokens, and one that is priced by request of anything.
    fn unpriced(&self, usage: &Usage, rates: &Rates, image: Option<UnitPrice>) -> Option<Meter> {
        let has_price = |meter| find(rates, image, meter).is_some();
        let any = usage.iter().any(|(meter, _)| has_price(meter));
        let unpriced = |meter: Meter| {
            let missing = meter != Meter::Requests && !has_price(meter);
            missing && (!any || self.version.prices(meter.unit()))
        };
        let mut meters = usage.iter().map(|(meter, _)| meter);
        meters.find(|meter| unpriced(*meter))
    }
}

/// The price of a meter, and the meter that it is written for.
fn find(rates: &Rates, image: Option<UnitPrice>, meter: Meter) -> Option<(Meter, UnitPrice)> {
    match meter {
        Meter::Images => image.map(|price| (meter, price)),
        _ => rates.find(meter),
    }
}

/// Takes up to `count` from what is left, and says how many that were.
fn burn(left: &mut u64, count: u64) -> u64 {
    let burned = count.min(*left);
    *left -= burned;
    burned
}

/// What all of a hold comes to: each part at its count and price, less what was `took` from grants.
/// `None` beyond the range of money, where no hold is.
pub fn bound(segments: &[Segment], took: &FreeUnits) -> Option<(Nano, FreeUnits)> {
    let mut left = *took;
    let mut priced = Nano::ZERO;
    for segment in segments.iter().filter(|part| !part.unit_price.is_zero()) {
        let free = match segment.meter.unit() {
            Unit::Tokens => burn(&mut left.tokens, segment.count),
            Unit::Images => burn(&mut left.images, segment.count),
            Unit::Seconds | Unit::Characters | Unit::Requests => 0,
        };
        let cost = segment.unit_price.checked_mul(segment.count - free)?;
        priced = priced.checked_add(cost)?;
    }
    if took.requests > 0 {
        let requests = u64::from(!priced.is_zero());
        let free = FreeUnits {
            requests,
            ..FreeUnits::default()
        };
        return Some((Nano::ZERO, free));
    }
    let free = FreeUnits {
        tokens: took.tokens - left.tokens,
        images: took.images - left.images,
        requests: 0,
    };
    Some((priced, free))
}
