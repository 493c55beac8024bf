//! Taking a changed config into use while requests run. A config that is wrong changes nothing.

mod changes;

use std::path::PathBuf;
use std::sync::Arc;

use super::exit::{Exit, Failure};
use crate::admin::declare;
use crate::config::Config;
use crate::gateway::catalog::{Catalog, Current};
use crate::gateway::server::tls::Certificates;
use crate::ledger::Ledger;
use crate::price::lint;
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
        let path = self.path.clone();
        let config = tokio::task::spawn_blocking(move || Config::load(&path)).await??;
        self.changes.follow(config.files.clone());
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
        publish(&*self.ledger, &catalog, Some(&before)).await?;
        self.current.replace(catalog);
        Ok(self.current.get())
    }
}

/// Makes the ledger hold what a catalog needs before its first use: its prices, and the declared keys.
pub async fn publish(
    ledger: &dyn Ledger,
    catalog: &Catalog,
    before: Option<&Catalog>,
) -> Result<(), Failure> {
    let prices = &catalog.prices;
    if before.is_none_or(|before| before.prices.version() != prices.version()) {
        for finding in lint::lint(prices) {
            tracing::warn!(model = %finding.model, field = %finding.field, "price list: {}", finding.message);
        }
        ledger
            .keep_prices(prices.version().to_string(), prices.content().to_owned())
            .await?;
    }
    for warning in declare(ledger, &catalog.config).await? {
        tracing::warn!("{warning}");
    }
    Ok(())
}
