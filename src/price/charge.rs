//! The exact charge of a usage, given what its hold took from grants.

use super::{FreeUnits, PriceVersion, Priced};
use crate::money::{Atto, Nano};
use crate::usage::{Meter, Unit, Usage};

impl PriceVersion {
    /// What `usage` comes to where a hold `took` these units from grants.
    ///
    /// Units are burned in the order of [`Meter::ALL`], by meters that have a price only; a unit
    /// of requests frees everything. The rest is summed exactly and rounded once, half to even.
    /// `None` if the sum leaves the range of money, which no usage within a quote can reach.
    pub fn charge(&self, usage: &Usage, took: &FreeUnits) -> Option<Priced> {
        let usage = &self.with_request(usage);
        if took.requests > 0 {
            let value = self.value(usage, &FreeUnits::default())?;
            let requests = u64::from(!value.priced.is_zero());
            let free = FreeUnits {
                requests,
                ..FreeUnits::default()
            };
            return Some(Priced {
                priced: Nano::ZERO,
                free,
            });
        }
        self.value(usage, took)
    }

    /// A request is one request; the upstream does not have to report that.
    fn with_request(&self, usage: &Usage) -> Usage {
        usage.with(Meter::Requests, 1)
    }

    fn value(&self, usage: &Usage, took: &FreeUnits) -> Option<Priced> {
        let mut left = *took;
        let mut sum = Atto::ZERO;
        for (meter, count) in usage.iter() {
            let Some(rate) = self.rate(meter).filter(|rate| !rate.is_zero()) else {
                continue;
            };
            let free = match meter.unit() {
                Unit::Tokens => burn(&mut left.tokens, count),
                Unit::Images => burn(&mut left.images, count),
                _ => 0,
            };
            sum = sum.checked_add(rate.times(count - free)?)?;
        }
        let free = FreeUnits {
            tokens: took.tokens - left.tokens,
            images: took.images - left.images,
            requests: 0,
        };
        Some(Priced {
            priced: sum.round()?,
            free,
        })
    }
}

/// Takes up to `count` from what is left, and says how many that were.
fn burn(left: &mut u64, count: u64) -> u64 {
    let burned = count.min(*left);
    *left -= burned;
    burned
}
