//! Whether prices go together, and with what their model does.

use crate::config::read::Field;
use crate::config::{Category, ImageRow, Per, PriceField, PriceRow, Words as _};

/// The prices of tokens by side, each with the one that the others fall back to.
const SIDES: [(PriceField, &[PriceField]); 2] = [
    (PriceField::Input, &PriceField::INPUT),
    (PriceField::Output, &PriceField::OUTPUT),
];
const SECONDS: [PriceField; 2] = [PriceField::Second, PriceField::Minute];
const CHARACTERS: [PriceField; 3] = [
    PriceField::Character,
    PriceField::ThousandCharacters,
    PriceField::MillionCharacters,
];

/// Notes prices that do not go together, or not with the model.
pub(super) fn fits(item: &Field<'_>, row: &PriceRow, category: Category, has_per: bool) {
    let problem = |message: String| item.problem(message).unwrap_or_default();
    if row.free {
        if let Some(name) = first_written(row) {
            problem(format!(
                "is free and has a price ({name}); remove one of the two"
            ));
        }
        return;
    }
    if row.rates.iter().next().is_none() && row.images.is_empty() {
        return problem("has no price; write `free: true` if it is meant to be free".to_owned());
    }
    if let Some(message) = unit(row, has_per) {
        problem(message);
    }
    for message in sides(row).into_iter().chain(twice(row)) {
        problem(message);
    }
    if let Some(message) = table(row, category) {
        return problem(message);
    }
    if let Some(message) = missing(row, category) {
        problem(message);
    }
}

/// The first field that says what something costs.
fn first_written(row: &PriceRow) -> Option<&'static str> {
    let rate = row.rates.iter().next().map(|(field, _)| field.name());
    rate.or((!row.tiers.is_empty()).then_some("tiers"))
        .or((!row.images.is_empty()).then_some("images"))
        .or((!row.hours.is_empty()).then_some("hours"))
}

fn has(row: &PriceRow, field: PriceField) -> bool {
    row.rates.get(field).is_some()
}

fn first_of_tokens(row: &PriceRow) -> Option<PriceField> {
    row.rates
        .iter()
        .map(|(field, _)| field)
        .find(|field| field.is_tokens())
}

/// Whether `per` goes with the prices.
fn unit(row: &PriceRow, has_per: bool) -> Option<String> {
    match (first_of_tokens(row).map(PriceField::name), row.per) {
        (Some(name), _) if !has_per => Some(format!(
            "has a price per token ({name}) but no `per`; write `per: 1M tokens` or `per: 1K tokens`"
        )),
        (Some(name), Per::Image | Per::Request) => Some(format!(
            "is `per: {}`, but {name} is a price per token; write `per: 1M tokens` or `per: 1K tokens`",
            row.per.name()
        )),
        (None, Per::MillionTokens | Per::ThousandTokens | Per::Token) if has_per => Some(format!(
            "is `per: {}`, but has no price per token; write `per: image`",
            row.per.name()
        )),
        _ => None,
    }
}

/// Parts of a side whose other tokens would have no price.
fn sides(row: &PriceRow) -> Vec<String> {
    let mut messages = Vec::new();
    for (side, fields) in SIDES {
        let name = side.name();
        if has(row, side) {
            continue;
        }
        if let Some(part) = row.rates.first(fields) {
            let part = part.name();
            messages.push(format!(
                "has a price for {part} but none for {name}; other tokens of that side would be free"
            ));
        }
        let in_tier = |field: &PriceField| {
            row.tiers
                .iter()
                .any(|tier| tier.rates.get(*field).is_some())
        };
        if let Some(field) = fields.iter().find(|field| in_tier(field)) {
            let field = field.name();
            messages.push(format!(
                "has a tier with a price for {field}, but none for {name} beside `tiers`: what does a shorter request cost?"
            ));
        }
    }
    messages
}

/// Units that have two prices.
fn twice(row: &PriceRow) -> Option<String> {
    [&SECONDS[..], &CHARACTERS[..]]
        .into_iter()
        .find_map(|fields| {
            let mut written = fields.iter().filter(|field| has(row, **field));
            let (one, other) = (written.next()?, written.next()?);
            Some(format!(
                "has a price for {} and one for {}; write one of the two",
                one.name(),
                other.name()
            ))
        })
}

/// What is wrong with the prices by size and quality.
fn table(row: &PriceRow, category: Category) -> Option<String> {
    if !row.images.is_empty() && !category.is_image() {
        return Some(format!(
            "has `images`, but is for a {} model, which makes none; remove them",
            category.name()
        ));
    }
    let defaults = [
        (
            "size",
            &row.default_size,
            (|image| &image.size) as fn(&ImageRow) -> &Option<String>,
        ),
        ("quality", &row.default_quality, |image| &image.quality),
    ];
    defaults.into_iter().find_map(|(name, default, of)| {
        let default = default.as_ref()?;
        if row.images.is_empty() {
            return Some(format!(
                "has default_{name} but no `images`, so that it decides nothing; remove it"
            ));
        }
        let fits = |image: &ImageRow| of(image).as_ref().is_none_or(|word| word == default);
        if has(row, PriceField::Image) || row.images.iter().any(fits) {
            return None;
        }
        let known: Vec<&str> = row
            .images
            .iter()
            .filter_map(|image| of(image).as_deref())
            .collect();
        Some(format!(
            "has default_{name}: {default}, which has no price; `images` has {}",
            known.join(", ")
        ))
    })
}

/// What the category needs and the row does not have.
fn missing(row: &PriceRow, category: Category) -> Option<String> {
    if category == Category::Embedding {
        let output = row.rates.first(&PriceField::OUTPUT);
        let output = output.or(Some(PriceField::Image).filter(|field| has(row, *field)));
        if let Some(field) = output {
            return Some(format!(
                "has a price for {}, but an embedding model gives neither text nor images; remove it",
                field.name()
            ));
        }
    }
    let input = has(row, PriceField::Input);
    let tokens = input && has(row, PriceField::Output);
    let request = has(row, PriceField::Request);
    let only_requests = request && first_of_tokens(row).is_none();
    let any = |fields: &[PriceField]| row.rates.first(fields).is_some();
    let image = has(row, PriceField::Image) || !row.images.is_empty();
    let (complete, needs) = match category {
        Category::Chat => (tokens || only_requests, "input and output"),
        Category::Embedding | Category::Rerank | Category::Moderation => {
            (input || only_requests, "input")
        }
        Category::Path => (only_requests, "request"),
        Category::Speech => (
            any(&CHARACTERS) || tokens || only_requests,
            "characters (such as million_characters), or for input and output",
        ),
        Category::Transcription => (
            any(&SECONDS) || tokens || only_requests,
            "second or minute, or for input and output",
        ),
        Category::TextToImage | Category::ImageEdit | Category::MultiImageEdit => {
            (image || tokens || request, "image")
        }
    };
    (!complete).then(|| {
        format!(
            "is for a {} model and has no price for {needs}; write 0 where something is free",
            category.name()
        )
    })
}
