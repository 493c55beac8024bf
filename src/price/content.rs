//! The canonical content of a book, which names it: the same prices give the same text, in whatever
//! order and unit the config has them. What a book does not use is not in it, so that its name stays
//! when a new kind of price comes up.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::hours::HourRule;
use super::images::{ImagePrice, ImageShape};
use super::rates::Rates;
use super::version::{PriceVersion, Tier};
use super::{Bounds, Model};
use crate::clock::UnixMs;
use crate::config::Words as _;
use crate::money::{Factor, UnitPrice};
use crate::usage::Meter;

/// Bytes of the hash in a version's name; 12 hexadecimal digits.
const VERSION_BYTES: usize = 6;

#[derive(Serialize)]
struct Content<'a> {
    currency: &'a str,
    models: BTreeMap<&'a str, ModelContent<'a>>,
}

#[derive(Serialize)]
struct ModelContent<'a> {
    aliases: Vec<&'a str>,
    category: &'static str,
    context_tokens: u64,
    max_output_tokens: u64,
    reasoning_tokens_max: u64,
    image_tokens_max: u64,
    overhead_tokens: u64,
    images_max: u64,
    /// Where it is not the usual bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_max: Option<u64>,
    /// Where it is not the usual bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    characters_max: Option<u64>,
    prices: Vec<VersionContent<'a>>,
}

#[derive(Serialize)]
struct VersionContent<'a> {
    effective_from: Option<UnixMs>,
    free: bool,
    /// Per one unit, as plain decimals.
    rates: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tiers: Vec<TierContent>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<ImageContent<'a>>,
    #[serde(skip_serializing_if = "ImageShape::is_open")]
    image_default: ImageShape,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hours: Vec<HoursContent>,
    /// That of the hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<&'a str>,
}

#[derive(Serialize)]
struct TierContent {
    above_input_tokens: u64,
    rates: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct ImageContent<'a> {
    #[serde(flatten)]
    shape: &'a ImageShape,
    image: String,
}

#[derive(Serialize)]
struct HoursContent {
    from: String,
    to: String,
    times: Factor,
}

/// The first digits of a content's SHA-256.
pub(super) fn hash(content: &str) -> String {
    let digest = Sha256::digest(content.as_bytes());
    digest
        .iter()
        .take(VERSION_BYTES)
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes every write");
            text
        })
}

/// Everything that prices depend on, as JSON.
pub(super) fn content(currency: &str, models: &[Arc<Model>]) -> String {
    let models = models
        .iter()
        .map(|model| (&*model.id, model_content(model)))
        .collect();
    serde_json::to_string(&Content { currency, models })
        .expect("maps with text keys, texts and numbers always become JSON")
}

fn model_content(model: &Model) -> ModelContent<'_> {
    let mut aliases: Vec<&str> = model.aliases.iter().map(|alias| &**alias).collect();
    aliases.sort_unstable();
    let bounds = &model.bounds;
    let unusual = |bound: u64, usual: u64| Some(bound).filter(|bound| *bound != usual);
    ModelContent {
        aliases,
        category: model.category.name(),
        context_tokens: bounds.context_tokens,
        max_output_tokens: bounds.max_output_tokens,
        reasoning_tokens_max: bounds.reasoning_tokens_max,
        image_tokens_max: bounds.image_tokens_max,
        overhead_tokens: bounds.overhead_tokens,
        images_max: bounds.images_max,
        seconds_max: unusual(bounds.seconds_max, Bounds::SECONDS_MAX),
        characters_max: unusual(bounds.characters_max, Bounds::CHARACTERS_MAX),
        prices: model
            .versions
            .iter()
            .map(|version| version_content(version))
            .collect(),
    }
}

fn version_content(version: &PriceVersion) -> VersionContent<'_> {
    let hours = version.hours.rules();
    VersionContent {
        effective_from: version.effective_from,
        free: version.free,
        rates: rates(version.rates.written()),
        tiers: version
            .tiers
            .iter()
            .map(|each| tier(each, &version.rates))
            .collect(),
        images: version.images.entries().iter().map(image).collect(),
        image_default: version.images.default_shape().clone(),
        hours: hours.iter().map(hour).collect(),
        timezone: (!hours.is_empty()).then(|| version.hours.zone_name()),
    }
}

fn rates(written: impl Iterator<Item = (Meter, UnitPrice)>) -> BTreeMap<&'static str, String> {
    written
        .map(|(meter, rate)| (meter.name(), rate.to_string()))
        .collect()
}

/// What differs in a tier; to write a price of the row again changes nothing.
fn tier(tier: &Tier, base: &Rates) -> TierContent {
    let differs = |(meter, rate): &(Meter, UnitPrice)| base.own(*meter) != Some(*rate);
    TierContent {
        above_input_tokens: tier.above_input_tokens,
        rates: rates(tier.rates.written().filter(differs)),
    }
}

fn image(image: &ImagePrice) -> ImageContent<'_> {
    ImageContent {
        shape: &image.shape,
        image: image.price.to_string(),
    }
}

fn hour(rule: &HourRule) -> HoursContent {
    HoursContent {
        from: HourRule::clock(rule.from),
        to: HourRule::clock(rule.to),
        times: rule.times,
    }
}
