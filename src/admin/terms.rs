//! The terms of a key: what config and the API say of it, as the ledger's types.
//!
//! Config was validated when it was read, and names models by canonical id; a request to the API
//! is validated here.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::ApiError;
use crate::config::{self, Words as _};
use crate::ledger::grant::{Grant, ModelSet};
use crate::ledger::id::{IdError, LimitName};
use crate::ledger::limit::{Limit, Measure, Per};
use crate::money::Nano;
use crate::price::PriceBook;

/// Caps stay below what a double holds exactly, so that every client can read them.
pub(super) const CAP_MAX: u64 = (1 << 53) - 1;

/// A cap as the API takes it: exactly one of `spend`, `tokens`, `images`, `requests`, `concurrent`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct NewLimit {
    /// Its name, unique on the key; by default as `spend-day`.
    pub name: Option<LimitName>,
    /// Money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend: Option<Nano>,
    /// Tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
    /// Requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Requests at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u64>,
    /// Over what time; needed by all but `concurrent`.
    pub per: Option<Per>,
    /// For which models, by id or alias; all by default.
    pub models: Option<Vec<String>>,
}

/// The set of these models, by canonical id; `None` is all.
///
/// # Errors
/// If the price list has no such model, with `param` to blame.
pub(super) fn models(
    param: &str,
    names: Option<&[String]>,
    prices: &PriceBook,
) -> Result<ModelSet, ApiError> {
    let Some(names) = names else {
        return Ok(ModelSet::All);
    };
    let canonical = |name: &String| {
        let model = prices.find(name).map(|model| Arc::clone(&model.id));
        model.ok_or_else(|| {
            let shown: String = name.escape_default().take(80).collect();
            ApiError::invalid(
                param,
                format!("no model `{shown}` in the price list: `tollgate prices list` shows it"),
            )
        })
    };
    let models = names
        .iter()
        .map(canonical)
        .collect::<Result<BTreeSet<_>, _>>()?;
    if models.is_empty() {
        return Err(ApiError::invalid(
            param,
            "the list is empty: name a model, or leave it out to allow all",
        ));
    }
    Ok(ModelSet::Only(models))
}

/// The limits of a new key.
///
/// # Errors
/// If one is malformed, or two have the same name.
pub(super) fn limits(rows: &[NewLimit], prices: &PriceBook) -> Result<Vec<Limit>, ApiError> {
    let mut names = BTreeSet::new();
    let mut limits = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let param = format!("limits[{index}]");
        let limit = limit(&param, row, prices)?;
        if !names.insert(limit.name.clone()) {
            return Err(ApiError::invalid(
                &format!("{param}.name"),
                format!(
                    "two limits are named `{}`: give one of them another `name`",
                    limit.name
                ),
            ));
        }
        limits.push(limit);
    }
    Ok(limits)
}

fn limit(param: &str, row: &NewLimit, prices: &PriceBook) -> Result<Limit, ApiError> {
    let (measure, cap) = cap(param, row)?;
    let per = match (measure, row.per) {
        (Measure::Concurrent, None | Some(Per::Total)) => Per::Total,
        (Measure::Concurrent, Some(_)) => {
            return Err(ApiError::invalid(
                &format!("{param}.per"),
                "`concurrent` counts requests at once and takes no `per`",
            ));
        }
        (_, Some(per)) => per,
        (_, None) => {
            return Err(ApiError::invalid(
                &format!("{param}.per"),
                "missing: one of total, minute, hour, day, week, month",
            ));
        }
    };
    let name = match &row.name {
        Some(name) => header_word(&format!("{param}.name"), name)?.clone(),
        None => default_name(measure, per)
            .parse()
            .map_err(|error: IdError| ApiError::invalid(param, error.to_string()))?,
    };
    Ok(Limit {
        name,
        measure,
        cap,
        per,
        models: models(&format!("{param}.models"), row.models.as_deref(), prices)?,
    })
}

/// A limit's name is part of a header's name.
fn header_word<'a>(param: &str, name: &'a LimitName) -> Result<&'a LimitName, ApiError> {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if name.as_str().bytes().all(fine) {
        Ok(name)
    } else {
        Err(ApiError::invalid(
            param,
            format!("`{name}` is no limit name: 1 to 64 of the characters a-z 0-9 - _"),
        ))
    }
}

fn cap(param: &str, row: &NewLimit) -> Result<(Measure, u64), ApiError> {
    let spend =
        match row.spend {
            Some(spend) => Some(u64::try_from(spend.get()).map_err(|_| {
                ApiError::invalid(&format!("{param}.spend"), "must not be negative")
            })?),
            None => None,
        };
    let mut given = [
        (Measure::Spend, spend),
        (Measure::Tokens, row.tokens),
        (Measure::Images, row.images),
        (Measure::Requests, row.requests),
        (Measure::Concurrent, row.concurrent),
    ]
    .into_iter()
    .filter_map(|(measure, cap)| Some((measure, cap?)));
    let (Some((measure, cap)), None) = (given.next(), given.next()) else {
        return Err(ApiError::invalid(
            param,
            "must have exactly one of spend, tokens, images, requests, concurrent",
        ));
    };
    if !(1..=CAP_MAX).contains(&cap) {
        return Err(ApiError::invalid(
            param,
            format!(
                "the cap must be more than 0 and at most {CAP_MAX} (for `spend`, in nano units)"
            ),
        ));
    }
    Ok((measure, cap))
}

fn default_name(measure: Measure, per: Per) -> String {
    if measure == Measure::Concurrent {
        return measure.name().to_owned();
    }
    format!("{}-{}", measure.name(), per.name())
}

/// A configured limit as the ledger's.
pub(super) fn declared_limit(row: &config::LimitRow) -> Result<Limit, IdError> {
    Ok(Limit {
        name: row.name.parse()?,
        measure: row.measure,
        cap: row.cap,
        per: row.per,
        models: declared_models(row.models.as_deref()),
    })
}

/// A configured grant as the ledger's.
pub(super) fn declared_grant(row: &config::GrantRow) -> Result<Grant, IdError> {
    Ok(Grant {
        name: row.name.parse()?,
        unit: row.unit,
        amount: row.amount,
        models: declared_models(row.models.as_deref()),
        expires_at: row.expires,
    })
}

/// A configured list of canonical ids as the ledger's set.
pub(super) fn declared_models(models: Option<&[String]>) -> ModelSet {
    models.map_or(ModelSet::All, |models| {
        ModelSet::Only(
            models
                .iter()
                .map(|model| Arc::from(model.as_str()))
                .collect(),
        )
    })
}
