//! `tollgate prices`: the price list of the config file, and what looks wrong in it.

use std::collections::BTreeMap;

use clap::Subcommand;
use jiff::tz::TimeZone;

use super::exit::{Exit, Failure};
use super::table::{Table, printable};
use super::{Globals, offline_now};
use crate::admin::prices::{ModelJson, PriceJson, QuotaJson, price_list};
use crate::admin::view::List;
use crate::config::{Category, Words as _};
use crate::price::PriceBook;
use crate::price::lint::{LintFinding, Severity, lint};

const LIST_EXAMPLES: &str = "Examples:
  tollgate prices list
  tollgate --config other.yaml prices list
  tollgate --json prices list | jq '.data[] | select(.category == \"chat\")'";

const LINT_EXAMPLES: &str = "Examples:
  tollgate prices lint || echo 'look at the price list'

Exits with 3 where something looks wrong. Serving goes on all the same: the list is the operator's.";

#[derive(Debug, Subcommand)]
pub(super) enum PricesCommand {
    /// Show every model with its prices
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Name rows that look wrong
    #[command(after_help = LINT_EXAMPLES)]
    Lint,
}

pub(super) fn run(globals: &Globals, command: &PricesCommand) -> Result<Exit, Failure> {
    let config = globals.load()?;
    let book = PriceBook::new(&config)?;
    match command {
        PricesCommand::List => {
            let zone = TimeZone::get(&config.server.timezone)?;
            let models = List::of(price_list(&config, offline_now()));
            globals.print(&models, |models| table(&models.data, &zone))?;
            Ok(Exit::Fine)
        }
        PricesCommand::Lint => {
            let found = List::of(lint(&book));
            let texts: Vec<String> = found.data.iter().map(sentence).collect();
            globals.print(&found, |_| lines(&texts, "the price list looks right"))?;
            Ok(if texts.is_empty() {
                Exit::Fine
            } else {
                Exit::Findings
            })
        }
    }
}

/// A finding as one line.
pub(super) fn sentence(finding: &LintFinding) -> String {
    let severity = match finding.severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
    };
    format!(
        "{severity}: {}: {}: {}",
        finding.model, finding.field, finding.message
    )
}

/// The findings a line each, or a word that there are none.
pub(super) fn lines(findings: &[String], none: &str) -> String {
    if findings.is_empty() {
        return none.to_owned();
    }
    findings.iter().map(|line| printable(line) + "\n").collect()
}

fn table(models: &[ModelJson], zone: &TimeZone) -> String {
    let mut table = Table::new(&[
        "model",
        "category",
        "unit",
        ">input",
        ">output",
        ">image",
        "from",
        "now",
        "free quota",
        "also",
    ]);
    for model in models {
        for price in &model.prices {
            let category = Category::of(&model.category);
            let image = category.is_some_and(Category::is_image);
            let output = category == Some(Category::Chat);
            let rate = |field: &str, of_category: bool| match price.rates.get(field) {
                Some(rate) => rate.clone(),
                None if price.free && of_category => "free".to_owned(),
                None => "-".to_owned(),
            };
            let from = price.effective_from.map(|from| from.to_zoned(zone.clone()));
            table.row([
                model.id.clone(),
                model.category.clone(),
                price.per.clone(),
                rate("input", !image),
                rate("output", output),
                rate("image", image),
                from.map_or_else(
                    || "always".to_owned(),
                    |from| from.strftime("%F %H:%M").to_string(),
                ),
                if price.in_force { "yes" } else { "" }.to_owned(),
                free_quota(model, price),
                also(price),
            ]);
        }
    }
    let currency = models.first().map(|model| model.currency.as_str());
    format!(
        "{table}\nPrices are in {}, times in {}.",
        printable(currency.unwrap_or("no currency: the list is empty")),
        zone.iana_name().unwrap_or("UTC")
    )
}

/// What has no column of its own.
fn also(price: &PriceJson) -> String {
    const COLUMNS: [&str; 3] = ["input", "output", "image"];
    let rates = |rates: &BTreeMap<String, String>, shown: &[&str]| {
        let rest = rates
            .iter()
            .filter(|(field, _)| !shown.contains(&&***field));
        let texts: Vec<String> = rest
            .map(|(field, rate)| format!("{field} {rate}"))
            .collect();
        texts.join(", ")
    };
    let mut parts = vec![rates(&price.rates, &COLUMNS)];
    parts.extend(price.tiers.iter().map(|tier| {
        let rates = rates(&tier.rates, &[]);
        format!("above {} tokens: {rates}", tier.above_input_tokens)
    }));
    parts.extend(price.images.iter().map(|image| {
        let words = [&image.size, &image.quality].into_iter().flatten();
        let words: Vec<&str> = words.map(String::as_str).collect();
        format!("{} {}", words.join(" "), image.image)
    }));
    let defaults = [
        ("size", &price.default_size),
        ("quality", &price.default_quality),
    ];
    parts.extend(
        defaults
            .into_iter()
            .filter_map(|(name, word)| Some(format!("{name} {} by default", word.as_ref()?))),
    );
    parts.extend(
        price
            .hours
            .iter()
            .map(|rule| format!("{}-{} x{}", rule.from, rule.to, rule.times)),
    );
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}

/// The quotas, on paid rows only: a free row burns none.
fn free_quota(model: &ModelJson, price: &PriceJson) -> String {
    let text = |quota: &QuotaJson| match quota.shared_by {
        0 | 1 => format!("{} {}", quota.amount, quota.unit),
        models => format!("{} {} over {models} models", quota.amount, quota.unit),
    };
    if price.free {
        return String::new();
    }
    model
        .free_quota
        .iter()
        .map(text)
        .collect::<Vec<_>>()
        .join(" + ")
}
