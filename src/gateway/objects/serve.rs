//! Calls on stored objects: looked up for the caller's own wallet, then passed on. None of them is charged.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode, request};
use http_body_util::{BodyExt, Limited};
use tokio::time::{Instant, sleep, timeout};

use super::route::{OfFile, OfResponse};
use super::{ObjectCall, files};
use crate::gateway::Gateway;
use crate::gateway::background;
use crate::gateway::client_body::ClientBody;
use crate::gateway::forward::{Request, forward};
use crate::gateway::headers;
use crate::gateway::identify::identify;
use crate::gateway::kept::find;
use crate::gateway::observe::Record;
use crate::gateway::passage::Passage;
use crate::gateway::receipt;
use crate::gateway::refusal::{Code, Refused, Retry};
use crate::gateway::request_body::RequestBody;
use crate::ledger::key::{Freshness, Key};
use crate::ledger::object::Object;
use crate::upstream::Endpoint;

/// The longest answer that is looked at before it is passed on.
const LOOKED_AT_BYTES_MAX: usize = 32 << 20;
/// How long a charge is waited for, once its answer is there.
const CHARGE_WAIT: Duration = Duration::from_secs(15);
const CHARGE_POLL: Duration = Duration::from_millis(50);

/// Serves one call on a stored object.
pub async fn serve(
    gateway: Arc<Gateway>,
    record: Arc<Record>,
    call: ObjectCall,
    peer: IpAddr,
    parts: request::Parts,
    body: RequestBody,
) -> Result<Response<ClientBody>, Refused> {
    let key = identify(&*gateway.ledger, &parts.headers, peer, Freshness::Shown).await?;
    record.identified(&key);
    let query = parts.uri.query().unwrap_or_default();
    let asked = Asked {
        gateway: &gateway,
        record: &record,
        key: &key,
        headers: &parts.headers,
        query,
    };
    let mut response = match call {
        ObjectCall::Response { id, what } => asked.response(&id, what).await?,
        ObjectCall::File { id, what } => asked.file(&id, what).await?,
        ObjectCall::Files => files::list(&asked).await?,
        ObjectCall::Upload => files::upload(&asked, body).await?,
    };
    receipt::put_request_id(response.headers_mut(), record.id());
    Ok(response)
}

/// A call, by whom.
pub(super) struct Asked<'a> {
    pub(super) gateway: &'a Arc<Gateway>,
    pub(super) record: &'a Arc<Record>,
    pub(super) key: &'a Key,
    pub(super) headers: &'a http::HeaderMap,
    pub(super) query: &'a str,
}

