//! Reading where Redis is, and refusing what does not go together.

use std::path::PathBuf;

use super::super::read::Field;
use super::super::section::Section;
use super::super::text::is_name;
use super::super::upstreams::{ca_file, is_loopback};
use super::super::{Address, Endpoints, Owner, RedisConfig};
use super::{PORT, SENTINEL_PORT};

const MINUTE_MS: u64 = 60_000;
/// Every part of a store keeps a thousand receipts at least, and there are 1,024 of them.
const RECEIPTS_MAX_MIN: u64 = 1_024_000;
const RECEIPTS_MAX_MAX: u64 = 1_000_000_000_000;

/// Reads the fields of the section through `get`, which refuses them where the kind is another.
pub(in super::super) fn redis<'a>(
    section: &Section<'a>,
    get: &dyn Fn(&'static str) -> Option<Field<'a>>,
    wanted: bool,
) -> Option<RedisConfig> {
    let text = |name| get(name).and_then(|field| field.text());
    let secret = |name| get(name).and_then(|field| field.secret(Owner::Ledger));
    let ms = |name, default| {
        let field = get(name);
        field
            .and_then(|field| field.integer(10, MINUTE_MS))
            .unwrap_or(default)
    };
    let places = Places {
        url: get("url"),
        sentinels: get("sentinels"),
        master_name: get("master_name"),
        nodes: get("nodes"),
        tls: get("tls"),
    };
    let authorities = get("ca_file");
    let default = RedisConfig::at(Endpoints::Cluster(Vec::new()));
    let base = RedisConfig {
        user: text("user"),
        password: secret("password"),
        sentinel_user: text("sentinel_user"),
        sentinel_password: secret("sentinel_password"),
        ca_file: authorities.as_ref().and_then(ca_file),
        connect_timeout_ms: ms("connect_timeout_ms", default.connect_timeout_ms),
        response_timeout_ms: ms("response_timeout_ms", default.response_timeout_ms),
        deadline_ms: ms("deadline_ms", default.deadline_ms),
        receipts_max: get("receipts_max")
            .and_then(|field| field.integer(RECEIPTS_MAX_MIN, RECEIPTS_MAX_MAX))
            .unwrap_or(default.receipts_max),
        prefix: get("prefix")
            .and_then(|field| field.read(prefix))
            .unwrap_or(default.prefix),
        journal: text("journal").map_or(default.journal, PathBuf::from),
        ..default
    };
    if !wanted {
        return None;
    }
    let config = places.fill(section, base)?;
    if let (Some(field), false) = (authorities, config.tls) {
        field.problem::<()>(
            "is for encrypted connections, which these are not; write rediss:// in the url \
             (or `tls: true` beside sentinels or nodes), or remove the field",
        );
    }
    agree(section, &config);
    Some(config)
}

/// The fields that say which servers to ask.
struct Places<'a> {
    url: Option<Field<'a>>,
    sentinels: Option<Field<'a>>,
    master_name: Option<Field<'a>>,
    nodes: Option<Field<'a>>,
    tls: Option<Field<'a>>,
}

