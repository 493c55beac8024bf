//! Prices of images by size and quality.

use super::*;

const TABLE: &str = "images: [{ size: 1024x1024, quality: hd, image: 0.5 }, { size: 1024x1024, quality: standard, image: 0.25 }, \
     { size: 1792x1024, quality: standard, image: 0.75 }], default_size: 1024x1024";

fn asking(size: Option<&str>, quality: Option<&str>) -> WorstCase {
    WorstCase {
        images: 2,
        shape: ImageShape::read(size, quality),
        ..WorstCase::default()
    }
}

fn quoted(version: &Arc<PriceVersion>, size: Option<&str>, quality: Option<&str>) -> i64 {
    parts(version, asking(size, quality))[0].3
}

/// Nano units an image, and what it went by.
fn charged(
    version: &Arc<PriceVersion>,
    asked: (Option<&str>, Option<&str>),
    stated: (Option<&str>, Option<&str>),
) -> (i64, Option<String>, Option<String>) {
    let terms = terms(version, asking(asked.0, asked.1));
    let stated = ImageShape::read(stated.0, stated.1);
    let charge = terms.charge(&Usage::images(1), &FreeUnits::default(), &stated);
    let charge = charge.expect("in range");
    assert_eq!(charge.unpriced, None);
    let word = |word: Option<Arc<str>>| word.map(|word| word.to_string());
    let ImageShape { size, quality } = charge.applied.image;
    (charge.priced.get(), word(size), word(quality))
}

fn refusal(version: &Arc<PriceVersion>, size: Option<&str>, quality: Option<&str>) -> String {
    let quote = terms(version, asking(size, quality)).quote();
    let error = quote.expect_err("no price");
    assert!(matches!(&error, QuoteError::NoImagePrice { param, .. }
        if *param == if error.to_string().starts_with("size") { "size" } else { "quality" }));
    error.to_string()
}

#[test]
fn a_quote_is_at_the_dearest_image_that_the_request_can_turn_out_to_be() {
    let version = image(TABLE);
    assert_eq!(quoted(&version, Some("1024x1024"), Some("hd")), 500_000_000);
    assert_eq!(
        quoted(&version, Some("1024*1024"), Some("Standard")),
        250_000_000
    );
    assert_eq!(quoted(&version, Some("1792x1024"), None), 750_000_000);
    // The default counts where the request leaves it open.
    assert_eq!(quoted(&version, None, None), 500_000_000);
    assert_eq!(
        quoted(&version, Some("auto"), Some("standard")),
        250_000_000
    );
    let open = image(&TABLE.replace(", default_size: 1024x1024", ", image: 0.8"));
    assert_eq!(quoted(&open, None, None), 800_000_000);
    assert_eq!(quoted(&open, Some("64x64"), None), 800_000_000);
    // All that is listed of this size is cheaper, but not all that it can be is listed.
    assert_eq!(quoted(&open, Some("1024x1024"), None), 800_000_000);
    assert_eq!(quoted(&open, Some("1024x1024"), Some("hd")), 500_000_000);
}

#[test]
fn a_size_that_the_request_decides_in_words_of_its_own_is_no_default() {
    let version = image(TABLE);
    let any = WorstCase {
        any_size: true,
        ..asking(Some("1024x1024"), Some("standard"))
    };
    assert_eq!(parts(&version, any.clone())[0].3, 750_000_000);
    let charge = terms(&version, any).charge(
        &Usage::images(1),
        &FreeUnits::default(),
        &ImageShape::default(),
    );
    let charge = charge.expect("in range");
    assert!(!charge.dearer_image);
    assert_eq!(charge.priced.get(), 750_000_000);
}

#[test]
fn an_image_without_a_price_is_refused_and_told_those_that_have_one() {
    let version = image(TABLE);
    assert_eq!(
        refusal(&version, Some("64x64"), None),
        "size `64x64` has no price; those that have are: 1024x1024, 1792x1024"
    );
    assert_eq!(
        refusal(&version, Some("1792x1024"), Some("hd")),
        "quality `hd` has no price; those that have are: standard"
    );
    assert_eq!(
        refusal(&version, None, Some("low")),
        "quality `low` has no price; those that have are: hd, standard"
    );
}

