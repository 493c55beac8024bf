//! Files: uploaded to the one upstream that keeps them, and listed from the wallet's own map.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::header::{self, HeaderValue};
use http::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::call::Asked;
use crate::gateway::body;
use crate::gateway::client_body::ClientBody;
use crate::gateway::kept::unknown;
use crate::gateway::refusal::{Refused, Retry};
use crate::gateway::request_body::RequestBody;
use crate::ledger::LedgerError;
use crate::ledger::object::{Object, ObjectId, ObjectKind, ObjectQuery, TIME_END};
use crate::upstream::Endpoint;

/// How many files a wallet may have.
const FILES_MAX: u32 = 10_000;
/// How many files a list tells of, and at most.
const PAGE: u32 = 20;
const PAGE_MAX: u32 = 100;
/// How many files are asked for at once, to make a list.
const ASKED_AT_ONCE: usize = 8;

/// What matters of an upstream's answer to an upload.
#[derive(Deserialize)]
struct Uploaded {
    id: String,
}

/// `POST /v1/files`: the form goes to the upstream as it is, and what it makes is the wallet's.
pub(super) async fn upload(
    asked: &Asked<'_>,
    body: RequestBody,
) -> Result<Response<ClientBody>, Refused> {
    let endpoint = keeper(asked)?;
    let gateway = asked.gateway;
    let bounds = gateway.caps.request_body;
    let (body, _memory) = body::read(asked.headers, body, bounds, &gateway.request_memory).await?;
    asked.record.read();
    let upstream = Arc::clone(endpoint.upstream());
    let (parts, answer) = asked
        .whole_from(endpoint, Method::POST, "/files", body)
        .await?;
    if parts.status.is_success() {
        let made: Uploaded = serde_json::from_slice(&answer).map_err(|_| not_understood())?;
        let id: ObjectId = made.id.parse().map_err(|_| not_understood())?;
        let object = Object {
            id,
            wallet: asked.key.wallet.clone(),
            key: asked.key.id.clone(),
            kind: ObjectKind::File,
            upstream,
            model: "".into(),
            created_at: gateway.ledger.now(),
            expires_at: crate::clock::UnixMs(TIME_END.0 - 1),
            pending: None,
        };
        let put = gateway.ledger.put_object(object, FILES_MAX).await;
        put.map_err(|error| {
            tracing::error!(%error, "a file was not noted: nobody can reach it");
            Refused::ledger_unavailable()
        })?;
    }
    Ok(Response::from_parts(parts, ClientBody::full(answer)))
}

/// `GET /v1/files`: the upstream's own list would show everybody's.
pub(super) async fn list(asked: &Asked<'_>) -> Result<Response<ClientBody>, Refused> {
    let mut query = ObjectQuery {
        wallet: asked.key.wallet.clone(),
        kind: ObjectKind::File,
        after: None,
        limit: PAGE,
    };
    for (name, value) in asked
        .query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
    {
        match name {
            "limit" => query.limit = limit(value)?,
            "after" => query.after = Some(value.parse().map_err(|_| unknown(value))?),
            _ => {}
        }
    }
    let wanted = query.limit;
    // One more tells whether there are more.
    query.limit = wanted + 1;
    let mut objects = asked
        .gateway
        .ledger
        .objects(query)
        .await
        .map_err(|error| match error {
            LedgerError::NotFound(_) => unknown("after").param("after"),
            error => {
                tracing::error!(%error, "no objects can be listed");
                Refused::ledger_unavailable()
            }
        })?;
    let has_more = objects.len() > wanted as usize;
    objects.truncate(wanted as usize);
    let showing: Vec<_> = objects.iter().map(|object| show(asked, object)).collect();
    let showing = stream::iter(showing).buffered(ASKED_AT_ONCE);
    let shown: Vec<_> = showing.collect().await;
    let shown = shown.into_iter().collect::<Result<Vec<_>, _>>()?;
    let shown: Vec<Box<RawValue>> = shown.into_iter().flatten().collect();
    let page = serde_json::json!({
        "object": "list",
        "data": shown,
        "has_more": has_more,
        "first_id": objects.first().map(|object| object.id.as_str()),
        "last_id": objects.last().map(|object| object.id.as_str()),
    });
    let mut response = Response::new(ClientBody::full(Bytes::from(page.to_string())));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

/// A file as its upstream describes it; `None` where it is gone there.
async fn show(asked: &Asked<'_>, object: &Object) -> Result<Option<Box<RawValue>>, Refused> {
    let Some(endpoint) = asked.gateway.catalog().upstreams.at(&object.upstream) else {
        return Ok(None);
    };
    let path = format!("/files/{}", object.id);
    let (parts, body) = asked
        .whole_from(endpoint, Method::GET, &path, Bytes::new())
        .await?;
    match parts.status {
        StatusCode::NOT_FOUND => Ok(None),
        status if status.is_success() => {
            let file = serde_json::from_slice(&body);
            file.map(Some).map_err(|_| not_understood())
        }
        _ => Err(not_understood()),
    }
}

fn limit(text: &str) -> Result<u32, Refused> {
    match text.parse() {
        Ok(limit @ 1..=PAGE_MAX) => Ok(limit),
        _ => Err(
            Refused::bad_request(format!("limit must be a number from 1 to {PAGE_MAX}."))
                .param("limit"),
        ),
    }
}

/// The upstream that keeps files, where the operator named one.
fn keeper(asked: &Asked<'_>) -> Result<Arc<Endpoint>, Refused> {
    let catalog = asked.gateway.catalog();
    let keeper = catalog.upstreams.keeper_of_files();
    keeper.ok_or_else(|| Refused::unknown_url(&Method::POST, "/v1/files").retry(Retry::Never))
}

fn not_understood() -> Refused {
    Refused::upstream_unavailable(
        StatusCode::BAD_GATEWAY,
        "The provider that keeps files answered in a form that is not understood.",
    )
}
