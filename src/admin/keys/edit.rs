//! Changing a key that was made here. A declared key is changed in the config.

use axum::Json;
use axum::extract::State;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};

use super::plan::not_negative;
use crate::admin::error::ApiError;
use crate::admin::extract::{Body, Id, instant};
use crate::admin::terms::NewLimit;
use crate::admin::view::KeyJson;
use crate::admin::{Admin, declare, label, terms};
use crate::ledger::id::KeyId;
use crate::ledger::key::{Key, OnDisconnect, OnShort};
use crate::money::{Factor, Nano};

/// What to change of a key; what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct KeyEdit {
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub name: Option<String>,
    /// The models that it may use, by id or alias; null for all.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub models: Option<Option<Vec<String>>>,
    /// The addresses that it may be used from; empty for all.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub allowed_ips: Option<Vec<IpNet>>,
    /// All of its caps.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub limits: Option<Vec<NewLimit>>,
    /// From when on it is refused: RFC 3339, or a date in the server's time zone; null for never.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub expires_at: Option<Option<String>>,
    /// What happens when money is short.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub on_short: Option<OnShort>,
    /// What happens when its client goes away.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub on_disconnect: Option<OnDisconnect>,
    /// What each proxy may spend by it while a shared ledger is away, in each outage; 0 for nothing.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub offline_allowance: Option<Nano>,
    /// What every price is multiplied by: 0 to 1000, with at most 4 digits after the point.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub multiplier: Option<Factor>,
}

/// A field that is there. Null stands for taking a bound away, and nothing else can be null.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// `PATCH /admin/keys/{id}`: in force for the next request.
pub(in crate::admin) async fn edit(
    State(admin): State<Admin>,
    Id(id): Id<KeyId>,
    Body(edit): Body<KeyEdit>,
) -> Result<Json<KeyJson>, ApiError> {
    let _naming = admin.naming.lock().await;
    let old = super::found(&admin, &id).await?;
    if declare::is_declared(&old) {
        return Err(ApiError::conflict(format!(
            "key `{id}` is declared in the config: change it there"
        )));
    }
    if !old.enabled {
        return Err(ApiError::conflict(format!(
            "key `{id}` is revoked, and stays so: make a new one"
        )));
    }
    if let Some(name) = edit.name.as_deref().filter(|name| *name != old.name) {
        label("name", name)?;
        super::refuse_taken_name(&admin, name).await?;
    }
    let key = edited(&admin, Key::clone(&old), edit)?;
    let key = admin.ledger.edit_key(key).await?;
    tracing::info!(key = %key.id, revision = key.revision, "key changed");
    Ok(Json(KeyJson::from(&*key)))
}

fn edited(admin: &Admin, old: Key, edit: KeyEdit) -> Result<Key, ApiError> {
    let catalog = admin.catalog();
    let prices = &catalog.prices;
    let models = edit
        .models
        .map(|models| terms::models("models", models.as_deref(), prices));
    let limits = edit.limits.map(|limits| terms::limits(&limits, prices));
    let expires = edit.expires_at.map(|at| {
        at.map(|at| instant("expires_at", &at, &admin.zone))
            .transpose()
    });
    let offline = not_negative("offline_allowance", edit.offline_allowance)?;
    Ok(Key {
        name: edit.name.unwrap_or(old.name),
        models: models.transpose()?.unwrap_or(old.models),
        allowed_ips: edit.allowed_ips.unwrap_or(old.allowed_ips),
        limits: limits.transpose()?.unwrap_or(old.limits),
        expires_at: expires.transpose()?.unwrap_or(old.expires_at),
        on_short: edit.on_short.unwrap_or(old.on_short),
        on_disconnect: edit.on_disconnect.unwrap_or(old.on_disconnect),
        offline_allowance: offline.unwrap_or(old.offline_allowance),
        multiplier: edit.multiplier.unwrap_or(old.multiplier),
        ..old
    })
}
