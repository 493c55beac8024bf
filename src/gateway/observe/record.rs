//! The record of one request: whoever takes a step notes it, and when the last of them lets go, it is told.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, Request, Response};
use parking_lot::Mutex;

use super::trace::{AttemptTrace, Trace};
use super::{OTHER, Observed, Outcome, Times};
use crate::gateway::Gateway;
use crate::gateway::client_body::ClientBody;
use crate::gateway::receipt;
use crate::gateway::refusal::{Code, Refused};
use crate::ledger::hold::{Hold, Settled};
use crate::ledger::id::RequestId;
use crate::ledger::key::Key;
use crate::upstream::{Endpoint, SendErrorKind};

/// What is known of a request so far. All who have a part in it share it; dropping the last share ends it.
pub struct Record {
    gateway: Arc<Gateway>,
    id: RequestId,
    trace: Trace,
    seen: Mutex<Observed>,
}

/// One attempt at an upstream; dropped without an outcome, it was abandoned.
pub struct Attempt<'r> {
    record: &'r Record,
    upstream: &'r Arc<str>,
    begun: Instant,
    /// When its head came.
    head: Option<Instant>,
    outcome: Outcome,
    trace: AttemptTrace,
}

impl Record {
    /// The record of a request whose head has just come.
    pub fn begin<B>(gateway: &Arc<Gateway>, client: IpAddr, request: &Request<B>) -> Arc<Self> {
        let method = known(request.method());
        Record::new(gateway, RequestId::new(), client, method, request.headers())
    }

    /// The record of a request that another process, or this one before it was started again, has answered already.
    pub fn resumed(gateway: &Arc<Gateway>, id: RequestId, endpoint: &'static str) -> Arc<Self> {
        let nowhere = IpAddr::from([0, 0, 0, 0]);
        let record = Record::new(gateway, id, nowhere, "POST", &HeaderMap::new());
        {
            let mut seen = record.seen.lock();
            (seen.endpoint, seen.status) = (endpoint, 200);
        }
        record
    }

    fn new(
        gateway: &Arc<Gateway>,
        id: RequestId,
        client: IpAddr,
        method: &'static str,
        headers: &HeaderMap,
    ) -> Arc<Self> {
        let begun = Instant::now();
        let seen = Observed {
            request: id,
            client,
            method,
            endpoint: OTHER,
            key: None,
            model: None,
            hold: None,
            upstream: None,
            attempts: 0,
            last: None,
            streamed: false,
            status: 0,
            code: None,
            message: None,
            settled: None,
            uncharged: false,
            times: Times {
                begun,
                read: None,
                sent: None,
                head: None,
                first_byte: None,
                upstream_ended: None,
                settled: None,
                ended: begun,
            },
        };
        Arc::new(Record {
            gateway: Arc::clone(gateway),
            id,
            trace: Trace::begin(headers),
            seen: Mutex::new(seen),
        })
    }

    /// The request's id.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// It is for this path (without `/v1`), which is served.
    pub fn is_for(&self, endpoint: &'static str) {
        self.seen.lock().endpoint = endpoint;
    }

    /// It was sent with this key.
    pub fn identified(&self, key: &Arc<Key>) {
        self.seen.lock().key = Some(Arc::clone(key));
    }

    /// Its body was read.
    pub fn read(&self) {
        self.seen.lock().times.read = Some(Instant::now());
    }

    /// It asks for this model, by canonical id.
    pub fn found(&self, model: &Arc<str>) {
        self.seen.lock().model = Some(Arc::clone(model));
    }

    /// Its worst case was reserved.
    pub fn held(&self, hold: &Hold) {
        self.seen.lock().hold = Some(hold.money);
    }

    /// It leaves for an upstream, with these headers.
    pub fn attempt<'r>(&'r self, endpoint: &'r Endpoint, headers: &mut HeaderMap) -> Attempt<'r> {
        let begun = Instant::now();
        let upstream = endpoint.upstream();
        let mut seen = self.seen.lock();
        seen.times.sent.get_or_insert(begun);
        seen.attempts = seen.attempts.saturating_add(1);
        seen.upstream = Some(Arc::clone(upstream));
        Attempt {
            record: self,
            upstream,
            begun,
            head: None,
            outcome: Outcome::Abandoned,
            trace: self.trace.attempt(upstream, headers),
        }
    }

    /// The first byte of its stream came.
    pub fn streams(&self) {
        let mut seen = self.seen.lock();
        seen.streamed = true;
        seen.times.first_byte = Some(Instant::now());
    }

    /// The last byte of the upstream's answer came.
    pub fn upstream_ended(&self) {
        self.seen.lock().times.upstream_ended = Some(Instant::now());
    }

    /// It was charged.
    pub fn settled(&self, settled: &Settled) {
        let mut seen = self.seen.lock();
        seen.times.settled = Some(Instant::now());
        seen.settled = Some((Arc::clone(&settled.receipt), settled.balance));
    }

    /// An upstream answered, and nothing is charged for it.
    pub fn uncharged(&self) {
        self.seen.lock().uncharged = true;
    }

    /// Its client was told of an error after the head of the answer had left.
    pub fn broke(&self, code: Code) {
        self.seen.lock().code = Some(code);
    }

    /// What the client gets.
    pub fn answer(&self, outcome: Result<Response<ClientBody>, Refused>) -> Response<ClientBody> {
        let (response, told) = match outcome {
            Ok(response) => (response, None),
            Err(refused) => {
                let told = (refused.code, refused.message.clone());
                let mut response = refused.into_response().map(ClientBody::Full);
                receipt::put_request_id(response.headers_mut(), self.id);
                (response, Some(told))
            }
        };
        let mut seen = self.seen.lock();
        seen.status = response.status().as_u16();
        if let Some((code, message)) = told {
            (seen.code, seen.message) = (Some(code), Some(message));
        }
        response
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let seen = self.seen.get_mut();
        seen.times.ended = Instant::now();
        // Where nobody noted an answer, a panic prevented it, the process ends, or the client did not wait for it.
        let lost = match (std::thread::panicking(), seen.status) {
            (true, _) => Some(Refused::internal()),
            (false, 0) => Some(Refused::unawaited(&self.gateway.stop)),
            _ => None,
        };
        if let Some(lost) = lost {
            if seen.status == 0 {
                seen.status = lost.status.as_u16();
            }
            (seen.code, seen.message) = (Some(lost.code), Some(lost.message));
        }
        self.trace.end(seen);
        self.gateway.observe(seen);
    }
}

impl Attempt<'_> {
    /// No head came.
    pub fn failed(mut self, kind: SendErrorKind) {
        self.outcome = Outcome::Failed(kind);
    }

    /// A head came.
    pub fn answered(&mut self, status: u16) {
        self.head = Some(Instant::now());
        self.outcome = Outcome::Answered(status);
    }

    /// What came refuses the operator's own credential or account.
    pub fn blames_operator(&mut self) {
        if let Outcome::Answered(status) = self.outcome {
            self.outcome = Outcome::OperatorFault(status);
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut seen = self.record.seen.lock();
        seen.last = Some(self.outcome);
        seen.times.head = self.head.or(seen.times.head);
        drop(seen);
        self.trace.end(self.outcome);
        let until = self.head.unwrap_or_else(Instant::now);
        let took: Duration = until.duration_since(self.begun);
        let metrics = &self.record.gateway.metrics;
        metrics.attempt(self.upstream, self.outcome, took);
    }
}

fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}
