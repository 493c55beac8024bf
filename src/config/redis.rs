//! Where Redis is and how it is reached: the fields of `ledger`, and the url among them.

mod read;

use std::fmt;
use std::path::PathBuf;

use http::Uri;
use percent_encoding::percent_decode_str;

use super::CaFile;
use crate::secret::Secret;
pub(super) use read::redis;

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
    /// How many receipts are told one by one; the oldest of those beyond are folded.
    pub receipts_max: u64,
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
            receipts_max: 10_000_000,
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
            deadline_ms receipts_max prefix journal);
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
