//! From config rows to a book.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use super::content::{content, hash};
use super::hours::{HourRule, Hours};
use super::images::{ImagePrice, ImageShape, ImageTable};
use super::rates::{Rates, meter};
use super::version::{PriceVersion, Tier, Written};
use super::{Model, PriceBook};
use crate::config::{
    self, Config, ConfigError, ModelRow, PriceField, PriceRow, Problem, TierRow, Words as _,
};
use crate::money::UnitPrice;
use crate::usage::Meter;
use crate::usage::tokenizer::Tokenizer;

impl PriceBook {
    /// The book of a config's models.
    ///
    /// # Errors
    /// If a price is finer or larger than exact arithmetic can hold, or the time zone of its hours is unknown.
    pub fn new(config: &Config) -> Result<PriceBook, ConfigError> {
        let models = config
            .models
            .iter()
            .map(|row| model(config, row).map(Arc::new))
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

fn model(config: &Config, row: &ModelRow) -> Result<Model, ConfigError> {
    let version = |price| Reader { config, row, price }.version().map(Arc::new);
    let mut versions = row
        .prices
        .iter()
        .map(version)
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

/// One version on its way from the config.
struct Reader<'a> {
    config: &'a Config,
    row: &'a ModelRow,
    price: &'a PriceRow,
}

impl Reader<'_> {
    fn version(&self) -> Result<PriceVersion, ConfigError> {
        let price = self.price;
        let rates = self.rates(&price.rates)?;
        let tier = |tier: &TierRow| {
            let own = self.rates(&tier.rates)?;
            Ok(Tier {
                above_input_tokens: tier.above_input_tokens,
                rates: own.or(&rates),
                own,
            })
        };
        let tiers = price.tiers.iter().map(tier);
        Ok(PriceVersion {
            effective_from: price.effective_from,
            free: price.free,
            per: price.per,
            tiers: tiers.collect::<Result<_, _>>()?,
            images: self.images(&rates)?,
            hours: self.hours()?,
            rates,
            category: self.row.category,
            written: self.written(),
        })
    }

    fn rates(&self, written: &config::Rates) -> Result<Rates, ConfigError> {
        let mut rates = Rates::default();
        for (field, price) in written.iter() {
            rates.set(meter(field), self.unit(field, price)?);
        }
        Ok(rates)
    }

    fn unit(&self, field: PriceField, price: Decimal) -> Result<UnitPrice, ConfigError> {
        let unit = UnitPrice::per(price, field.units(self.price.per));
        unit.ok_or_else(|| {
            self.error(
                field.name(),
                format!("`{price}` leaves the range of exact prices"),
            )
        })
    }

    fn images(&self, rates: &Rates) -> Result<ImageTable, ConfigError> {
        let row = self.price;
        let entry = |image: &config::ImageRow| {
            Ok(ImagePrice {
                shape: ImageShape::read(image.size.as_deref(), image.quality.as_deref()),
                price: self.unit(PriceField::Image, image.price)?,
            })
        };
        let entries = row.images.iter().map(entry);
        let mut entries = entries.collect::<Result<Vec<_>, ConfigError>>()?;
        entries.sort_by(|a, b| a.shape.cmp(&b.shape));
        Ok(ImageTable {
            entries,
            others: rates.own(Meter::Images),
            default: ImageShape::read(row.default_size.as_deref(), row.default_quality.as_deref()),
        })
    }

    fn hours(&self) -> Result<Hours, ConfigError> {
        let rules = self.price.hours.iter().map(|rule| HourRule {
            from: rule.from,
            to: rule.to,
            times: rule.times,
        });
        let rules: Vec<HourRule> = rules.collect();
        let zone = match rules.is_empty() {
            true => TimeZone::UTC,
            false => TimeZone::get(&self.config.server.timezone)
                .map_err(|error| self.error("hours", error))?,
        };
        Ok(Hours::new(zone, rules))
    }

    fn written(&self) -> Vec<Written> {
        let per = self.price.per;
        let written = |(field, price): (PriceField, Decimal)| Written {
            field: field.name(),
            price: price.normalize().to_string(),
            unit: field.unit(per),
        };
        self.price.rates.iter().map(written).collect()
    }

    fn error(&self, field: &str, message: impl Display) -> ConfigError {
        ConfigError::of(Problem {
            file: self.config.file.clone(),
            line: self.price.line,
            field: format!("{}.{field}", self.row.id),
            message: message.to_string(),
        })
    }
}
