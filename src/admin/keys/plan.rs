//! A wish for a key, checked and turned into the ledger's types.

use std::str::FromStr;

use super::{GrantChoice, GrantWord, NewKey};
use crate::admin::error::ApiError;
use crate::admin::extract::instant;
use crate::admin::wallets::RESERVED_OPENING;
use crate::admin::{Admin, declare, label, terms};
use crate::clock::UnixMs;
use crate::config::Config;
use crate::keygen;
use crate::ledger::credit::{Entry, EntryKind};
use crate::ledger::grant::Grant;
use crate::ledger::id::{EntryId, GrantId, IdError, KeyId, WalletId};
use crate::ledger::key::Key;
use crate::money::Nano;

/// A new key as checked, before anything is written.
pub(super) struct Plan {
    pub(super) key: Key,
    pub(super) own_wallet: bool,
    pub(super) credit_line: Option<Nano>,
    pub(super) opening: Option<Entry>,
    /// What a new wallet gets.
    pub(super) grants_new: Vec<Grant>,
    /// What a wallet gets that is already open.
    pub(super) grants_open: Vec<Grant>,
}

/// Checks a wish; nothing is written.
///
/// # Errors
/// If a field is impossible, with its name.
pub(super) fn plan(admin: &Admin, wish: NewKey) -> Result<Plan, ApiError> {
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
    let id: KeyId = generated(&keygen::id(declare::GENERATED)?)?;
    let expires_at = match &wish.expires_at {
        Some(text) => Some(instant("expires_at", text, &admin.zone)?),
        None => None,
    };
    if expires_at.is_some_and(|at| at <= now) {
        return Err(ApiError::invalid("expires_at", "is in the past"));
    }
    let catalog = admin.catalog();
    let (grants_new, grants_open) = grants(&catalog.config, &wish.grants)?;
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
            models: terms::models("models", wish.models.as_deref(), &catalog.prices)?,
            allowed_ips: wish.allowed_ips,
            limits: terms::limits(&wish.limits, &catalog.prices)?,
            on_short: wish.on_short,
            on_disconnect: wish.on_disconnect,
            offline_allowance: not_negative("offline_allowance", wish.offline_allowance)?
                .unwrap_or_default(),
            multiplier: wish.multiplier,
            created_at: now,
        },
    })
}

/// The configured grants that a new wallet gets, and those that one already open gets.
fn grants(config: &Config, choice: &GrantChoice) -> Result<(Vec<Grant>, Vec<Grant>), ApiError> {
    let rows = config.grants.iter();
    let all: Vec<Grant> = rows
        .map(terms::declared_grant)
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
    now: UnixMs,
) -> Result<Option<Entry>, ApiError> {
    let Some(amount) = balance.filter(|amount| !amount.is_zero()) else {
        return Ok(None);
    };
    let id: EntryId = generated(&format!("{}{key}", RESERVED_OPENING))?;
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

pub(super) fn not_negative(param: &str, amount: Option<Nano>) -> Result<Option<Nano>, ApiError> {
    match amount {
        Some(amount) if amount.is_negative() => {
            Err(ApiError::invalid(param, "must not be negative"))
        }
        amount => Ok(amount),
    }
}

/// Reads an id that was made here.
fn generated<T: FromStr<Err = IdError>>(text: &str) -> Result<T, ApiError> {
    text.parse()
        .map_err(|error: IdError| ApiError::internal(error.to_string()))
}
