//! The prices of a model, checked so far that no quote within the model's bounds can leave exact arithmetic.

use rust_decimal::Decimal;

use super::read::{AMOUNT_MAX, Field};
use super::section::Section;
use super::{Bounds, Category, Per, PriceRow, Words as _};
use crate::money::{Nano, UnitPrice};

/// A price has at most this many digits after the point, before it is divided by `per`.
const ATTO_DIGITS: u32 = 18;

/// Every version of a model's prices; notes what is missing for its category.
pub(super) fn prices(model: &Section<'_>, category: Category, bounds: &Bounds) -> Vec<PriceRow> {
    let Some(field) = model.need("prices", "[{ per: 1M tokens, input: 1, output: 4 }]") else {
        return Vec::new();
    };
    let items = field.list();
    if field.is_list() && items.is_empty() {
        field.problem::<()>("is empty; write `{ free: true }` if the model is meant to be free");
    }
    let mut rows: Vec<PriceRow> = Vec::new();
    for item in &items {
        let problems = || model.notes.problems.borrow().len();
        let before = problems();
        let (row, has_per) = price(item, category, bounds);
        if problems() > before {
            // What a row lacks that was not understood is no second problem.
            continue;
        }
        fits(item, &row, category, has_per);
        if rows
            .iter()
            .any(|other| other.effective_from == row.effective_from)
        {
            let from = row
                .effective_from
                .map_or("always".to_owned(), |from| format!("from {from}"));
            item.problem::<()>(format!(
                "is in force {from}, as another one is; give it its own effective_from"
            ));
        }
        rows.push(row);
    }
    rows
}

/// One version, and whether it says what its prices are for.
fn price(item: &Field<'_>, category: Category, bounds: &Bounds) -> (PriceRow, bool) {
    let section = item.section();
    let per = section.get("per").and_then(|field| field.word());
    let per_tokens = per.unwrap_or(Per::MillionTokens).tokens();
    let tokens = |name, most| amount(&section, name, per_tokens, most);
    let input = ("context_tokens", bounds.context_tokens);
    let output = bounds
        .max_output_tokens
        .saturating_add(bounds.reasoning_tokens_max);
    let output = ("max_output_tokens", output);
    let default_per = match category.is_image() {
        true => Per::Image,
        false => Per::MillionTokens,
    };
    let row = PriceRow {
        effective_from: section.get("effective_from").and_then(|field| field.time()),
        free: section
            .get("free")
            .and_then(|field| field.flag())
            .unwrap_or(false),
        per: per.unwrap_or(default_per),
        input: tokens("input", input),
        cached_input: tokens("cached_input", input),
        cache_write: tokens("cache_write", input),
        audio_input: tokens("audio_input", input),
        output: tokens("output", output),
        reasoning: tokens("reasoning", output),
        audio_output: tokens("audio_output", output),
        image: amount(&section, "image", 1, ("images_max", bounds.images_max)),
        request: amount(&section, "request", 1, ("one request", 1)),
        line: section.line,
    };
    section.finish();
    (row, per.is_some())
}

const TOKEN_FIELDS: [&str; 7] = [
    "input",
    "cached_input",
    "cache_write",
    "audio_input",
    "output",
    "reasoning",
    "audio_output",
];

/// What an embedding model has none of.
const OUTPUT_FIELDS: [&str; 4] = ["output", "reasoning", "audio_output", "image"];

/// Notes prices that do not go together, or not with the model.
fn fits(item: &Field<'_>, row: &PriceRow, category: Category, has_per: bool) {
    let problem = |message: String| item.problem(message).unwrap_or_default();
    let has = |name: &str| row.written().any(|(field, _, _)| field == name);
    let first_token = TOKEN_FIELDS.iter().find(|name| has(name));
    if row.free {
        if let Some((name, _, _)) = row.written().next() {
            problem(format!(
                "is free and has a price ({name}); remove one of the two"
            ));
        }
        return;
    }
    if row.written().next().is_none() {
        return problem("has no price; write `free: true` if it is meant to be free".to_owned());
    }
    match (first_token, row.per) {
        (Some(name), _) if !has_per => {
            problem(format!(
                "has a price per token ({name}) but no `per`; write `per: 1M tokens` or `per: 1K tokens`"
            ));
        }
        (Some(name), Per::Image | Per::Request) => problem(format!(
            "is `per: {}`, but {name} is a price per token; write `per: 1M tokens` or `per: 1K tokens`",
            row.per.name()
        )),
        (None, Per::MillionTokens | Per::ThousandTokens | Per::Token) if has_per => {
            problem(format!(
                "is `per: {}`, but has no price per token; write `per: image`",
                row.per.name()
            ))
        }
        _ => {}
    }
    for (side, parts) in [
        ("input", &TOKEN_FIELDS[1..4]),
        ("output", &TOKEN_FIELDS[5..]),
    ] {
        if let (false, Some(part)) = (has(side), parts.iter().find(|part| has(part))) {
            problem(format!(
                "has a price for {part} but none for {side}; other tokens of that side would be free"
            ));
        }
    }
    if category == Category::Embedding
        && let Some(name) = OUTPUT_FIELDS.iter().find(|name| has(name))
    {
        return problem(format!(
            "has a price for {name}, but an embedding model gives neither text nor images; remove it"
        ));
    }
    let tokens = has("input") && has("output");
    let only_requests = has("request") && first_token.is_none();
    let (complete, needs) = match category {
        Category::Chat => (tokens || only_requests, "input and output"),
        Category::Embedding | Category::Rerank | Category::Moderation => {
            (has("input") || only_requests, "input")
        }
        _ => (has("image") || tokens || has("request"), "image"),
    };
    if !complete {
        problem(format!(
            "is for a {} model and has no price for {needs}; write 0 where something is free",
            category.name()
        ));
    }
}

/// A price of `per` units, of which one request has at most `most`.
fn amount(
    section: &Section<'_>,
    name: &'static str,
    per: u64,
    (bound, most): (&str, u64),
) -> Option<Decimal> {
    let field = section.get(name)?;
    let price = field.decimal()?;
    let digits = ATTO_DIGITS.saturating_sub(per.ilog10());
    if price.normalize().scale() > digits {
        return field.problem(format!(
            "\"{price}\" has more than {digits} digits after the point"
        ));
    }
    let cost = UnitPrice::per(price, per)
        .and_then(UnitPrice::nano_ceil)
        .and_then(|unit| unit.checked_mul(most))
        .and_then(|cost| u64::try_from(cost.get()).ok());
    if cost.is_none_or(|cost| cost > AMOUNT_MAX) {
        return field.problem(format!(
            "\"{price}\" is too large: times {bound} ({most}) it leaves exact arithmetic, which ends at {} a request; is the unit right?",
            Nano::new(1 << 53)
        ));
    }
    Some(price)
}