#[test]
fn an_entry_that_names_more_goes_before_one_that_names_less() {
    let version = image(
        "images: [{ size: 1x1, image: 1 }, { quality: hd, image: 2 }, { size: 1x1, quality: hd, image: 1.5 }], image: 9",
    );
    assert_eq!(quoted(&version, Some("1x1"), Some("hd")), 1_500_000_000);
    assert_eq!(quoted(&version, Some("1x1"), Some("low")), 1_000_000_000);
    assert_eq!(quoted(&version, Some("2x2"), Some("hd")), 2_000_000_000);
    assert_eq!(quoted(&version, Some("2x2"), Some("low")), 9_000_000_000);
}

#[test]
fn the_charge_goes_by_what_the_answer_states_else_by_what_was_asked_and_is_never_nothing() {
    let version = image(TABLE);
    let text = |text: &str| Some(text.to_owned());
    let asked = (Some("1024x1024"), None);
    assert_eq!(
        charged(&version, asked, (None, Some("standard"))),
        (250_000_000, text("1024x1024"), text("standard"))
    );
    // What it leaves open is taken at the dearest.
    assert_eq!(
        charged(&version, asked, (None, None)),
        (500_000_000, text("1024x1024"), None)
    );
    // What it states has no price: it goes by what was asked for.
    assert_eq!(
        charged(&version, asked, (Some("64x64"), None)),
        (500_000_000, text("1024x1024"), None)
    );
    // Not even that has one: the dearest of all.
    assert_eq!(
        charged(&version, (Some("64x64"), Some("low")), (None, None)),
        (750_000_000, None, None)
    );
    // One price for all is nothing to tell of.
    assert_eq!(
        charged(&image("image: 0.7"), asked, (Some("64x64"), None)),
        (700_000_000, None, None)
    );
}

#[test]
fn an_image_dearer_than_any_that_was_asked_for_is_told_of() {
    let version = image(TABLE);
    let dearer = |stated: &str| {
        let terms = terms(&version, asking(Some("1024x1024"), Some("standard")));
        let stated = ImageShape::read(None, Some(stated));
        let charge = terms.charge(&Usage::images(1), &FreeUnits::default(), &stated);
        charge.expect("in range").dearer_image
    };
    assert!(dearer("hd"));
    assert!(!dearer("standard"));
}

#[test]
fn image_tables_are_in_a_books_name_however_they_are_written() {
    let row = |prices: &str| {
        let text = format!(
            "  - {{ id: m, category: text-to-image, upstream: demo, prices: [{{ {prices} }}] }}\n"
        );
        book(&text).version().to_string()
    };
    let one = row(
        "images: [{ size: 1x1, image: 1 }, { size: 2x2, quality: HD, image: 2 }], default_size: 1x1",
    );
    let same = row(
        "images: [{ size: 2*2, quality: hd, image: 2.0 }, { size: 1X1, image: 1 }], default_size: 1x1",
    );
    assert_eq!(one, same);
    assert_ne!(
        one,
        row("images: [{ size: 1x1, image: 1 }, { size: 2x2, quality: hd, image: 2 }]")
    );
}

#[test]
fn lint_flags_an_image_far_off_the_others_of_its_row() {
    let row = |price: &str| {
        format!(
            "  - {{ id: m, category: text-to-image, upstream: demo, prices: [{{ images: [{{ size: 1x1, image: 0.2 }}, {{ size: 2x2, image: 0.3 }}, {{ size: 4x4, image: {price} }}] }}] }}\n"
        )
    };
    assert_eq!(findings(&row("14.9")), []);
    assert_eq!(
        findings(&row("15")),
        [("m".to_owned(), "images", Severity::Warning)]
    );
}
