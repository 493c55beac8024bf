//! `tollgate serve`: the proxy.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::app::{App, asked_to_end};
use super::exit::{EXIT_CODES, Exit, Failure};
use super::reload::{Changes, load};
use super::{Globals, ledger, say};
use crate::admin::token::{self, AdminToken, TOKEN_ENV, TokenError};
use crate::config::Config;
use crate::gateway::observe::Observer;
use crate::gateway::request_log::RequestLog;
use crate::ledger::Ledger;
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

/// How long the end waits for threads that are still at work. One can be stuck for ever, in a read of a file on a
/// mount that is gone.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Serves until it is told to end.
pub fn run(globals: &Globals, _args: &ServeArgs) -> Result<Exit, Failure> {
    telemetry::start("info");
    #[cfg(feature = "otel")]
    telemetry::traces::start()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(serve(globals));
    runtime.shutdown_timeout(LAST_WORK);
    ended
}

async fn serve(globals: &Globals) -> Result<Exit, Failure> {
    // Before anything that takes time: as the first process of a container, it would not be ended otherwise.
    let mut ending = pin!(asked_to_end()?);
    // Before the file is read: what changes from then on is noticed.
    let mut changes = Changes::of(globals.config())?;
    let Opened {
        config,
        token,
        ledger,
    } = tokio::select! {
        biased;
        // Whatever is being opened is left as a crash would leave it, which the next start takes up.
        () = &mut ending => return Ok(Exit::Fine),
        opened = open(globals, &mut changes) => opened?,
    };
    let manages = token.is_some();
    let log = config
        .server
        .request_log
        .then(|| Box::new(RequestLog) as Box<dyn Observer>);
    let app = App::start(config, ledger, token, log)
        .await?
        .reloading(globals.config().to_owned(), changes);
    announce(globals, &app, manages)?;
    app.run(ending).await?;
    Ok(Exit::Fine)
}

/// What a server is made of.
struct Opened {
    config: Config,
    token: Option<AdminToken>,
    ledger: Arc<dyn Ledger>,
}

/// Reads the config, and opens the ledger that it names.
async fn open(globals: &Globals, changes: &mut Changes) -> Result<Opened, Failure> {
    let config = load(globals.config(), changes).await;
    let config = config.map_err(Failure::config)?;
    config.require_secrets().map_err(Failure::config)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let token = token::of_environment().map_err(Failure::config)?;
    let token = match AdminToken::new(token.expose()) {
        Ok(token) => Some(token),
        Err(TokenError::Missing) => None,
        Err(error) => return Err(Failure::config(error)),
    };
    Ok(Opened {
        ledger: ledger::open(&config).await?,
        config,
        token,
    })
}

/// Says where it listens. Scripts wait for these lines, and read ports from them that were given as 0.
fn announce(globals: &Globals, app: &App, manages: bool) -> Result<(), Failure> {
    let proxy = format!("{}://{}", app.scheme(), app.address()?);
    let admin = format!("http://{}", app.admin_address()?);
    let metrics = format!("{admin}/metrics");
    if globals.json {
        let admin = manages.then_some(admin);
        let line = serde_json::json!({ "listening": proxy, "admin": admin, "metrics": metrics });
        say(&line.to_string());
    } else {
        say(&format!("listening on {proxy}"));
        say(&match manages {
            true => format!("admin API on {admin}"),
            false => format!("admin API off: set {TOKEN_ENV} to manage keys and wallets"),
        });
        say(&format!("metrics on {metrics}"));
    }
    Ok(())
}
