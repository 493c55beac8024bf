//! `/admin/keys`: making, showing and revoking keys.

pub mod edit;
mod plan;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Admin;
use super::error::ApiError;
use super::extract::{Body, Id};
use super::terms::NewLimit;
use super::view::{KeyJson, List};
use crate::keygen;
use crate::ledger::credit::{Entry, EntryKind};
use crate::ledger::grant::Grant;
use crate::ledger::id::{GrantId, KeyId, WalletId};
use crate::ledger::key::{Key, OnDisconnect, OnShort};
use crate::ledger::wallet::NewWallet;
use crate::money::{Factor, Nano};

/// A key to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// A name for people, unique among keys that are not revoked.
    pub name: String,
    /// The wallet that pays, opened if need be; by default a new one with the key's name.
    #[serde(default)]
    pub wallet: Option<WalletId>,
    /// Money to begin with.
    #[serde(default)]
    pub balance: Option<Nano>,
    /// How far below zero a new wallet may go.
    #[serde(default)]
    pub credit_line: Option<Nano>,
    /// The models that it may use, by id or alias; all by default.
    #[serde(default)]
    pub models: Option<Vec<String>>,
    /// The addresses that it may be used from; all by default.
    #[serde(default)]
    pub allowed_ips: Vec<IpNet>,
    /// Its caps.
    #[serde(default)]
    pub limits: Vec<NewLimit>,
    /// From when on it is refused: RFC 3339, or a date in the server's time zone.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// What happens when money is short.
    #[serde(default)]
    pub on_short: OnShort,
    /// What happens when its client goes away.
    #[serde(default)]
    pub on_disconnect: OnDisconnect,
    /// What each proxy may spend by it while a shared ledger is away, in each outage.
    #[serde(default)]
    pub offline_allowance: Option<Nano>,
    /// What every price is multiplied by: 0 to 1000, with at most 4 digits after the point; 1 by default.
    #[serde(default)]
    pub multiplier: Factor,
    /// The free quotas that its wallet gets.
    #[serde(default)]
    pub grants: GrantChoice,
}

/// Which configured grants a wallet gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum GrantChoice {
    /// By a word.
    Word(GrantWord),
    /// These, even where the wallet is not new.
    Named(Vec<GrantId>),
}

/// A choice of grants by a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GrantWord {
    /// All of them to a new wallet, none to one that was there.
    Default,
    /// None.
    None,
}

/// A key that was made.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreatedKey {
    /// Its record.
    pub key: KeyJson,
    /// The secret. It is shown here and never again.
    pub secret: String,
    /// The wallet that pays.
    pub wallet: WalletId,
    /// Whether that wallet was opened now.
    pub wallet_opened: bool,
    /// The wallet's balance now.
    pub balance: Nano,
    /// The free quotas given now, by name.
    pub grants: Vec<GrantId>,
}

impl Default for GrantChoice {
    fn default() -> Self {
        GrantChoice::Word(GrantWord::Default)
    }
}

/// `POST /admin/keys`
pub(super) async fn create(
    State(admin): State<Admin>,
    Body(wish): Body<NewKey>,
) -> Result<(StatusCode, Json<CreatedKey>), ApiError> {
    // A task of its own: a caller that goes away must not leave a wallet without its key.
    match tokio::spawn(make(admin, wish)).await {
        Ok(made) => Ok((StatusCode::CREATED, Json(made?))),
        Err(error) => Err(ApiError::internal(error.to_string())),
    }
}

async fn make(admin: Admin, wish: NewKey) -> Result<CreatedKey, ApiError> {
    let _naming = admin.naming.lock().await;
    refuse_taken_name(&admin, &wish.name).await?;
    let plan = plan::plan(&admin, wish)?;
    let (wallet_opened, given) = open_wallet(&admin, &plan).await?;
    let secret = keygen::secret()?;
    let digest = admin.ledger.digest(secret.expose());
    let key = admin.ledger.put_key(plan.key, digest).await?;
    let wallet = super::wallets::view(&admin, &key.wallet).await?;
    tracing::info!(key = %key.id, wallet = %key.wallet, "key made");
    Ok(CreatedKey {
        key: KeyJson::from(&*key),
        secret: secret.expose().to_owned(),
        wallet: key.wallet.clone(),
        wallet_opened,
        balance: wallet.balance,
        grants: given,
    })
}

