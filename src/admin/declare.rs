//! Makes the ledger hold what config declares: wallets, opening balances, grants and keys.
//!
//! Runs at every start and does each thing once. What an operator did since by other means is
//! left alone: a declared balance that was edited, a revoked key, a key that left the config.
//! Those become warnings.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::terms;
use crate::config::{Config, KeyRow, Problem};
use crate::ledger::credit::{Entry, EntryKind};
use crate::ledger::grant::Grant;
use crate::ledger::id::{IdError, KeyDigest, KeyId, WalletId};
use crate::ledger::key::{Freshness, Key};
use crate::ledger::wallet::NewWallet;
use crate::ledger::{Ledger, LedgerError};
use crate::money::Nano;

/// Why the declared keys are not in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    /// Config declares what the ledger cannot hold.
    #[error("{0}")]
    Config(Problem),
    /// The ledger gave no answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Opens declared wallets, books their opening balances and grants, and puts the declared keys.
///
/// Answers what an operator should know: edits that do nothing, keys that are no longer declared.
/// A key whose secret is not set is passed over; whoever needs it there asks
/// [`Config::require_secrets`] first.
///
/// **Cancellation**: part of it may have happened; the same call again does the rest.
///
/// # Errors
/// If a declared secret or name contradicts the ledger, or the ledger gives no answer.
pub async fn declare(ledger: &dyn Ledger, config: &Config) -> Result<Vec<Problem>, DeclareError> {
    check(ledger, config).await?.put().await
}

/// What a config declares, checked against the ledger and not yet written.
pub struct Declaration<'a> {
    config: &'a Config,
    before: Vec<Arc<Key>>,
    ready: Vec<Ready<'a>>,
}

/// Checks all that [`declare`] would write; nothing is written.
///
/// # Errors
/// As [`declare`].
pub async fn check<'a>(
    ledger: &'a dyn Ledger,
    config: &'a Config,
) -> Result<Declaration<'a>, DeclareError> {
    let before = ledger.keys().await?;
    let mut ready = Vec::new();
    for (index, row) in config.keys.iter().enumerate() {
        let declared = Declared {
            ledger,
            config,
            index,
            row,
        };
        ready.extend(declared.check(&before).await?);
    }
    Ok(Declaration {
        config,
        before,
        ready,
    })
}

impl Declaration<'_> {
    /// Writes it; answers what an operator should know.
    ///
    /// # Errors
    /// If the ledger gives no answer, or was changed since the check so that it contradicts. Part of it
    /// may be written then.
    pub async fn put(self) -> Result<Vec<Problem>, DeclareError> {
        let mut warnings = Vec::new();
        for ready in self.ready {
            ready.put(&mut warnings).await?;
        }
        warnings.extend(orphans(self.config, &self.before));
        Ok(warnings)
    }
}

/// Keys that were declared once, and still work.
fn orphans(config: &Config, keys: &[Arc<Key>]) -> Vec<Problem> {
    let names: BTreeSet<&str> = config.keys.iter().map(|row| row.name.as_str()).collect();
    let orphans = keys
        .iter()
        .filter(|key| key.enabled && is_declared(key) && !names.contains(key.id.as_str()));
    let problem = |key: &Arc<Key>| Problem {
        file: config.file.clone(),
        line: 0,
        field: "keys".to_owned(),
        message: format!(
            "key `{0}` is no longer declared but still works; end it with `tollgate key revoke {0}`",
            key.id
        ),
    };
    orphans.map(problem).collect()
}

/// Ids of generated keys begin with this; a declared key's id is its name.
pub(super) const GENERATED: &str = "key_";

/// Whether a key came from the config.
pub(super) fn is_declared(key: &Key) -> bool {
    !key.id.as_str().starts_with(GENERATED)
}

/// One declared key on its way into the ledger.
struct Declared<'a> {
    ledger: &'a dyn Ledger,
    config: &'a Config,
    index: usize,
    row: &'a KeyRow,
}

/// A declared key that contradicts nothing in the ledger.
struct Ready<'a> {
    declared: Declared<'a>,
    key: Key,
    digest: KeyDigest,
    grants: Vec<Grant>,
    opening: Option<Entry>,
    /// The ledger's record of it.
    before: Option<Arc<Key>>,
}

