//! What things cost: the price book, the quote of a worst case, and the exact charge.
//!
//! A [`PriceBook`] is immutable and named by the hash of its content. One invariant ties its two
//! computations together, and [`PriceVersion::charge`] is tested against it: whatever units of
//! grants a hold took, the charge of any usage within the worst case is at most the money that
//! the quote's remaining segments come to.

mod book;
mod charge;
pub mod lint;
mod quote;

use std::collections::HashMap;
use std::sync::Arc;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;
use crate::money::{Nano, UnitPrice};
use crate::usage::Meter;
use crate::usage::tokenizer::Tokenizer;

pub use crate::config::{Bounds, Category, MaxTokensField, Per};
pub use quote::QuoteError;

/// One priced part of a worst case, in burn order.
///
/// The ledger takes from grants first and prices the rest, so `unit_price` is rounded *up* to a nano.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The meter whose unit the count is in; for a side of a chat, its plain one (input or output).
    pub meter: Meter,
    /// The most that can be consumed.
    pub count: u64,
    /// How far a ledger may lower `count` for a key whose policy is to clamp; equal to `count` where it may not.
    pub count_min: u64,
    /// The price of one unit at the dearest meter and tier that this part can reach. Zero burns no grant.
    pub unit_price: Nano,
}

/// Units of grants, by unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FreeUnits {
    /// Tokens.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// Images.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub images: u64,
    /// Whole requests.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub requests: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The most that one request can consume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WorstCase {
    /// Input tokens of every kind.
    pub input_tokens: u64,
    /// Output tokens of every kind, over all choices.
    pub output_tokens: u64,
    /// How low the output may be clamped (as many tokens as choices, at least); equal to
    /// `output_tokens` where the key's policy is to refuse.
    pub output_tokens_min: u64,
    /// Images.
    pub images: u64,
}

/// What a usage comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Priced {
    /// The exact value of everything that units of grants did not cover, rounded once, half to even.
    pub priced: Nano,
    /// The units of grants that were burned; never more than were taken.
    pub free: FreeUnits,
}

/// All models and their prices, immutable, named by the hash of its content.
#[derive(Clone, Debug)]
pub struct PriceBook {
    version: Arc<str>,
    content: String,
    models: Vec<Arc<Model>>,
    names: HashMap<Arc<str>, Arc<Model>>,
}

/// One model of the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The canonical id.
    pub id: Arc<str>,
    /// Other names that reach it.
    pub aliases: Arc<[Arc<str>]>,
    /// What it does.
    pub category: Category,
    /// What its worst cases are computed from.
    pub bounds: Bounds,
    /// How its tokens are counted where the upstream does not say.
    pub tokenizer: Tokenizer,
    /// Its prices by time, the earliest first; never empty.
    pub versions: Vec<PriceVersion>,
}

/// What a model costs from some time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceVersion {
    /// From when on; `None` is always.
    pub effective_from: Option<UnixMs>,
    /// Whether everything is free.
    pub free: bool,
    /// What the token prices were written for; the rates are per one whatever it says.
    pub per: Per,
    rates: [Option<UnitPrice>; Meter::ALL.len()],
    category: Category,
}

impl PriceBook {
    /// The book's name: the first 12 hexadecimal digits of the SHA-256 of [`PriceBook::content`].
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// Everything that prices depend on, as canonical JSON: the same prices give the same text,
    /// in whatever order and unit the config has them.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// The model with this id or alias.
    pub fn find(&self, name: &str) -> Option<&Arc<Model>> {
        self.names.get(name)
    }

    /// Every model, in the config's order.
    pub fn models(&self) -> &[Arc<Model>] {
        &self.models
    }
}

impl Model {
    /// The prices in force at `now`; `None` before the first.
    pub fn at(&self, now: UnixMs) -> Option<&PriceVersion> {
        let began = |version: &&PriceVersion| version.effective_from.is_none_or(|from| from <= now);
        self.versions.iter().rev().find(began)
    }
}

impl PriceVersion {
    /// The same with nothing to pay.
    #[must_use]
    pub fn freed(&self) -> Self {
        PriceVersion {
            free: true,
            rates: [None; Meter::ALL.len()],
            ..self.clone()
        }
    }

    /// The price of one unit of a meter: its own, else that of its side (input, output); `None`
    /// where neither is written, as everywhere in a free version.
    pub fn rate(&self, meter: Meter) -> Option<UnitPrice> {
        self.own_rate(meter).or_else(|| match meter {
            Meter::CacheWriteHour => self.rate(Meter::CacheWrite),
            Meter::CachedInput | Meter::CacheWrite | Meter::AudioInput | Meter::ImageInput => {
                self.own_rate(Meter::Input)
            }
            Meter::Reasoning | Meter::AudioOutput | Meter::ImageOutput => {
                self.own_rate(Meter::Output)
            }
            _ => None,
        })
    }

    /// The price of one unit of a meter as the list has it, without falling back.
    pub fn own_rate(&self, meter: Meter) -> Option<UnitPrice> {
        self.rates[meter as usize]
    }

    /// Every price as the list prints it: the field's name, the price, and what it is for
    /// (such as `input`, `0.8`, [`Per::ThousandTokens`]). Empty in a free version.
    pub fn printed(&self) -> impl Iterator<Item = (&'static str, String, Per)> {
        let priced = |meter| Some((meter, self.own_rate(meter)?));
        Meter::ALL
            .into_iter()
            .filter_map(priced)
            .map(|(meter, rate)| {
                let per = match meter {
                    Meter::Images => Per::Image,
                    Meter::Requests => Per::Request,
                    _ => self.per,
                };
                (field(meter), printed(rate, per), per)
            })
    }
}

/// The config's field for a meter's price: its name, in the singular.
fn field(meter: Meter) -> &'static str {
    let name = meter.name();
    name.strip_suffix('s').unwrap_or(name)
}

/// The price of `per`, without trailing zeros.
fn printed(rate: UnitPrice, per: Per) -> String {
    let exact = Decimal::from_str_exact(&rate.to_string()).ok();
    let price = exact.and_then(|rate| rate.checked_mul(Decimal::from(per.tokens())));
    price.map_or_else(|| rate.to_string(), |price| price.normalize().to_string())
}

#[cfg(test)]
mod tests;
