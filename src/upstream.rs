//! The model endpoints behind the proxy: which one a request goes to, and how it is sent there.
//!
//! [`Upstreams::route`] orders the endpoints of a model for one request, [`Upstreams::send`] makes
//! one attempt, and [`retry::decide`] says what its outcome means. The loop over attempts is the
//! caller's, because it runs inside one hold. The [simulator] is an upstream like any other, in
//! this process.
//!
//! What attempts come to is remembered for each endpoint: those that fail again and again, or ask to be left alone for
//! a while, come after the others. None is ever left out for that while another has not been tried.
//!
//! **A request is never sent twice by `send`.** The pool hands out a kept connection that its
//! server may be closing at that moment. If not one byte of the request was taken from its queue,
//! the client moves it to another connection (and then only if the first was a reused one); from the
//! first byte on, the attempt fails with [`SendError::sent`] instead.

mod balance;
mod base;
mod body;
mod client;
mod connect;
mod error;
mod health;
mod pool;
mod relay;
pub mod retry;
pub mod simulator;
#[cfg(test)]
mod tests;
mod wait;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use tokio::time::{Instant, timeout_at};

use crate::clock::{Clock, UnixMs};
use crate::config::{self, AskUsage, Config, UpstreamKind};
use balance::Choices;
use body::Source;
pub use body::UpstreamBody;
use client::Client;
use connect::Network;
pub use error::{BodyError, SendError, SendErrorKind, SetupError};
pub use health::Probe;
use health::{Admission, Health, Standing};

/// Every configured upstream, and the endpoints of every model.
#[derive(Debug)]
pub struct Upstreams {
    routes: HashMap<Arc<str>, Choices<Arc<Endpoint>>>,
    known: HashMap<String, Arc<Upstream>>,
    /// How each endpoint fares: by upstream and the model's name there.
    health: Healths,
    network: Network,
    clock: Clock,
}

type Healths = BTreeMap<(Arc<str>, String), Arc<Health>>;

/// One place where a model is served. It owns what it needs: a request under way outlives a reload.
#[derive(Debug)]
pub struct Endpoint {
    upstream: Arc<Upstream>,
    model: Option<Arc<str>>,
    health: Arc<Health>,
}

/// One attempt to be made, at an address below an upstream's base.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// `POST`, `GET` or `DELETE`.
    pub method: Method,
    /// What follows the upstream's base, such as `/chat/completions` or `/responses/resp_1?include[]=x`. What no
    /// address can hold is encoded; a path that leads out of the base, as by `..`, fails.
    pub path: &'a str,
    /// The client's headers without those that concern one hop only. What `send` sets itself
    /// (authorization, host, length, encoding) may be in here and is replaced; without a body no
    /// `content-type` is sent.
    pub headers: HeaderMap,
    /// The whole body, which may be empty; cloning it is cheap, so a retry sends the same bytes.
    pub body: Bytes,
}

/// An upstream as it is configured.
#[derive(Debug)]
struct Upstream {
    name: Arc<str>,
    /// What it was made from.
    row: config::Upstream,
    response_timeout: Duration,
    idle_timeout: Duration,
    total_timeout: Duration,
    ask_usage: bool,
    transport: Transport,
}

#[derive(Debug)]
enum Transport {
    Http(Box<Client>),
    Simulator,
}

impl Upstreams {
    /// Builds the routes of every model in the config; nothing is connected yet.
    ///
    /// # Errors
    /// Where a base URL is none, a key cannot be sent, or a model names an unknown upstream.
    pub fn new(config: &Config) -> Result<Self, SetupError> {
        Upstreams::build(Network::new(), Clock::system(UnixMs(0)), None, config)
    }

    /// The same for a config that was read anew. An upstream whose row is as it was keeps its connections, and what
    /// is known of its endpoints; one that is gone lives until the last request that uses it ends.
    ///
    /// # Errors
    /// As [`Upstreams::new`]; these upstreams stay as they are.
    pub fn rebuilt(&self, config: &Config) -> Result<Self, SetupError> {
        let (network, clock) = (self.network.clone(), self.clock.clone());
        Upstreams::build(network, clock, Some(self), config)
    }

