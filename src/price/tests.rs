mod bounds;
mod factors;
mod images;
mod kept;
mod meters;
mod tiers;

use super::lint::{LintFinding, Severity, lint};
use super::*;
use crate::config::Config;
use crate::money::Factor;
use crate::usage::Usage;

const START: UnixMs = UnixMs(1_743_350_400_000);

fn book(models: &str) -> PriceBook {
    let text =
        format!("currency: CNY\nupstreams: {{ demo: {{ kind: simulator }} }}\nmodels:\n{models}");
    let config = Config::parse(&text, "config.yaml", &|_| None).expect("a valid config");
    PriceBook::new(&config).expect("a book")
}

/// The prices of a model of a category at the start.
fn version(category: &str, prices: &str) -> Arc<PriceVersion> {
    let book = book(&format!(
        "  - {{ id: m, category: {category}, upstream: demo, prices: [{{ {prices} }}] }}\n"
    ));
    let model = book.find("m").expect("there");
    Arc::clone(model.at(START).expect("in force"))
}

fn chat(prices: &str) -> Arc<PriceVersion> {
    version("chat", prices)
}

fn image(prices: &str) -> Arc<PriceVersion> {
    version("image-edit", prices)
}

/// Held at the start, by a key without a multiplier of its own.
fn terms(version: &Arc<PriceVersion>, worst: WorstCase) -> Terms {
    version.terms(START, Factor::ONE, worst)
}

/// What a usage comes to that took nothing from grants, in nano units.
fn cost(version: &Arc<PriceVersion>, usage: Usage) -> i64 {
    charge(version, usage).priced.get()
}

fn charge(version: &Arc<PriceVersion>, usage: Usage) -> Priced {
    let terms = terms(version, WorstCase::default());
    let charge = terms.charge(&usage, &FreeUnits::default(), &ImageShape::default());
    charge.expect("in range")
}

fn worst(input_tokens: u64, output_tokens: u64, output_tokens_min: u64) -> WorstCase {
    WorstCase {
        input_tokens,
        output_tokens,
        output_tokens_min,
        ..WorstCase::default()
    }
}

fn parts(version: &Arc<PriceVersion>, worst: WorstCase) -> Vec<(Meter, u64, u64, i64)> {
    let segments = terms(version, worst).quote().expect("within bounds");
    let part = |s: &Segment| (s.meter, s.count, s.count_min, s.unit_price.get());
    segments.iter().map(part).collect()
}

#[test]
fn the_version_in_force_is_the_last_that_has_begun() {
    let book = book(
        "  - id: m\n    upstream: demo\n    prices:\n      \
         - { effective_from: \"2025-06-30T00:00:00+08:00\", per: 1M tokens, input: 2, output: 2 }\n      \
         - { effective_from: \"2025-03-31T00:00:00+08:00\", per: 1M tokens, input: 1, output: 1 }\n",
    );
    let model = book.find("m").expect("there");
    let input = |now| {
        model
            .at(now)
            .and_then(|v| v.rate(Meter::Input))
            .map(|rate| rate.to_string())
    };
    assert_eq!(input(UnixMs(START.0 - 1)), None);
    assert_eq!(input(START).as_deref(), Some("0.000001"));
    assert_eq!(input(UnixMs(i64::MAX)).as_deref(), Some("0.000002"));
}

