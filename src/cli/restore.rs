//! `tollgate restore`: a backup in the place of the ledger.

use std::path::{PathBuf, absolute};

use clap::Args;
use serde::Serialize;

use super::backup::{holdings, left_over};
use super::exit::{Exit, Failure};
use super::table::printable;
use super::{Globals, ledger, offline_now};
use crate::ledger::embedded::{Holdings, Lost, Present, Replacement, RestoreError};
use crate::plural::counted;

const EXAMPLES: &str = "Examples:
  tollgate restore /backups/tollgate-2026-11-23.db           look: what would be lost? Changes nothing
  tollgate restore /backups/tollgate-2026-11-23.db --yes     do it
  tollgate restore copy.db --store /elsewhere/t.db --yes     to a new place, without a config

The server must be stopped. The backup is audited first, and refused where anything does not add up.
A ledger that is there is never deleted: it is renamed to PATH.before-restore-TIME, and can be
restored like a backup. Where none is, --yes creates it; a relative path begins where the command is run.
Run it as the server's user, or as root: what it makes is given to the owner of the ledger, or of its folder.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The ledger's file, instead of the config's ledger.path
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    /// Put the backup in the place of the ledger that is there, or where none is
    #[arg(long)]
    yes: bool,
    /// Restore a backup of another ledger, or in another currency than the config's
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    restored: bool,
    store: PathBuf,
    backup: Holdings,
    /// How long ago the backup was taken; none where it does not say.
    age_seconds: Option<u64>,
    present: Present,
    /// Where the ledger that was there is now.
    kept: Option<PathBuf>,
    left_over: Vec<PathBuf>,
}

pub(super) fn run(globals: &Globals, args: &RestoreArgs) -> Result<Exit, Failure> {
    let (store, currency) = match &args.store {
        Some(store) => (absolute(store)?, None),
        None => {
            let config = globals.load()?;
            (ledger::file(&config)?, Some(config.currency))
        }
    };
    if !args.yes && !Replacement::has_place_taken(&store)? {
        let message = format!(
            "there is no ledger at {}: run this again with --yes to create it there\nnothing was changed",
            store.display()
        );
        return Err(Failure::new(Exit::Failed, message));
    }
    let replacement = Replacement::prepare(&absolute(&args.file)?, &store).map_err(refused)?;
    let taken_at = replacement.backup.taken_at;
    let mut report = Report {
        restored: false,
        store: replacement.path().to_owned(),
        age_seconds: taken_at.map(|at| offline_now().since(at) / 1_000),
        backup: replacement.backup.clone(),
        present: replacement.present.clone(),
        kept: None,
        left_over: replacement.left_over.clone(),
    };
    let objection = objection(&report, args, currency.as_deref());
    if objection.is_none() {
        report.kept = replacement.put()?;
        report.restored = true;
    }
    globals.print(&report, words)?;
    match objection {
        None => Ok(Exit::Fine),
        Some(objection) => Err(Failure::new(
            Exit::Failed,
            format!("{objection}\nnothing was changed"),
        )),
    }
}

/// Why this is not done, and what would change that.
fn objection(report: &Report, args: &RestoreArgs, currency: Option<&str>) -> Option<String> {
    let backup = &report.backup;
    if let Some(asked) = currency.filter(|asked| *asked != backup.currency && !args.force) {
        return Some(format!(
            "the backup keeps {}, but the config says currency: {asked}; --force restores it all the same",
            backup.currency
        ));
    }
    match &report.present {
        Present::Store { holdings, .. } if holdings.store_id != backup.store_id && !args.force => {
            Some(format!(
                "the backup is of another ledger ({}) than the one at {} ({}); --force restores it all the same",
                backup.store_id,
                report.store.display(),
                holdings.store_id
            ))
        }
        Present::Nothing => None,
        _ if args.yes => None,
        _ => Some(format!(
            "there is a ledger at {}: run this again with --yes to put the backup in its place",
            report.store.display()
        )),
    }
}

fn refused(error: RestoreError) -> Failure {
    match &error {
        RestoreError::Damaged { findings, .. } => {
            let findings: String = findings.iter().map(|it| printable(it) + "\n").collect();
            Failure::new(
                Exit::Findings,
                format!("{findings}{error}: nothing was changed"),
            )
        }
        _ => error.into(),
    }
}

fn words(report: &Report) -> String {
    let age = report.age_seconds.map_or(String::new(), |seconds| {
        format!("age           {}\n", duration(seconds))
    });
    let present = match &report.present {
        Present::Nothing => String::new(),
        Present::Unreadable(why) => format!(
            "\nThe ledger that is there cannot be read, so that nobody knows what it has beyond the backup:\n  {}\n",
            printable(why)
        ),
        Present::Store { holdings, lost } => {
            format!("\n{}\n", loss(lost, &holdings.currency, report.restored))
        }
    };
    let end = match (report.restored, &report.kept) {
        (false, _) => String::new(),
        (true, None) => format!("restored to {}", report.store.display()),
        (true, Some(kept)) => format!(
            "restored to {}; the ledger that was there is now {}",
            report.store.display(),
            kept.display()
        ),
    };
    let left_over = left_over(&report.left_over);
    format!("{}{age}{left_over}{present}{end}", holdings(&report.backup))
}

fn loss(lost: &Lost, currency: &str, restored: bool) -> String {
    let Lost {
        receipts,
        charged,
        credits,
        credited,
        keys,
    } = lost;
    let was = if restored { "was" } else { "is" };
    if [receipts, credits, keys] == [&0, &0, &0] {
        return format!("The ledger that {was} there has nothing beyond the backup.");
    }
    let verb = if restored { "are" } else { "would be" };
    let [receipts, credits, keys] = [
        counted(*receipts, "receipt"),
        counted(*credits, "credit"),
        counted(*keys, "key"),
    ];
    format!(
        "Beyond the backup, the ledger that {was} there has, and these {verb} lost:\n  \
         {receipts}, {charged} {currency} charged\n  \
         {credits}, {credited} {currency}\n  \
         {keys} made, changed or revoked: revoked ones {verb} valid again"
    )
}

fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