    fn build(
        network: Network,
        clock: Clock,
        before: Option<&Upstreams>,
        config: &Config,
    ) -> Result<Self, SetupError> {
        let known = config
            .upstreams
            .iter()
            .map(|(name, row)| {
                let same = before.and_then(|before| before.known.get(name));
                let same = same.filter(|upstream| upstream.row == *row);
                let upstream = match same {
                    Some(upstream) => Arc::clone(upstream),
                    None => Upstream::new(name, row, &network)?,
                };
                Ok((name.clone(), upstream))
            })
            .collect::<Result<HashMap<_, _>, SetupError>>()?;
        let mut health = Healths::new();
        let mut routes = HashMap::new();
        for model in &config.models {
            let mut choices = Vec::with_capacity(model.routes.len());
            for route in &model.routes {
                let upstream = known.get(&route.upstream).ok_or_else(|| {
                    let id = &model.id;
                    let reason = format!("model `{id}` names it, but `upstreams` does not");
                    SetupError::new(&route.upstream, reason)
                })?;
                let key = (Arc::clone(&upstream.name), route.model.clone());
                let kept = before.and_then(|before| before.kept(upstream, &key));
                let known = health.entry(key);
                let known = known.or_insert_with(|| kept.unwrap_or_else(|| upstream.health()));
                let endpoint = Arc::new(Endpoint::new(upstream, &route.model, known));
                choices.push((route.priority, route.weight, endpoint));
            }
            routes.insert(Arc::from(model.id.as_str()), Choices::new(choices));
        }
        Ok(Upstreams {
            routes,
            known,
            health,
            network,
            clock,
        })
    }

    /// What is known of an endpoint, where its upstream is this one.
    fn kept(&self, upstream: &Arc<Upstream>, key: &(Arc<str>, String)) -> Option<Arc<Health>> {
        let same = self.known.get(&*upstream.name)?;
        let health = self.health.get(key)?;
        Arc::ptr_eq(same, upstream).then(|| Arc::clone(health))
    }

    /// The endpoints of a model in the order in which one request tries them: by priority, and
    /// drawn by weight within a priority; but those that rest come after the others, and those whose breaker is
    /// open come last. Where all of them rest, or are open, there is the first alone. Empty for a model that is
    /// not configured.
    pub fn route(&self, model_id: &str) -> Vec<Arc<Endpoint>> {
        let Some(choices) = self.routes.get(model_id) else {
            return Vec::new();
        };
        let route = choices.draw();
        if !route.iter().any(|endpoint| endpoint.health.is_troubled()) {
            return route;
        }
        let now = self.clock.now();
        let ranked = route
            .into_iter()
            .map(|endpoint| (endpoint.health.standing(now), endpoint));
        let mut ranked: Vec<(Standing, Arc<Endpoint>)> = ranked.collect();
        ranked.sort_by_key(|(standing, _)| *standing);
        if Standing::are_all_away(ranked.iter().map(|(standing, _)| *standing)) {
            ranked.truncate(1);
        }
        ranked.into_iter().map(|(_, endpoint)| endpoint).collect()
    }

    /// Lets a request begin with the first endpoint of its route. Where that one's breaker is open and it is time to
    /// find out whether it is back, one request does: it holds what is answered until its attempt has ended. Any
    /// other gets this endpoint last.
    pub fn admit(&self, route: &mut [Arc<Endpoint>]) -> Option<Probe> {
        let first = route.first().filter(|first| first.health.is_troubled())?;
        match first.health.admit(self.clock.now()) {
            Admission::Free => None,
            Admission::Probe(probe) => Some(probe),
            Admission::Busy => {
                route.rotate_left(1);
                None
            }
        }
    }

    /// The endpoints of a model at one upstream, in the order in which one request tries them.
    pub fn route_at(&self, model_id: &str, upstream: &str) -> Vec<Arc<Endpoint>> {
        let drawn = self.routes.get(model_id).map(Choices::draw);
        let mut route = drawn.unwrap_or_default();
        route.retain(|endpoint| **endpoint.upstream() == *upstream);
        route
    }

    /// An upstream by its name, for what is of no model.
    pub fn at(&self, upstream: &str) -> Option<Arc<Endpoint>> {
        let upstream = self.known.get(upstream)?;
        Some(Arc::new(Endpoint {
            upstream: Arc::clone(upstream),
            model: None,
            health: upstream.health(),
        }))
    }

    /// The upstream that keeps customers' files; `None` where the config names none.
    pub fn keeper_of_files(&self) -> Option<Arc<Endpoint>> {
        let keeper = self.known.values().find(|upstream| upstream.row.files)?;
        self.at(&keeper.name)
    }

    /// Every upstream, and at how many models its breaker is open.
    pub fn open(&self) -> impl Iterator<Item = (&str, u64)> {
        let mut open: BTreeMap<&str, u64> = self.known.keys().map(|name| (&**name, 0)).collect();
        for ((upstream, _), health) in &self.health {
            if let Some(count) = open.get_mut(&**upstream) {
                *count += u64::from(health.is_open());
            }
        }
        open.into_iter()
    }

