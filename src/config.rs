//! The one config file: read, with every problem found in one pass, into raw validated settings.
//!
//! Environment variables stand in string values only, as `${NAME}` or `${NAME:-default}` (`$${` is
//! a literal `${`), and are put in after the YAML was read, so that a value can never become
//! structure. An empty variable counts as missing. A missing variable is an error at once, except
//! in the two places that hold secrets (an upstream's `api_key`, a key's `secret`): those are left
//! `None` and listed in [`Config::missing`], so that `check` and `demo` work without any
//! environment, and [`Config::require_secrets`] turns what is really needed into an error for `serve`.

mod error;

mod keys;
mod limits;
mod models;
mod prices;
mod read;
mod sections;
mod text;
mod tree;
mod upstreams;
mod words;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use rust_decimal::Decimal;

use crate::clock::UnixMs;
use crate::money::Nano;
use crate::secret::Secret;

pub use error::{ConfigError, Problem};
pub use words::Words;

/// Everything that the config file says, validated.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from, for messages.
    pub file: String,
    /// Where to listen and in which time zone days begin.
    pub server: Server,
    /// Where money is kept.
    pub ledger: LedgerConfig,
    /// The ledger's currency, such as `CNY`.
    pub currency: String,
    /// The model endpoints, by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// The price list.
    pub models: Vec<ModelRow>,
    /// Free quotas, given once to every new wallet (or as a key's `grants` says).
    pub grants: Vec<GrantRow>,
    /// Declared keys.
    pub keys: Vec<KeyRow>,
    /// Bounds on sizes and times, all with defaults.
    pub caps: Caps,
    /// Secrets whose environment variable is not set.
    pub missing: Vec<Missing>,
    /// What is allowed but looks unwise, a sentence each, as `file:line: field: text`.
    pub warnings: Vec<Problem>,
}

/// A secret whose environment variable is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The variable.
    pub variable: String,
    /// The upstream or key that needs it.
    pub owner: Owner,
    /// Where it is named.
    pub problem: Problem,
}

/// Whose a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The upstream with this name.
    Upstream(String),
    /// The declared key with this name.
    Key(String),
}

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
}

/// Where money is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerConfig {
    /// Which kind of store.
    pub kind: LedgerKind,
    /// The store's file.
    pub path: PathBuf,
    /// What an acknowledged charge survives.
    pub durability: Durability,
    /// How long a hold lives without renewal, in milliseconds.
    pub lease_ms: u64,
}

/// The kinds of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerKind {
    /// One file, one process.
    Embedded,
}

/// What an acknowledged charge survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The loss of power.
    Disk,
    /// The end of the process, however sudden.
    Process,
}

/// A model endpoint.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// What it speaks.
    pub kind: UpstreamKind,
    /// The address that `/chat/completions` is appended to; always there for `openai`. No slash at the end.
    pub base_url: Option<String>,
    /// Its bearer key; `None` where it needs none, or where its variable is in [`Config::missing`].
    pub api_key: Option<Secret>,
    /// To connect, in milliseconds.
    pub connect_timeout_ms: u64,
    /// From the end of the request to the head of the answer, in milliseconds.
    pub response_timeout_ms: u64,
    /// Between two pieces of an answer, in milliseconds.
    pub idle_timeout_ms: u64,
    /// Whether streams are asked for usage where the client did not ask.
    pub ask_usage: AskUsage,
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

/// One model of the price list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRow {
    /// The canonical id.
    pub id: String,
    /// Other names that reach it.
    pub aliases: Vec<String>,
    /// What it does.
    pub category: Category,
    /// Where it is served; never empty.
    pub routes: Vec<Route>,
    /// The largest request that it can get and the largest answer that it can give.
    pub bounds: Bounds,
    /// How tokens are counted where the upstream does not say.
    pub tokenizer: Tokenizer,
    /// Its prices; never empty, no two from the same time.
    pub prices: Vec<PriceRow>,
    /// Its line in the file.
    pub line: u32,
}

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Text from text (and perhaps images), by `/chat/completions`.
    Chat,
    /// Images from text.
    TextToImage,
    /// Images from an image and text.
    ImageEdit,
    /// Images from several images and text.
    MultiImageEdit,
}

/// One place where a model is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The upstream's name.
    pub upstream: String,
    /// The model's name there.
    pub model: String,
    /// The share of requests among routes of one priority; at least 1.
    pub weight: u32,
    /// Lower comes first; others are used when those fail.
    pub priority: u32,
}

