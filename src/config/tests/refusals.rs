//! Refusals of models, keys, grants and limits, and of fields that nobody knows.

use super::{SMALL, parse, refuses};

#[test]
fn an_unknown_field_names_the_nearest_known_one() {
    refuses(
        "kind: simulator",
        "kind: simulator, ask_usge: auto",
        "config.yaml:4: upstreams.demo.ask_usge: is no known field; did you mean `ask_usage`?",
    );
    refuses(
        "currency: CNY",
        "currency: CNY\nmodel: []",
        "config.yaml:3: model: is no known field; did you mean `models`?",
    );
    refuses(
        "spend: \"5.00\"",
        "spend: \"5.00\", zzzzzz: 1",
        "config.yaml:16: keys[0].limits[0].zzzzzz: is no known field; known here: concurrent, images, models, name, per, requests, spend, tokens",
    );
}

#[test]
fn an_offline_allowance_is_an_amount_of_money_and_none_by_default() {
    const AT: &str = "config.yaml:16: keys[0].offline_allowance:";
    for (amount, message) in [
        ("\"-1\"", "\"-1\" is negative; it must be 0 or more"),
        ("much", "\"much\" is not a decimal number such as 0.8"),
        (
            "10000000",
            "\"10000000\" is too large; the most is 9007199.254740992",
        ),
    ] {
        let by = format!("balance: \"1.5\", offline_allowance: {amount}");
        refuses("balance: \"1.5\"", &by, &format!("{AT} {message}"));
    }
    let allowance = |text: &str| parse(text).expect("valid").keys[0].offline_allowance;
    assert!(allowance(SMALL).is_zero());
    let given = SMALL.replacen("balance:", "offline_allowance: 2.50, balance:", 1);
    assert_eq!(allowance(&given).to_string(), "2.5");
}

#[test]
fn a_model_needs_a_name_of_its_own_an_upstream_and_prices() {
    refuses(
        "upstream: demo",
        "context_tokens: 1000",
        "config.yaml:7: models[0]: has no `upstream`; write one, such as `upstream: demo`",
    );
    refuses(
        "upstream: demo",
        "upstream: dmo",
        "config.yaml:9: models[0].upstream: \"dmo\" is no upstream of this file; did you mean `demo`?",
    );
    refuses(
        "upstream: demo",
        "upstream: []",
        "config.yaml:9: models[0].upstream: is an empty list; a model needs an upstream",
    );
    refuses(
        "upstream: demo",
        "upstream: [{ upstream: demo, wieght: 1 }]",
        "config.yaml:9: models[0].upstream[0].wieght: is no known field; did you mean `weight`?",
    );
    refuses(
        "aliases: [one]",
        "aliases: [one, chat/one]",
        "config.yaml:8: models[0].aliases[1]: \"chat/one\" already is models[0].id; a name reaches one model only",
    );
    refuses(
        "grants:",
        "  - { id: one, upstream: demo, prices: [{ free: true }] }\ngrants:",
        "config.yaml:13: models[1].id: \"one\" already is models[0].aliases[0]; a name reaches one model only",
    );
    refuses(
        "upstream: demo",
        "upstream: demo\n    context_tokens: 0",
        "config.yaml:10: models[0].context_tokens: \"0\" is not a whole number from 1 to 4294967296",
    );
    let empty = SMALL.replace("prices:\n      - { free: true }", "prices: []\n    #");
    assert!(parse(&empty).is_err());
}

#[test]
fn grants_keys_and_limits_must_make_sense() {
    refuses(
        "models: [one]",
        "models: [chat/ome]",
        "config.yaml:14: grants[0].models[0]: \"chat/ome\" is no model of this file; did you mean `chat/one`?",
    );
    refuses(
        "amount: 500000",
        "amount: 0",
        "config.yaml:14: grants[0].amount: \"0\" is not a whole number from 1 to 9007199254740991",
    );
    refuses(
        "spend: \"5.00\"",
        "spend: \"5.00\", tokens: 5",
        "config.yaml:16: keys[0].limits[0]: caps both spend and tokens; write one limit for each",
    );
    refuses(
        "spend: \"5.00\"",
        "name: x",
        "config.yaml:16: keys[0].limits[0]: caps nothing; write one of: spend, tokens, images, requests, concurrent",
    );
    refuses(
        "spend: \"5.00\", per: day",
        "spend: \"5.00\"",
        "config.yaml:16: keys[0].limits[0]: has no `per`; write one of: total, minute, hour, day, week, month",
    );
    refuses(
        "spend: \"5.00\"",
        "concurrent: 5",
        "config.yaml:16: keys[0].limits[0].per: has no meaning for `concurrent`; remove it",
    );
    refuses(
        "per: day }",
        "per: day }, { spend: 1, per: day }",
        "config.yaml:16: keys[0].limits[1]: is the second limit named `spend-day`; give it a `name` of its own",
    );
    refuses(
        "balance: \"1.5\"",
        "grants: [fre]",
        "config.yaml:16: keys[0].grants[0]: \"fre\" is no grant of this file; did you mean `free`?",
    );
    refuses(
        "balance: \"1.5\"",
        "allowed_ips: [10.0.0.0/33]",
        "config.yaml:16: keys[0].allowed_ips[0]: \"10.0.0.0/33\" is no IP address or range such as 10.0.0.0/8 or 2001:db8::/32",
    );
    refuses(
        "balance: \"1.5\"",
        "balance: 0.0000000001",
        "config.yaml:16: keys[0].balance: \"0.0000000001\" has more than 9 digits after the decimal point",
    );
    let twice = "  - { name: example, secret: \"${EXAMPLE_KEY}\" }\n";
    let messages: Vec<String> = parse(&format!("{}{twice}", SMALL))
        .expect_err("twice")
        .problems()
        .iter()
        .map(|p| p.message.clone())
        .collect();
    assert_eq!(
        messages,
        [
            "\"example\" is the name of another one; names are unique",
            "has the same secret as key `example`; each key needs its own"
        ]
    );
}