    /// Sends a request to one endpoint and waits for the head of its answer, whatever its status.
    ///
    /// Redirects are answers, not followed. A body that comes encoded is decoded; it ends in an error where the whole
    /// answer takes longer than the upstream's `total_timeout_ms`.
    ///
    /// # Errors
    /// [`SendError`] when no head came; [`SendError::sent`] says whether the upstream may have
    /// seen the request.
    ///
    /// # Cancellation
    /// Dropping the future closes the connection if anything was written to it; the upstream may
    /// have done the work.
    pub async fn send(
        &self,
        endpoint: &Endpoint,
        call: Call<'_>,
    ) -> Result<Response<UpstreamBody>, SendError> {
        let upstream = &endpoint.upstream;
        let begun = Instant::now();
        let sending = async {
            match &upstream.transport {
                Transport::Http(client) => client.send(&upstream.name, call).await,
                Transport::Simulator => simulator::send(&upstream.name, &call).await,
            }
        };
        let total = upstream.total_timeout;
        let limit = upstream.response_timeout.min(total);
        let outcome = timeout_at(begun + limit, sending).await;
        let outcome = outcome.unwrap_or_else(|_| Err(SendError::timeout(&upstream.name, limit)));
        self.note(endpoint, &outcome);
        let response = body::decoded(outcome?);
        Ok(response.map(|body| body.until(begun + total, total)))
    }

    /// Remembers what came of an attempt.
    fn note(&self, endpoint: &Endpoint, outcome: &Result<Response<UpstreamBody>, SendError>) {
        let (health, now) = (&endpoint.health, self.clock.now());
        let (upstream, model) = (&endpoint.upstream.name, endpoint.model.as_deref());
        let failed = match outcome {
            // It never left, since it is no request.
            Err(error) if error.kind == SendErrorKind::Protocol && !error.sent => return,
            Err(_) => true,
            Ok(response) => response.status().is_server_error(),
        };
        if !failed {
            if health.answered(now) {
                tracing::info!(%upstream, model, "the endpoint answers again");
            }
        } else if let Some(opened) = health.failed(now) {
            tracing::warn!(
                %upstream, model, failures = opened.failures, cooldown_ms = opened.cooldown_ms,
                "the endpoint fails again and again: others are tried first"
            );
        }
        if let Ok(response) = outcome
            && matches!(response.status().as_u16(), 429 | 503)
            && let Some(ms) = wait::asked_ms(response.headers(), now)
        {
            health.rest(now, ms);
        }
    }
}

impl Endpoint {
    fn new(upstream: &Arc<Upstream>, model: &str, health: &Arc<Health>) -> Self {
        let simulated = matches!(upstream.transport, Transport::Simulator);
        Endpoint {
            upstream: upstream.clone(),
            health: health.clone(),
            // The simulator reads a fault from the suffix of what the client wrote.
            model: (!simulated).then(|| Arc::from(model)),
        }
    }

    /// The upstream's name in the config.
    pub fn upstream(&self) -> &Arc<str> {
        &self.upstream.name
    }

    /// The name that this upstream knows the model by, to be put in the body's `model`; `None`
    /// leaves the client's.
    pub fn model(&self) -> Option<&Arc<str>> {
        self.model.as_ref()
    }

    /// How long the head of an answer may take, from the start of the attempt.
    pub fn response_timeout(&self) -> Duration {
        self.upstream.response_timeout
    }

    /// How long an answer's body may be silent. The reader of the body enforces it.
    pub fn idle_timeout(&self) -> Duration {
        self.upstream.idle_timeout
    }

    /// Whether to ask this upstream for the usage of a stream (`stream_options.include_usage`).
    pub fn ask_usage(&self) -> bool {
        self.upstream.ask_usage
    }

    /// Whether this is the [simulator].
    pub fn is_simulator(&self) -> bool {
        matches!(self.upstream.transport, Transport::Simulator)
    }
}

impl Upstream {
    fn new(name: &str, row: &config::Upstream, network: &Network) -> Result<Arc<Self>, SetupError> {
        let transport = match row.kind {
            UpstreamKind::Simulator => Transport::Simulator,
            UpstreamKind::Openai => {
                let client = Client::new(network, row);
                Transport::Http(Box::new(
                    client.map_err(|reason| SetupError::new(name, reason))?,
                ))
            }
        };
        Ok(Arc::new(Upstream {
            name: name.into(),
            row: row.clone(),
            response_timeout: Duration::from_millis(row.response_timeout_ms),
            idle_timeout: Duration::from_millis(row.idle_timeout_ms),
            total_timeout: Duration::from_millis(row.total_timeout_ms),
            ask_usage: row.ask_usage == AskUsage::Auto,
            transport,
        }))
    }

    /// Of one of its endpoints, of which nothing is known yet.
    fn health(&self) -> Arc<Health> {
        let failures = u32::try_from(self.row.breaker_failures).unwrap_or(u32::MAX);
        Arc::new(Health::new(failures, self.row.breaker_cooldown_ms))
    }
}
