//! The proxy path: the life of a request, and one file for each of its steps.
//!
//! [`lifecycle`] reads as that life. Money lives in a [`reservation`], which ends exactly once;
//! [`refusal`] is the one place where errors become responses.

pub mod account;
pub mod answer;
pub mod asked;
pub mod background;
pub mod bad_request;
pub mod body;
pub mod budget;
pub mod catalog;
pub mod client_address;
pub mod client_body;
pub mod conclude;
pub mod cors;
pub mod detach;
pub mod facts;
pub mod followed;
pub mod forward;
pub mod headers;
pub mod identify;
pub mod io;
pub mod job;
pub mod kept;
pub mod lifecycle;
pub mod limits;
pub mod live;
pub mod long_context;
pub mod meter;
pub mod metrics;
pub mod models;
pub mod multipart;
pub mod objects;
pub mod observe;
pub mod passage;
pub mod peek;
pub mod plain;
pub mod receipt;
pub mod refusal;
pub mod refuse;
pub mod request_body;
pub mod request_log;
pub mod reservation;
pub mod route;
pub mod server;
pub mod service;
pub mod signal;
pub mod splice;
#[cfg(test)]
mod tests;
pub mod whole;
pub mod window;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use ipnet::IpNet;
use jiff::tz::TimeZone;
use tokio::sync::Semaphore;

use crate::ledger::retention::Retention;
use crate::ledger::{Ledger, LedgerError};
use budget::Budget;
use catalog::{Catalog, Current};
use cors::Cors;
use followed::Followed;
use limits::KnownLimits;
use live::LiveHolds;
use metrics::Metrics;
use observe::{Observed, Observer};
use signal::Signal;

/// Everything that the requests of one proxy share.
pub struct Gateway {
    /// Who owns what.
    pub ledger: Arc<dyn Ledger>,
    /// What is offered: models, prices, endpoints.
    pub current: Arc<Current>,
    /// The ledger's currency.
    pub currency: Arc<str>,
    /// Where days begin.
    pub zone: TimeZone,
    /// The limits of the keys that were used of late.
    pub limits: KnownLimits,
    /// How long receipts are told; `None`: for ever.
    pub retention: Option<Retention>,
    /// Bounds on sizes and times.
    pub caps: Caps,
    /// The proxies in front, whose word on a client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a hold lives without renewal, in milliseconds.
    pub lease_ms: u64,
    /// The web pages that may call.
    pub cors: Cors,
    /// The status of a spent balance.
    pub no_funds: StatusCode,
    /// The memory for requests.
    pub request_memory: Budget,
    /// The memory for answers that are held back.
    pub answer_memory: Budget,
    /// The holds of this process.
    pub live: Arc<LiveHolds>,
    /// The answers in the background that this process follows.
    pub followed: Arc<Followed>,
    /// Room for connections of clients.
    pub places: Arc<Semaphore>,
    /// Each open connection of a client has a share of it.
    pub open: Arc<()>,
    /// What is counted of all requests.
    pub metrics: Metrics,
    /// Raised when the process is told to end: nobody new is served.
    pub draining: Signal,
    /// Raised when the process ends: nobody is waited for any longer.
    pub stop: Signal,
    observer: Option<Box<dyn Observer>>,
}

/// Bounds on sizes and times, in the types that the proxy path needs.
#[derive(Clone, Debug)]
pub struct Caps {
    /// A request's body.
    pub request_body: body::Bounds,
    /// The deepest JSON.
    pub json_depth: usize,
    /// The largest answer that is held back whole, in bytes.
    pub answer_hold_bytes: u64,
    /// How long an answer that only keeps the connection alive is held back.
    pub answer_hold: Duration,
    /// How much of a flowing answer's end waits for its charge, in bytes.
    pub answer_tail_bytes: usize,
    /// How long an answer is read on after its client went.
    pub drain_client: Duration,
    /// How much of it is read on, in bytes.
    pub drain_client_bytes: u64,
    /// How long a client may take nothing.
    pub client_stall: Duration,
    /// How long a request's head may take.
    pub header_timeout: Duration,
    /// The most headers of a request.
    pub header_count: usize,
    /// The largest head of a request, in bytes.
    pub header_bytes: usize,
    /// The most connections at once.
    pub connections: usize,
    /// The most requests at once on one HTTP/2 connection.
    pub h2_streams: u32,
    /// The most endpoints that are tried for a request.
    pub attempts_max: u32,
    /// How long that may take, up to the head of the answer.
    pub attempts: Duration,
}

