//! The most that a request can cost, in parts that a ledger can split between grants and money.

use std::sync::Arc;

use super::rates::{INPUT_SIDE, OUTPUT_SIDE, Rates};
use super::{Segment, Terms};
use crate::money::{Nano, Scale, UnitPrice};
use crate::usage::Meter;

/// A segment's product must stay below 2^53 nano: stores that compute in doubles are exact up to there.
const SEGMENT_NANO_MAX: i64 = 1 << 53;

/// Why a worst case has no quote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// The part's price leaves the range of exact arithmetic (2^53 nano).
    #[error("{count} units of {} cost more than can be reserved exactly", meter.name())]
    TooLarge {
        /// Which part.
        meter: Meter,
        /// How many units.
        count: u64,
    },
    /// Images of this size or quality have no price.
    #[error("{param} `{asked}` has no price; those that have are: {}", known.join(", "))]
    NoImagePrice {
        /// `size` or `quality`.
        param: &'static str,
        /// What was asked for.
        asked: Arc<str>,
        /// What has a price.
        known: Vec<Arc<str>>,
    },
}

impl Terms {
    /// The priced parts of the worst case, in burn order.
    ///
    /// A side of tokens is quoted at the dearest meter and tier that it can turn out to be, images at
    /// the dearest size and quality. Counts without a price (free versions; tokens of a model that is
    /// priced by request) are there with a price of zero, so that limits can count them.
    ///
    /// # Errors
    /// If a part reaches 2^53 nano, or the images that were asked for have no price.
    pub fn quote(&self) -> Result<Vec<Segment>, QuoteError> {
        let worst = &self.worst;
        let text = self.version.category.is_text();
        let by_tokens = self.dearest(&INPUT_SIDE).is_some() || self.dearest(&OUTPUT_SIDE).is_some();
        // Beside tokens that have a price, the length of sound or text is another view of the same.
        let plain = |meter| {
            let own = self.version.own_rate(meter);
            own.or((!by_tokens).then_some(UnitPrice::ZERO))
        };
        let tokens = |side: &[Meter]| self.dearest(side).or(text.then_some(UnitPrice::ZERO));
        let output_min = worst.output_tokens_min.min(worst.output_tokens);
        let parts = [
            (
                Meter::Input,
                tokens(&INPUT_SIDE),
                worst.input_tokens,
                worst.input_tokens,
            ),
            (
                Meter::Output,
                tokens(&OUTPUT_SIDE),
                worst.output_tokens,
                output_min,
            ),
            (Meter::Images, self.image()?, worst.images, worst.images),
            (
                Meter::Seconds,
                plain(Meter::Seconds),
                worst.seconds,
                worst.seconds,
            ),
            (
                Meter::Characters,
                plain(Meter::Characters),
                worst.characters,
                worst.characters,
            ),
            (
                Meter::Requests,
                self.version.own_rate(Meter::Requests),
                worst.requests.max(1),
                worst.requests.max(1),
            ),
        ];
        let scale = self.scale();
        parts
            .into_iter()
            .filter(|(_, _, count, _)| *count > 0)
            .filter_map(|(meter, price, count, min)| {
                Some(segment(meter, price?, scale, count, min))
            })
            .collect()
    }

    /// The highest price that a side of tokens can have, in any tier that the worst case reaches.
    fn dearest(&self, meters: &[Meter]) -> Option<UnitPrice> {
        let reached = |threshold: u64| self.worst.input_tokens > threshold;
        let tiers = self.version.tiers.iter();
        let tiers = tiers.filter(|tier| reached(tier.above_input_tokens));
        let rates = std::iter::once(&self.version.rates).chain(tiers.map(|tier| &tier.rates));
        rates
            .filter_map(|rates: &Rates| rates.dearest(meters))
            .max()
    }

    /// The price of an image; `None` where there are no images to be counted.
    fn image(&self) -> Result<Option<UnitPrice>, QuoteError> {
        let table = &self.version.images;
        if table.is_empty() {
            return Ok(self.version.category.is_image().then_some(UnitPrice::ZERO));
        }
        let asked = table.asked(&self.worst);
        let dearest = table.dearest(&asked);
        if dearest.is_none() && self.worst.images > 0 {
            let unlisted = table.unlisted(&asked);
            return Err(QuoteError::NoImagePrice {
                param: unlisted.param,
                asked: unlisted.asked,
                known: unlisted.known,
            });
        }
        Ok(dearest)
    }
}

fn segment(
    meter: Meter,
    price: UnitPrice,
    scale: Scale,
    count: u64,
    count_min: u64,
) -> Result<Segment, QuoteError> {
    let exact = |unit_price: &Nano| {
        unit_price
            .checked_mul(count)
            .is_some_and(|product| product.get() < SEGMENT_NANO_MAX)
    };
    let unit_price = price
        .nano_ceil(scale)
        .filter(exact)
        .ok_or(QuoteError::TooLarge { meter, count })?;
    Ok(Segment {
        meter,
        count,
        count_min,
        unit_price,
    })
}
