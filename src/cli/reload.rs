//! Taking a changed config into use while requests run. A config that is wrong changes nothing.

mod changes;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::exit::{Exit, Failure};
use crate::admin::{check, declare};
use crate::config::{Config, Problem};
use crate::gateway::catalog::{Catalog, Current};
use crate::gateway::server::tls::Certificates;
use crate::ledger::Ledger;
use crate::ledger::grant::ModelSet;
use crate::price::{PriceBook, lint};
pub use changes::{Cause, Changes};

/// What reads a running server's config again.
pub struct Reload {
    /// The config file.
    pub path: PathBuf,
    /// Where prices and declared keys are kept.
    pub ledger: Arc<dyn Ledger>,
    /// What is offered.
    pub current: Arc<Current>,
    /// What clients are shown.
    pub certificates: Option<Arc<Certificates>>,
    /// When to do it.
    pub changes: Changes,
}

impl Reload {
    /// Reads the config whenever there is a reason to, for ever; says what came of it in the log.
    ///
    /// **Cancellation**: drop it to end it. Declared keys may then have been put in part; the next
    /// start does the rest.
    pub async fn run(mut self) {
        loop {
            let cause = self.changes.next().await;
            match &cause {
                Cause::Asked => tracing::info!("reading the config again: asked by SIGHUP"),
                Cause::Changed(file) => {
                    tracing::info!("reading the config again: {} changed", file.display());
                }
            }
            self.exchange_certificate().await;
            match self.once().await {
                Ok(catalog) => tracing::info!(
                    models = catalog.config.models.len(),
                    keys = catalog.config.keys.len(),
                    price_version = %catalog.prices.version(),
                    "the config is in use"
                ),
                Err(failure) => {
                    self.current.refuse();
                    for line in failure.to_string().lines() {
                        tracing::error!("{line}");
                    }
                    tracing::error!("the config was not taken into use: the one before stays");
                }
            }
        }
    }

    /// Whatever the config says by now, its certificate may be about to expire.
    async fn exchange_certificate(&self) {
        let Some(certificates) = self.certificates.clone() else {
            return;
        };
        match tokio::task::spawn_blocking(move || certificates.reload()).await {
            Ok(Ok(true)) => tracing::info!("the TLS certificate was exchanged"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::error!(%error, "the TLS certificate in use stays"),
            Err(error) => tracing::error!(%error, "the TLS certificate was not looked at"),
        }
    }

    /// Reads the config and takes it into use; all of it or nothing.
    async fn once(&mut self) -> Result<Arc<Catalog>, Failure> {
        let config = load(&self.path, &mut self.changes).await?;
        config.require_secrets()?;
        let before = self.current.get();
        if config.currency != before.config.currency {
            let (old, new) = (&before.config.currency, &config.currency);
            return Err(Failure::new(
                Exit::Failed,
                format!("currency: {new} needs another ledger and a restart; this one keeps {old}"),
            ));
        }
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let (config, fixed) = config.running(&before.config);
        for field in fixed {
            tracing::warn!("{field} changed: restart needed; until then it stays as it was");
        }
        let catalog = before.changed(config)?;
        let config = Arc::clone(&catalog.config);
        let declaration = check(&*self.ledger, &config).await?;
        keep_prices(&*self.ledger, &catalog.prices, Some(&before.prices)).await?;
        // The catalog first: it knows models under their old names too, so that keys of before fit
        // it. Keys of the new config might not fit the catalog of before.
        self.current.replace(catalog);
        warn(declaration.put().await?);
        let catalog = self.current.get();
        warn_of_unknown_models(&*self.ledger, &catalog.prices).await?;
        Ok(catalog)
    }
}

/// Reads the config, and watches the files that it names. Where it names new ones, it is read once
/// more: they may have changed before they were watched.
pub async fn load(path: &Path, changes: &mut Changes) -> Result<Config, Failure> {
    loop {
        let path = path.to_owned();
        let read = tokio::task::spawn_blocking(move || Config::load(&path)).await?;
        let others = match &read {
            Ok(config) => changes.follow(config.files.clone()),
            Err(error) => changes.follow_also(error.files().to_vec()),
        };
        if !others {
            return Ok(read?);
        }
    }
}

/// Makes the ledger hold what a catalog needs before its first use: its prices, and the declared keys.
pub async fn publish(ledger: &dyn Ledger, catalog: &Catalog) -> Result<(), Failure> {
    keep_prices(ledger, &catalog.prices, None).await?;
    warn(declare(ledger, &catalog.config).await?);
    warn_of_unknown_models(ledger, &catalog.prices).await
}

async fn keep_prices(
    ledger: &dyn Ledger,
    prices: &PriceBook,
    before: Option<&PriceBook>,
) -> Result<(), Failure> {
    if before.is_some_and(|before| before.version() == prices.version()) {
        return Ok(());
    }
    for finding in lint::lint(prices) {
        tracing::warn!(model = %finding.model, field = %finding.field, "price list: {}", finding.message);
    }
    ledger
        .keep_prices(prices.version().to_string(), prices.content().to_owned())
        .await?;
    Ok(())
}

fn warn(problems: Vec<Problem>) {
    for problem in problems {
        tracing::warn!("{problem}");
    }
}

/// A model that left the price list, or lost a name, may leave keys and limits behind that mean nothing now.
async fn warn_of_unknown_models(ledger: &dyn Ledger, prices: &PriceBook) -> Result<(), Failure> {
    let unknown = |models: &ModelSet| match models {
        ModelSet::All => Vec::new(),
        ModelSet::Only(names) => names
            .iter()
            .filter(|name| prices.find(name).is_none())
            .map(|name| name.to_string())
            .collect(),
    };
    for key in ledger.keys().await?.iter().filter(|key| key.enabled) {
        let limits = key
            .limits
            .iter()
            .map(|limit| (limit.name.as_str(), &limit.models));
        for (of, models) in std::iter::once(("models", &key.models)).chain(limits) {
            let names = unknown(models);
            if !names.is_empty() {
                tracing::warn!(
                    key = %key.id, of, models = names.join(","),
                    "a key names models that the price list does not have: keep the old id as an alias, \
                     or change the key"
                );
            }
        }
    }
    Ok(())
}