/// `GET /admin/keys`: the oldest first.
pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<List<KeyJson>>, ApiError> {
    let mut keys = admin.ledger.keys().await?;
    keys.sort_by_key(|key| key.created_at);
    Ok(Json(List::of(
        keys.iter().map(|key| KeyJson::from(&**key)).collect(),
    )))
}

/// `GET /admin/keys/{id}`
pub(super) async fn show(
    State(admin): State<Admin>,
    Id(id): Id<KeyId>,
) -> Result<Json<KeyJson>, ApiError> {
    let key = found(&admin, &id).await?;
    Ok(Json(KeyJson::from(&*key)))
}

/// `DELETE /admin/keys/{id}`
pub(super) async fn revoke(
    State(admin): State<Admin>,
    Id(id): Id<KeyId>,
) -> Result<Json<KeyJson>, ApiError> {
    let key = admin.ledger.revoke_key(id).await?;
    tracing::info!(key = %key.id, "key revoked");
    Ok(Json(KeyJson::from(&*key)))
}

async fn found(admin: &Admin, id: &KeyId) -> Result<Arc<Key>, ApiError> {
    let keys = admin.ledger.keys().await?;
    let key = keys.into_iter().find(|key| key.id == *id);
    key.ok_or_else(|| ApiError::not_found(format!("no key `{id}`")))
}

async fn refuse_taken_name(admin: &Admin, name: &str) -> Result<(), ApiError> {
    let keys = admin.ledger.keys().await?;
    match keys.iter().find(|key| key.enabled && key.name == name) {
        Some(key) => Err(ApiError::conflict(format!(
            "a key named `{name}` exists ({}): choose another name, or revoke that key first",
            key.id
        ))),
        None => Ok(()),
    }
}

/// Opens the key's wallet, or joins it, and answers whether it was opened and which grants were given.
async fn open_wallet(admin: &Admin, plan: &plan::Plan) -> Result<(bool, Vec<GrantId>), ApiError> {
    let id = &plan.key.wallet;
    let new = |opening: Option<Entry>, grants: &[Grant]| NewWallet {
        id: id.clone(),
        credit_line: plan.credit_line.unwrap_or(Nano::ZERO),
        opening,
        grants: grants.to_vec(),
    };
    let Some(before) = admin.ledger.wallet(id.clone()).await? else {
        let wallet = new(plan.opening.clone(), &plan.grants_new);
        if admin.ledger.open_wallet(wallet).await? {
            return Ok((
                true,
                plan.grants_new
                    .iter()
                    .map(|grant| grant.name.clone())
                    .collect(),
            ));
        }
        return Err(ApiError::conflict(format!(
            "wallet `{id}` was opened by someone else just now: try again"
        )));
    };
    if plan.own_wallet {
        return Err(ApiError::conflict(format!(
            "wallet `{id}` exists: choose another key name, or give `wallet` to share it"
        )));
    }
    if plan
        .credit_line
        .is_some_and(|line| line != before.credit_line)
    {
        return Err(ApiError::invalid(
            "credit_line",
            format!(
                "wallet `{id}` exists, with a credit line of {}: leave the field out",
                before.credit_line
            ),
        ));
    }
    if !plan.grants_open.is_empty() {
        admin
            .ledger
            .open_wallet(new(None, &plan.grants_open))
            .await?;
    }
    if let Some(entry) = &plan.opening {
        let kind = EntryKind::Topup;
        admin
            .ledger
            .credit(Entry {
                kind,
                ..entry.clone()
            })
            .await?;
    }
    let had: BTreeSet<&GrantId> = before
        .grants
        .iter()
        .map(|state| &state.grant.name)
        .collect();
    let names = plan.grants_open.iter().map(|grant| &grant.name);
    Ok((
        false,
        names.filter(|name| !had.contains(name)).cloned().collect(),
    ))
}
