//! `tollgate audit`: does everything add up?

use std::path::{PathBuf, absolute};

use clap::Args;

use super::client::Server;
use super::exit::{Exit, Failure};
use super::prices::lines;
use super::{Globals, block_on};
use crate::ledger::AuditReport;
use crate::plural::counted;

const EXAMPLES: &str = "Examples:
  tollgate audit                              ask the running server
  tollgate audit --store data/tollgate.db     read a store that no server has open

Exits with 3 where something does not add up.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct AuditArgs {
    /// Read this store instead of asking a server; no server may have it open
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(globals: &Globals, args: &AuditArgs) -> Result<Exit, Failure> {
    let report: AuditReport = match &args.store {
        Some(path) => crate::ledger::embedded::audit_file(&absolute(path)?)?,
        None => block_on(async {
            args.server
                .connect(globals)?
                .post("/admin/audit", &())
                .await
        })?,
    };
    globals.print(&report, |report| {
        let looked = format!(
            "{}, {}, {}, {}",
            counted(report.wallets, "wallet"),
            counted(report.credits, "credit"),
            counted(report.receipts, "receipt"),
            counted(report.live_holds, "live hold"),
        );
        if report.findings.is_empty() {
            format!("everything adds up: {looked}")
        } else {
            format!(
                "{}{} in {looked}",
                lines(&report.findings, ""),
                counted(report.findings.len() as u64, "finding")
            )
        }
    })?;
    Ok(if report.findings.is_empty() {
        Exit::Fine
    } else {
        Exit::Findings
    })
}
