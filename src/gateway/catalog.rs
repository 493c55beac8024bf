//! What a reload of the config replaces, all of it at once: models, their prices, and where they are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::clock::UnixMs;
use crate::config::{Config, ConfigError, UpstreamKind};
use crate::price::{Model, PriceBook, Terms};
use crate::upstream::{SetupError, Upstreams};

/// What one version of the config offers. A request takes it once and keeps it to its end, so that
/// it never sees half of a change.
#[derive(Debug)]
pub struct Catalog {
    /// The config that says so.
    pub config: Arc<Config>,
    /// What things cost.
    pub prices: PriceBook,
    /// Where requests go.
    pub upstreams: Upstreams,
    simulates: bool,
}

/// The catalog in use. Requests that began with an earlier one keep theirs.
#[derive(Debug)]
pub struct Current {
    catalog: ArcSwap<Catalog>,
    taken: AtomicU64,
    refused: AtomicU64,
    is_latest: AtomicBool,
}

/// How the config fared since the process started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloads {
    /// How often a changed config was taken into use.
    pub taken: u64,
    /// How often one was refused.
    pub refused: u64,
    /// Whether the config that was read last is the one in use.
    pub is_latest: bool,
}

/// What a request is priced by and served from, fixed at its hold.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// When that was.
    pub held_at: UnixMs,
    /// The catalog that was in use.
    pub catalog: Arc<Catalog>,
    /// The model that was asked for.
    pub model: Arc<Model>,
    /// What it is priced by.
    pub terms: Terms,
}

/// Why a config offers nothing.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Its prices cannot be kept exactly.
    #[error(transparent)]
    Prices(#[from] ConfigError),
    /// Its endpoints cannot be reached as they are written.
    #[error(transparent)]
    Upstreams(#[from] SetupError),
}

impl Catalog {
    /// What a config offers.
    ///
    /// # Errors
    /// Where a price cannot be kept exactly, or an endpoint cannot be.
    pub fn new(config: Config) -> Result<Self, CatalogError> {
        let upstreams = Upstreams::new(&config)?;
        Catalog::with(config, upstreams)
    }

    /// What a config offers that was read anew; endpoints that did not change keep their connections.
    ///
    /// # Errors
    /// As [`Catalog::new`].
    pub fn changed(&self, config: Config) -> Result<Self, CatalogError> {
        let upstreams = self.upstreams.rebuilt(&config)?;
        Catalog::with(config, upstreams)
    }

    fn with(config: Config, upstreams: Upstreams) -> Result<Self, CatalogError> {
        let mut kinds = config.upstreams.values().map(|upstream| upstream.kind);
        Ok(Catalog {
            simulates: kinds.any(|kind| kind == UpstreamKind::Simulator),
            prices: PriceBook::new(&config)?,
            upstreams,
            config: Arc::new(config),
        })
    }

    /// The model with this id or alias. A simulated one answers with a fault where its name
    /// ends in `#` and the fault's name.
    pub fn find_model(&self, name: &str) -> Option<Arc<Model>> {
        if let Some(model) = self.prices.find(name) {
            return Some(Arc::clone(model));
        }
        let (plain, _fault) = name.split_once('#').filter(|_| self.simulates)?;
        let model = self.prices.find(plain)?;
        let route = self.upstreams.route(&model.id);
        (!route.is_empty() && route.iter().all(|endpoint| endpoint.is_simulator()))
            .then(|| Arc::clone(model))
    }
}

impl Current {
    /// Starts with a catalog.
    pub fn new(catalog: Catalog) -> Self {
        Current {
            catalog: ArcSwap::from_pointee(catalog),
            taken: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            is_latest: AtomicBool::new(true),
        }
    }

    /// The catalog in use now.
    pub fn get(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// Puts another catalog into use, for the requests that come from now on.
    pub fn replace(&self, catalog: Catalog) {
        self.catalog.store(Arc::new(catalog));
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.is_latest.store(true, Ordering::Relaxed);
    }

    /// Notes that a config was read and cannot be used: the catalog before stays.
    pub fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.is_latest.store(false, Ordering::Relaxed);
    }

    /// What came of reading the config again.
    pub fn reloads(&self) -> Reloads {
        Reloads {
            taken: self.taken.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            is_latest: self.is_latest.load(Ordering::Relaxed),
        }
    }
}
