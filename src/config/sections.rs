//! The file as a whole, and its sections about this process: server, ledger, caps.
//!
//! Readers never fail: where a problem is noted, they go on with a default, and the config that
//! holds it is thrown away at the end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use jiff::tz::TimeZone;

use super::error::ConfigError;
use super::origins::origins;
use super::read::{Field, Notes};
use super::section::Section;
use super::text::{did_you_mean, nearest};
use super::{
    Caps, Config, Durability, LedgerConfig, LedgerKind, Server, TlsFiles, Upstream, keys, models,
    redis, tree, upstreams,
};

const DAY_MS: u64 = 86_400_000;
const COUNT_MAX: u64 = 1 << 20;
/// How long all attempts at a request may take together, in milliseconds.
const ATTEMPTS_MS: u64 = 900_000;

/// Reads a whole config.
pub(super) fn config(
    text: &str,
    file: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, ConfigError> {
    let tree = tree::parse(text, file)?;
    let notes = notes(file, env);
    let mut config = sections(&notes, &Field::root(&notes, &tree).section());
    ConfigError::unless_empty(notes.problems.take())
        .map_err(|error| error.of_files(notes.files.take()))?;
    config.missing = notes.missing.take();
    config.warnings = notes.warnings.take();
    config.files = notes.files.take().into_iter().collect();
    Ok(config)
}

/// Reads the `server` section of a config; problems elsewhere do not count.
pub(super) fn server_alone(
    text: &str,
    file: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Server, ConfigError> {
    let tree = tree::parse(text, file)?;
    let notes = notes(file, env);
    let root = Field::root(&notes, &tree).section();
    let server = server(&section(&notes, &root, "server"));
    ConfigError::unless_empty(notes.problems.take())?;
    Ok(server)
}

fn notes<'a>(file: &'a str, env: &'a dyn Fn(&str) -> Option<String>) -> Notes<'a> {
    Notes {
        file,
        env,
        timezone: RefCell::new(TimeZone::UTC),
        problems: RefCell::default(),
        warnings: RefCell::default(),
        missing: RefCell::default(),
        files: RefCell::default(),
    }
}

/// Every section; those that others name come first.
fn sections(notes: &Notes<'_>, root: &Section<'_>) -> Config {
    let server = server(&section(notes, root, "server"));
    let ledger = ledger(&section(notes, root, "ledger"));
    let currency = root
        .need("currency", "CNY")
        .and_then(|field| field.read(currency));
    let upstreams = root
        .need("upstreams", "{ demo: { kind: simulator } }")
        .map(|field| upstreams::upstreams(&field))
        .unwrap_or_default();
    let models = root
        .need(
            "models",
            "[{ id: my-model, upstream: demo, prices: [{ free: true }] }]",
        )
        .map(|field| models::models(&field, &upstreams))
        .unwrap_or_default();
    let names = models::names(&models);
    let grants = root
        .get("grants")
        .map(|field| keys::grants(&field, &names))
        .unwrap_or_default();
    let keys = root
        .get("keys")
        .map(|field| keys::keys(&field, &names, &grants))
        .unwrap_or_default();
    let caps = caps(&section(notes, root, "caps"), &upstreams);
    root.finish();
    Config {
        file: notes.file.to_owned(),
        server,
        ledger,
        currency: currency.unwrap_or_default(),
        upstreams,
        models,
        grants,
        keys,
        caps,
        missing: Vec::new(),
        warnings: Vec::new(),
        files: Vec::new(),
    }
}

/// A section that may be left out.
fn section<'a>(notes: &'a Notes<'a>, root: &Section<'a>, name: &'static str) -> Section<'a> {
    root.get(name)
        .map_or_else(|| Section::absent(notes, name), |field| field.section())
}

fn currency(text: &str) -> Result<String, String> {
    let fine = (3..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase());
    if fine {
        return Ok(text.to_owned());
    }
    let likely =
        Some(text.to_ascii_uppercase()).filter(|upper| upper != text && currency(upper).is_ok());
    Err(format!(
        "is not a currency code such as CNY{}",
        did_you_mean(likely.as_deref())
    ))
}

fn server(section: &Section<'_>) -> Server {
    let timezone = section
        .get("timezone")
        .and_then(|field| field.read(timezone));
    let (timezone, zone) = timezone.unwrap_or_else(|| ("UTC".to_owned(), TimeZone::UTC));
    section.notes.timezone.replace(zone);
    let listen = address(section, "listen", 8080);
    let admin_listen = address(section, "admin_listen", 8081);
    // Port 0 is another free port each time.
    if listen == admin_listen && listen.port() != 0 {
        section.problem(format!(
            "listen and admin_listen are both {listen}; give admin_listen another port"
        ));
    }
    let status = |field: Field<'_>| {
        field.read(|text| match text {
            "402" => Ok(402),
            "403" => Ok(403),
            "429" => Ok(429),
            _ => Err("is not one of: 402, 403, 429".to_owned()),
        })
    };
    let server = Server {
        listen,
        admin_listen,
        timezone,
        drain_seconds: section.integer("drain_seconds", 30, 0, 3600),
        refusal_status_no_funds: section
            .get("refusal_status_no_funds")
            .and_then(status)
            .unwrap_or(402),
        request_log: section
            .get("request_log")
            .and_then(|field| field.flag())
            .unwrap_or(true),
        cors_origins: section
            .get("cors_origins")
            .map(|field| origins(&field))
            .unwrap_or_default(),
        tls: section.get("tls").and_then(|field| tls(&field.section())),
        trusted_proxies: section
            .get("trusted_proxies")
            .map(|field| proxies(&field))
            .unwrap_or_default(),
    };
    section.finish();
    server
}

/// Whether the files are fit is seen where they are read: `gateway::server::tls`.
fn tls(section: &Section<'_>) -> Option<TlsFiles> {
    let file = |name, example| section.need(name, example).and_then(|field| field.path());
    let certificate = file("certificate", "/etc/tollgate/fullchain.pem");
    let key = file("key", "/etc/tollgate/privkey.pem");
    section.finish();
    Some(TlsFiles {
        certificate: certificate?,
        key: key?,
    })
}

fn proxies(field: &Field<'_>) -> Vec<IpNet> {
    let proxies = keys::ranges(field, "trusts no proxy; remove the field to trust none");
    if proxies.iter().any(|net| net.prefix_len() == 0) {
        field.warn("trusts every address: any client can then make up its own; name your proxies");
    }
    proxies
}

fn timezone(text: &str) -> Result<(String, TimeZone), String> {
    if let Ok(zone) = TimeZone::get(text) {
        let name = zone.iana_name().unwrap_or(text).to_owned();
        return Ok((name, zone));
    }
    let known: Vec<String> = jiff::tz::db()
        .available()
        .map(|name| name.to_string())
        .collect();
    let likely = nearest(text, known.iter().map(String::as_str));
    Err(format!(
        "is no IANA time zone such as Asia/Shanghai{}",
        did_you_mean(likely)
    ))
}

fn address(section: &Section<'_>, name: &'static str, port: u16) -> SocketAddr {
    let default = SocketAddr::from(([127, 0, 0, 1], port));
    let read = |text: &str| {
        text.parse().map_err(|_| {
            let wrong = "is not an IP address and port such as 127.0.0.1:8080";
            let (host, port) = text.rsplit_once(':').unwrap_or(("localhost", text));
            let host = match host {
                "localhost" => "127.0.0.1",
                "" | "*" => "0.0.0.0",
                other => other,
            };
            let likely = format!("{host}:{port}");
            let likely = Some(likely.as_str()).filter(|text| text.parse::<SocketAddr>().is_ok());
            format!("{wrong}{}", did_you_mean(likely))
        })
    };
    section
        .get(name)
        .and_then(|field| field.read(read))
        .unwrap_or(default)
}

fn ledger(section: &Section<'_>) -> LedgerConfig {
    let kind = section.word("kind", LedgerKind::Embedded);
    let of = |owner| move |name| section.of_kind(name, kind, owner);
    let own = of(LedgerKind::Embedded);
    let path = own("path").and_then(|field| field.text());
    let ledger = LedgerConfig {
        kind,
        redis: redis::redis(section, &of(LedgerKind::Redis), kind == LedgerKind::Redis),
        path: PathBuf::from(path.unwrap_or_else(|| "data/tollgate.db".to_owned())),
        durability: own("durability")
            .and_then(|field| field.word())
            .unwrap_or(Durability::Disk),
        lease_ms: section.integer("lease_ms", 60_000, 1_000, DAY_MS),
        keep_receipts_days: section
            .get("keep_receipts_days")
            .and_then(|field| keep_receipts_days(&field)),
    };
    section.finish();
    ledger
}

fn keep_receipts_days(field: &Field<'_>) -> Option<u64> {
    let days = field.integer(0, 36_500)?;
    if days >= 2 {
        return Some(days);
    }
    field.problem(format!(
        "\"{days}\" is too short: repeated Idempotency-Keys and late settles need the receipts of the last \
         24 hours. Write 2 or more, or remove the field to keep receipts for ever"
    ))
}

/// Without the field, time for the most patient upstream.
fn attempts_ms(section: &Section<'_>, upstreams: &BTreeMap<String, Upstream>) -> u64 {
    let patience = upstreams
        .values()
        .map(|upstream| upstream.response_timeout_ms);
    let longest = patience.max().unwrap_or(0).max(ATTEMPTS_MS);
    section.integer("attempts_ms", longest, 1, DAY_MS)
}

fn caps(section: &Section<'_>, upstreams: &BTreeMap<String, Upstream>) -> Caps {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    let ms = |name, default| section.integer(name, default, 1, DAY_MS);
    let count = |name, default| section.integer(name, default, 1, COUNT_MAX);
    let caps = Caps {
        request_body_bytes: section.size("request_body_bytes", 64 * MIB),
        request_memory_bytes: section.size("request_memory_bytes", 1024 * MIB),
        answer_hold_bytes: section.size("answer_hold_bytes", 32 * MIB),
        answer_memory_bytes: section.size("answer_memory_bytes", 512 * MIB),
        answer_tail_bytes: section.size("answer_tail_bytes", 16 * KIB),
        answer_hold_ms: ms("answer_hold_ms", 15_000),
        json_depth: section.integer("json_depth", 128, 8, 1024),
        // The HTTP server reads at least this much at once.
        header_bytes: section
            .get("header_bytes")
            .and_then(|field| field.size(8 * KIB, MIB))
            .unwrap_or(64 * KIB),
        header_count: count("header_count", 100),
        header_timeout_ms: ms("header_timeout_ms", 15_000),
        body_timeout_ms: ms("body_timeout_ms", 30_000),
        client_stall_ms: ms("client_stall_ms", 60_000),
        drain_client_ms: ms("drain_client_ms", 300_000),
        drain_client_bytes: section.size("drain_client_bytes", 32 * MIB),
        connections: count("connections", 10_000),
        h2_streams: section.integer("h2_streams", 100, 1, 10_000),
        attempts: section.integer("attempts", 3, 1, 16),
        attempts_ms: attempts_ms(section, upstreams),
    };
    for (one, all, names) in [
        (
            caps.request_body_bytes,
            caps.request_memory_bytes,
            "request_body_bytes and request_memory_bytes",
        ),
        (
            caps.answer_hold_bytes,
            caps.answer_memory_bytes,
            "answer_hold_bytes and answer_memory_bytes",
        ),
    ] {
        if one > all {
            section.problem(format!(
                "{names}: one may be {one} bytes, but all together only {all}; raise the second"
            ));
        }
    }
    section.finish();
    caps
}
