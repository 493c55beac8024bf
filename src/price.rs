//! What things cost: the price book, the quote of a worst case, and the exact charge.
//!
//! A [`PriceBook`] is immutable and named by the hash of its content. What a request is priced by is
//! fixed at its hold, as its [`Terms`]. One invariant ties their two computations together, and
//! [`Terms::charge`] is tested against it: whatever units of grants a hold took, the charge of any
//! usage within the worst case is at most the money that the quote's remaining segments come to.

mod book;
mod charge;
mod content;
mod hours;
mod images;
mod kept;
pub mod lint;
mod quote;
mod rates;
mod terms;
mod version;

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;
use crate::money::Nano;
use crate::usage::Meter;
use crate::usage::tokenizer::Tokenizer;

pub use crate::config::{Bounds, Category, MaxTokensField, Per};
pub use charge::{Priced, bound};
pub use hours::{HourRule, Hours};
pub use images::{ImagePrice, ImageShape, ImageTable};
pub use kept::KeptTerms;
pub use quote::QuoteError;
pub use terms::{Applied, Terms};
pub use version::{PriceVersion, Tier, Written};

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
#[derive(Clone, Debug, PartialEq, Eq, Default)]
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
    /// The images' size and quality, as far as the request says.
    pub shape: ImageShape,
    /// Whether the request decides their size in words that are not read: it is any then, and no default.
    pub any_size: bool,
    /// Seconds of audio.
    pub seconds: u64,
    /// Characters to be spoken.
    pub characters: u64,
    /// How often a price by the request can count; 0 is once as well.
    pub requests: u64,
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
    /// Its prices by time, the earliest first; empty only where it is [unlisted](Model::unlisted).
    pub versions: Vec<Arc<PriceVersion>>,
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
    /// What is known of a model that the list had once: its name. It has no price; the terms of its requests have.
    pub fn unlisted(id: &str) -> Model {
        Model {
            id: id.into(),
            aliases: Arc::new([]),
            category: Category::Chat,
            bounds: Bounds {
                context_tokens: 0,
                max_output_tokens: 0,
                reasoning_tokens_max: 0,
                image_tokens_max: 0,
                overhead_tokens: 0,
                images_max: 0,
                seconds_max: 0,
                characters_max: 0,
                max_tokens_field: MaxTokensField::default(),
            },
            tokenizer: Tokenizer::default(),
            versions: Vec::new(),
        }
    }

    /// The prices in force at `now`; `None` before the first.
    pub fn at(&self, now: UnixMs) -> Option<&Arc<PriceVersion>> {
        let began =
            |version: &&Arc<PriceVersion>| version.effective_from.is_none_or(|from| from <= now);
        self.versions.iter().rev().find(began)
    }
}

#[cfg(test)]
mod tests;
