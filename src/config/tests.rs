mod price_refusals;
mod prices;
mod redis;
mod refusals;
mod server_refusals;
mod tokenizer;
mod upstreams;

use std::path::PathBuf;

use super::*;
use crate::clock::UnixMs;
use crate::money::Nano;
use crate::secret::Secret;

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
    assert!(config.server.request_log);
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
    let printed = |field| price.rates.get(field).map(|price| price.to_string());
    assert_eq!(printed(PriceField::Input).as_deref(), Some("0.80"));
    assert_eq!(printed(PriceField::Output).as_deref(), Some("3.2"));
    assert_eq!(price.effective_from, Some(UnixMs(1_743_350_400_000)));
    let fine = SMALL.replace("0.80", "0.123456789012");
    let config = parse(&fine).expect("valid");
    let rates = &config.models[0].prices[1].rates;
    let input = rates.get(PriceField::Input).map(|price| price.to_string());
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
        let printed = [PriceField::Input, PriceField::Output]
            .map(|field| price.rates.get(field).map(|price| price.to_string()));
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
fn aliases_that_expand_without_bound_are_refused() {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..30 {
        let below = level - 1;
        text.push_str(&format!(
            "a{level}: &a{level} [*a{below}, *a{below}, *a{below}]\n"
        ));
    }
    let error = parse(&text).expect_err("3^29 items").to_string();
    assert!(error.contains("is not valid YAML"), "{error}");
    let deep = format!("currency: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(parse(&deep).is_err());
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

#[test]
fn receipts_are_kept_for_ever_or_for_two_days_at_least() {
    let kept = |days: &str| {
        let ledger = format!("currency: CNY\nledger: {{ keep_receipts_days: {days} }}");
        let config = parse(&SMALL.replacen("currency: CNY", &ledger, 1));
        config.map(|config| config.ledger.keep_receipts_days)
    };
    assert_eq!(parse(SMALL).expect("valid").ledger.keep_receipts_days, None);
    assert_eq!(kept("2").expect("valid"), Some(2));
    assert_eq!(kept("36500").expect("valid"), Some(36_500));
    for days in ["0", "1"] {
        let error = kept(days).expect_err("too short").to_string();
        assert!(
            error.contains("config.yaml:3: ledger.keep_receipts_days"),
            "{error}"
        );
        assert!(
            error.contains("Idempotency-Key") && error.contains("2 or more"),
            "{error}"
        );
    }
    for days in ["36501", "-1", "1.5", "ages"] {
        assert!(kept(days).is_err(), "{days}");
    }
}

#[test]
fn web_pages_are_allowed_by_origin_or_all_or_none() {
    let origins = |value: &str| {
        let server = format!("server: {{ cors_origins: {value} }}\ncurrency: CNY");
        let config = parse(&SMALL.replacen("currency: CNY", &server, 1)).expect(value);
        config.server.cors_origins
    };
    let listed = |all: &[&str]| CorsOrigins::Listed(all.iter().map(ToString::to_string).collect());
    assert_eq!(origins("\"*\""), CorsOrigins::Any);
    let all = [
        "https://chat.example.com",
        "http://localhost:3000",
        "http://[::1]:5173",
        "chrome-extension://abcdefghijklmnop",
        "tauri://localhost",
    ];
    assert_eq!(origins(&format!("{all:?}")), listed(&all));
    let none = parse(SMALL).expect("valid").server.cors_origins;
    assert_eq!(none, CorsOrigins::None);
}

#[test]
fn tls_and_trusted_proxies_are_off_until_they_are_written() {
    let config = parse(SMALL).expect("valid");
    assert_eq!(config.server.tls, None);
    assert!(config.server.trusted_proxies.is_empty());
    let more = "currency: CNY\nserver:\n  tls: { certificate: a.pem, key: b.pem }\n  trusted_proxies: [10.0.0.0/8, \"::1\"]";
    let config = parse(&SMALL.replacen("currency: CNY", more, 1)).expect("valid");
    let files = config.server.tls.expect("files");
    assert_eq!(
        (files.certificate, files.key),
        (PathBuf::from("a.pem"), PathBuf::from("b.pem"))
    );
    let proxies: Vec<String> = config
        .server
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(proxies, ["10.0.0.0/8", "::1/128"]);
    let all = "currency: CNY\nserver: { trusted_proxies: [0.0.0.0/0] }";
    let warnings = parse(&SMALL.replacen("currency: CNY", all, 1))
        .expect("allowed")
        .warnings;
    assert_eq!(
        warnings[0].to_string(),
        "config.yaml:3: server.trusted_proxies: trusts every address: any client can then make up its own; name your proxies"
    );
}

#[test]
fn a_file_that_is_no_config_by_its_size_or_kind_is_refused_unread() {
    let path = std::env::temp_dir().join(format!("tollgate-large-{}.yaml", std::process::id()));
    let large = std::fs::File::create(&path).expect("a file");
    large
        .set_len((16 << 20) + 1)
        .expect("room, none of it used");
    let error = Config::load(&path).expect_err("too large").to_string();
    std::fs::remove_file(&path).expect("it was there");
    assert!(error.contains("is larger than 16 MiB"), "{error}");
    let error = Config::load(Path::new("/dev/null")).expect_err("a device");
    assert!(error.to_string().contains("no regular file"), "{error}");
}
