//! `/admin/prices`: the price list as it is written, and what looks wrong in it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Admin;
use super::view::{Amount, List};
use crate::clock::UnixMs;
use crate::config::{
    Config, GrantRow, GrantUnit, HoursRow, ImageRow, ModelRow, PriceField, PriceRow, Rates,
    TierRow, Words as _,
};
use crate::money::{Factor, Nano};
use crate::price::HourRule;
use crate::price::lint::{self, LintFinding};

/// A model of the price list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelJson {
    /// Its id.
    pub id: String,
    /// Other names that reach it.
    pub aliases: Vec<String>,
    /// What it does.
    pub category: String,
    /// What prices are in.
    pub currency: String,
    /// Its prices by time, the earliest first.
    pub prices: Vec<PriceJson>,
    /// Free quotas that cover it.
    pub free_quota: Vec<QuotaJson>,
}

/// What a model costs from some time on, as printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceJson {
    /// From when on; null is always.
    pub effective_from: Option<Timestamp>,
    /// Whether it is in force now.
    pub in_force: bool,
    /// Whether everything is free.
    pub free: bool,
    /// What token prices are for, such as `1M tokens`.
    pub per: String,
    /// Prices of requests with a longer input, the lowest threshold first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<TierJson>,
    /// Prices of an image by its size and quality; `image` is that of others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageJson>,
    /// The size that an image has where the request asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_size: Option<String>,
    /// The quality that an image has where the request asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_quality: Option<String>,
    /// What prices are multiplied by at which hours, in the server's time zone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<HoursJson>,
    /// The prices as decimal strings, by field: `input`, `output`, `image` and so on.
    #[serde(flatten)]
    pub rates: BTreeMap<String, String>,
}

/// Prices of requests whose input has more tokens than a threshold; others are as beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierJson {
    /// The threshold.
    pub above_input_tokens: u64,
    /// The prices as decimal strings, by field.
    #[serde(flatten)]
    pub rates: BTreeMap<String, String>,
}

/// The price of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageJson {
    /// Of this size; of any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Of this quality; of any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// The price as a decimal string.
    pub image: String,
}

/// A factor for a part of every day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoursJson {
    /// When it begins, such as `00:30`.
    pub from: String,
    /// When it ends; on the next day where that is not after `from`.
    pub to: String,
    /// The factor as a decimal string.
    pub times: Factor,
}

/// A free quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaJson {
    /// The grant's name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// How much a new wallet gets.
    pub amount: Amount,
    /// Among how many models it is shared.
    pub shared_by: u64,
}

/// `GET /admin/prices`
pub(super) async fn list(State(admin): State<Admin>) -> Json<List<ModelJson>> {
    Json(List::of(price_list(
        &admin.catalog().config,
        admin.ledger.now(),
    )))
}

/// `GET /admin/prices/lint`
pub(super) async fn lint(State(admin): State<Admin>) -> Json<List<LintFinding>> {
    Json(List::of(lint::lint(&admin.catalog().prices)))
}

/// Every model of the price list, in the config's order, as of `now`.
pub fn price_list(config: &Config, now: UnixMs) -> Vec<ModelJson> {
    config
        .models
        .iter()
        .map(|row| model(config, row, now))
        .collect()
}

fn model(config: &Config, row: &ModelRow, now: UnixMs) -> ModelJson {
    let mut versions: Vec<&PriceRow> = row.prices.iter().collect();
    versions.sort_by_key(|price| price.effective_from);
    let began = |price: &&PriceRow| price.effective_from.is_none_or(|from| from <= now);
    let in_force = versions.iter().rposition(began);
    let prices = versions.iter().enumerate();
    ModelJson {
        id: row.id.clone(),
        aliases: row.aliases.clone(),
        category: row.category.name().to_owned(),
        currency: config.currency.clone(),
        prices: prices
            .map(|(index, price)| version(price, in_force == Some(index)))
            .collect(),
        free_quota: config
            .grants
            .iter()
            .filter(|grant| covers(grant, row))
            .map(|grant| quota(config, grant))
            .collect(),
    }
}

fn version(price: &PriceRow, in_force: bool) -> PriceJson {
    PriceJson {
        effective_from: price.effective_from.map(UnixMs::timestamp),
        in_force,
        free: price.free,
        per: price.per.name().to_owned(),
        tiers: price.tiers.iter().map(tier).collect(),
        images: price.images.iter().map(image).collect(),
        default_size: price.default_size.clone(),
        default_quality: price.default_quality.clone(),
        hours: price.hours.iter().map(hours).collect(),
        rates: rates(&price.rates),
    }
}

fn rates(rates: &Rates) -> BTreeMap<String, String> {
    let rate = |(field, price): (PriceField, Decimal)| {
        (field.name().to_owned(), price.normalize().to_string())
    };
    rates.iter().map(rate).collect()
}

fn tier(tier: &TierRow) -> TierJson {
    TierJson {
        above_input_tokens: tier.above_input_tokens,
        rates: rates(&tier.rates),
    }
}

fn image(image: &ImageRow) -> ImageJson {
    ImageJson {
        size: image.size.clone(),
        quality: image.quality.clone(),
        image: image.price.normalize().to_string(),
    }
}

fn hours(rule: &HoursRow) -> HoursJson {
    HoursJson {
        from: HourRule::clock(rule.from),
        to: HourRule::clock(rule.to),
        times: rule.times,
    }
}

fn covers(grant: &GrantRow, row: &ModelRow) -> bool {
    let models = grant.models.as_ref();
    models.is_none_or(|models| models.contains(&row.id))
}

fn quota(config: &Config, grant: &GrantRow) -> QuotaJson {
    let models = grant.models.as_ref().map_or(config.models.len(), Vec::len);
    QuotaJson {
        name: grant.name.clone(),
        unit: grant.unit.name().to_owned(),
        amount: match grant.unit {
            GrantUnit::Money => {
                Amount::Money(Nano::new(i64::try_from(grant.amount).unwrap_or(i64::MAX)))
            }
            _ => Amount::Units(grant.amount),
        },
        shared_by: u64::try_from(models).unwrap_or(u64::MAX),
    }
}
