//! `/admin/wallets`: showing wallets and booking credits.

pub mod change;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::extract::{Body, Id};
use super::view::{CreditJson, KeysById, List, WalletJson};
use super::{Admin, label};
use crate::ledger::credit::{Entry, EntryKind};
use crate::ledger::id::{EntryId, WalletId};
use crate::ledger::wallet::WalletView;
use crate::money::Nano;

/// Ids of credits that the config declares begin with this.
pub(super) const RESERVED_CONFIG: &str = "config:";
/// Ids of credits that come with a new key begin with this.
pub(super) const RESERVED_OPENING: &str = "opening:";

/// A credit to be booked, once per `id`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCredit {
    /// Its id, chosen by the caller: the same again is booked once.
    pub id: EntryId,
    /// Why.
    pub kind: CreditKind,
    /// How much, as a decimal string; negative only for adjustments.
    pub amount: Nano,
    /// A word for people.
    #[serde(default)]
    pub reason: String,
    /// Who books it.
    #[serde(default = "admin_actor")]
    pub actor: String,
}

/// Why a credit is booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditKind {
    /// Money paid in.
    Topup,
    /// A correction, up or down; may pass the floor.
    Adjustment,
    /// Money given back for a request.
    Refund,
}

fn admin_actor() -> String {
    "admin".to_owned()
}

/// `GET /admin/wallets`
pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<List<WalletJson>>, ApiError> {
    let keys = keys(&admin).await?;
    let mut wallets = Vec::new();
    for id in admin.ledger.wallets().await? {
        if let Some(view) = admin.ledger.wallet(id).await? {
            wallets.push(WalletJson::new(view, &admin.currency, &keys));
        }
    }
    Ok(Json(List::of(wallets)))
}

/// `GET /admin/wallets/{id}`
pub(super) async fn show(
    State(admin): State<Admin>,
    Id(id): Id<WalletId>,
) -> Result<Json<WalletJson>, ApiError> {
    view(&admin, &id).await.map(Json)
}

/// `POST /admin/wallets/{id}/credits`: 201 where it was booked now, 200 where it had been.
pub(super) async fn credit(
    State(admin): State<Admin>,
    Id(wallet): Id<WalletId>,
    Body(wish): Body<NewCredit>,
) -> Result<(StatusCode, Json<CreditJson>), ApiError> {
    check(&wish)?;
    found(&admin, &wallet).await?;
    let entry = Entry {
        id: wish.id,
        wallet,
        kind: wish.kind.into(),
        amount: wish.amount,
        reason: wish.reason,
        actor: wish.actor,
        at: admin.ledger.now(),
    };
    let credited = admin.ledger.credit(entry).await?;
    let entry = &credited.entry;
    tracing::info!(id = %entry.id, wallet = %entry.wallet, amount = %entry.amount, applied = credited.applied, "credit");
    let status = if credited.applied {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(credited.into())))
}

/// The wallet as it stands.
pub(super) async fn view(admin: &Admin, id: &WalletId) -> Result<WalletJson, ApiError> {
    let keys = keys(admin).await?;
    let view = found(admin, id).await?;
    Ok(WalletJson::new(view, &admin.currency, &keys))
}

async fn found(admin: &Admin, id: &WalletId) -> Result<WalletView, ApiError> {
    let view = admin.ledger.wallet(id.clone()).await?;
    view.ok_or_else(|| {
        ApiError::not_found(format!(
            "no wallet `{id}`: a wallet is opened by the first key that names it"
        ))
    })
}

async fn keys(admin: &Admin) -> Result<KeysById, ApiError> {
    let keys = admin.ledger.keys().await?.into_iter();
    Ok(keys.map(|key| (key.id.to_string(), key)).collect())
}

fn check(wish: &NewCredit) -> Result<(), ApiError> {
    for reserved in [RESERVED_CONFIG, RESERVED_OPENING] {
        if wish.id.as_str().starts_with(reserved) {
            return Err(ApiError::invalid(
                "id",
                format!("ids that begin with `{reserved}` are Tollgate's own"),
            ));
        }
    }
    let positive = !wish.amount.is_negative() && !wish.amount.is_zero();
    match wish.kind {
        CreditKind::Topup | CreditKind::Refund if !positive => Err(ApiError::invalid(
            "amount",
            "must be more than 0; to take money away, book an `adjustment`",
        )),
        CreditKind::Adjustment if wish.amount.is_zero() => {
            Err(ApiError::invalid("amount", "must not be 0"))
        }
        _ => Ok(()),
    }?;
    label("reason", &wish.reason)?;
    label("actor", &wish.actor)
}

impl From<CreditKind> for EntryKind {
    fn from(kind: CreditKind) -> Self {
        match kind {
            CreditKind::Topup => EntryKind::Topup,
            CreditKind::Adjustment => EntryKind::Adjustment,
            CreditKind::Refund => EntryKind::Refund,
        }
    }
}
