//! Refusals of prices.

use super::{SMALL, parse, refusal, refuses};

#[test]
fn a_bad_price_says_what_was_likely_meant() {
    const AT: &str = "config.yaml:12: models[0].prices[1].input:";
    for (price, message) in [
        (
            "\"0,8\"",
            "\"0,8\" is not a decimal number; did you mean 0.8?",
        ),
        (
            "¥0.8",
            "\"¥0.8\" is not a decimal number; did you mean 0.8?",
        ),
        (
            "1e-1",
            "\"1e-1\" is not a decimal number; did you mean 0.1?",
        ),
        (
            "1_000",
            "\"1_000\" is not a decimal number; did you mean 1000?",
        ),
        ("cheap", "\"cheap\" is not a decimal number such as 0.8"),
        ("true", "\"true\" is not a decimal number such as 0.8"),
        ("-1", "\"-1\" is negative; it must be 0 or more"),
        (
            "0.1234567890123",
            "\"0.1234567890123\" has more than 12 digits after the point",
        ),
        (
            "\"${NOWHERE}\"",
            "the environment variable NOWHERE is not set; set it, or write ${NOWHERE:-default}",
        ),
        (
            "\"${EMPTY}\"",
            "the environment variable EMPTY is not set; set it, or write ${EMPTY:-default}",
        ),
        (
            "\"${1}\"",
            "`${1}` names no variable; write `${NAME}` or `${NAME:-default}`",
        ),
        ("[1]", "is a list; one value is expected here"),
        ("", "is empty; write a value or remove the field"),
        (
            "80000000",
            "\"80000000\" is too large: times context_tokens (131072) it leaves exact arithmetic, \
             which ends at 9007199.254740992 a request; is the unit right?",
        ),
    ] {
        refuses("0.80", price, &format!("{AT} {message}"));
    }
}

#[test]
fn prices_that_do_not_go_together_are_refused() {
    const AT: &str = "config.yaml:12: models[0].prices[1]:";
    let prices = "per: 1M tokens, input: 0.80, output: \"3.2\"";
    for (by, message) in [
        (
            "free: true, input: 1",
            "is free and has a price (input); remove one of the two",
        ),
        (
            "per: 1M tokens",
            "has no price; write `free: true` if it is meant to be free",
        ),
        (
            "input: 1, output: 2",
            "has a price per token (input) but no `per`; write `per: 1M tokens` or `per: 1K tokens`",
        ),
        (
            "per: image, input: 1, output: 2",
            "is `per: image`, but input is a price per token; write `per: 1M tokens` or `per: 1K tokens`",
        ),
        (
            "per: 1M tokens, request: 1",
            "is `per: 1M tokens`, but has no price per token; write `per: image`",
        ),
        (
            "per: 1M tokens, input: 1",
            "is for a chat model and has no price for input and output; write 0 where something is free",
        ),
    ] {
        refuses(prices, by, &format!("{AT} {message}"));
    }
    refuses(
        "per: 1M tokens, input",
        "per: 1m token, input",
        "config.yaml:12: models[0].prices[1].per: \"1m token\" is not one of: 1M tokens, 1K tokens, token, image, request; did you mean `1M tokens`?",
    );
    refuses(
        "{ free: true }",
        "{ effective_from: \"2025-03-30T16:00:00Z\", free: true }",
        "config.yaml:12: models[0].prices[1]: is in force from 2025-03-30T16:00:00Z, as another one is; give it its own effective_from",
    );
    refuses(
        "2025-03-31T00:00:00+08:00",
        "2025-03-31",
        "config.yaml:12: models[0].prices[1].effective_from: \"2025-03-31\" is not a point in time with an offset, such as 2025-03-31T00:00:00+08:00; did you mean 2025-03-31T00:00:00+00:00?",
    );
}

#[test]
fn an_embedding_model_is_priced_by_its_input() {
    let of = |prices: &str| {
        format!(
            "upstream: demo\n    category: embedding\n    prices: [{prices}]\n  - id: other\n    upstream: demo"
        )
    };
    let fine = of(
        "{ per: 1M tokens, input: 0.13, cached_input: 0.1 }, { effective_from: \"2030-01-01T00:00:00Z\", request: 1 }",
    );
    parse(&SMALL.replacen("upstream: demo", &fine, 1)).expect("valid");
    for (prices, message) in [
        (
            "{ per: 1M tokens, input: 0.13, output: 0 }",
            "has a price for output, but an embedding model gives neither text nor images; remove it",
        ),
        (
            "{ image: 1 }",
            "has a price for image, but an embedding model gives neither text nor images; remove it",
        ),
        (
            "{ per: 1M tokens, cached_input: 1 }",
            "has a price for cached_input but none for input; other tokens of that side would be free",
        ),
    ] {
        let found = refusal("upstream: demo", &of(prices));
        assert!(found[0].ends_with(message), "{found:?}");
    }
}
