//! `tollgate serve`: the proxy.

use clap::Args;

use super::app::{App, asked_to_end};
use super::exit::{EXIT_CODES, Exit, Failure};
use super::reload::Changes;
use super::{Globals, say};
use crate::admin::token::{self, AdminToken, TOKEN_ENV, TokenError};
use crate::config;
use crate::gateway::observe::Observer;
use crate::gateway::request_log::RequestLog;
use crate::ledger::embedded::{Durability, Embedded, OpenOptions};
use crate::telemetry;

const EXAMPLES: &str = "Examples:
  tollgate serve
  tollgate serve --config /etc/tollgate/config.yaml
  TOLLGATE_ADMIN_TOKEN=... tollgate serve      with the admin API, for keys and wallets

SIGHUP, or a change of the config file, takes new prices, models, keys and upstreams into use; requests
that run keep the price they began with. A config that is wrong changes nothing: see the log.
SIGTERM and Ctrl-C let running requests finish (server.drain_seconds), then end the process.";

/// Run the proxy
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct ServeArgs {}

/// Serves until it is told to end.
pub fn run(globals: &Globals, _args: &ServeArgs) -> Result<Exit, Failure> {
    telemetry::start("info");
    #[cfg(feature = "otel")]
    telemetry::traces::start()?;
    let runtime = tokio::runtime::Runtime::new()?;
    // Before the file is read: what changes from then on is noticed.
    let mut changes = runtime.block_on(async { Changes::of(globals.config()) })?;
    let config = globals.load()?;
    changes.follow(config.files.clone());
    config.require_secrets()?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let token = match AdminToken::new(token::of_environment()?.expose()) {
        Ok(token) => Some(token),
        Err(TokenError::Missing) => None,
        Err(error) => return Err(error.into()),
    };
    let ledger = Embedded::open(OpenOptions {
        path: config.ledger.path.clone(),
        durability: match config.ledger.durability {
            config::Durability::Disk => Durability::Disk,
            config::Durability::Process => Durability::Process,
        },
        currency: config.currency.clone(),
        clock: None,
    })?;
    runtime.block_on(async {
        let manages = token.is_some();
        let log = config
            .server
            .request_log
            .then(|| Box::new(RequestLog) as Box<dyn Observer>);
        let app = App::start(config, ledger, token, log)
            .await?
            .reloading(globals.config().to_owned(), changes);
        // Scripts wait for these lines, and read ports from them that were given as 0.
        let proxy = format!("{}://{}", app.scheme(), app.address()?);
        let admin = format!("http://{}", app.admin_address()?);
        let metrics = format!("{admin}/metrics");
        if globals.json {
            let admin = manages.then_some(admin);
            let line =
                serde_json::json!({ "listening": proxy, "admin": admin, "metrics": metrics });
            say(&line.to_string());
        } else {
            say(&format!("listening on {proxy}"));
            say(&match manages {
                true => format!("admin API on {admin}"),
                false => format!("admin API off: set {TOKEN_ENV} to manage keys and wallets"),
            });
            say(&format!("metrics on {metrics}"));
        }
        app.run(asked_to_end()).await?;
        Ok(Exit::Fine)
    })
}
