//! Terms that can be written down: what a request is priced by, for whoever settles it after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::hours::Hours;
use super::images::ImageTable;
use super::rates::Rates;
use super::version::{PriceVersion, Tier};
use super::{Category, Per, Terms, WorstCase};
use crate::money::{Factor, UnitPrice};
use crate::usage::Meter;

/// The [`Terms`] of a request that is priced by its tokens, whatever the list says by then.
///
/// The hour and the key are in it as their factors. Prices of images are not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptTerms {
    free: bool,
    hours: Factor,
    multiplier: Factor,
    rates: BTreeMap<Meter, UnitPrice>,
    tiers: Vec<KeptTier>,
    input_tokens: u64,
    output_tokens: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeptTier {
    above_input_tokens: u64,
    rates: BTreeMap<Meter, UnitPrice>,
}

impl Terms {
    /// The same to be written down.
    pub fn keep(&self) -> KeptTerms {
        let version = &self.version;
        let tier = |tier: &Tier| KeptTier {
            above_input_tokens: tier.above_input_tokens,
            rates: tier.own.written().collect(),
        };
        KeptTerms {
            free: version.free,
            hours: self.hours,
            multiplier: self.multiplier,
            rates: version.rates.written().collect(),
            tiers: version.tiers.iter().map(tier).collect(),
            input_tokens: self.worst.input_tokens,
            output_tokens: self.worst.output_tokens,
        }
    }
}

impl KeptTerms {
    /// What was written down, of a model of this category.
    pub fn terms(&self, category: Category) -> Terms {
        let base = rates(&self.rates);
        let tier = |tier: &KeptTier| {
            let own = rates(&tier.rates);
            Tier {
                above_input_tokens: tier.above_input_tokens,
                rates: own.or(&base),
                own,
            }
        };
        let version = PriceVersion {
            effective_from: None,
            free: self.free,
            per: Per::Token,
            tiers: self.tiers.iter().map(tier).collect(),
            images: ImageTable::default(),
            hours: Hours::default(),
            rates: base,
            category,
            written: Vec::new(),
        };
        Terms {
            version: Arc::new(version),
            hours: self.hours,
            multiplier: self.multiplier,
            worst: WorstCase {
                input_tokens: self.input_tokens,
                output_tokens: self.output_tokens,
                output_tokens_min: self.output_tokens,
                ..WorstCase::default()
            },
        }
    }
}

fn rates(kept: &BTreeMap<Meter, UnitPrice>) -> Rates {
    let mut rates = Rates::default();
    for (meter, price) in kept {
        rates.set(*meter, *price);
    }
    rates
}
