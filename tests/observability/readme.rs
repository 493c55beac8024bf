//! The README's tables of metrics and refusals name what there is, no more and no less.

use std::collections::BTreeSet;

use tollgate::gateway::metrics::JOURNAL;
use tollgate::gateway::refusal::Code;

use crate::support::start;

const README: &str = include_str!("../../README.md");

/// Every word of these lines that stands in backticks.
fn quoted<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let words = lines.flat_map(|line| line.split('`').skip(1).step_by(2));
    words.map(str::to_owned).collect()
}

#[test]
fn its_metrics_are_those_of_a_scrape() {
    let (_mock, proxy) = start();
    let text = proxy.metrics();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let families = types.map(|line| line.split_once(' ').expect("a name and a type"));
    let there: BTreeSet<String> = families
        .map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        })
        .collect();
    assert!(there.len() >= 30, "{there:?}");
    // This proxy has no journal, so its page has none of these.
    let there = there.into_iter().chain(JOURNAL.map(str::to_owned));
    let there: BTreeSet<String> = there.collect();
    let rows = README
        .lines()
        .filter(|line| line.starts_with("| `tollgate_"));
    let names = rows.map(|row| row.split(" | ").next().unwrap_or_default());
    assert_eq!(quoted(names), there);
}

#[test]
fn its_codes_are_all_that_there_are() {
    let table = README.split("\n## Refusals\n").nth(1);
    let table = table.and_then(|rest| rest.split("\n## ").next());
    let rows = table.expect("a section").lines();
    let rows = rows.filter_map(|row| row.split(" | ").nth(1));
    // Of a scrape's codes, these have no row: they are no customer's to act on.
    let counted = README
        .lines()
        .find(|line| line.contains("`tollgate_refusals_total`"));
    let others = counted.and_then(|row| row.split("| `code` |").nth(1));
    let mut named = quoted(rows.chain(others));
    assert!(named.remove("param"), "a field, no code");
    let all: BTreeSet<String> = Code::ALL
        .iter()
        .map(|code| code.word().to_owned())
        .collect();
    assert_eq!(named, all);
}
