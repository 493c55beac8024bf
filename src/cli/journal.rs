//! `tollgate journal`: what waits in the journal of a proxy that does not run, and its delivery to Redis.

use std::path::{PathBuf, absolute};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::table::Table;
use super::{Globals, block_on};
use crate::config::RedisConfig;
use crate::ledger::id::StoreId;
use crate::ledger::journal::Visit;
use crate::ledger::redis::error::{LinkError, OpenError};
use crate::ledger::redis::layout::Layout;
use crate::ledger::redis::leftover::{
    Delivered, LeftoverError, Opening, Suspended, deliver, status, store_id, suspended,
};
use crate::ledger::redis::link::Link;
use crate::ledger::redis::remote::Remote;
use crate::ledger::redis::scripts::Scripts;

const EXAMPLES: &str = "Examples:
  tollgate journal status                              the config's journal, and what Redis has of it
  tollgate journal status --journal old/journal.db     of another proxy
  tollgate journal replay --journal old/journal.db     deliver it: for a proxy that never comes back

A proxy that runs has its journal open, and shows the same at /readyz and /metrics; when it starts it
delivers what waits by itself. Delivering twice, or from a copy, changes nothing.
Exits with 3 where something waits or was put aside.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum JournalCommand {
    /// What the journal holds, what of it Redis lacks, and what Redis has put aside
    Status(JournalArgs),
    /// Send Redis what it lacks
    Replay(JournalArgs),
}

#[derive(Debug, Args)]
pub(super) struct JournalArgs {
    /// The journal's file, instead of the config's ledger.journal
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Report {
    journal: PathBuf,
    store_id: Option<StoreId>,
    /// Why Redis could not be asked; then `waiting` is what the file knows.
    redis: Option<String>,
    openings: Vec<Opening>,
    suspended: Vec<Suspended>,
}

pub(super) fn run(globals: &Globals, command: &JournalCommand) -> Result<Exit, Failure> {
    let (JournalCommand::Status(args) | JournalCommand::Replay(args)) = command;
    let config = globals.load()?;
    let Some(redis) = config.ledger.redis else {
        return Err(Failure::config(
            "the config's ledger is embedded: only a ledger in Redis (ledger: { kind: redis, ... }) has a journal",
        ));
    };
    let file = absolute(args.journal.as_ref().unwrap_or(&redis.journal))?;
    let visit = Visit::open(&file)?;
    let exit = match command {
        JournalCommand::Status(_) => block_on(look(globals, &visit, &redis)),
        JournalCommand::Replay(_) => block_on(send(globals, &visit, &redis)),
    };
    // What was learned of the store spares the next start a look; without it nothing is wrong.
    let noted = visit.close();
    let exit = exit?;
    noted?;
    Ok(exit)
}

async fn look(globals: &Globals, visit: &Visit, redis: &RedisConfig) -> Result<Exit, Failure> {
    let archive = visit.archive();
    let (remote, why) = match reach(visit, redis).await {
        Ok(remote) => (Some(remote), None),
        Err(Unreached::Away(why)) => (None, Some(why)),
        Err(Unreached::Other(failure)) => return Err(failure),
    };
    let aside = match &remote {
        Some(remote) => suspended(remote).await?,
        None => Vec::new(),
    };
    let report = Report {
        journal: archive.file().to_owned(),
        store_id: archive.store(),
        redis: why,
        openings: status(archive, remote.as_ref()).await?,
        suspended: aside,
    };
    globals.print(&report, words)?;
    let waits = report.openings.iter().any(|opening| opening.waiting > 0);
    Ok(match waits || !report.suspended.is_empty() {
        true => Exit::Findings,
        false => Exit::Fine,
    })
}

async fn send(globals: &Globals, visit: &Visit, redis: &RedisConfig) -> Result<Exit, Failure> {
    let remote = reach(visit, redis).await.map_err(|error| match error {
        Unreached::Away(why) => Failure::new(Exit::Unreachable, why),
        Unreached::Other(failure) => failure,
    })?;
    let delivered = deliver(visit.archive(), &remote)
        .await
        .map_err(|error| match error {
            LeftoverError::Store(LinkError::Away(why) | LinkError::NotNow(why)) => Failure::new(
                Exit::Unreachable,
                format!("{why}; what was delivered stays so: run this again to go on"),
            ),
            error => error.into(),
        })?;
    globals.print(&delivered, delivery)?;
    Ok(match (delivered.waiting, delivered.suspended) {
        (0, 0) => Exit::Fine,
        _ => Exit::Findings,
    })
}

/// Why Redis was not reached.
enum Unreached {
    Away(String),
    Other(Failure),
}

/// Connects to the store that the journal belongs into.
async fn reach(visit: &Visit, redis: &RedisConfig) -> Result<Remote, Unreached> {
    let away = |error: &dyn std::fmt::Display| Unreached::Away(error.to_string());
    let link = Link::connect(redis).await.map_err(|error| match error {
        OpenError::Away(_) => away(&error),
        error => Unreached::Other(Failure::config(error)),
    })?;
    let scripts = Scripts::standard();
    let remote = Remote {
        link,
        layout: Layout::new(&redis.prefix),
        named: Arc::new(|name| scripts.named(name)),
        recovered: &scripts.recovered,
        clock: None,
        gap_ms: None,
    };
    let found = store_id(&remote).await.map_err(|error| away(&error))?;
    let kept = visit.archive().store();
    if kept.is_some() && kept != found {
        let id = |id: Option<StoreId>| id.map_or("none".to_owned(), |id| id.to_string());
        return Err(Unreached::Other(Failure::config(format!(
            "the journal is of the store {}, but the config leads to the store {}: use the config of its own store",
            id(kept),
            id(found),
        ))));
    }
    Ok(remote)
}

fn words(report: &Report) -> String {
    let mut text = format!("journal   {}\n", report.journal.display());
    if let Some(id) = report.store_id {
        text.push_str(&format!("store id  {id}\n"));
    }
    if let Some(why) = &report.redis {
        text.push_str(&format!(
            "Redis cannot be asked, and may have what waits: {why}\n"
        ));
    }
    let mut openings = Table::new(&["opening", "opened at", ">entries", ">waiting"]);
    for opening in &report.openings {
        openings.row([
            opening.nonce.clone(),
            opening.opened_at.to_string(),
            opening.entries.to_string(),
            opening.waiting.to_string(),
        ]);
    }
    match openings.is_empty() {
        true => text.push_str("nothing was ever written\n"),
        false => text.push_str(&openings.to_string()),
    }
    let mut aside = Table::new(&[">partition", "opening", ">number", "put aside at", "why"]);
    for entry in &report.suspended {
        aside.row([
            entry.partition.to_string(),
            entry.nonce.clone(),
            entry.number.clone(),
            entry.at.to_string(),
            entry.why.clone(),
        ]);
    }
    if !aside.is_empty() {
        text.push_str("put aside by Redis, of all proxies:\n");
        text.push_str(&aside.to_string());
    }
    text
}

fn delivery(delivered: &Delivered) -> String {
    let mut text = format!(
        "delivered {}",
        match delivered.delivered {
            1 => "1 entry".to_owned(),
            count => format!("{count} entries"),
        }
    );
    if delivered.suspended > 0 {
        text.push_str(&format!(
            "; {} of them could not be carried out, and were put aside: see `tollgate journal status`",
            delivered.suspended
        ));
    }
    if delivered.waiting > 0 {
        let why = delivered
            .refused
            .as_deref()
            .unwrap_or("Redis does not take them");
        text.push_str(&format!("; {} still wait: {why}", delivered.waiting));
    }
    text
}
