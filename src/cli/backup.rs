//! `tollgate backup`: a copy of the ledger, taken while it is in use.

use std::path::{Path, PathBuf, absolute};

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::prices::lines;
use super::{Globals, ledger};
use crate::ledger::embedded::{self, Holdings};

const EXAMPLES: &str = "Examples:
  tollgate backup --out /backups/tollgate-$(date +%F).db     the config's ledger, server running or not
  tollgate backup --store data/tollgate.db --out copy.db     without a config
  tollgate --json backup --out copy.db --force | jq .last_settled_at

The backup is one moment of the ledger: everything charged before it, nothing after. It is audited
before it gets its name. Where something does not add up it is kept as FILE.suspect, and the exit code is 3.
A run that is killed leaves .FILE.(digits).partial behind; the next one names it.
Keep it as private as the ledger: with it, keys can be checked.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct BackupArgs {
    /// Where the backup goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The ledger's file, instead of the config's ledger.path
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    /// Replace the file if it is there; links and devices never are
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    left_over: Vec<PathBuf>,
    bytes: u64,
    #[serde(flatten)]
    holdings: Holdings,
    findings: Vec<String>,
}

pub(super) fn run(globals: &Globals, args: &BackupArgs) -> Result<Exit, Failure> {
    let store = match &args.store {
        Some(store) => absolute(store)?,
        None => ledger::file(&globals.load()?)?,
    };
    let backup = embedded::backup(&store, &absolute(&args.out)?, args.force)?;
    let report = Report {
        file: backup.file,
        left_over: backup.left_over,
        bytes: backup.bytes,
        holdings: backup.holdings,
        findings: backup.report.findings,
    };
    globals.print(&report, |report| words(report, &store))?;
    Ok(if report.findings.is_empty() {
        Exit::Fine
    } else {
        Exit::Findings
    })
}

fn words(report: &Report, store: &Path) -> String {
    let end = match report.findings.as_slice() {
        [] => "everything adds up".to_owned(),
        findings => format!(
            "{}{} findings: do not count on this backup, and look at the ledger with `tollgate audit`",
            lines(findings, ""),
            findings.len()
        ),
    };
    format!(
        "backup        {}\nof            {}\nsize          {} bytes\n{}{}{end}",
        report.file.display(),
        store.display(),
        report.bytes,
        left_over(&report.left_over),
        holdings(&report.holdings)
    )
}

/// Unfinished copies, a line each.
pub(super) fn left_over(paths: &[PathBuf]) -> String {
    let line = |path: &PathBuf| {
        format!(
            "left over     {}: an unfinished copy of a run that was killed; remove it\n",
            path.display()
        )
    };
    paths.iter().map(line).collect()
}

/// What a store holds, a line each.
pub(super) fn holdings(holdings: &Holdings) -> String {
    let Holdings {
        store_id,
        currency,
        wallets,
        keys,
        credits,
        credited,
        receipts,
        receipts_folded,
        charged,
        ..
    } = holdings;
    let folded = match receipts_folded {
        0 => String::new(),
        count => format!(", {count} of them folded"),
    };
    let instant = |at: Option<crate::clock::UnixMs>, none: &str| {
        at.map_or_else(|| none.to_owned(), |at| at.to_string())
    };
    format!(
        "taken at      {}\nledger id     {store_id}\nwallets       {wallets}\nkeys          {keys}\n\
         credits       {credits}, {credited} {currency}\n\
         receipts      {receipts}{folded}, {charged} {currency}\nlast settled  {}\n",
        instant(holdings.taken_at, "unknown"),
        instant(holdings.last_settled_at, "never"),
    )
}
