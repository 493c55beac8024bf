use super::*;

const SMALL: &str = r#"
currency: CNY
upstreams:
  demo: { kind: simulator }
  real: { base_url: "https://api.example.com/v1/", api_key: "${REAL_KEY}" }
models:
  - id: chat/one
    aliases: [one]
    upstream: demo
    prices:
      - { free: true }
      - { effective_from: "2025-03-31T00:00:00+08:00", per: 1M tokens, input: 0.80, output: "3.2" }
grants:
  - { name: free, unit: tokens, amount: 500000, models: [one] }
keys:
  - { name: example, secret: "${EXAMPLE_KEY}", balance: "1.5", limits: [{ spend: "5.00", per: day }] }
"#;

fn env(name: &str) -> Option<String> {
    match name {
        "REAL_KEY" => Some("sk-real: {canary}, [x] # - y".to_owned()),
        "EXAMPLE_KEY" => Some("correct horse battery staple".to_owned()),
        "BROKEN_KEY" => Some("sk-\n".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, "config.yaml", &env)
}

/// The messages of `SMALL` with one part replaced.
fn refusal(part: &str, by: &str) -> Vec<String> {
    assert!(SMALL.contains(part), "`{part}` is in the small config");
    let error = parse(&SMALL.replacen(part, by, 1)).expect_err(by);
    error.problems().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refuses(part: &str, by: &str, message: &str) {
    assert_eq!(refusal(part, by), [message], "{by}");
}

#[test]
fn a_short_config_gets_every_default() {
    let config = parse(SMALL).expect("valid");
    let model = &config.models[0];
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.timezone, "UTC");
    assert_eq!(config.ledger.path, PathBuf::from("data/tollgate.db"));
    assert_eq!(config.caps.request_body_bytes, 64 << 20);
    assert_eq!(
        config.upstreams["real"].base_url.as_deref(),
        Some("https://api.example.com/v1")
    );
    assert_eq!(
        (model.bounds.context_tokens, model.bounds.images_max),
        (131_072, 4)
    );
    assert_eq!(model.routes[0].model, "chat/one");
    assert_eq!(config.grants[0].models, Some(vec!["chat/one".to_owned()]));
    let key = &config.keys[0];
    assert_eq!(
        (key.wallet.as_str(), key.balance),
        ("example", Some(Nano::new(1_500_000_000)))
    );
    assert_eq!(
        (key.limits[0].name.as_str(), key.limits[0].cap),
        ("spend-day", 5_000_000_000)
    );
    assert!(config.warnings.is_empty() && config.missing.is_empty());
}

#[test]
fn prices_are_read_from_their_digits_quoted_or_not() {
    let config = parse(SMALL).expect("valid");
    let price = &config.models[0].prices[1];
    assert_eq!(
        price.input.map(|price| price.to_string()).as_deref(),
        Some("0.80")
    );
    assert_eq!(
        price.output.map(|price| price.to_string()).as_deref(),
        Some("3.2")
    );
    assert_eq!(price.effective_from, Some(UnixMs(1_743_350_400_000)));
    let fine = SMALL.replace("0.80", "0.123456789012");
    let config = parse(&fine).expect("valid");
    let input = config.models[0].prices[1]
        .input
        .map(|price| price.to_string());
    assert_eq!(input.as_deref(), Some("0.123456789012"));
}

#[test]
fn numbers_are_found_where_they_are_written_whatever_stands_around_them() {
    let aliased = SMALL.replace("0.80, output: \"3.2\"", "&price 0.80, output: *price");
    for text in [
        aliased.clone(),
        format!("\u{feff}# 中文 é\n{aliased}"),
        aliased.replace('\n', "\r\n"),
        aliased.replace("0.80", "!!float 0.80"),
    ] {
        let config = parse(&text).expect("valid");
        let price = &config.models[0].prices[1];
        let printed = [price.input, price.output].map(|price| price.map(|price| price.to_string()));
        assert_eq!(
            printed,
            [Some("0.80".to_owned()), Some("0.80".to_owned())],
            "{text:?}"
        );
    }
}

#[test]
fn a_variable_is_text_and_never_structure_and_never_printed() {
    let text = SMALL.replacen(
        "api_key: \"${REAL_KEY}\"",
        "api_key: \"${EXAMPLE_KEY}x${NONE:-y}$${z}\"",
        1,
    );
    let config = parse(&text).expect("valid");
    let secret = config.upstreams["real"]
        .api_key
        .as_ref()
        .map(Secret::expose);
    assert_eq!(secret, Some("correct horse battery staplexy${z}"));
    assert!(!format!("{config:?}").contains("horse"));
    refuses(
        "REAL_KEY",
        "BROKEN_KEY",
        "config.yaml:5: upstreams.real.api_key: must be printable characters, with no space at either end",
    );
    for (part, by) in [
        ("demo\n    prices", "\"${EXAMPLE_KEY}\"\n    prices"),
        ("0.80", "\"${EXAMPLE_KEY}\""),
    ] {
        let error = parse(&SMALL.replacen(part, by, 1))
            .expect_err(by)
            .to_string();
        assert!(
            error.contains("${EXAMPLE_KEY}") && !error.contains("horse"),
            "{error}"
        );
    }
}

#[test]
fn a_missing_secret_stops_what_needs_it_and_nothing_else() {
    let config = Config::parse(SMALL, "config.yaml", &|_| None).expect("valid without environment");
    assert!(config.keys[0].secret.is_none() && config.upstreams["real"].api_key.is_none());
    assert_eq!(config.missing.len(), 2);
    let error = config
        .require_secrets()
        .expect_err("the key needs its secret")
        .to_string();
    assert_eq!(
        error,
        "config.yaml:16: keys[0].secret: the environment variable EXAMPLE_KEY is not set; \
         set it, or write ${EXAMPLE_KEY:-default}"
    );
    let routed = SMALL.replacen("upstream: demo", "upstream: real", 1);
    let config = Config::parse(&routed, "config.yaml", &|_| Some(String::new())).expect("valid");
    assert_eq!(
        config.require_secrets().expect_err("both").problems().len(),
        2
    );
    assert!(parse(SMALL).expect("valid").require_secrets().is_ok());
}

#[test]
fn the_demo_needs_no_secret() {
    let routed = SMALL.replacen("upstream: demo", "upstream: real", 1);
    let config = Config::parse(&routed, "config.yaml", &|_| None)
        .expect("valid")
        .simulated();
    assert!(config.require_secrets().is_ok() && config.keys.is_empty());
    let routes = &config.models[0].routes;
    assert_eq!((routes.len(), routes[0].upstream.as_str()), (1, "demo"));
}

#[test]
fn every_problem_is_found_in_one_pass_in_the_order_of_the_file() {
    let text = SMALL
        .replace("api_key", "api_kye")
        .replace("0.80", "0,8")
        .replace("amount: 500000", "amount: lots")
        .replace("per: day", "per: fortnight");
    let error = parse(&text).expect_err("four slips");
    let lines: Vec<u32> = error
        .problems()
        .iter()
        .map(|problem| problem.line)
        .collect();
    assert_eq!(lines, [5, 12, 14, 16]);
}

#[test]
fn yaml_itself_is_checked_with_its_line() {
    refuses(
        "upstreams:",
        "currency: USD\nupstreams:",
        "config.yaml:3: is not valid YAML: duplicate mapping key `currency` is not allowed here",
    );
    let [message] = &refusal("currency: CNY", "currency: [CNY")[..] else {
        panic!("one problem")
    };
    assert!(
        message.starts_with("config.yaml:3: is not valid YAML: "),
        "{message}"
    );
    assert_eq!(
        parse("- 1").expect_err("a list").problems()[0].to_string(),
        "config.yaml:1: is not a map of fields; write `name: value` lines below it"
    );
    let missing: Vec<String> = parse("{}")
        .expect_err("empty")
        .problems()
        .iter()
        .map(|p| p.message.clone())
        .collect();
    assert_eq!(missing.len(), 3);
    assert_eq!(
        missing[0],
        "has no `currency`; write one, such as `currency: CNY`"
    );
}

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
fn what_is_unwise_is_warned_of() {
    let weak = SMALL
        .replacen("secret: \"${EXAMPLE_KEY}\"", "secret: hunter2", 1)
        .replace("https:", "http:");
    let warnings = parse(&weak).expect("allowed").warnings;
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "config.yaml:5: upstreams.real.base_url: sends its api_key unencrypted over the network; use https",
            "config.yaml:16: keys[0].secret: is a weak secret: shorter than 20 characters; `tollgate key create` makes strong ones",
        ]
    );
}

#[test]
fn the_shipped_config_is_valid_without_any_environment() {
    let text = include_str!("../../config.yaml");
    let config = Config::parse(text, "config.yaml", &|_| None).expect("valid");
    assert_eq!(config.missing.len(), 2);
    assert!(config.warnings.is_empty());
    let defaults = Config::parse(SMALL, "config.yaml", &env)
        .expect("valid")
        .caps;
    assert_eq!(
        config.caps, defaults,
        "the caps that it shows are the defaults"
    );
}
