//! Which handler serves a path. What cannot be metered is refused.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::Value;

use super::Gateway;
use super::client_body::ClientBody;
use super::detach::Detached;
use super::identify::identify;
use super::objects::ObjectCall;
use super::observe::{PROBES, Record};
use super::refusal::{Code, Refused};
use super::request_body::RequestBody;
use super::service::Service;
use super::{NotReady, account, lifecycle, models, objects, receipt};
use crate::ledger::key::Freshness;

/// The first parts of the paths that the proxy answers itself.
const OWN: [&str; 5] = ["/models", "/balance", "/usage", "/receipts", "/dashboard"];

/// Serves one request, whatever becomes of it.
pub async fn route(
    gateway: Arc<Gateway>,
    peer: IpAddr,
    request: Request<RequestBody>,
) -> Response<ClientBody> {
    let record = Record::begin(&gateway, peer, &request);
    let service = Service::at(request.uri().path());
    let outcome = dispatch(gateway, &record, peer, request).await;
    let mut response = record.answer(outcome);
    if service.is_some_and(Service::is_anthropic) {
        receipt::repeat_request_id(response.headers_mut());
    }
    response
}

async fn dispatch(
    gateway: Arc<Gateway>,
    record: &Arc<Record>,
    peer: IpAddr,
    request: Request<RequestBody>,
) -> Result<Response<ClientBody>, Refused> {
    refuse_head(&gateway, request.headers())?;
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    if let Some(call) = ObjectCall::at(&parts.method, path) {
        record.is_for(call.endpoint());
        let record = Arc::clone(record);
        // What is made, or goes, at the upstream is noted though nobody waits for the answer.
        return Detached::new(|_| objects::serve(gateway, record, call, peer, parts, body)).await;
    }
    let service = match (&parts.method, path) {
        (&Method::GET | &Method::HEAD, "/healthz") => return Ok(probe(record, 0, Ok(()))),
        (&Method::GET | &Method::HEAD, "/readyz") => {
            return Ok(probe(record, 1, gateway.ready()));
        }
        (&Method::POST, path) => {
            let service = Service::at(path).or_else(|| priced(&gateway, path));
            service.ok_or_else(|| Refused::unknown_url(&parts.method, path))?
        }
        (&Method::GET, path) => {
            let Some(path) = path.strip_prefix("/v1/") else {
                return Err(Refused::unknown_url(&parts.method, path));
            };
            let query = parts.uri.query().unwrap_or_default();
            let mut response = own(&gateway, record, &parts.headers, peer, path, query).await?;
            receipt::put_request_id(response.headers_mut(), record.id());
            return Ok(response);
        }
        (method, path) => return Err(Refused::unknown_url(method, path)),
    };
    record.is_for(service.path());
    let record = Arc::clone(record);
    let serving =
        Detached::new(|gone| lifecycle::serve(gateway, record, service, peer, parts, body, gone));
    serving.await.map_err(|refused| Refused {
        service: Some(service),
        ..refused
    })
}

/// What the operator prices at this path, if anything.
fn priced(gateway: &Gateway, path: &str) -> Option<Service> {
    let model = gateway.catalog().find_model(path.strip_prefix("/v1")?)?;
    Service::Priced
        .serves(model.category)
        .then_some(Service::Priced)
}

/// Upgrades would pass what cannot be metered. (A length that can be read in two ways does not
/// get here: hyper refuses it, or goes by the transfer coding and closes after the answer.)
/// How many headers there are, hyper looks at over HTTP/1 only.
fn refuse_head(gateway: &Gateway, headers: &HeaderMap) -> Result<(), Refused> {
    if headers.contains_key(header::UPGRADE) {
        return Err(Refused::bad_request("Upgrades are not served here."));
    }
    let limit = gateway.caps.header_count;
    if headers.len() > limit {
        return Err(Refused::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "invalid_request_error",
            Code::InvalidRequestError,
            format!("The request has more than the limit of {limit} headers."),
        ));
    }
    Ok(())
}

/// What the proxy answers itself, for the key's own wallet; never charged.
async fn own(
    gateway: &Gateway,
    record: &Record,
    headers: &HeaderMap,
    peer: IpAddr,
    path: &str,
    query: &str,
) -> Result<Response<ClientBody>, Refused> {
    let (page, rest) = path.split_once('/').unwrap_or((path, ""));
    if let Some(endpoint) = OWN.into_iter().find(|own| &own[1..] == page) {
        record.is_for(endpoint);
    }
    let key = identify(&*gateway.ledger, headers, peer, Freshness::Shown).await?;
    record.identified(&key);
    let unknown = || Refused::unknown_url(&Method::GET, &format!("/v1/{path}"));
    let value = match (page, rest) {
        ("models", "") => {
            let wallet = account::wallet(gateway, &key).await?;
            models::list(gateway, &key, Some(&wallet))
        }
        ("models", name) => {
            let name = decode(name);
            let wallet = account::wallet(gateway, &key).await?;
            models::one(gateway, &key, Some(&wallet), &name)
                .ok_or_else(|| Refused::unknown_model(&name))?
        }
        ("balance", "") => account::balance(gateway, &key).await?,
        ("usage", "") => account::usage(gateway, &key, query).await?,
        ("receipts", id) if !id.is_empty() => account::receipt(gateway, &key, id).await?,
        ("dashboard", page) => {
            let page = page.strip_prefix("billing/").ok_or_else(unknown)?;
            let value = account::billing(gateway, &key, page, query).await?;
            value.ok_or_else(unknown)?
        }
        _ => return Err(unknown()),
    };
    Ok(json(&value))
}

/// The answer to a load balancer: one word, since customers reach it too.
fn probe(record: &Record, which: usize, state: Result<(), NotReady>) -> Response<ClientBody> {
    record.is_for(PROBES[which]);
    let (status, word) = match state {
        Ok(()) => (StatusCode::OK, "ok\n"),
        Err(NotReady::Draining) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        Err(NotReady::Ledger(_)) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable\n"),
    };
    let mut response = Response::new(ClientBody::full(Bytes::from_static(word.as_bytes())));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// A path segment without its percent escapes; model ids hold slashes, which some clients escape.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escape {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn json(value: &Value) -> Response<ClientBody> {
    let mut response = Response::new(ClientBody::full(Bytes::from(value.to_string())));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_model_ids_are_read() {
        assert_eq!(decode("a%2Fb%2fc"), "a/b/c");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%4"), "%zz%4");
    }
}
