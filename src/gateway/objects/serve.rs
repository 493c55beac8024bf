//! Calls on stored objects: looked up for the caller's own wallet, then passed on. None of them is charged.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode, request};
use tokio::time::{Instant, sleep};

use super::call::Asked;
use super::route::{OfFile, OfResponse};
use super::{ObjectCall, files};
use crate::gateway::Gateway;
use crate::gateway::background;
use crate::gateway::client_body::ClientBody;
use crate::gateway::identify::identify;
use crate::gateway::kept::find;
use crate::gateway::observe::Record;
use crate::gateway::receipt;
use crate::gateway::refusal::{Code, Refused, Retry};
use crate::gateway::request_body::RequestBody;
use crate::ledger::key::Freshness;
use crate::ledger::object::{Object, ObjectKind};

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

impl Asked<'_> {
    async fn response(&self, id: &str, what: OfResponse) -> Result<Response<ClientBody>, Refused> {
        let object = self.find(id, ObjectKind::Response).await?;
        let path = |rest: &str| format!("/responses/{id}{rest}{}", self.query_part());
        match what {
            OfResponse::Get if object.pending.is_some() => {
                self.unfinished(&object, Method::GET, path("")).await
            }
            OfResponse::Get => self.pass(&object, Method::GET, &path("")).await,
            OfResponse::Items => self.pass(&object, Method::GET, &path("/input_items")).await,
            OfResponse::Cancel if object.pending.is_some() => {
                self.unfinished(&object, Method::POST, path("/cancel"))
                    .await
            }
            OfResponse::Cancel => self.pass(&object, Method::POST, &path("/cancel")).await,
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
        let object = self.find(id, ObjectKind::File).await?;
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

    /// A response that is still being written. Who sees its end has been charged for it.
    async fn unfinished(
        &self,
        object: &Object,
        method: Method,
        path: String,
    ) -> Result<Response<ClientBody>, Refused> {
        let streams = |pair: &str| matches!(pair, "stream=true" | "stream=1" | "stream=True");
        if self.query.split('&').any(streams) {
            let message = "A response that is still being written cannot be streamed again: \
                           ask for it without `stream`, until it is done.";
            return Err(Refused::bad_request(message).param("stream"));
        }
        let (parts, body) = self.whole(object, method, &path, Bytes::new()).await?;
        if !parts.status.is_success() {
            self.gateway.followed.wake(object);
        } else if background::show(self.gateway, object, &body).await? {
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
}
