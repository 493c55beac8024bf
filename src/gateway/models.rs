//! `GET /v1/models` and `GET /v1/models/{id}`: OpenAI's list, with prices and free quotas beside it.

mod pricing;

use serde_json::{Value, json};

use super::Gateway;
use crate::clock::UnixMs;
use crate::config::Words;
use crate::ledger::grant::GrantUnit;
use crate::ledger::key::Key;
use crate::ledger::wallet::WalletView;
use crate::price::Model;

/// The models that a key may use.
pub fn list(gateway: &Gateway, key: &Key, wallet: Option<&WalletView>) -> Value {
    let now = gateway.ledger.now();
    let catalog = gateway.catalog();
    let models = catalog.prices.models().iter();
    let data: Vec<Value> = models
        .filter(|model| key.models.has_any(&model.id, &model.aliases))
        .filter_map(|model| object(gateway, model, wallet, now))
        .collect();
    json!({ "object": "list", "data": data })
}

/// One model, by id or alias; `None` if it has no price in force or the key may not use it.
pub fn one(gateway: &Gateway, key: &Key, wallet: Option<&WalletView>, name: &str) -> Option<Value> {
    let catalog = gateway.catalog();
    let model = catalog.prices.find(name)?;
    key.models
        .has_any(&model.id, &model.aliases)
        .then(|| object(gateway, model, wallet, gateway.ledger.now()))?
}

fn object(
    gateway: &Gateway,
    model: &Model,
    wallet: Option<&WalletView>,
    now: UnixMs,
) -> Option<Value> {
    let price = model.at(now)?;
    let since = price.effective_from.map_or(0, |from| from.0 / 1_000);
    Some(json!({
        "id": model.id,
        "object": "model",
        "created": since,
        "owned_by": model.id.split_once('/').map_or("tollgate", |(owner, _)| owner),
        "aliases": model.aliases,
        "category": model.category.name(),
        "context_tokens": model.bounds.context_tokens,
        "max_output_tokens": model.bounds.max_output_tokens,
        "pricing": pricing::object(price, &gateway.currency),
        "free_quota": free_quota(model, wallet, now),
    }))
}

/// What is left of the wallet's free quotas that this model can use.
fn free_quota(model: &Model, wallet: Option<&WalletView>, now: UnixMs) -> Vec<Value> {
    let grants = wallet
        .map(|wallet| wallet.grants.as_slice())
        .unwrap_or_default();
    grants
        .iter()
        .filter(|state| state.grant.models.has_any(&model.id, &model.aliases))
        .filter(|state| state.grant.expires_at.is_none_or(|end| end > now))
        .map(|state| {
            json!({
                "name": state.grant.name,
                "unit": state.grant.unit,
                "amount": grant_amount(state.grant.unit, state.grant.amount),
                "remaining": grant_amount(state.grant.unit, state.remaining()),
                "expires_at": state.grant.expires_at.map(|end| end.to_string()),
            })
        })
        .collect()
}

/// Money as a decimal string, anything else as an integer.
pub fn grant_amount(unit: GrantUnit, amount: u64) -> Value {
    match unit {
        GrantUnit::Money => json!(super::receipt::nano(amount)),
        _ => json!(amount),
    }
}