impl<'a> Declared<'a> {
    /// `None` where the secret is not set.
    async fn check(self, before: &[Arc<Key>]) -> Result<Option<Ready<'a>>, DeclareError> {
        let Some(secret) = &self.row.secret else {
            return Ok(None);
        };
        let key = self.key()?;
        let digest = self.ledger.digest(secret.expose());
        let same_secret = self.ledger.key(digest, Freshness::Shown).await?;
        let same_id = before.iter().find(|other| other.id == key.id);
        if let Some(other) = same_secret.as_ref().filter(|other| other.id != key.id) {
            return Err(self.error(
                "secret",
                format!(
                    "key `{}` has the same secret: every key needs its own",
                    other.id
                ),
            ));
        }
        if same_secret.is_none() && same_id.is_some() {
            return Err(self.error("secret", format!(
                "it differs from the secret that `{0}` was first declared with, and a key's secret never changes; \
                 declare the new one under a new name with `wallet: {1}`, and end the old with `tollgate key revoke {0}`",
                key.id, key.wallet
            )));
        }
        if let Some(old) = same_id.filter(|old| old.enabled && old.wallet != key.wallet) {
            return Err(self.error("wallet", format!(
                "key `{}` belongs to wallet `{}` for good: declare a key with a new name for `{}`",
                key.id, old.wallet, key.wallet
            )));
        }
        Ok(Some(Ready {
            key,
            digest,
            grants: self.grants()?,
            opening: self.opening()?,
            before: same_id.cloned(),
            declared: self,
        }))
    }
    fn opening(&self) -> Result<Option<Entry>, DeclareError> {
        let row = self.row;
        let Some(amount) = row.balance.filter(|amount| *amount != Nano::ZERO) else {
            return Ok(None);
        };
        let id = format!("{}{}", super::wallets::RESERVED_CONFIG, row.name);
        Ok(Some(Entry {
            id: self.id("name", id.parse())?,
            wallet: self.id("wallet", row.wallet.parse())?,
            kind: EntryKind::Opening,
            amount,
            reason: "declared balance".to_owned(),
            actor: "config".to_owned(),
            at: self.ledger.now(),
        }))
    }

    fn grants(&self) -> Result<Vec<Grant>, DeclareError> {
        let wanted = |name: &str| {
            let names = self.row.grants.as_ref();
            names.is_none_or(|names| names.iter().any(|wanted| wanted == name))
        };
        let rows = self.config.grants.iter().filter(|row| wanted(&row.name));
        rows.map(|row| self.id("grants", terms::declared_grant(row)))
            .collect()
    }

    fn key(&self) -> Result<Key, DeclareError> {
        let row = self.row;
        let limits = row.limits.iter().map(terms::declared_limit);
        let id: KeyId = self.id("name", row.name.parse())?;
        if id.as_str().starts_with(GENERATED) {
            return Err(self.error(
                "name",
                format!("names that begin with `{GENERATED}` are those of generated keys"),
            ));
        }
        Ok(Key {
            id,
            wallet: self.id("wallet", row.wallet.parse())?,
            name: row.name.clone(),
            revision: 1,
            enabled: true,
            expires_at: row.expires,
            models: terms::declared_models(row.models.as_deref()),
            allowed_ips: row.allowed_ips.clone(),
            limits: self.id("limits", limits.collect())?,
            on_short: row.on_short,
            on_disconnect: row.on_disconnect,
            offline_allowance: row.offline_allowance,
            multiplier: row.multiplier,
            created_at: self.ledger.now(),
        })
    }

    fn id<T>(&self, field: &str, parsed: Result<T, IdError>) -> Result<T, DeclareError> {
        parsed.map_err(|error| self.error(field, error.to_string()))
    }

    fn error(&self, field: &str, message: String) -> DeclareError {
        DeclareError::Config(self.problem(field, message))
    }

    fn problem(&self, field: &str, message: String) -> Problem {
        Problem {
            file: self.config.file.clone(),
            line: self.row.line,
            field: format!("keys[{}].{field}", self.index),
            message,
        }
    }
}

impl Ready<'_> {
    async fn put(self, warnings: &mut Vec<Problem>) -> Result<(), DeclareError> {
        self.open_wallet(&self.key.wallet, warnings).await?;
        match &self.before {
            Some(old) if !old.enabled => warnings.push(self.declared.problem("name", format!(
                "key `{}` is revoked and stays so; remove it here, or declare a new one under a new name",
                self.key.id
            ))),
            Some(old) if unchanged(old, &self.key) => {}
            _ => {
                self.declared.ledger.put_key(self.key, self.digest).await?;
            }
        }
        Ok(())
    }

    async fn open_wallet(
        &self,
        id: &WalletId,
        warnings: &mut Vec<Problem>,
    ) -> Result<(), DeclareError> {
        let ledger = self.declared.ledger;
        let declared_line = self.declared.row.credit_line;
        let credit_line = declared_line.unwrap_or(Nano::ZERO);
        ledger
            .open_wallet(NewWallet {
                id: id.clone(),
                credit_line,
                opening: None,
                grants: self.grants.clone(),
            })
            .await?;
        if let Some(view) = ledger.wallet(id.clone()).await?
            && declared_line.is_some_and(|line| line != view.credit_line)
        {
            warnings.push(self.declared.problem(
                "credit_line",
                format!(
                    "wallet `{id}` has a credit line of {}; this edit does nothing: \
                     use `tollgate wallet set {id} --credit-line {credit_line}`",
                    view.credit_line
                ),
            ));
        }
        let Some(opening) = &self.opening else {
            return Ok(());
        };
        match ledger.credit(opening.clone()).await {
            Ok(_) => Ok(()),
            Err(LedgerError::Conflict(why)) => {
                warnings.push(self.declared.problem("balance", format!(
                    "it was booked when `{}` was first declared, with another amount, and this edit does nothing ({why}); \
                     use `tollgate wallet topup {id} AMOUNT`",
                    self.declared.row.name
                )));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a record says what is declared; its revision and age are the ledger's own.
fn unchanged(old: &Key, declared: &Key) -> bool {
    let declared = Key {
        revision: old.revision,
        created_at: old.created_at,
        ..declared.clone()
    };
    *old == declared
}