#[test]
fn the_same_prices_make_the_same_version_however_they_are_written() {
    let one = book(
        "  - { id: a, aliases: [x, y], upstream: demo, prices: [{ per: 1M tokens, input: 800, output: 1.50 }] }\n  - { id: b, upstream: demo, prices: [{ free: true }] }\n",
    );
    let same = book(
        "  - { id: b, upstream: demo, prices: [{ free: true }] }\n  - { id: a, aliases: [y, x], upstream: demo, prices: [{ per: 1K tokens, input: \"0.8\", output: 0.0015 }] }\n",
    );
    let other = book(
        "  - { id: a, aliases: [x, y], upstream: demo, prices: [{ per: 1M tokens, input: 800, output: 1.51 }] }\n  - { id: b, upstream: demo, prices: [{ free: true }] }\n",
    );
    assert_eq!(one.content(), same.content());
    assert_eq!(one.version(), same.version());
    assert_ne!(one.version(), other.version());
    assert_eq!(one.version().len(), 12);
    assert!(
        one.content()
            .contains(r#""rates":{"input":"0.0008","output":"0.0000015"}"#),
        "{}",
        one.content()
    );
    assert_eq!(one.find("y").map(|model| &*model.id), Some("a"));
    assert!(one.find("z").is_none());
}

#[test]
fn prices_are_printed_as_the_list_has_them() {
    let printed = |version: Arc<PriceVersion>| version.printed().to_vec();
    let text = |field, price: &str, unit| Written {
        field,
        price: price.to_owned(),
        unit,
    };
    assert_eq!(
        printed(chat(
            "per: 1K tokens, input: 0.80, output: 0.32, request: 100"
        )),
        [
            text("input", "0.8", "1K tokens"),
            text("output", "0.32", "1K tokens"),
            text("request", "100", "request"),
        ]
    );
    assert_eq!(
        printed(image("image: 0.70")),
        [text("image", "0.7", "image")]
    );
    assert_eq!(printed(chat("free: true")), []);
}

#[test]
fn a_quote_has_each_side_at_its_dearest_meter() {
    let plain = chat("per: 1M tokens, input: 4, output: 16");
    assert_eq!(
        parts(&plain, worst(100, 50, 2)),
        [
            (Meter::Input, 100, 100, 4_000),
            (Meter::Output, 50, 2, 16_000)
        ]
    );
    let cached = chat(
        "per: 1M tokens, input: 4, cached_input: 1, cache_write: 5, output: 16, reasoning: 20",
    );
    assert_eq!(
        parts(&cached, worst(100, 50, 50)),
        [
            (Meter::Input, 100, 100, 5_000),
            (Meter::Output, 50, 50, 20_000)
        ]
    );
    let fine = chat("per: 1M tokens, input: 0.0001, output: 0.0011");
    assert_eq!(
        parts(&fine, worst(1, 1, 9)),
        [(Meter::Input, 1, 1, 1), (Meter::Output, 1, 1, 2)]
    );
}

#[test]
fn what_has_no_price_is_quoted_at_zero_so_that_limits_can_count_it() {
    let free = chat("free: true");
    assert_eq!(
        parts(&free, worst(100, 50, 50)),
        [(Meter::Input, 100, 100, 0), (Meter::Output, 50, 50, 0)]
    );
    let images = WorstCase {
        images: 3,
        ..WorstCase::default()
    };
    assert_eq!(
        parts(&image("free: true"), images.clone()),
        [(Meter::Images, 3, 3, 0)]
    );
    assert_eq!(
        parts(&image("image: 0.35"), images),
        [(Meter::Images, 3, 3, 350_000_000)]
    );
    assert_eq!(
        parts(&chat("request: 0.5"), worst(1, 1, 1)),
        [
            (Meter::Input, 1, 1, 0),
            (Meter::Output, 1, 1, 0),
            (Meter::Requests, 1, 1, 500_000_000)
        ]
    );
}

#[test]
fn a_price_by_the_request_counts_as_often_as_it_is_told() {
    let priced = version("rerank", "request: 0.002");
    let searches = |requests| WorstCase {
        requests,
        ..WorstCase::default()
    };
    for (asked, held) in [(0, 1), (1, 1), (7, 7)] {
        let part = (Meter::Requests, held, held, 2_000_000);
        assert_eq!(parts(&priced, searches(asked)), [part]);
    }
    for (told, counted) in [(0, 1), (1, 1), (7, 7)] {
        let usage = Usage::NONE.with(Meter::Requests, told);
        assert_eq!(cost(&priced, usage), counted * 2_000_000);
    }
    // By tokens alone, they are not what is paid.
    let by_tokens = version("rerank", "per: 1M tokens, input: 1");
    let usage = Usage::tokens(10, 0).with(Meter::Requests, 7);
    assert_eq!(cost(&by_tokens, usage), 10_000);
    assert_eq!(parts(&by_tokens, searches(7)), []);
}

#[test]
fn a_part_that_leaves_exact_arithmetic_has_no_quote() {
    let version = chat("per: token, input: 60, output: 1");
    let quote = |input| terms(&version, worst(input, 0, 0)).quote();
    assert!(quote(131_072).is_ok());
    let error = quote(1 << 18).expect_err("beyond 2^53");
    assert_eq!(
        error,
        QuoteError::TooLarge {
            meter: Meter::Input,
            count: 1 << 18
        }
    );
    assert!(quote(u64::MAX).is_err());
}

#[test]
fn a_charge_is_exact_and_burns_in_order_what_has_a_price() {
    let version = chat("per: 1M tokens, input: 4, cached_input: 0, output: 16");
    let usage = Usage::tokens(100, 50)
        .with(Meter::CachedInput, 1_000)
        .with(Meter::Reasoning, 10);
    let charge = |tokens| {
        let took = FreeUnits {
            tokens,
            ..FreeUnits::default()
        };
        let terms = terms(&version, WorstCase::default());
        let priced = terms.charge(&usage, &took, &ImageShape::default());
        let priced = priced.expect("in range");
        (priced.priced.get(), priced.free.tokens)
    };
    assert_eq!(charge(0), (100 * 4_000 + 60 * 16_000, 0));
    assert_eq!(charge(100), (60 * 16_000, 100));
    assert_eq!(charge(105), (55 * 16_000, 105));
    assert_eq!(charge(9_999), (0, 160));
}

#[test]
fn a_unit_of_requests_frees_a_whole_request_and_is_not_burned_by_a_free_one() {
    let took = FreeUnits {
        requests: 1,
        tokens: 5,
        images: 0,
    };
    let charge = |version: &Arc<PriceVersion>| {
        let charge = terms(version, WorstCase::default()).charge(
            &Usage::tokens(100, 50),
            &took,
            &ImageShape::default(),
        );
        charge.expect("in range")
    };
    let paid = charge(&chat("per: 1M tokens, input: 4, output: 16"));
    assert_eq!(
        (paid.priced, paid.free),
        (
            Nano::ZERO,
            FreeUnits {
                requests: 1,
                ..FreeUnits::default()
            }
        )
    );
    assert_eq!(charge(&chat("free: true")), Priced::default());
    assert_eq!(cost(&chat("request: 0.5"), Usage::NONE), 500_000_000);
}

fn findings(models: &str) -> Vec<(String, &'static str, Severity)> {
    let short = |f: LintFinding| (f.model.to_string(), f.field, f.severity);
    lint(&book(models)).into_iter().map(short).collect()
}

#[test]
fn lint_flags_the_misprinted_row_of_the_shipped_list_for_three_reasons_and_no_other_row() {
    let config = Config::parse(include_str!("../../config.yaml"), "config.yaml", &|_| None);
    let book = PriceBook::new(&config.expect("valid")).expect("a book");
    let found: Vec<(String, &str, String)> = lint(&book)
        .into_iter()
        .map(|f| (f.model.to_string(), f.field, f.message))
        .collect();
    let ernie =
        |field, message: &str| ("ERNIE-4.5-Turbo-128K".to_owned(), field, message.to_owned());
    assert_eq!(
        found,
        [
            ernie(
                "output",
                "from 2025-03-30T16:00:00Z: output (0.32) is cheaper than input (0.8) per 1K tokens"
            ),
            ernie(
                "input",
                "from 2025-03-30T16:00:00Z: input (800 per 1M tokens) is 50 times or more above the book's median (2 per 1M tokens)"
            ),
            ernie(
                "per",
                "from 2025-03-30T16:00:00Z: is per 1K tokens, but most rows of the book are per 1M tokens"
            ),
        ]
    );
}

#[test]
fn lint_notes_what_is_free_with_no_end_and_what_is_far_too_cheap() {
    let row = |id: &str, price: &str| {
        format!("  - {{ id: {id}, upstream: demo, prices: [{{ {price} }}] }}\n")
    };
    let priced = |id: &str, price| {
        row(
            id,
            &format!("per: 1M tokens, input: {price}, output: {price}"),
        )
    };
    let models = [
        priced("a", "2"),
        priced("b", "2"),
        priced("c", "3"),
        priced("d", "0.04"),
        row("e", "free: true"),
        priced("f", "0"),
    ];
    assert_eq!(
        findings(&models.concat()),
        [
            ("d".to_owned(), "input", Severity::Warning),
            ("d".to_owned(), "output", Severity::Warning),
            ("e".to_owned(), "prices", Severity::Note),
            ("f".to_owned(), "prices", Severity::Note),
        ]
    );
    assert_eq!(findings(&priced("alone", "2")), []);
}

#[test]
fn embeddings_are_quoted_and_linted_by_their_input_alone() {
    let embedding = |id: &str, price: &str| {
        format!(
            "  - {{ id: {id}, category: embedding, upstream: demo, prices: [{{ per: 1M tokens, input: {price} }}] }}\n"
        )
    };
    let chats = "abcd".chars().map(|id| {
        format!("  - {{ id: {id}, upstream: demo, prices: [{{ per: 1M tokens, input: 4, output: 16 }}] }}\n")
    });
    let chats: String = chats.collect();
    let usual = ["e", "f", "g"].map(|id| embedding(id, "0.02")).concat();
    // A fiftieth of what chats cost is usual for them; fifty times of what others cost is not.
    assert_eq!(findings(&format!("{chats}{usual}")), []);
    let dear = format!("{chats}{usual}{}", embedding("h", "4"));
    assert_eq!(
        findings(&dear),
        [("h".to_owned(), "input", Severity::Warning)]
    );
    let book = book(&usual);
    let price = book.find("e").and_then(|model| model.at(START));
    let price = price.expect("a price");
    let worst = WorstCase {
        input_tokens: 9,
        ..WorstCase::default()
    };
    let segments = terms(price, worst).quote().expect("a quote");
    let parts: Vec<_> = segments
        .iter()
        .map(|part| (part.meter, part.count))
        .collect();
    assert_eq!(parts, [(Meter::Input, 9)]);
}