impl Asked<'_> {
    async fn response(&self, id: &str, what: OfResponse) -> Result<Response<ClientBody>, Refused> {
        let object = find(&*self.gateway.ledger, &self.key.wallet, id).await?;
        let path = |rest: &str| format!("/responses/{id}{rest}{}", self.query_part());
        match what {
            OfResponse::Get if object.pending.is_some() => self.unfinished(&object, path("")).await,
            OfResponse::Get => self.pass(&object, Method::GET, &path("")).await,
            OfResponse::Items => self.pass(&object, Method::GET, &path("/input_items")).await,
            OfResponse::Cancel => {
                let answer = self.pass(&object, Method::POST, &path("/cancel")).await;
                background::look(self.gateway, &object);
                answer
            }
            OfResponse::Delete if object.pending.is_some() => Err(Refused::new(
                StatusCode::CONFLICT,
                "invalid_request_error",
                Code::RequestInFlight,
                format!("The response `{id}` is still being written: cancel it first."),
            )
            .retry(Retry::Never)),
            OfResponse::Delete => self.delete(&object, &path("")).await,
        }
    }

    async fn file(&self, id: &str, what: OfFile) -> Result<Response<ClientBody>, Refused> {
        let object = find(&*self.gateway.ledger, &self.key.wallet, id).await?;
        match what {
            OfFile::Get => {
                self.pass(&object, Method::GET, &format!("/files/{id}"))
                    .await
            }
            OfFile::Content => {
                let path = format!("/files/{id}/content");
                self.pass(&object, Method::GET, &path).await
            }
            OfFile::Delete => self.delete(&object, &format!("/files/{id}")).await,
        }
    }

    fn query_part(&self) -> String {
        match self.query {
            "" => String::new(),
            query => format!("?{query}"),
        }
    }

    /// A response that is still being written. Who sees its end has been charged for it.
    async fn unfinished(
        &self,
        object: &Object,
        path: String,
    ) -> Result<Response<ClientBody>, Refused> {
        let streams = |pair: &str| matches!(pair, "stream=true" | "stream=1" | "stream=True");
        if self.query.split('&').any(streams) {
            let message = "A response that is still being written cannot be streamed again: \
                           ask for it without `stream`, until it is done.";
            return Err(Refused::bad_request(message).param("stream"));
        }
        let (parts, body) = self.whole(object, Method::GET, &path, Bytes::new()).await?;
        if parts.status.is_success() && !background::is_unfinished(&body) {
            background::look(self.gateway, object);
            self.charged(object).await?;
        }
        Ok(Response::from_parts(parts, ClientBody::full(body)))
    }

    /// Waits until an object's request is charged.
    async fn charged(&self, object: &Object) -> Result<(), Refused> {
        let until = Instant::now() + CHARGE_WAIT;
        loop {
            let now = find(&*self.gateway.ledger, &object.wallet, object.id.as_str()).await?;
            if now.pending.is_none() {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Refused::ledger_unavailable());
            }
            sleep(CHARGE_POLL).await;
        }
    }

    async fn delete(&self, object: &Object, path: &str) -> Result<Response<ClientBody>, Refused> {
        let (parts, body) = self
            .whole(object, Method::DELETE, path, Bytes::new())
            .await?;
        let is_gone = parts.status.is_success() || parts.status == StatusCode::NOT_FOUND;
        if is_gone && let Err(error) = self.gateway.ledger.drop_object(object.name()).await {
            tracing::error!(%error, "an object that is gone was not forgotten");
            return Err(Refused::ledger_unavailable());
        }
        Ok(Response::from_parts(parts, ClientBody::full(body)))
    }

    /// Passes a call on, and its answer as it comes.
    async fn pass(
        &self,
        object: &Object,
        method: Method,
        path: &str,
    ) -> Result<Response<ClientBody>, Refused> {
        let endpoint = self.keeper(object)?;
        let idle = endpoint.idle_timeout();
        let (parts, head, rest) = self.ask(endpoint, method, path, Bytes::new()).await?;
        let body = ClientBody::Passage(Passage::new(head, Some(rest), idle));
        Ok(Response::from_parts(parts, body))
    }

    /// Passes a call on, and waits for the whole answer.
    async fn whole(
        &self,
        object: &Object,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(http::response::Parts, Bytes), Refused> {
        let endpoint = self.keeper(object)?;
        self.whole_from(endpoint, method, path, body).await
    }

    /// Asks an upstream, and waits for the whole answer.
    pub(super) async fn whole_from(
        &self,
        endpoint: Arc<Endpoint>,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(http::response::Parts, Bytes), Refused> {
        let idle = endpoint.idle_timeout();
        let (parts, head, rest) = self.ask(endpoint, method, path, body).await?;
        let rest = Limited::new(rest, LOOKED_AT_BYTES_MAX).collect();
        let rest = match timeout(idle, rest).await {
            Ok(Ok(rest)) => rest.to_bytes(),
            Ok(Err(_)) | Err(_) => {
                return Err(Refused::upstream_unavailable(
                    StatusCode::BAD_GATEWAY,
                    "The provider broke off its answer. Nothing was charged.",
                ));
            }
        };
        let body = match head.is_empty() {
            true => rest,
            false => [head, rest].concat().into(),
        };
        Ok((parts, body))
    }

    async fn ask(
        &self,
        endpoint: Arc<Endpoint>,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(http::response::Parts, Bytes, crate::upstream::UpstreamBody), Refused> {
        let catalog = self.gateway.catalog();
        let mut map = self.headers.clone();
        headers::towards_upstream_as_sent(&mut map);
        let request = Request {
            method,
            path,
            headers: map,
            attempts_max: 1,
            attempts: self.gateway.caps.attempts,
            body: |_: &Endpoint| Ok(body.clone()),
        };
        let route = vec![endpoint];
        let mut answer = forward(&catalog.upstreams, route, request, self.record).await?;
        headers::towards_client(answer.response.headers_mut());
        if answer.response.status().is_redirection() {
            return Err(Refused::upstream_unavailable(
                StatusCode::BAD_GATEWAY,
                "The provider answered with a redirect, which is not followed.",
            ));
        }
        let (parts, rest) = answer.response.into_parts();
        Ok((parts, answer.head, rest))
    }

    /// Where an object is kept.
    fn keeper(&self, object: &Object) -> Result<Arc<Endpoint>, Refused> {
        let catalog = self.gateway.catalog();
        catalog.upstreams.at(&object.upstream).ok_or_else(|| {
            Refused::upstream_unavailable(
                StatusCode::BAD_GATEWAY,
                "The provider that keeps this object is no longer served here.",
            )
            .retry(Retry::Never)
        })
    }
}
