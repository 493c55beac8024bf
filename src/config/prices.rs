//! The prices of a model, checked so far that no quote within the model's bounds can leave exact arithmetic.

mod fits;
mod tables;

use rust_decimal::Decimal;

use super::read::{AMOUNT_MAX, Field};
use super::section::Section;
use super::{Bounds, Category, Per, PriceField, PriceRow, Rates, Words as _};
use crate::money::{Factor, Nano, Scale, UnitPrice};

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
        fits::fits(item, &row, category, has_per);
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
    let hours = tables::hours(&section);
    let dearest = hours.iter().map(|rule| rule.times).max();
    let amounts = Amounts {
        per: per.unwrap_or(Per::MillionTokens),
        scale: Scale::of(dearest.unwrap_or_default().max(Factor::ONE), Factor::ONE),
        bounds,
    };
    let default_per = match category.is_image() {
        true => Per::Image,
        false => Per::MillionTokens,
    };
    let rates = PriceField::WORDS.iter().map(|(_, field)| *field);
    let row = PriceRow {
        effective_from: section.get("effective_from").and_then(|field| field.time()),
        free: section
            .get("free")
            .and_then(|field| field.flag())
            .unwrap_or(false),
        per: per.unwrap_or(default_per),
        rates: amounts.rates(&section, rates),
        tiers: tables::tiers(&section, &amounts),
        images: tables::images(&section, &amounts),
        default_size: tables::default_word(&section, "default_size"),
        default_quality: tables::default_word(&section, "default_quality"),
        hours,
        line: section.line,
    };
    section.finish();
    (row, per.is_some())
}

/// What prices are read by: their unit, and how much of it one request can come to.
struct Amounts<'a> {
    per: Per,
    /// The dearest that an hour can make them.
    scale: Scale,
    bounds: &'a Bounds,
}

impl Amounts<'_> {
    fn rates(&self, section: &Section<'_>, fields: impl Iterator<Item = PriceField>) -> Rates {
        Rates::new(fields.filter_map(|field| {
            let price = self.price(&section.get(field.name())?, field)?;
            Some((field, price))
        }))
    }

    /// A price that is exact, also times the most that one request can have of it.
    fn price(&self, written: &Field<'_>, field: PriceField) -> Option<Decimal> {
        let price = written.decimal()?;
        let per = field.units(self.per);
        let digits = match field {
            PriceField::Minute => ATTO_DIGITS,
            _ => ATTO_DIGITS.saturating_sub(per.ilog10()),
        };
        if price.normalize().scale() > digits {
            return written.problem(format!(
                "\"{price}\" has more than {digits} digits after the point"
            ));
        }
        let (bound, most) = self.bound(field);
        let cost = UnitPrice::per(price, per)
            .and_then(|unit| unit.nano_ceil(self.scale))
            .and_then(|unit| unit.checked_mul(most))
            .and_then(|cost| u64::try_from(cost.get()).ok());
        if cost.is_none_or(|cost| cost > AMOUNT_MAX) {
            return written.problem(format!(
                "\"{price}\" is too large: times {bound} ({most}) it leaves exact arithmetic, which ends at {} a request; is the unit right?",
                Nano::new(1 << 53)
            ));
        }
        Some(price)
    }

    fn bound(&self, field: PriceField) -> (&'static str, u64) {
        let bounds = self.bounds;
        match field {
            PriceField::Image => ("images_max", bounds.images_max),
            PriceField::Second | PriceField::Minute => ("seconds_max", bounds.seconds_max),
            PriceField::Character
            | PriceField::ThousandCharacters
            | PriceField::MillionCharacters => ("characters_max", bounds.characters_max),
            PriceField::Request => ("one request", 1),
            _ if PriceField::INPUT.contains(&field) => ("context_tokens", bounds.context_tokens),
            _ => {
                let output = bounds.max_output_tokens;
                let output = output.saturating_add(bounds.reasoning_tokens_max);
                ("max_output_tokens", output)
            }
        }
    }
}
