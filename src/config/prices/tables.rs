//! The lists of a price row: tiers by input length, images by size and quality, hours of the day.

use super::Amounts;
use crate::config::read::Field;
use crate::config::section::Section;
use crate::config::{HoursRow, ImageRow, PriceField, TierRow, image_word};

const DAY_MINUTES: u16 = 24 * 60;

/// The `tiers`, the lowest threshold first.
pub(super) fn tiers(row: &Section<'_>, amounts: &Amounts<'_>) -> Vec<TierRow> {
    let mut tiers: Vec<TierRow> = Vec::new();
    for item in list(row, "tiers", "requests with a long input") {
        let section = item.section();
        let above = section
            .need("above_input_tokens", "128000")
            .and_then(|field| threshold(&field, amounts.bounds.context_tokens, &tiers));
        let fields = PriceField::INPUT.into_iter().chain(PriceField::OUTPUT);
        let before = item.notes.problems.borrow().len();
        let rates = amounts.rates(&section, fields);
        section.finish();
        if rates.iter().next().is_none() && item.notes.problems.borrow().len() == before {
            item.problem::<()>(
                "has no price; write what costs more (or less) there, such as input",
            );
        }
        tiers.extend(above.map(|above_input_tokens| TierRow {
            above_input_tokens,
            rates,
        }));
    }
    tiers.sort_by_key(|tier| tier.above_input_tokens);
    tiers
}

fn threshold(field: &Field<'_>, context_tokens: u64, before: &[TierRow]) -> Option<u64> {
    let above = field.integer(1, u64::from(u32::MAX))?;
    if above >= context_tokens {
        return field.problem(format!(
            "is {above}, which no request passes: context_tokens is {context_tokens}; raise that to what the model takes, or remove the tier"
        ));
    }
    if before.iter().any(|tier| tier.above_input_tokens == above) {
        return field.problem(format!(
            "is {above}, as in another tier; write one of the two"
        ));
    }
    Some(above)
}

/// The `images`, in the file's order.
pub(super) fn images(row: &Section<'_>, amounts: &Amounts<'_>) -> Vec<ImageRow> {
    let mut images: Vec<ImageRow> = Vec::new();
    for item in list(row, "images", "sizes and qualities") {
        let before = item.notes.problems.borrow().len();
        let section = item.section();
        let size = section.get("size").and_then(|field| word(&field));
        let quality = section.get("quality").and_then(|field| word(&field));
        let price = section
            .need("image", "0.5")
            .and_then(|field| amounts.price(&field, PriceField::Image));
        section.finish();
        if item.notes.problems.borrow().len() > before {
            continue;
        }
        if size.is_none() && quality.is_none() {
            item.problem::<()>("names neither size nor quality; the price of all others is `image:` beside `images:`");
            continue;
        }
        if images
            .iter()
            .any(|other| (&other.size, &other.quality) == (&size, &quality))
        {
            item.problem::<()>("has the size and quality of another entry; write one of the two");
            continue;
        }
        images.extend(price.map(|price| ImageRow {
            size,
            quality,
            price,
        }));
    }
    images
}

/// A size or quality that says which.
fn word(field: &Field<'_>) -> Option<String> {
    field.read(|text| {
        image_word(text).ok_or_else(|| {
            "leaves the choice to the endpoint; write what it takes then, or leave the field out for any"
                .to_owned()
        })
    })
}

/// `default_size` or `default_quality`.
pub(super) fn default_word(row: &Section<'_>, name: &'static str) -> Option<String> {
    row.get(name).and_then(|field| word(&field))
}

/// The `hours`, in the file's order.
pub(super) fn hours(row: &Section<'_>) -> Vec<HoursRow> {
    let rule = |item: &Field<'_>| {
        let section = item.section();
        let minute = |name, example| section.need(name, example).and_then(|at| time(&at));
        let from = minute("from", "\"00:30\"");
        let to = minute("to", "\"08:30\"");
        let times = section
            .need("times", "0.5")
            .and_then(|field| field.factor());
        section.finish();
        let (from, to, times) = (from?, to?, times?);
        if from == to {
            return item.problem("ends when it begins; write 00:00 and 24:00 for all day");
        }
        if from == DAY_MINUTES {
            return item.problem("begins at 24:00; write 00:00");
        }
        Some(HoursRow { from, to, times })
    };
    let items = list(row, "hours", "hours of the day");
    items.iter().filter_map(rule).collect()
}

/// Minutes from midnight.
fn time(field: &Field<'_>) -> Option<u16> {
    field.read(|text| {
        let minutes = || {
            let (hour, minute) = text.split_once(':')?;
            let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            if !digits(hour) || !digits(minute) {
                return None;
            }
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            let all = hour * 60 + minute;
            (minute < 60 && all <= DAY_MINUTES).then_some(all)
        };
        minutes().ok_or_else(|| "is no time of day such as \"08:30\"".to_owned())
    })
}

/// The items of a list, which must have some where it is written.
fn list<'a>(row: &Section<'a>, name: &'static str, of: &str) -> Vec<Field<'a>> {
    let Some(field) = row.get(name) else {
        return Vec::new();
    };
    let items = field.list();
    if field.is_list() && items.is_empty() {
        field.problem::<()>(format!(
            "is empty; remove the field if no {of} have prices of their own"
        ));
    }
    items
}
