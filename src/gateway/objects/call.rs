//! One call on a stored object: by whom, and how it is passed on.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use crate::gateway::Gateway;
use crate::gateway::client_body::ClientBody;
use crate::gateway::forward::{Request, forward};
use crate::gateway::headers;
use crate::gateway::kept::{find, unknown};
use crate::gateway::observe::Record;
use crate::gateway::passage::Passage;
use crate::gateway::refusal::{Refused, Retry};
use crate::gateway::whole::{self, NotWhole};
use crate::ledger::key::Key;
use crate::ledger::object::{Object, ObjectKind};
use crate::upstream::Endpoint;

/// The longest answer that is looked at before it is passed on.
const LOOKED_AT_BYTES_MAX: u64 = 32 << 20;

/// A call, by whom.
pub(super) struct Asked<'a> {
    pub(super) gateway: &'a Arc<Gateway>,
    pub(super) record: &'a Arc<Record>,
    pub(super) key: &'a Key,
    pub(super) headers: &'a http::HeaderMap,
    pub(super) query: &'a str,
}

impl Asked<'_> {
    /// An object of this kind; by another kind's path it is not there.
    pub(super) async fn find(&self, id: &str, kind: ObjectKind) -> Result<Object, Refused> {
        let object = find(&*self.gateway.ledger, &self.key.wallet, id).await?;
        match object.kind == kind {
            true => Ok(object),
            false => Err(unknown(id)),
        }
    }

    pub(super) fn query_part(&self) -> String {
        match self.query {
            "" => String::new(),
            query => format!("?{query}"),
        }
    }

    /// Passes a call on, and its answer as it comes.
    pub(super) async fn pass(
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
    pub(super) async fn whole(
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
        let memory = &self.gateway.answer_memory;
        let body = whole::read(head, rest, LOOKED_AT_BYTES_MAX, idle, memory).await;
        let body = body.map_err(|why| match why {
            NotWhole::Full => Refused::overloaded("answers"),
            NotWhole::Cut(_) | NotWhole::Silent | NotWhole::TooLong(_) => {
                tracing::warn!(%why, "an answer about an object is not passed on");
                Refused::upstream_unavailable(
                    StatusCode::BAD_GATEWAY,
                    "The provider broke off its answer, or it is too long. Nothing was charged.",
                )
            }
        })?;
        Ok((parts, body))
    }

    pub(super) async fn ask(
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
    pub(super) fn keeper(&self, object: &Object) -> Result<Arc<Endpoint>, Refused> {
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
