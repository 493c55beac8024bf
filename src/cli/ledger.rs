//! The ledger that the config names, opened.

use std::path::{PathBuf, absolute};
use std::sync::Arc;

use jiff::tz::TimeZone;
use tokio::task::spawn_blocking;

use super::exit::Failure;
use crate::config::{Config, LedgerKind};
use crate::ledger::Ledger;
use crate::ledger::embedded::{Embedded, OpenError, OpenOptions};
use crate::ledger::redis::scripts::Scripts;
use crate::ledger::redis::{self, Behaviour, Redis};

/// Opens the ledger that the config names.
///
/// **Cancellation**: dropped, it leaves whatever is being opened as a crash would, which the next start takes up.
pub(super) async fn open(config: &Config) -> Result<Arc<dyn Ledger>, Failure> {
    let ledger: Arc<dyn Ledger> = match config.ledger.kind {
        LedgerKind::Embedded => Arc::new(embedded(config).await?),
        LedgerKind::Redis => Arc::new(redis(config).await?),
    };
    tracing::info!(ledger = %ledger.describe(), "the ledger is open");
    Ok(ledger)
}

/// The file of the ledger that the config names, for commands that work on files.
pub(super) fn file(config: &Config) -> Result<PathBuf, Failure> {
    match config.ledger.kind {
        LedgerKind::Embedded => Ok(absolute(&config.ledger.path)?),
        LedgerKind::Redis => Err(Failure::config(
            "the config names a ledger in Redis, which is no file: back it up with Redis' own means, \
             and audit it with `tollgate audit` through a running proxy",
        )),
    }
}

async fn redis(config: &Config) -> Result<Redis, Failure> {
    let Some(options) = &config.ledger.redis else {
        return Err(Failure::config("`ledger` does not say where Redis is"));
    };
    let behaviour = Behaviour {
        currency: config.currency.clone(),
        zone: TimeZone::get(&config.server.timezone)?,
        lease_ms: config.ledger.lease_ms,
        clock: None,
        scripts: Scripts::standard(),
    };
    let opened = Redis::open(options, behaviour).await;
    opened.map_err(|error| match &error {
        redis::error::OpenError::Journal(journal) if journal.is_lasting() => Failure::config(error),
        redis::error::OpenError::Away(_)
        | redis::error::OpenError::Randomness(_)
        | redis::error::OpenError::Journal(_) => error.into(),
        _ => Failure::config(error),
    })
}

async fn embedded(config: &Config) -> Result<Embedded, Failure> {
    let options = OpenOptions {
        path: absolute(&config.ledger.path)?,
        durability: config.ledger.durability,
        currency: config.currency.clone(),
        clock: None,
    };
    spawn_blocking(move || Embedded::open(options))
        .await?
        .map_err(unopened)
}

/// Whether a ledger that cannot be opened can be opened later: who has it may go, and disks have room again.
fn unopened(error: OpenError) -> Failure {
    match error {
        OpenError::File(ref file) if file.is_lasting() => Failure::config(error),
        OpenError::Currency { .. }
        | OpenError::Schema { .. }
        | OpenError::Migration { .. }
        | OpenError::Foreign
        | OpenError::NoWal(_)
        | OpenError::MetaMissing(_)
        | OpenError::Damaged(_) => Failure::config(error),
        OpenError::InUse { .. }
        | OpenError::File(_)
        | OpenError::Copy { .. }
        | OpenError::Missing(_)
        | OpenError::Randomness(_)
        | OpenError::Thread(_)
        | OpenError::Sqlite(_) => error.into(),
    }
}
