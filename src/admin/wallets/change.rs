//! Changing the terms of a wallet: its credit line, and free quotas beyond those of the config.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{found, view};
use crate::admin::error::ApiError;
use crate::admin::extract::{Body, Id, instant};
use crate::admin::view::{Amount, GivenJson, WalletJson};
use crate::admin::{Admin, terms};
use crate::ledger::grant::{Grant, GrantUnit};
use crate::ledger::id::{GrantId, WalletId};
use crate::ledger::wallet::NewWallet;
use crate::money::Nano;

/// What to change of a wallet.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletEdit {
    /// How far below zero it may go.
    pub credit_line: Nano,
}

/// A free quota for one wallet, given once per name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// Its name, unique in the wallet.
    pub name: GrantId,
    /// What it gives.
    pub unit: GrantUnit,
    /// How much: a whole number, or a decimal string for money.
    pub amount: Amount,
    /// For which models, by id or alias; all by default.
    #[serde(default)]
    pub models: Option<Vec<String>>,
    /// From when on nothing may be taken from it: RFC 3339, or a date in the server's time zone.
    #[serde(default)]
    pub expires_at: Option<String>,
}

/// `PATCH /admin/wallets/{id}`
pub(in crate::admin) async fn edit(
    State(admin): State<Admin>,
    Id(id): Id<WalletId>,
    Body(edit): Body<WalletEdit>,
) -> Result<Json<WalletJson>, ApiError> {
    found(&admin, &id).await?;
    let line = edit.credit_line;
    if line < Nano::ZERO {
        return Err(ApiError::invalid("credit_line", "must not be negative"));
    }
    admin.ledger.set_credit_line(id.clone(), line).await?;
    tracing::info!(wallet = %id, credit_line = %line, "credit line changed");
    view(&admin, &id).await.map(Json)
}

/// `POST /admin/wallets/{id}/grants`: 201 where it was given now, 200 where it had been.
pub(in crate::admin) async fn grant(
    State(admin): State<Admin>,
    Id(id): Id<WalletId>,
    Body(wish): Body<NewGrant>,
) -> Result<(StatusCode, Json<GivenJson>), ApiError> {
    let grant = checked(&admin, wish)?;
    let before = found(&admin, &id).await?;
    let had = before
        .grants
        .iter()
        .any(|state| state.grant.name == grant.name);
    let wallet = NewWallet {
        id: id.clone(),
        credit_line: before.credit_line,
        opening: None,
        grants: vec![grant.clone()],
    };
    admin.ledger.open_wallet(wallet).await?;
    let after = found(&admin, &id).await?;
    let given = after
        .grants
        .iter()
        .find(|state| state.grant.name == grant.name);
    match given {
        Some(state) if state.grant == grant => {
            if !had {
                tracing::info!(wallet = %id, grant = %grant.name, "grant given");
            }
            let status = if had {
                StatusCode::OK
            } else {
                StatusCode::CREATED
            };
            let given = GivenJson {
                grant: state.into(),
                applied: !had,
            };
            Ok((status, Json(given)))
        }
        _ => Err(ApiError::conflict(format!(
            "wallet `{id}` has another grant named `{}`: choose another name",
            grant.name
        ))),
    }
}

fn checked(admin: &Admin, wish: NewGrant) -> Result<Grant, ApiError> {
    let amount = match (wish.unit, wish.amount) {
        (GrantUnit::Money, Amount::Money(money)) => u64::try_from(money.get()).unwrap_or(0),
        (GrantUnit::Money, Amount::Units(_)) => {
            let message = "must be a decimal string for money, such as \"5.00\"";
            return Err(ApiError::invalid("amount", message));
        }
        (_, Amount::Units(units)) => units,
        (_, Amount::Money(_)) => {
            let message = "must be a whole number, without quotes";
            return Err(ApiError::invalid("amount", message));
        }
    };
    if !(1..=terms::CAP_MAX).contains(&amount) {
        let most = terms::CAP_MAX;
        let message = format!("must be more than 0 and at most {most} (money in nano units)");
        return Err(ApiError::invalid("amount", message));
    }
    let expires_at = match &wish.expires_at {
        Some(text) => Some(instant("expires_at", text, &admin.zone)?),
        None => None,
    };
    if expires_at.is_some_and(|at| at <= admin.ledger.now()) {
        return Err(ApiError::invalid("expires_at", "is in the past"));
    }
    let catalog = admin.catalog();
    Ok(Grant {
        name: wish.name,
        unit: wish.unit,
        amount,
        models: terms::models("models", wish.models.as_deref(), &catalog.prices)?,
        expires_at,
    })
}