impl Places<'_> {
    /// The servers, put into a config that has everything else.
    fn fill(&self, section: &Section<'_>, base: RedisConfig) -> Option<RedisConfig> {
        if let (Some(field), None) = (&self.master_name, &self.sentinels) {
            field.problem::<()>("is for Sentinel; write `sentinels` too, or remove it");
        }
        let endpoints = match (&self.url, &self.sentinels, &self.nodes) {
            (Some(url), None, None) => return self.by_url(url, base),
            (None, Some(sentinels), None) => {
                let name = match &self.master_name {
                    Some(field) => field.read(master),
                    None => section.need("master_name", "mymaster").and(None),
                };
                Endpoints::Sentinel {
                    sentinels: addresses(sentinels, SENTINEL_PORT)?,
                    master_name: name?,
                }
            }
            (None, None, Some(nodes)) => Endpoints::Cluster(addresses(nodes, PORT)?),
            (None, None, None) => {
                section.problem(
                    "says not where Redis is; write `url: redis://host:6379`, or `sentinels: [host:26379, ...]` \
                     with `master_name`, or `nodes: [host:6379, ...]` of a cluster",
                );
                return None;
            }
            _ => {
                section.problem(
                    "has more than one of `url` (one server), `sentinels` and `nodes` (a cluster); keep one",
                );
                return None;
            }
        };
        let tls = self.tls.as_ref().and_then(|field| field.flag());
        Some(RedisConfig {
            endpoints,
            tls: tls.unwrap_or(false),
            ..base
        })
    }

    fn by_url(&self, url: &Field<'_>, base: RedisConfig) -> Option<RedisConfig> {
        if let Some(field) = &self.tls {
            field.problem::<()>(
                "the url says it: rediss:// is encrypted, redis:// is not; remove the field",
            );
        }
        let named = RedisConfig::of_url(url.secret(Owner::Ledger)?.expose());
        let named = named.map_err(|wrong| url.problem::<()>(wrong)).ok()?;
        let twice = base.user.is_some() && named.user.is_some()
            || base.password.is_some() && named.password.is_some();
        if twice {
            url.problem::<()>(
                "has a user or a password, and so has the field of that name; remove one of them",
            );
        }
        Some(RedisConfig {
            endpoints: named.endpoints,
            tls: named.tls,
            user: base.user.or(named.user),
            password: base.password.or(named.password),
            ..base
        })
    }
}

/// Notes what does not go together.
fn agree(section: &Section<'_>, config: &RedisConfig) {
    if config.deadline_ms < config.response_timeout_ms {
        section.problem(format!(
            "response_timeout_ms is {}, but deadline_ms, which is for a call with its repetitions, only {}; \
             raise the second",
            config.response_timeout_ms, config.deadline_ms
        ));
    }
    let for_sentinel = config.sentinel_user.is_some() || config.sentinel_password.is_some();
    if for_sentinel && !matches!(config.endpoints, Endpoints::Sentinel { .. }) {
        section.problem(
            "sentinel_user and sentinel_password are for Sentinel; write `sentinels` too, or remove them",
        );
    }
    for (user, password) in [("user", "password"), ("sentinel_user", "sentinel_password")] {
        let (has_user, has_password) = match user {
            "user" => (config.user.is_some(), config.password.is_some()),
            _ => (
                config.sentinel_user.is_some(),
                config.sentinel_password.is_some(),
            ),
        };
        // One whose variable is not set is noted as missing.
        if has_user && !has_password && section.get(password).is_none() {
            section.problem(format!(
                "has a {user} of Redis without a {password}; write `{password}`"
            ));
        }
    }
    let addresses = match &config.endpoints {
        Endpoints::Standalone { address, .. } => std::slice::from_ref(address),
        Endpoints::Sentinel { sentinels, .. } => sentinels,
        Endpoints::Cluster(nodes) => nodes,
    };
    let afar = addresses.iter().any(|address| !is_loopback(&address.host));
    if afar && config.password.is_some() && !config.tls {
        let field = section.get("password").or_else(|| section.get("url"));
        field.inspect(|field| {
            field.warn(
                "is sent to Redis unencrypted; use TLS where others can listen to the network",
            );
        });
    }
}

/// The servers of a list; `None` where one is wrong.
fn addresses(field: &Field<'_>, port: u16) -> Option<Vec<Address>> {
    let items = match field.is_list() {
        true => field.list(),
        false => vec![field.clone()],
    };
    if items.is_empty() {
        return field.problem("is empty; write at least one `host:port`");
    }
    let read = |text: &str| {
        Address::parse(text, port)
            .ok_or_else(|| format!("is not an address such as redis-1.example.com:{port}"))
    };
    let found: Vec<_> = items.iter().map(|item| item.read(read)).collect();
    found.into_iter().collect()
}

fn master(text: &str) -> Result<String, String> {
    match is_name(text) {
        true => Ok(text.to_owned()),
        false => Err("is no name of a master that Sentinel can have".to_owned()),
    }
}

fn prefix(text: &str) -> Result<String, String> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
    match (1..=32).contains(&text.len()) && text.bytes().all(fine) {
        true => Ok(text.to_owned()),
        false => {
            Err("is no prefix of keys: 1 to 32 of the characters A-Z a-z 0-9 _ . : -".to_owned())
        }
    }
}
