//! The model endpoints behind the proxy: which one a request goes to, and how it is sent there.
//!
//! [`Upstreams::route`] orders the endpoints of a model for one request, [`Upstreams::send`] makes
//! one attempt, and [`retry::decide`] says what its outcome means. The loop over attempts is the
//! caller's, because it runs inside one hold. The [simulator] is an upstream like any other, in
//! this process.
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
pub mod retry;
pub mod simulator;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use tokio::time::{Instant, timeout_at};

use crate::config::{self, AskUsage, Config, UpstreamKind};
use balance::Choices;
use body::Source;
pub use body::UpstreamBody;
use client::Client;
use connect::Network;
pub use error::{BodyError, SendError, SendErrorKind, SetupError};

/// Every configured upstream, and the endpoints of every model.
#[derive(Debug)]
pub struct Upstreams {
    routes: HashMap<Arc<str>, Choices<Arc<Endpoint>>>,
    known: HashMap<String, Arc<Upstream>>,
    network: Network,
}

/// One place where a model is served. It owns what it needs: a request under way outlives a reload.
#[derive(Debug)]
pub struct Endpoint {
    upstream: Arc<Upstream>,
    model: Option<Arc<str>>,
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
        Upstreams::build(Network::new(), &HashMap::new(), config)
    }

    /// The same for a config that was read anew. An upstream whose row is as it was keeps its connections; one
    /// that is gone lives until the last request that uses it ends.
    ///
    /// # Errors
    /// As [`Upstreams::new`]; these upstreams stay as they are.
    pub fn rebuilt(&self, config: &Config) -> Result<Self, SetupError> {
        Upstreams::build(self.network.clone(), &self.known, config)
    }

    fn build(
        network: Network,
        before: &HashMap<String, Arc<Upstream>>,
        config: &Config,
    ) -> Result<Self, SetupError> {
        let known = config
            .upstreams
            .iter()
            .map(|(name, row)| {
                let same = before.get(name).filter(|upstream| upstream.row == *row);
                let upstream = match same {
                    Some(upstream) => Arc::clone(upstream),
                    None => Upstream::new(name, row, &network)?,
                };
                Ok((name.clone(), upstream))
            })
            .collect::<Result<HashMap<_, _>, SetupError>>()?;
        let mut routes = HashMap::new();
        for model in &config.models {
            let mut choices = Vec::with_capacity(model.routes.len());
            for route in &model.routes {
                let upstream = known.get(&route.upstream).ok_or_else(|| {
                    let id = &model.id;
                    let reason = format!("model `{id}` names it, but `upstreams` does not");
                    SetupError::new(&route.upstream, reason)
                })?;
                let endpoint = Arc::new(Endpoint::new(upstream, &route.model));
                choices.push((route.priority, route.weight, endpoint));
            }
            routes.insert(Arc::from(model.id.as_str()), Choices::new(choices));
        }
        Ok(Upstreams {
            routes,
            known,
            network,
        })
    }

    /// The endpoints of a model in the order in which one request tries them: by priority, and
    /// drawn by weight within a priority. Empty for a model that is not configured.
    pub fn route(&self, model_id: &str) -> Vec<Arc<Endpoint>> {
        self.routes
            .get(model_id)
            .map_or_else(Vec::new, Choices::draw)
    }

    /// Sends a request to one endpoint and waits for the head of its answer, whatever its status.
    ///
    /// Redirects are answers, not followed.
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
        let limit = upstream.response_timeout;
        let outcome = timeout_at(begun + limit, sending).await;
        let response = outcome.map_err(|_| SendError::timeout(&upstream.name, limit))??;
        Ok(body::decoded(response))
    }
}

impl Endpoint {
    fn new(upstream: &Arc<Upstream>, model: &str) -> Self {
        let simulated = matches!(upstream.transport, Transport::Simulator);
        Endpoint {
            upstream: upstream.clone(),
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
            ask_usage: row.ask_usage == AskUsage::Auto,
            transport,
        }))
    }
}