/// Why nobody should be sent here now.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotReady {
    /// The process was told to end.
    #[error("draining: the process was told to end")]
    Draining,
    /// The ledger takes no operations.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Gateway {
    /// Puts a proxy together.
    ///
    /// # Errors
    /// A time zone or a status that the config should not have let pass.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        current: Arc<Current>,
        observer: Option<Box<dyn Observer>>,
    ) -> Result<Self, String> {
        let catalog = current.get();
        let config = &catalog.config;
        let zone = TimeZone::get(&config.server.timezone).map_err(|error| error.to_string())?;
        let no_funds = StatusCode::from_u16(config.server.refusal_status_no_funds)
            .map_err(|error| error.to_string())?;
        let caps = Caps::from(&config.caps);
        Ok(Gateway {
            metrics: Metrics::new(ledger.now()),
            ledger,
            current,
            currency: config.currency.as_str().into(),
            retention: config.ledger.keep_receipts_days.map(|days| Retention {
                days,
                zone: zone.clone(),
            }),
            limits: KnownLimits::new(zone.clone()),
            zone,
            lease_ms: config.ledger.lease_ms,
            cors: Cors::new(config.server.cors_origins.clone()),
            no_funds,
            request_memory: Budget::new(config.caps.request_memory_bytes),
            answer_memory: Budget::new(config.caps.answer_memory_bytes),
            places: Arc::new(Semaphore::new(caps.connections)),
            open: Arc::default(),
            caps,
            trusted_proxies: config.server.trusted_proxies.clone(),
            live: Arc::default(),
            followed: Arc::default(),
            draining: Signal::default(),
            stop: Signal::default(),
            observer,
        })
    }

    /// What is offered now; a request takes it once.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.current.get()
    }

    /// Whether requests should be sent here.
    ///
    /// # Errors
    /// Why they should not.
    pub fn ready(&self) -> Result<(), NotReady> {
        if self.draining.is_raised() {
            return Err(NotReady::Draining);
        }
        Ok(self.ledger.ready()?)
    }

    /// How many connections of clients are open.
    pub fn connections(&self) -> usize {
        // Not by the places that are taken: one is kept ready for who comes next.
        Arc::strong_count(&self.open).saturating_sub(1)
    }

    /// Tells those who watch of a request that ended.
    fn observe(&self, request: &Observed) {
        self.metrics.ended(request);
        if let Some(observer) = &self.observer {
            observer.ended(request);
        }
    }
}

impl From<&crate::config::Caps> for Caps {
    fn from(caps: &crate::config::Caps) -> Self {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Caps {
            request_body: body::Bounds {
                bytes: caps.request_body_bytes,
                idle: Duration::from_millis(caps.body_timeout_ms),
            },
            json_depth: size(caps.json_depth),
            answer_hold_bytes: caps.answer_hold_bytes,
            answer_hold: Duration::from_millis(caps.answer_hold_ms),
            answer_tail_bytes: size(caps.answer_tail_bytes),
            drain_client: Duration::from_millis(caps.drain_client_ms),
            drain_client_bytes: caps.drain_client_bytes,
            client_stall: Duration::from_millis(caps.client_stall_ms),
            header_timeout: Duration::from_millis(caps.header_timeout_ms),
            header_count: size(caps.header_count),
            header_bytes: size(caps.header_bytes),
            connections: size(caps.connections),
            h2_streams: u32::try_from(caps.h2_streams).unwrap_or(u32::MAX),
            attempts_max: u32::try_from(caps.attempts).unwrap_or(u32::MAX),
            attempts: Duration::from_millis(caps.attempts_ms),
        }
    }
}
