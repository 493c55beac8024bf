//! What a text of the file may mean: variables, decimals, sizes, names, and what was likely meant instead.

use std::str::FromStr;

use rust_decimal::Decimal;

/// A text after its variables were put in.
pub(super) enum Filled {
    /// The value.
    Whole(String),
    /// The first variable that is not set.
    Missing(String),
    /// What is wrong with a `${`.
    Malformed(String),
}

/// Puts variables in: `${NAME}`, `${NAME:-default}`; `$${` is a literal `${`. An empty variable is not set.
pub(super) fn fill(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Filled {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(before) = before.strip_suffix('$') {
            whole.push_str(before);
            whole.push_str("${");
            rest = after;
            continue;
        }
        whole.push_str(before);
        let Some((inside, tail)) = after.split_once('}') else {
            return Filled::Malformed(
                "`${` without a `}`; write `$${` for a literal `${`".to_owned(),
            );
        };
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_variable(name) {
            return Filled::Malformed(format!(
                "`${{{inside}}}` names no variable; write `${{NAME}}` or `${{NAME:-default}}`"
            ));
        }
        match env(name).filter(|value| !value.is_empty()) {
            Some(value) => whole.push_str(&value),
            None => match default {
                Some(default) => whole.push_str(default),
                None => return Filled::Missing(name.to_owned()),
            },
        }
        rest = tail;
    }
    whole.push_str(rest);
    Filled::Whole(whole)
}

fn is_variable(name: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    name.bytes().all(word) && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

/// A plain decimal of 0 or more.
///
/// # Errors
/// What is wrong with it, and what was likely meant.
pub(super) fn decimal(text: &str) -> Result<Decimal, String> {
    let plain = |text: &str| {
        text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && text.bytes().any(|b| b.is_ascii_digit())
    };
    if plain(text) {
        return Decimal::from_str_exact(text)
            .map_err(|_| "has more digits than can be kept exactly (28)".to_owned());
    }
    if text.strip_prefix('-').is_some_and(plain) {
        return Err("is negative; it must be 0 or more".to_owned());
    }
    let wrong = "is not a decimal number";
    Err(match likely_decimal(text).filter(|likely| plain(likely)) {
        Some(likely) => format!("{wrong}; did you mean {likely}?"),
        None => format!("{wrong} such as 0.8"),
    })
}

/// What someone who wrote this likely meant.
fn likely_decimal(text: &str) -> Option<String> {
    if let Ok(scientific) = Decimal::from_scientific(text) {
        return Some(scientific.normalize().to_string());
    }
    let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '_');
    let bare = text.trim_matches(|c| !number(c)).replace('_', "");
    let commas = bare.matches(',').count();
    let likely = match (commas, bare.contains('.')) {
        (1, false) => bare.replace(',', "."),
        _ => bare.replace(',', ""),
    };
    Decimal::from_str(&likely).ok().map(|_| likely)
}

/// A whole number; `_` and the units KiB, MiB, GiB are understood where `sized`.
pub(super) fn whole(text: &str, sized: bool) -> Option<u64> {
    if !sized {
        return text.parse().ok().filter(|_| !text.starts_with('+'));
    }
    let (digits, shift) = [(" KiB", 10), (" MiB", 20), (" GiB", 30)]
        .into_iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))
        .unwrap_or((text, 0));
    whole(digits, false)?.checked_mul(1 << shift)
}

/// Whether a text can name a thing: 1 to 64 of `A-Z a-z 0-9 _ . : -`.
pub(super) fn is_name(text: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(fine)
}

/// The known word nearest to `text`, if it is near enough to be a slip of the pen.
pub(super) fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = text.to_lowercase();
    known
        .into_iter()
        .map(|word| (distance(&lower, &word.to_lowercase()), word))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, word)| {
            *distance <= 1 + word.chars().count().max(text.chars().count()) / 3
        })
        .map(|(_, word)| word)
}

/// How many characters must be added, removed or replaced to turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// `; did you mean X?`, or nothing.
pub(super) fn did_you_mean(likely: Option<&str>) -> String {
    likely.map_or_else(String::new, |likely| format!("; did you mean `{likely}`?"))
}