/// Bounds from which worst cases are computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The largest possible input, in tokens.
    pub context_tokens: u64,
    /// The largest possible output of one choice, in tokens.
    pub max_output_tokens: u64,
    /// Reasoning tokens that may come *on top of* the client's maximum, a choice; 0 where the maximum includes them.
    pub reasoning_tokens_max: u64,
    /// The most input tokens that one image comes to.
    pub image_tokens_max: u64,
    /// Input tokens that the upstream adds to every request (templates and the like).
    pub overhead_tokens: u64,
    /// The most images that one request may ask for.
    pub images_max: u64,
    /// The request field that lowers the output, inserted for keys whose policy is to clamp.
    pub max_tokens_field: String,
}

/// How tokens are counted where the upstream does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tokenizer {
    /// GPT-4o and later.
    O200kBase,
    /// GPT-3.5 and GPT-4.
    Cl100kBase,
    /// gpt-oss.
    O200kHarmony,
}

/// What a model costs from some time on. Prices are as printed; see [`Per`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRow {
    /// From when on; `None` is always.
    pub effective_from: Option<UnixMs>,
    /// Whether everything is free; then there are no prices.
    pub free: bool,
    /// How many tokens the token prices are for.
    pub per: Per,
    /// Input tokens.
    pub input: Option<Decimal>,
    /// Input tokens read from the upstream's cache; as input where absent.
    pub cached_input: Option<Decimal>,
    /// Input tokens written to the upstream's cache; as input where absent.
    pub cache_write: Option<Decimal>,
    /// Audio tokens of the input; as input where absent.
    pub audio_input: Option<Decimal>,
    /// Output tokens.
    pub output: Option<Decimal>,
    /// Output tokens spent on reasoning; as output where absent.
    pub reasoning: Option<Decimal>,
    /// Audio tokens of the output; as output where absent.
    pub audio_output: Option<Decimal>,
    /// One image, whatever `per` says.
    pub image: Option<Decimal>,
    /// One request, whatever `per` says.
    pub request: Option<Decimal>,
    /// Its line in the file.
    pub line: u32,
}

/// What the token prices of a row are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Per {
    /// 1,000,000 tokens.
    MillionTokens,
    /// 1,000 tokens.
    ThousandTokens,
    /// One token.
    Token,
    /// No token has a price: the row is for images.
    Image,
    /// No token has a price: the row is for requests.
    Request,
}

/// A free quota, given once per wallet and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// Its name.
    pub name: String,
    /// What it gives.
    pub unit: GrantUnit,
    /// How much; nano units for money.
    pub amount: u64,
    /// For which models, by canonical id; `None` is all.
    pub models: Option<Vec<String>>,
    /// From when on nothing may be taken from it.
    pub expires: Option<UnixMs>,
    /// Its line in the file.
    pub line: u32,
}

/// What a grant gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantUnit {
    /// Tokens.
    Tokens,
    /// Images.
    Images,
    /// Whole requests.
    Requests,
    /// Money, in nano units.
    Money,
}

/// A declared key.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Its name and id.
    pub name: String,
    /// The text that customers send; `None` where its variable is in [`Config::missing`].
    pub secret: Option<Secret>,
    /// The opening credit of its wallet, booked once as `config:<name>`.
    pub balance: Option<Nano>,
    /// How far below zero the wallet may go.
    pub credit_line: Nano,
    /// The wallet that pays; one of its own, named as the key, where the file names none.
    pub wallet: String,
    /// The models that it may use, by canonical id; `None` is all.
    pub models: Option<Vec<String>>,
    /// The addresses that it may be used from; empty is all.
    pub allowed_ips: Vec<IpNet>,
    /// Its caps.
    pub limits: Vec<LimitRow>,
    /// From when on it is refused.
    pub expires: Option<UnixMs>,
    /// What happens when money is short.
    pub on_short: OnShort,
    /// What happens when its client goes away.
    pub on_disconnect: OnDisconnect,
    /// The grants that its wallet gets, by name; `None` is all.
    pub grants: Option<Vec<String>>,
    /// Its line in the file.
    pub line: u32,
}

/// What happens when a request's worst case is not affordable but a smaller one would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnShort {
    /// The request is refused.
    #[default]
    Refuse,
    /// Its maximum of output is lowered.
    Clamp,
}

/// What happens upstream when the client goes away before the end of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnDisconnect {
    /// The answer is read to its end, within bounds.
    #[default]
    Drain,
    /// The upstream is stopped.
    Cancel,
}

/// A cap on a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitRow {
    /// Its name, unique on the key: as given, else like `spend-day`.
    pub name: String,
    /// What it caps.
    pub measure: Measure,
    /// The most there may be; nano units for spend. At least 1, below 2^53.
    pub cap: u64,
    /// Over what time; `Total` for `concurrent`, where it has no meaning.
    pub per: Period,
    /// For which models it counts, by canonical id; `None` is all.
    pub models: Option<Vec<String>>,
}

