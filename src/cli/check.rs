//! `tollgate check`: is the config sound, and is anything in it unwise?

use clap::Args;
use serde::Serialize;

use super::Globals;
use super::exit::{Exit, Failure};
use super::prices::{lines, sentence};
use crate::config::Config;
use crate::gateway::catalog::Catalog;
use crate::gateway::server::tls::Certificates;
use crate::plural::counted;
use crate::price::PriceBook;
use crate::price::lint::lint;

const EXAMPLES: &str = "Examples:
  tollgate check
  tollgate --config staging.yaml check

Exits with 0 where all is well, with 1 and every error where the server would not start,
and with 3 where it would, but something looks wrong: prices, weak secrets, secrets that are not set here.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {}

/// What a sound config comes to.
#[derive(Debug, Serialize)]
struct Report {
    models: u64,
    upstreams: u64,
    grants: u64,
    keys: u64,
    price_version: String,
    warnings: Vec<String>,
}

/// What keeps a config from being used.
#[derive(Debug, Serialize)]
struct Errors {
    errors: Vec<String>,
}

pub(super) fn run(globals: &Globals, _: &CheckArgs) -> Result<Exit, Failure> {
    let catalog = globals.load().and_then(|config| {
        if let Some(files) = &config.server.tls {
            Certificates::load(files)?;
        }
        Ok(Catalog::new(config)?)
    });
    let catalog = match catalog {
        Ok(catalog) => catalog,
        Err(failure) if globals.json => {
            let errors = failure.to_string().lines().map(str::to_owned).collect();
            globals.print(&Errors { errors }, |_| String::new())?;
            return Ok(Exit::Failed);
        }
        Err(failure) => return Err(failure),
    };
    let (config, book) = (&catalog.config, &catalog.prices);
    let report = Report {
        models: config.models.len() as u64,
        upstreams: config.upstreams.len() as u64,
        grants: config.grants.len() as u64,
        keys: config.keys.len() as u64,
        price_version: book.version().to_string(),
        warnings: warnings(config, book),
    };
    globals.print(&report, |report| {
        let sound = format!(
            "the config is sound: {}, {}, {}, {}, price version {}",
            counted(report.models, "model"),
            counted(report.upstreams, "upstream"),
            counted(report.grants, "grant"),
            counted(report.keys, "declared key"),
            report.price_version
        );
        format!("{}{sound}", lines(&report.warnings, ""))
    })?;
    Ok(if report.warnings.is_empty() {
        Exit::Fine
    } else {
        Exit::Findings
    })
}

fn warnings(config: &Config, book: &PriceBook) -> Vec<String> {
    let missing = config.missing.iter().map(|missing| &missing.problem);
    let unwise = config.warnings.iter().chain(missing);
    unwise
        .map(|problem| format!("warning: {problem}"))
        .chain(lint(book).iter().map(sentence))
        .collect()
}
