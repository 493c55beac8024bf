//! `/admin/keys`: making, showing and revoking keys.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::extract::{Body, Id, instant};
use super::terms::{self, NewLimit};
use super::view::{KeyJson, List};
use super::{Admin, label};
use crate::keygen;
use crate::ledger::credit::{Entry, EntryKind};
use crate::ledger::grant::Grant;
use crate::ledger::id::{EntryId, GrantId, IdError, KeyId, WalletId};
use crate::ledger::key::{Key, OnDisconnect, OnShort};
use crate::ledger::wallet::NewWallet;
use crate::money::Nano;

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

/// A new key as checked, before anything is written.
struct Plan {
    key: Key,
    own_wallet: bool,
    credit_line: Option<Nano>,
    opening: Option<Entry>,
    /// What a new wallet gets.
    grants_new: Vec<Grant>,
    /// What a wallet gets that is already open.
    grants_open: Vec<Grant>,
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
    refuse_taken_name(&admin, &wish.name).await?;
    let plan = plan(&admin, wish)?;
    let (wallet_opened, given) = open_wallet(&admin, &plan).await?;
    let secret = keygen::secret()?;
    let digest = admin.ledger.digest(secret.expose());
    let key = admin.ledger.put_key(plan.key, digest).await?;
    let wallet = super::wallets::view(&admin, &key.wallet).await?;
    tracing::info!(key = %key.id, wallet = %key.wallet, "key made");
    let created = CreatedKey {
        key: KeyJson::from(&*key),
        secret: secret.expose().to_owned(),
        wallet: key.wallet.clone(),
        wallet_opened,
        balance: wallet.balance,
        grants: given,
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// `GET /admin/keys`
pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<List<KeyJson>>, ApiError> {
    let keys = admin.ledger.keys().await?;
    Ok(Json(List::of(
        keys.iter().map(|key| KeyJson::from(&**key)).collect(),
    )))
}

/// `GET /admin/keys/{id}`
pub(super) async fn show(
    State(admin): State<Admin>,
    Id(id): Id<KeyId>,
) -> Result<Json<KeyJson>, ApiError> {
    let keys = admin.ledger.keys().await?;
    let key = keys.iter().find(|key| key.id == id);
    key.map(|key| Json(KeyJson::from(&**key)))
        .ok_or_else(|| ApiError::not_found(format!("no key `{id}`")))
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

fn plan(admin: &Admin, wish: NewKey) -> Result<Plan, ApiError> {
    label("name", &wish.name)?;
    if wish.name.is_empty() {
        return Err(ApiError::invalid("name", "must not be empty"));
    }
    let own_wallet = wish.wallet.is_none();
    let wallet = match wish.wallet {
        Some(wallet) => wallet,
        None => wish.name.parse().map_err(|error: IdError| {
            ApiError::invalid(
                "name",
                format!(
                    "{error}; the key's own wallet has this name: choose another, or give `wallet`"
                ),
            )
        })?,
    };
    let now = admin.ledger.now();
    let id: KeyId = generated(&keygen::id("key_")?)?;
    let expires_at = match &wish.expires_at {
        Some(text) => Some(instant("expires_at", text, &admin.zone)?),
        None => None,
    };
    if expires_at.is_some_and(|at| at <= now) {
        return Err(ApiError::invalid("expires_at", "is in the past"));
    }
    let (grants_new, grants_open) = grants(admin, &wish.grants)?;
    Ok(Plan {
        own_wallet,
        credit_line: not_negative("credit_line", wish.credit_line)?,
        opening: opening(&id, &wallet, not_negative("balance", wish.balance)?, now)?,
        grants_new,
        grants_open,
        key: Key {
            id,
            wallet,
            name: wish.name,
            revision: 1,
            enabled: true,
            expires_at,
            models: terms::models("models", wish.models.as_deref(), &admin.prices)?,
            allowed_ips: wish.allowed_ips,
            limits: terms::limits(&wish.limits, &admin.prices)?,
            on_short: wish.on_short,
            on_disconnect: wish.on_disconnect,
            created_at: now,
        },
    })
}

/// Opens the key's wallet, or joins it, and answers whether it was opened and which grants were given.
async fn open_wallet(admin: &Admin, plan: &Plan) -> Result<(bool, Vec<GrantId>), ApiError> {
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

/// The configured grants that a new wallet gets, and those that one already open gets.
fn grants(admin: &Admin, choice: &GrantChoice) -> Result<(Vec<Grant>, Vec<Grant>), ApiError> {
    let all = || admin.config.grants.iter().map(terms::declared_grant);
    let all: Vec<Grant> = all()
        .collect::<Result<_, _>>()
        .map_err(|error| ApiError::invalid("grants", error.to_string()))?;
    match choice {
        GrantChoice::Word(GrantWord::Default) => Ok((all, Vec::new())),
        GrantChoice::Word(GrantWord::None) => Ok((Vec::new(), Vec::new())),
        GrantChoice::Named(names) => {
            let find = |name: &GrantId| {
                let grant = all.iter().find(|grant| grant.name == *name).cloned();
                grant.ok_or_else(|| {
                    ApiError::invalid("grants", format!("config has no grant `{name}`"))
                })
            };
            let named: Vec<Grant> = names.iter().map(find).collect::<Result<_, _>>()?;
            Ok((named.clone(), named))
        }
    }
}

fn opening(
    key: &KeyId,
    wallet: &WalletId,
    balance: Option<Nano>,
    now: crate::clock::UnixMs,
) -> Result<Option<Entry>, ApiError> {
    let Some(amount) = balance.filter(|amount| !amount.is_zero()) else {
        return Ok(None);
    };
    let id: EntryId = generated(&format!("{}{key}", super::wallets::RESERVED_OPENING))?;
    Ok(Some(Entry {
        id,
        wallet: wallet.clone(),
        kind: EntryKind::Opening,
        amount,
        reason: "opening balance".to_owned(),
        actor: "admin".to_owned(),
        at: now,
    }))
}

fn not_negative(param: &str, amount: Option<Nano>) -> Result<Option<Nano>, ApiError> {
    match amount {
        Some(amount) if amount.is_negative() => {
            Err(ApiError::invalid(param, "must not be negative"))
        }
        amount => Ok(amount),
    }
}

/// Reads an id that was made here.
fn generated<T: std::str::FromStr<Err = IdError>>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|error: IdError| {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            error.to_string(),
        )
    })
}
