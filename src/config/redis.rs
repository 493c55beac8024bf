//! The fields of `ledger` that say where Redis is and how it is reached.

use std::fmt;
use std::path::PathBuf;

use http::Uri;
use percent_encoding::percent_decode_str;

use super::read::Field;
use super::section::Section;
use super::text::is_name;
use super::upstreams::{ca_file, is_loopback};
use super::{CaFile, Owner};
use crate::secret::Secret;

const MINUTE_MS: u64 = 60_000;
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26_379;

/// How Redis is reached. Its `Debug` shows no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisConfig {
    /// Which servers to ask.
    pub endpoints: Endpoints,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// What certificates are checked against, instead of the public web's roots.
    pub ca_file: Option<CaFile>,
    /// The user to be; Redis' `default` where there is none.
    pub user: Option<String>,
    /// That user's password.
    pub password: Option<Secret>,
    /// The user to be at the Sentinels.
    pub sentinel_user: Option<String>,
    /// That user's password.
    pub sentinel_password: Option<Secret>,
    /// To connect to one server, in milliseconds: name, TCP, TLS and greeting.
    pub connect_timeout_ms: u64,
    /// From a call to its answer, in milliseconds.
    pub response_timeout_ms: u64,
    /// For one operation of the ledger with all its repetitions, in milliseconds.
    pub deadline_ms: u64,
    /// What every key begins with.
    pub prefix: String,
    /// The file that keeps what Redis may not have yet.
    pub journal: PathBuf,
}

/// Which servers to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// One server.
    Standalone {
        /// Where it is.
        address: Address,
        /// Which of its databases.
        database: u32,
    },
    /// Sentinels, which know where the master is.
    Sentinel {
        /// Where they are; never empty.
        sentinels: Vec<Address>,
        /// The master's name there.
        master_name: String,
    },
    /// Nodes of a cluster, which know the others; never empty.
    Cluster(Vec<Address>),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl RedisConfig {
    /// These servers, with the default of every other field, unencrypted.
    pub fn at(endpoints: Endpoints) -> Self {
        RedisConfig {
            endpoints,
            tls: false,
            ca_file: None,
            user: None,
            password: None,
            sentinel_user: None,
            sentinel_password: None,
            connect_timeout_ms: 1_000,
            response_timeout_ms: 500,
            deadline_ms: 2_000,
            prefix: "tollgate".to_owned(),
            journal: PathBuf::from("data/journal.db"),
        }
    }

    /// The server that a url names (`redis://user:password@host:6379/0`, `rediss://` for TLS), with the default
    /// of every other field.
    ///
    /// # Errors
    /// What is wrong with it. The url is not shown, for it may hold a password.
    pub fn of_url(url: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "is not an address such as redis://user:password@host:6379/0 (rediss:// for TLS; \
            other characters than letters and digits in user or password as %40)";
        let uri: Uri = url.parse().map_err(|_| WRONG)?;
        let tls = match uri.scheme_str() {
            Some("redis") => false,
            Some("rediss") => true,
            _ => return Err(WRONG),
        };
        if uri.query().is_some() {
            return Err("has a query; write what it says as fields of `ledger`");
        }
        let authority = uri.authority().ok_or(WRONG)?.as_str();
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let database = match uri.path().trim_start_matches('/') {
            "" => 0,
            digits => digits
                .parse()
                .map_err(|_| "has a path that is no number of a database")?,
        };
        let address = Address::parse(place, PORT).ok_or(WRONG)?;
        let mut config = RedisConfig::at(Endpoints::Standalone { address, database });
        config.tls = tls;
        if let Some((name, password)) = user.map(|user| user.split_once(':').unwrap_or((user, "")))
        {
            let decoded = |text| percent_decode_str(text).decode_utf8().map_err(|_| WRONG);
            config.user = Some(decoded(name)?.into_owned()).filter(|name| !name.is_empty());
            let password = decoded(password)?.into_owned();
            config.password = Some(password)
                .filter(|text| !text.is_empty())
                .map(Secret::new);
        }
        Ok(config)
    }
}

impl RedisConfig {
    /// Which fields of `ledger` differ, as they are written.
    pub(super) fn changes(&self, other: &RedisConfig) -> Vec<&'static str> {
        let by_url = matches!(other.endpoints, Endpoints::Standalone { .. });
        let place = match other.endpoints {
            Endpoints::Standalone { .. } => "ledger.url",
            Endpoints::Sentinel { .. } => "ledger.sentinels",
            Endpoints::Cluster(_) => "ledger.nodes",
        };
        let mut names = Vec::new();
        macro_rules! compare {
            ($($field:ident)*) => {$(
                if self.$field != other.$field {
                    names.push(concat!("ledger.", stringify!($field)));
                }
            )*};
        }
        if self.endpoints != other.endpoints || by_url && self.tls != other.tls {
            names.push(place);
        }
        if !by_url && self.tls != other.tls {
            names.push("ledger.tls");
        }
        compare!(ca_file user password sentinel_user sentinel_password connect_timeout_ms response_timeout_ms
            deadline_ms prefix journal);
        names
    }
}

impl Address {
    /// Where a node of a cluster sends calls on to: `host:port`, or `:port` of the same host as `from`.
    pub fn of_redirect(text: &str, from: &Address) -> Option<Address> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.trim_matches(['[', ']']) {
            "" | "?" => from.host.clone(),
            host => host.to_owned(),
        };
        let port = port.parse().ok()?;
        Some(Address { host, port })
    }

    /// Reads `host`, `host:port` or `[::1]:port`.
    fn parse(text: &str, port: u16) -> Option<Address> {
        let (host, digits) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                let _: std::net::Ipv6Addr = host.parse().ok()?;
                match rest {
                    "" => (host, None),
                    rest => (host, Some(rest.strip_prefix(':')?)),
                }
            }
            None => match text.split_once(':') {
                Some((host, digits)) => (host, Some(digits)),
                None => (text, None),
            },
        };
        let bracketed = text.starts_with('[');
        let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if host.is_empty() || !(bracketed || host.bytes().all(fine)) {
            return None;
        }
        let port = match digits {
            Some(digits) => digits.parse().ok().filter(|port| *port > 0)?,
            None => port,
        };
        Some(Address {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Reads the fields of the section through `get`, which refuses them where the kind is another.
pub(super) fn redis<'a>(
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
