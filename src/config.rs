//! The one config file: read, with every problem found in one pass, into raw validated settings.
//!
//! Environment variables stand in string values only, as `${NAME}` or `${NAME:-default}` (`$${` is
//! a literal `${`), and are put in after the YAML was read, so that a value can never become
//! structure. An empty variable counts as missing. A missing variable is an error at once, except
//! in places that hold secrets (an upstream's `api_key`, `headers`, `query` and `proxy`, a key's
//! `secret`, the ledger's `url` and `password`): those are left out and listed in [`Config::missing`], so that `check` works without any
//! environment, and [`Config::require_secrets`] turns what is really needed into an error for `serve`.
//!
//! A secret may stand in a file of its own, which the field names as `file:/run/secrets/openai`. It is read
//! with the config, so reading the config anew reads it anew. A file that cannot be read counts as a
//! missing variable does. Relative paths begin at the config's own folder.

mod accounts;
mod error;
mod keys;
mod limits;
mod models;
mod origins;
mod price_list;
mod prices;
mod process;
mod read;
mod redis;
mod running;
mod secrets;
mod section;
mod sections;
mod text;
mod tokenizer;
mod tree;
mod upstreams;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::file;
pub use accounts::{GrantRow, GrantUnit, KeyRow, LimitRow, Measure, OnDisconnect, OnShort, Period};
pub use error::{ConfigError, Problem};
pub use price_list::{
    Bounds, Category, HoursRow, ImageRow, MaxTokensField, ModelRow, Per, PriceField, PriceRow,
    Rates, Route, TierRow, image_word,
};
pub use process::{
    AskUsage, CaFile, Caps, CorsOrigins, Durability, LedgerConfig, LedgerKind, Proxy, Server,
    TlsFiles, Upstream, UpstreamKind,
};
pub use redis::{Address, Endpoints, RedisConfig};
pub use words::Words;

/// The largest config file: a price list of a hundred thousand rows has room.
const BYTES_MAX: usize = 16 << 20;

/// Everything that the config file says, validated.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from, for messages.
    pub file: String,
    /// Where to listen and in which time zone days begin.
    pub server: Server,
    /// Where money is kept.
    pub ledger: LedgerConfig,
    /// The ledger's currency, such as `CNY`.
    pub currency: String,
    /// The model endpoints, by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// The price list.
    pub models: Vec<ModelRow>,
    /// Free quotas, given once to every new wallet (or as a key's `grants` says).
    pub grants: Vec<GrantRow>,
    /// Declared keys.
    pub keys: Vec<KeyRow>,
    /// Bounds on sizes and times, all with defaults.
    pub caps: Caps,
    /// Secrets whose environment variable is not set, or whose file cannot be read.
    pub missing: Vec<Missing>,
    /// What is allowed but looks unwise, a sentence each, as `file:line: field: text`.
    pub warnings: Vec<Problem>,
    /// Every file that it was read from (itself, secrets, certificates), or would have been had it been
    /// there. A change of one is a change of the config.
    pub files: Vec<PathBuf>,
}

/// A secret whose environment variable is not set, or whose file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The variable, or the file.
    pub what: String,
    /// The upstream or key that needs it, or the ledger.
    pub owner: Owner,
    /// Where it is named.
    pub problem: Problem,
}

/// Whose a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The upstream with this name.
    Upstream(String),
    /// The declared key with this name.
    Key(String),
    /// The ledger.
    Ledger,
}

impl Config {
    /// Reads the file at `path` with this process' environment.
    ///
    /// # Errors
    /// If the file cannot be read, and as [`Config::parse`].
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let (file, text) = read_file(path)?;
        let mut config = Config::parse(&text, &file, &|name| std::env::var(name).ok())
            .map_err(|error| error.of_files([path.to_owned()]))?;
        config.files.insert(0, path.to_owned());
        Ok(config)
    }

    /// Reads only where the server of the file at `path` listens. A file that is being edited, and
    /// that a running server therefore refuses, still tells that.
    ///
    /// # Errors
    /// If the file cannot be read or is no YAML, and if its `server` section has a problem.
    pub fn load_server(path: &Path) -> Result<Server, ConfigError> {
        let (file, text) = read_file(path)?;
        sections::server_alone(&text, &file, &|name| std::env::var(name).ok())
    }

    /// Reads the text of a config; `file` is its name in messages, `env` looks a variable up.
    ///
    /// # Errors
    /// All problems that one pass can find, each with its line and field.
    pub fn parse(
        text: &str,
        file: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigError> {
        sections::config(text, file, env)
    }

    /// Refuses to go on while a needed secret is missing: of the ledger, of every declared key, and of
    /// every upstream that a model is routed to. Other upstreams may lack theirs.
    ///
    /// # Errors
    /// All of them, each with its variable or file, line and field.
    pub fn require_secrets(&self) -> Result<(), ConfigError> {
        let used = |name: &str| {
            let mut routes = self.models.iter().flat_map(|model| &model.routes);
            routes.any(|route| route.upstream == name)
        };
        let needed = self.missing.iter().filter(|missing| match &missing.owner {
            Owner::Upstream(name) => used(name),
            Owner::Key(_) | Owner::Ledger => true,
        });
        ConfigError::unless_empty(needed.map(|missing| missing.problem.clone()).collect())
    }

    /// The same price list without the world: every model is served by the built-in simulator, and
    /// no key is declared. Nothing is missing then.
    #[must_use]
    pub fn simulated(mut self) -> Config {
        let simulator = |(name, upstream): (&String, &Upstream)| {
            (upstream.kind == UpstreamKind::Simulator).then(|| name.clone())
        };
        let name = self.upstreams.iter().find_map(simulator);
        let name = name.unwrap_or_else(|| "simulator".to_owned());
        self.upstreams
            .retain(|_, upstream| upstream.kind == UpstreamKind::Simulator);
        self.upstreams
            .entry(name.clone())
            .or_insert_with(Upstream::simulator);
        for model in &mut self.models {
            model.routes = vec![Route {
                upstream: name.clone(),
                model: model.id.clone(),
                weight: 1,
                priority: 0,
            }];
        }
        self.keys.clear();
        self.missing.clear();
        self
    }
}

/// A file's name in messages, and its text.
fn read_file(path: &Path) -> Result<(String, String), ConfigError> {
    let file = path.display().to_string();
    let text = file::read(path, BYTES_MAX)
        .map_err(|error| error.to_string())
        .and_then(|bytes| match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err("is not UTF-8 text".to_owned()),
        });
    text.map(|text| (file.clone(), text))
        .map_err(|what| ConfigError::of_file(&file, format!("{what}; --config names another file")))
}

#[cfg(test)]
mod tests;
