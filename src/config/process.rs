//! Settings of this process: listeners, store, endpoints, caps.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::HeaderName;
use http::header::AUTHORIZATION;
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;

use super::redis::RedisConfig;
use crate::secret::Secret;

/// The listeners, and how the process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where customers connect.
    pub listen: SocketAddr,
    /// Where the operator connects.
    pub admin_listen: SocketAddr,
    /// The IANA time zone in which days, weeks and months begin.
    pub timezone: String,
    /// How many seconds running requests get to finish when the process is told to stop.
    pub drain_seconds: u64,
    /// The HTTP status of "balance and grants are spent": 402, 403 or 429.
    pub refusal_status_no_funds: u16,
    /// Whether each request gets a log line.
    pub request_log: bool,
    /// The web pages whose scripts may call the proxy.
    pub cors_origins: CorsOrigins,
    /// What customers connect to by TLS; `None` for plain TCP.
    pub tls: Option<TlsFiles>,
    /// The proxies in front, whose word on a client's address is believed; none by default.
    pub trusted_proxies: Vec<IpNet>,
}

/// Web pages, by their origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    /// None: nothing is said to browsers.
    #[default]
    None,
    /// All.
    Any,
    /// Those of these origins, as browsers write them: `https://chat.example.com`.
    Listed(Vec<String>),
}

/// A certificate and its key, as PEM files. They may be exchanged while the process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key: PKCS#8, SEC1 or PKCS#1, not encrypted.
    pub key: PathBuf,
}

/// Where money is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerConfig {
    /// Which kind of store.
    pub kind: LedgerKind,
    /// Where Redis is; always there for `redis`, unless a secret of it is in [`Config::missing`](super::Config::missing).
    pub redis: Option<RedisConfig>,
    /// The embedded store's file.
    pub path: PathBuf,
    /// What an acknowledged charge survives.
    pub durability: Durability,
    /// How long a hold lives without renewal, in milliseconds.
    pub lease_ms: u64,
    /// How many days receipts are kept before they are folded; `None`: for ever.
    pub keep_receipts_days: Option<u64>,
}

/// The kinds of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerKind {
    /// One file, one process.
    Embedded,
    /// Redis or Valkey, shared by any number of processes.
    Redis,
}

/// What an acknowledged charge survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// The loss of power: it is acknowledged after an fsync, shared by all that came together.
    #[default]
    Disk,
    /// The end of the process, however sudden: it is acknowledged once the operating system has it.
    Process,
}

/// A model endpoint. Two that are equal behave the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// What it speaks.
    pub kind: UpstreamKind,
    /// The address that `/chat/completions` is appended to; always there for `openai`. No slash at the end.
    pub base_url: Option<String>,
    /// Its key; `None` where it needs none, or where its variable or file is in [`Config::missing`](super::Config::missing).
    pub api_key: Option<Secret>,
    /// The header that carries the key: `authorization` as a bearer token, any other the key alone.
    pub auth_header: HeaderName,
    /// Sent on every request, in place of the client's headers of the same names.
    pub headers: Vec<(HeaderName, Secret)>,
    /// Names and values that are added to the address of every request, not encoded yet.
    pub query: Vec<(String, Secret)>,
    /// What its connections go through.
    pub proxy: Option<Proxy>,
    /// What its certificate is checked against, instead of the public web's roots.
    pub ca_file: Option<CaFile>,
    /// To connect, in milliseconds.
    pub connect_timeout_ms: u64,
    /// From the start of an attempt to the head of its answer, in milliseconds.
    pub response_timeout_ms: u64,
    /// Between two pieces of an answer, in milliseconds.
    pub idle_timeout_ms: u64,
    /// From the start of an attempt to the end of its answer, in milliseconds.
    pub total_timeout_ms: u64,
    /// Failures in a row after which an endpoint is tried last; 0: none are enough.
    pub breaker_failures: u64,
    /// How long that lasts at first, in milliseconds.
    pub breaker_cooldown_ms: u64,
    /// Whether streams are asked for usage where the client did not ask.
    pub ask_usage: AskUsage,
    /// Whether it keeps the files that customers upload. One upstream may.
    pub files: bool,
}

/// An HTTP proxy. It is asked for a tunnel (`CONNECT`) to the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its host and port.
    pub address: String,
    /// What `Proxy-Authorization` says to it.
    pub authorization: Option<Secret>,
}

/// Certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaFile {
    /// The file that they were read from.
    pub path: PathBuf,
    /// At least one; all of them can be trusted.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamKind {
    /// The OpenAI API over HTTP.
    Openai,
    /// Nothing: it is the built-in simulator.
    Simulator,
}

/// Whether streams are asked for usage where the client did not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskUsage {
    /// Yes.
    Auto,
    /// No: the endpoint does not know the field. Tokens are counted here.
    Never,
}

/// Bounds on sizes and times that protect the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The largest request body, in bytes.
    pub request_body_bytes: u64,
    /// All request bodies held in memory at once, in bytes.
    pub request_memory_bytes: u64,
    /// The largest answer that is held back until it is settled, in bytes; larger ones flow.
    pub answer_hold_bytes: u64,
    /// All answers held back at once, in bytes.
    pub answer_memory_bytes: u64,
    /// The end of a flowing answer that waits for the settle, in bytes.
    pub answer_tail_bytes: u64,
    /// How long an answer that dribbles blanks is held back before it flows, in milliseconds.
    pub answer_hold_ms: u64,
    /// The deepest JSON.
    pub json_depth: u64,
    /// The head of a request, in bytes.
    pub header_bytes: u64,
    /// Headers of a request.
    pub header_count: u64,
    /// To receive a request's head, in milliseconds.
    pub header_timeout_ms: u64,
    /// Between two pieces of a request's body, in milliseconds.
    pub body_timeout_ms: u64,
    /// How long a client may take no byte before it counts as gone, in milliseconds.
    pub client_stall_ms: u64,
    /// How long an answer is read on after its client went away, in milliseconds.
    pub drain_client_ms: u64,
    /// How much of it is read on, in bytes.
    pub drain_client_bytes: u64,
    /// Client connections at once.
    pub connections: u64,
    /// Requests at once on one HTTP/2 connection.
    pub h2_streams: u64,
    /// Endpoints that are tried for one request, the first included.
    pub attempts: u64,
    /// From the start of the first attempt to the head of the answer, in milliseconds.
    pub attempts_ms: u64,
}

impl Upstream {
    /// The built-in simulator, with the default timeouts.
    pub fn simulator() -> Self {
        Upstream {
            kind: UpstreamKind::Simulator,
            base_url: None,
            api_key: None,
            auth_header: AUTHORIZATION,
            headers: Vec::new(),
            query: Vec::new(),
            proxy: None,
            ca_file: None,
            connect_timeout_ms: 5_000,
            response_timeout_ms: 600_000,
            idle_timeout_ms: 300_000,
            total_timeout_ms: 3_600_000,
            breaker_failures: 5,
            breaker_cooldown_ms: 5_000,
            ask_usage: AskUsage::Auto,
            files: false,
        }
    }
}