/// What a limit caps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Money charged, in nano units.
    Spend,
    /// Tokens.
    Tokens,
    /// Images.
    Images,
    /// Requests.
    Requests,
    /// Requests in flight at once.
    Concurrent,
}

/// Over what time a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// For ever.
    Total,
    /// A token bucket that refills its cap in a minute.
    Minute,
    /// A calendar hour.
    Hour,
    /// A calendar day.
    Day,
    /// A calendar week, from Monday.
    Week,
    /// A calendar month.
    Month,
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
    /// The largest unfinished event of a stream that is waited for, in bytes.
    pub stream_event_bytes: u64,
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
    /// Endpoints that are tried for one request, the first included.
    pub attempts: u64,
}

impl PriceRow {
    /// The prices that are written: each with its field's name and how many units it is for.
    pub fn written(&self) -> impl Iterator<Item = (&'static str, Decimal, u64)> {
        let tokens = self.per.tokens();
        [
            ("input", self.input, tokens),
            ("cached_input", self.cached_input, tokens),
            ("cache_write", self.cache_write, tokens),
            ("audio_input", self.audio_input, tokens),
            ("output", self.output, tokens),
            ("reasoning", self.reasoning, tokens),
            ("audio_output", self.audio_output, tokens),
            ("image", self.image, 1),
            ("request", self.request, 1),
        ]
        .into_iter()
        .filter_map(|(field, price, per)| Some((field, price?, per)))
    }
}

impl Per {
    /// How many tokens a token price is for; 1 where no token has a price.
    pub const fn tokens(self) -> u64 {
        match self {
            Per::MillionTokens => 1_000_000,
            Per::ThousandTokens => 1_000,
            Per::Token | Per::Image | Per::Request => 1,
        }
    }
}

impl Config {
    /// Reads the file at `path` with this process' environment.
    ///
    /// # Errors
    /// If the file cannot be read, and as [`Config::parse`].
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::of_file(&file, format!("cannot be read: {error}")))?;
        Config::parse(&text, &file, &|name| std::env::var(name).ok())
    }

    /// Reads the text of a config; `file` is its name in messages, `env` looks a variable up.
    ///
    /// # Errors
    /// All problems that one pass can find, each with its line and field.
    pub fn parse(
        text: &str,
        file: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigError> {
        sections::config(text, file, env)
    }

    /// Refuses to go on while a needed secret is missing: of every declared key, and of every
    /// upstream that a model is routed to. Other upstreams may lack theirs.
    ///
    /// # Errors
    /// All of them, each with its variable, line and field.
    pub fn require_secrets(&self) -> Result<(), ConfigError> {
        let used = |name: &str| {
            let mut routes = self.models.iter().flat_map(|model| &model.routes);
            routes.any(|route| route.upstream == name)
        };
        let needed = self.missing.iter().filter(|missing| match &missing.owner {
            Owner::Upstream(name) => used(name),
            Owner::Key(_) => true,
        });
        ConfigError::unless_empty(needed.map(|missing| missing.problem.clone()).collect())
    }

    /// The same price list without the world: every model is served by the built-in simulator, and
    /// no key is declared. Nothing is missing then.
    #[must_use]
    pub fn simulated(mut self) -> Config {
        let simulator = |(name, upstream): (&String, &Upstream)| {
            (upstream.kind == UpstreamKind::Simulator).then(|| name.clone())
        };
        let name = self.upstreams.iter().find_map(simulator);
        let name = name.unwrap_or_else(|| "simulator".to_owned());
        self.upstreams
            .retain(|_, upstream| upstream.kind == UpstreamKind::Simulator);
        self.upstreams
            .entry(name.clone())
            .or_insert_with(Upstream::simulator);
        for model in &mut self.models {
            model.routes = vec![Route {
                upstream: name.clone(),
                model: model.id.clone(),
                weight: 1,
                priority: 0,
            }];
        }
        self.keys.clear();
        self.missing.clear();
        self
    }
}

impl Upstream {
    /// The built-in simulator, with the default timeouts.
    pub fn simulator() -> Self {
        Upstream {
            kind: UpstreamKind::Simulator,
            base_url: None,
            api_key: None,
            connect_timeout_ms: 5_000,
            response_timeout_ms: 600_000,
            idle_timeout_ms: 300_000,
            ask_usage: AskUsage::Auto,
        }
    }
}

#[cfg(test)]
mod tests;
