//! From config rows to a book, and from a book to its canonical content.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Model, PriceBook, PriceVersion, field};
use crate::clock::UnixMs;
use crate::config::{Config, ConfigError, ModelRow, PriceRow, Problem, Words as _};
use crate::money::UnitPrice;
use crate::usage::Meter;
use crate::usage::tokenizer::Tokenizer;

/// Bytes of the hash in a version's name; 12 hexadecimal digits.
const VERSION_BYTES: usize = 6;

impl PriceBook {
    /// The book of a config's models.
    ///
    /// # Errors
    /// If a price is finer or larger than exact arithmetic can hold.
    pub fn new(config: &Config) -> Result<PriceBook, ConfigError> {
        let models = config
            .models
            .iter()
            .map(|row| model(&config.file, row).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let mut names = HashMap::new();
        for model in &models {
            for name in std::iter::once(&model.id).chain(&*model.aliases) {
                names.insert(Arc::clone(name), Arc::clone(model));
            }
        }
        let content = content(&config.currency, &models);
        let version = hash(&content).into();
        Ok(PriceBook {
            version,
            content,
            models,
            names,
        })
    }
}

fn model(file: &str, row: &ModelRow) -> Result<Model, ConfigError> {
    let mut versions = row
        .prices
        .iter()
        .map(|price| version(file, row, price))
        .collect::<Result<Vec<_>, _>>()?;
    versions.sort_by_key(|version| version.effective_from);
    Ok(Model {
        id: row.id.as_str().into(),
        aliases: row
            .aliases
            .iter()
            .map(|alias| alias.as_str().into())
            .collect(),
        category: row.category,
        bounds: row.bounds.clone(),
        tokenizer: Tokenizer::new(row.tokenizer.clone(), row.bounds.image_tokens_max),
        versions,
    })
}

fn version(file: &str, row: &ModelRow, price: &PriceRow) -> Result<PriceVersion, ConfigError> {
    let mut rates = [None; Meter::ALL.len()];
    for (name, decimal, per) in price.written() {
        let rate = UnitPrice::per(decimal, per).ok_or_else(|| {
            ConfigError::of(Problem {
                file: file.to_owned(),
                line: price.line,
                field: format!("{}.{name}", row.id),
                message: format!("`{decimal}` leaves the range of exact prices"),
            })
        })?;
        rates[meter(name) as usize] = Some(rate);
    }
    Ok(PriceVersion {
        effective_from: price.effective_from,
        free: price.free,
        per: price.per,
        rates,
        category: row.category,
    })
}

/// The meter of a price field.
fn meter(name: &str) -> Meter {
    let found = Meter::ALL.into_iter().find(|meter| field(*meter) == name);
    found.expect("every price field of a row is the name of a meter")
}

fn hash(content: &str) -> String {
    let digest = Sha256::digest(content.as_bytes());
    digest
        .iter()
        .take(VERSION_BYTES)
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes every write");
            text
        })
}

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
    prices: Vec<VersionContent>,
}

#[derive(Serialize)]
struct VersionContent {
    effective_from: Option<UnixMs>,
    free: bool,
    /// Per one unit, as plain decimals.
    rates: BTreeMap<&'static str, String>,
}

fn content(currency: &str, models: &[Arc<Model>]) -> String {
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
    ModelContent {
        aliases,
        category: model.category.name(),
        context_tokens: bounds.context_tokens,
        max_output_tokens: bounds.max_output_tokens,
        reasoning_tokens_max: bounds.reasoning_tokens_max,
        image_tokens_max: bounds.image_tokens_max,
        overhead_tokens: bounds.overhead_tokens,
        images_max: bounds.images_max,
        prices: model.versions.iter().map(version_content).collect(),
    }
}

fn version_content(version: &PriceVersion) -> VersionContent {
    let rate = |meter: Meter| Some((meter.name(), version.own_rate(meter)?.to_string()));
    VersionContent {
        effective_from: version.effective_from,
        free: version.free,
        rates: Meter::ALL.into_iter().filter_map(rate).collect(),
    }
}
