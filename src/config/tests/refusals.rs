use super::{SMALL, parse, refusal, refuses};

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

#[test]
fn addresses_and_time_zones_say_what_was_likely_meant() {
    let server = |by: &str| {
        refusal(
            "currency: CNY",
            &format!("currency: CNY\nserver: {{ {by} }}"),
        )
        .remove(0)
    };
    assert_eq!(
        server("listen: \"localhost:80\""),
        "config.yaml:3: server.listen: \"localhost:80\" is not an IP address and port such as 127.0.0.1:8080; did you mean `127.0.0.1:80`?"
    );
    assert_eq!(
        server("listen: 8080"),
        "config.yaml:3: server.listen: \"8080\" is not an IP address and port such as 127.0.0.1:8080; did you mean `127.0.0.1:8080`?"
    );
    assert_eq!(
        server("listen: \"127.0.0.1:8081\""),
        "config.yaml:3: server: listen and admin_listen are both 127.0.0.1:8081; give admin_listen another port"
    );
    assert_eq!(
        server("timezone: Asia/Shangai"),
        "config.yaml:3: server.timezone: \"Asia/Shangai\" is no IANA time zone such as Asia/Shanghai; did you mean `Asia/Shanghai`?"
    );
    assert_eq!(
        server("refusal_status_no_funds: 200"),
        "config.yaml:3: server.refusal_status_no_funds: \"200\" is not one of: 402, 403, 429"
    );
    assert_eq!(
        server("request_log: off"),
        "config.yaml:3: server.request_log: \"off\" is neither true nor false"
    );
    refuses(
        "https://api.example.com/v1/",
        "api.example.com",
        "config.yaml:5: upstreams.real.base_url: \"api.example.com\" is not an address such as https://api.example.com/v1",
    );
    refuses(
        "currency: CNY",
        "currency: cny",
        "config.yaml:2: currency: \"cny\" is not a currency code such as CNY; did you mean `CNY`?",
    );
    refuses(
        "currency: CNY",
        "currency: CNY\ncaps: { json_depth: 1, header_bytes: 8 KiB }",
        "config.yaml:3: caps.json_depth: \"1\" is not a whole number from 8 to 1024",
    );
}

#[test]
fn an_origin_is_written_as_browsers_write_it() {
    const AT: &str = "config.yaml:2: server.cors_origins[0]:";
    for (origin, likely) in [
        ("https://a.example/", "; did you mean `https://a.example`?"),
        (
            "https://a.example/chat?x",
            "; did you mean `https://a.example`?",
        ),
        ("HTTPS://A.example", "; did you mean `https://a.example`?"),
        (
            "https://a.example:443",
            "; did you mean `https://a.example`?",
        ),
        ("a.example", "; did you mean `https://a.example`?"),
        ("https://*.example", ""),
        ("https://", ""),
        ("https://me@a.example", ""),
        ("https://a.example:x", "; did you mean `https://a.example`?"),
        ("*", ""),
    ] {
        refuses(
            "currency: CNY",
            &format!("server: {{ cors_origins: [\"{origin}\"] }}\ncurrency: CNY"),
            &format!(
                "{AT} \"{origin}\" is no origin such as https://chat.example.com, in lower case and without a path{likely}"
            ),
        );
    }
    for (value, message) in [
        ("[]", "is empty; remove the field to allow no web page"),
        (
            "\"https://a.example\"",
            "\"https://a.example\" is no list of origins; write [\"https://a.example\"], or \"*\" for every page",
        ),
    ] {
        refuses(
            "currency: CNY",
            &format!("server: {{ cors_origins: {value} }}\ncurrency: CNY"),
            &format!("config.yaml:2: server.cors_origins: {message}"),
        );
    }
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

#[test]
fn tls_needs_both_files_and_a_list_of_proxies_addresses() {
    let server = |fields: &str| format!("currency: CNY\nserver: {fields}");
    refuses(
        "currency: CNY",
        &server("{ tls: { certificate: a.pem } }"),
        "config.yaml:3: server.tls: has no `key`; write one, such as `key: /etc/tollgate/privkey.pem`",
    );
    refuses(
        "currency: CNY",
        &server("{ tls: { certificate: a.pem, key: b.pem, chain: c.pem } }"),
        "config.yaml:3: server.tls.chain: is no known field; known here: certificate, key",
    );
    refuses(
        "currency: CNY",
        &server("{ trusted_proxies: [proxy.internal] }"),
        "config.yaml:3: server.trusted_proxies[0]: \"proxy.internal\" is no IP address or range such as 10.0.0.0/8 or 2001:db8::/32",
    );
    refuses(
        "currency: CNY",
        &server("{ trusted_proxies: [] }"),
        "config.yaml:3: server.trusted_proxies: trusts no proxy; remove the field to trust none",
    );
    refuses(
        "currency: CNY",
        "currency: CNY\ncaps: { h2_streams: 0 }",
        "config.yaml:3: caps.h2_streams: \"0\" is not a whole number from 1 to 10000",
    );
}
