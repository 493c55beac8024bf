//! A key's `limits`.

use std::collections::{BTreeMap, BTreeSet};

use super::models::set;
use super::read::{AMOUNT_MAX, Field};
use super::section::Section;
use super::{LimitRow, Measure, Period, Words};

/// Every limit of a key, in the file's order.
pub(super) fn limits(field: &Field<'_>, models: &BTreeMap<String, String>) -> Vec<LimitRow> {
    let mut taken = BTreeSet::new();
    let mut rows = Vec::new();
    for item in field.list() {
        let Some(row) = limit(&item, models) else {
            continue;
        };
        if !taken.insert(row.name.clone()) {
            item.problem::<()>(format!(
                "is the second limit named `{}`; give it a `name` of its own",
                row.name
            ));
        }
        rows.push(row);
    }
    rows
}

fn limit(item: &Field<'_>, models: &BTreeMap<String, String>) -> Option<LimitRow> {
    let section = item.section();
    let name = section.get("name").map(|field| field.read(header_word));
    let measures = Measure::WORDS
        .iter()
        .filter_map(|(word, measure)| Some((*measure, section.get(word)?)));
    let measures: Vec<(Measure, Field<'_>)> = measures.collect();
    let per = section.get("per");
    let period = per.as_ref().and_then(|field| field.word::<Period>());
    let models = set(&section, models);
    section.finish();
    let (measure, cap) = one(&section, &measures)?;
    let cap = match measure {
        Measure::Spend => cap.positive_money(),
        _ => cap.integer(1, AMOUNT_MAX),
    };
    let per = match (measure, per) {
        (Measure::Concurrent, None) => Some(Period::Total),
        (Measure::Concurrent, Some(per)) => {
            per.problem("has no meaning for `concurrent`; remove it")
        }
        (_, Some(_)) => period,
        (_, None) => {
            section.problem("has no `per`; write one of: total, minute, hour, day, week, month");
            None
        }
    };
    let (cap, per) = (cap?, per?);
    let given = || match measure {
        Measure::Concurrent => measure.name().to_owned(),
        _ => format!("{}-{}", measure.name(), per.name()),
    };
    Some(LimitRow {
        name: name.unwrap_or_else(|| Some(given()))?,
        measure,
        cap,
        per,
        models,
    })
}

/// The one measure of a limit.
fn one<'a, 'b>(
    section: &Section<'_>,
    measures: &'b [(Measure, Field<'a>)],
) -> Option<(Measure, &'b Field<'a>)> {
    match measures {
        [(measure, field)] => Some((*measure, field)),
        [] => {
            section
                .problem("caps nothing; write one of: spend, tokens, images, requests, concurrent");
            None
        }
        [(first, _), (second, _), ..] => {
            section.problem(format!(
                "caps both {} and {}; write one limit for each",
                first.name(),
                second.name()
            ));
            None
        }
    }
}

/// The name of a limit is part of a header's name.
fn header_word(text: &str) -> Result<String, String> {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    match (1..=64).contains(&text.len()) && text.bytes().all(fine) {
        true => Ok(text.to_owned()),
        false => Err("is no limit name: 1 to 64 of the characters a-z 0-9 - _".to_owned()),
    }
}
