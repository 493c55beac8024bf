//! `/admin/prices`: the price list as it is written, and what looks wrong in it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Admin;
use super::view::{Amount, List};
use crate::clock::UnixMs;
use crate::config::{Config, GrantRow, GrantUnit, ModelRow, PriceRow, Words as _};
use crate::money::Nano;
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
    /// The prices as decimal strings, by field: `input`, `output`, `image` and so on.
    #[serde(flatten)]
    pub rates: BTreeMap<String, String>,
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
    let rate = |(field, rate, _): (&str, rust_decimal::Decimal, u64)| {
        (field.to_owned(), rate.normalize().to_string())
    };
    PriceJson {
        effective_from: price.effective_from.map(UnixMs::timestamp),
        in_force,
        free: price.free,
        per: price.per.name().to_owned(),
        rates: price.written().map(rate).collect(),
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
