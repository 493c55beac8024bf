//! The most that a request can cost, in parts that a ledger can split between grants and money.

use super::{PriceVersion, Segment, WorstCase};
use crate::money::{Nano, UnitPrice};
use crate::usage::Meter;

/// A segment's product must stay below 2^53 nano: stores that compute in doubles are exact up to there.
const SEGMENT_NANO_MAX: i64 = 1 << 53;

const INPUT_SIDE: [Meter; 6] = [
    Meter::Input,
    Meter::CachedInput,
    Meter::CacheWrite,
    Meter::CacheWriteHour,
    Meter::AudioInput,
    Meter::ImageInput,
];
const OUTPUT_SIDE: [Meter; 4] = [
    Meter::Output,
    Meter::Reasoning,
    Meter::AudioOutput,
    Meter::ImageOutput,
];

/// Why a worst case has no quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// The part's price leaves the range of exact arithmetic (2^53 nano).
    #[error("{count} units of {} cost more than can be reserved exactly", meter.name())]
    TooLarge {
        /// Which part.
        meter: Meter,
        /// How many units.
        count: u64,
    },
}

impl PriceVersion {
    /// The priced parts of a worst case, in burn order.
    ///
    /// A side of tokens is quoted at the dearest meter that it can turn out to be. Counts without
    /// a price (free versions; tokens of a model that is priced by request) are there with a price
    /// of zero, so that limits can count them.
    ///
    /// # Errors
    /// If a part reaches 2^53 nano.
    pub fn quote(&self, worst: WorstCase) -> Result<Vec<Segment>, QuoteError> {
        let text = !self.category.is_image();
        let input = self
            .dearest(&INPUT_SIDE)
            .or(text.then_some(UnitPrice::ZERO));
        let output = self
            .dearest(&OUTPUT_SIDE)
            .or(text.then_some(UnitPrice::ZERO));
        let image = self
            .own_rate(Meter::Images)
            .or((!text).then_some(UnitPrice::ZERO));
        let output_min = worst.output_tokens_min.min(worst.output_tokens);
        let parts = [
            (Meter::Input, input, worst.input_tokens, worst.input_tokens),
            (Meter::Output, output, worst.output_tokens, output_min),
            (Meter::Images, image, worst.images, worst.images),
            (Meter::Requests, self.own_rate(Meter::Requests), 1, 1),
        ];
        parts
            .into_iter()
            .filter(|(_, _, count, _)| *count > 0)
            .filter_map(|(meter, price, count, min)| Some(segment(meter, price?, count, min)))
            .collect()
    }

    /// The highest price among meters; `None` where none of them has one.
    fn dearest(&self, meters: &[Meter]) -> Option<UnitPrice> {
        meters
            .iter()
            .filter_map(|meter| self.own_rate(*meter))
            .max()
    }
}

fn segment(
    meter: Meter,
    price: UnitPrice,
    count: u64,
    count_min: u64,
) -> Result<Segment, QuoteError> {
    let exact = |unit_price: &Nano| {
        unit_price
            .checked_mul(count)
            .is_some_and(|product| product.get() < SEGMENT_NANO_MAX)
    };
    let unit_price = price
        .nano_ceil()
        .filter(exact)
        .ok_or(QuoteError::TooLarge { meter, count })?;
    Ok(Segment {
        meter,
        count,
        count_min,
        unit_price,
    })
}
