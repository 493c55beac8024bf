//! Prices that are allowed but look wrong: slips of the pen that a price list should not ship with.

mod tables;

use std::sync::Arc;

use super::{Category, Model, Per, PriceBook, PriceVersion};
use crate::clock::UnixMs;
use crate::config::Words as _;
use crate::money::{Atto, UnitPrice};
use crate::usage::Meter;

/// A price this many times above or below the book's median is flagged.
const OFF_FACTOR: u32 = 50;
/// A median of fewer prices than this says nothing.
const MEDIAN_OF_MIN: usize = 4;

/// Something that looks wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LintFinding {
    /// The model, by canonical id.
    pub model: Arc<str>,
    /// The price field, or `prices` where it is about all of them.
    pub field: &'static str,
    /// What looks wrong, and why.
    pub message: String,
    /// How sure that is.
    pub severity: Severity,
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// May well be meant.
    Note,
    /// Almost surely a slip.
    Warning,
}

/// Everything in the book that looks wrong, in the book's order.
pub fn lint(book: &PriceBook) -> Vec<LintFinding> {
    let medians = |writing| {
        [Meter::Input, Meter::Output, Meter::Images]
            .map(|meter| (meter, median(book, meter, writing)))
    };
    let (of_readers, of_others) = (medians(false), medians(true));
    let common = common_per(book);
    let mut findings = Vec::new();
    for model in book.models() {
        let medians = match writes(model) {
            false => &of_readers,
            true => &of_others,
        };
        let mut flag = |field, severity, message| {
            findings.push(LintFinding {
                model: Arc::clone(&model.id),
                field,
                message,
                severity,
            });
        };
        for version in &model.versions {
            if let Some(message) = cheap_output(version) {
                flag("output", Severity::Warning, message);
            }
            for (meter, median) in medians {
                if let Some(message) = far_off(version, *meter, *median) {
                    flag(field(*meter), Severity::Warning, message);
                }
            }
            if let Some(message) = other_unit(version, common) {
                flag("per", Severity::Warning, message);
            }
            if let Some(message) = costs_nothing(version) {
                flag("prices", Severity::Note, message);
            }
            for (field, severity, message) in tables::findings(version) {
                flag(field, severity, message);
            }
        }
        if let Some(message) = always_free(model) {
            flag("prices", Severity::Note, message);
        }
    }
    findings
}

fn cheap_output(version: &PriceVersion) -> Option<String> {
    let (input, output) = (
        version.own_rate(Meter::Input)?,
        version.own_rate(Meter::Output)?,
    );
    (output < input).then(|| {
        format!(
            "{}: output ({}) is cheaper than input ({}) {}",
            from(version.effective_from),
            printed(output, version.per),
            printed(input, version.per),
            words(version.per),
        )
    })
}

fn far_off(version: &PriceVersion, meter: Meter, median: Option<UnitPrice>) -> Option<String> {
    let (rate, median) = (version.own_rate(meter)?, median?);
    let where_ = off(rate, median)?;
    let per = if meter == Meter::Images {
        Per::Image
    } else {
        Per::MillionTokens
    };
    Some(format!(
        "{}: {} ({} {unit}) is {OFF_FACTOR} times or more {where_} the book's median ({} {unit})",
        from(version.effective_from),
        field(meter),
        printed(rate, per),
        printed(median, per),
        unit = words(per),
    ))
}

/// Where a price lies that is far off the median.
fn off(rate: UnitPrice, median: UnitPrice) -> Option<&'static str> {
    let far = |small: UnitPrice, large: UnitPrice| {
        let reach = small.times(u64::from(OFF_FACTOR));
        !small.is_zero() && reach <= large.times(1)
    };
    if far(rate, median) {
        return Some("below");
    }
    far(median, rate).then_some("above")
}

fn other_unit(version: &PriceVersion, common: Option<Per>) -> Option<String> {
    let common = common?;
    let priced = version.own_rate(Meter::Input).is_some() && version.per != common;
    priced.then(|| {
        format!(
            "{}: is {}, but most rows of the book are {}",
            from(version.effective_from),
            words(version.per),
            words(common)
        )
    })
}

fn costs_nothing(version: &PriceVersion) -> Option<String> {
    let images = version.images().entries().iter();
    let mut rates = Meter::ALL
        .into_iter()
        .filter_map(|meter| version.own_rate(meter))
        .chain(images.map(|image| image.price));
    let free = !version.free && rates.all(UnitPrice::is_zero);
    free.then(|| {
        let from = from(version.effective_from);
        format!("{from}: every price is 0; `free: true` says so in words")
    })
}

fn always_free(model: &Model) -> Option<String> {
    let last = model.versions.last()?;
    last.free
        .then(|| format!("{}: is free, with no end", from(last.effective_from)))
}

/// Whether a model makes anything. One that only reads, as to embed, costs a small part of one to chat with.
fn writes(model: &Model) -> bool {
    !matches!(
        model.category,
        Category::Embedding | Category::Rerank | Category::Moderation
    )
}

/// The middle one of all priced rates of a meter, one a version; the lower of two middles. Models that write are not
/// compared with those that only read.
fn median(book: &PriceBook, meter: Meter, writing: bool) -> Option<UnitPrice> {
    let alike = |model: &&Arc<Model>| writes(model) == writing;
    let models = book.models().iter().filter(alike);
    let versions = models.flat_map(|model| &model.versions);
    let mut rates: Vec<UnitPrice> = versions
        .filter_map(|version| version.own_rate(meter))
        .filter(|rate| !rate.is_zero())
        .collect();
    rates.sort_unstable();
    (rates.len() >= MEDIAN_OF_MIN).then(|| rates[(rates.len() - 1) / 2])
}

/// The unit in which most token prices of the book are written.
fn common_per(book: &PriceBook) -> Option<Per> {
    let versions = book.models().iter().flat_map(|model| &model.versions);
    let pers: Vec<Per> = versions
        .filter(|version| version.own_rate(Meter::Input).is_some())
        .map(|version| version.per)
        .collect();
    let count = |per: Per| pers.iter().filter(|each| **each == per).count();
    [Per::MillionTokens, Per::ThousandTokens, Per::Token]
        .into_iter()
        .max_by_key(|per| count(*per))
        .filter(|per| count(*per) * 2 > pers.len())
}

/// The field of a meter that a median is taken of.
fn field(meter: Meter) -> &'static str {
    match meter {
        Meter::Images => "image",
        _ => meter.name(),
    }
}

/// The price of `per`, without trailing zeros.
fn printed(rate: UnitPrice, per: Per) -> String {
    let exact = rate.times(per.tokens());
    exact.map_or_else(|| rate.to_string(), |price: Atto| price.to_string())
}

fn words(per: Per) -> String {
    format!("per {}", per.name())
}

fn from(effective_from: Option<UnixMs>) -> String {
    effective_from.map_or_else(|| "always".to_owned(), |from| format!("from {from}"))
}
