//! The HTTP client of one upstream: where it is, its credential, its kept connections.
//!
//! Each upstream has a pool of its own on each thread, so that neither a connect timeout nor a crowd of idle
//! connections is shared between them. There are no redirects, no proxies from the environment,
//! no decompression.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;

use super::Call;
use super::base::Base;
use super::body::{Source, UpstreamBody};
use super::connect::Network;
use super::error::{SendError, SendErrorKind, causes};
use super::pool::{Failure, Pool};
use crate::config;
use crate::secret::Secret;
use crate::workers::PerWorker;

/// A client of one base URL.
#[derive(Debug)]
pub(super) struct Client {
    /// Connections are kept by the thread that opened them.
    pools: PerWorker<Arc<Pool>>,
    base: Base,
    /// What every request carries: the credential, and what the operator adds.
    fixed: Vec<(HeaderName, HeaderValue)>,
}

impl Client {
    /// A client of the upstream in this row. The reason why that cannot be is a sentence.
    pub(super) fn new(network: &Network, row: &config::Upstream) -> Result<Self, String> {
        let base = row.base_url.as_deref();
        let base = base.ok_or_else(|| "needs a `base_url`".to_owned())?;
        let base = Base::parse(base, &row.query)?;
        let connector = network.connector(row)?;
        let destination = base.server()?;
        let pool = || Arc::new(Pool::new(connector.clone(), destination.clone()));
        Ok(Client {
            pools: PerWorker::new(pool),
            base,
            fixed: fixed(row)?,
        })
    }

    /// Sends one request and waits for the head of its answer, without a limit of time.
    pub(super) async fn send(
        &self,
        upstream: &Arc<str>,
        call: Call<'_>,
    ) -> Result<Response<UpstreamBody>, SendError> {
        let request = self
            .request(call)
            .map_err(|cause| SendError::new(upstream, SendErrorKind::Protocol, false, cause))?;
        match self.pools.get().send(request).await {
            // Nobody asked for another protocol, and a client could not be given one.
            Ok(response) if response.status().is_informational() => {
                let detail = format!("answered {}", response.status());
                Err(SendError::new(
                    upstream,
                    SendErrorKind::Protocol,
                    true,
                    detail,
                ))
            }
            Ok(response) => {
                Ok(response.map(|body| UpstreamBody::new(Source::Http(Box::new(body)))))
            }
            Err(failure) => Err(explain(upstream, &failure)),
        }
    }

    fn request(&self, call: Call<'_>) -> Result<Request<Full<Bytes>>, String> {
        let uri = self.base.uri(call.path)?.into_parts().path_and_query;
        let mut headers = self.headers(call.headers);
        let length = call.body.len();
        if length > 0 || call.method == Method::POST {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        if length == 0 {
            headers.remove(CONTENT_TYPE);
        }
        let mut request = Request::new(Full::new(call.body));
        *request.method_mut() = call.method;
        *request.uri_mut() = uri.map_or_else(Uri::default, Uri::from);
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// All but those that describe a body.
    fn headers(&self, mut headers: HeaderMap) -> HeaderMap {
        headers.remove(TRANSFER_ENCODING);
        headers.remove(CONTENT_LENGTH);
        headers.insert(HOST, self.base.host().clone());
        // What is metered must be readable.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.remove(AUTHORIZATION);
        for (name, value) in &self.fixed {
            headers.insert(name, value.clone());
        }
        headers
    }
}

/// The credential and the operator's own headers, marked so that no debug output prints them.
fn fixed(row: &config::Upstream) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let secret = |field: &str, text: &str| {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| format!("`{field}` holds characters that no header can carry"))?;
        value.set_sensitive(true);
        Ok::<_, String>(value)
    };
    let mut fixed = Vec::new();
    if let Some(key) = row.api_key.as_ref().map(|key| key.expose().trim()) {
        let value = match row.auth_header == AUTHORIZATION {
            true => secret("api_key", Secret::new(format!("Bearer {key}")).expose())?,
            false => secret("api_key", key)?,
        };
        fixed.push((row.auth_header.clone(), value));
    }
    for (name, value) in &row.headers {
        fixed.push((name.clone(), secret("headers", value.expose())?));
    }
    Ok(fixed)
}

/// What a failure means. Unless it is sure that nothing left, the request counts as sent.
fn explain(upstream: &Arc<str>, failure: &Failure) -> SendError {
    let (kind, sent, cause): (_, _, &(dyn std::error::Error + 'static)) = match failure {
        Failure::Connect(cause) => (SendErrorKind::Connect, false, &**cause),
        Failure::Unsent(cause) => (SendErrorKind::Closed, false, cause),
        Failure::Broken(cause) if cause.is_parse() => (SendErrorKind::Protocol, true, cause),
        Failure::Broken(cause) => (SendErrorKind::Closed, true, cause),
    };
    SendError::new(upstream, kind, sent, causes(Some(cause)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed() {
        let network = Network::new();
        let client = |key: &str| {
            let secret = |text: &str| Secret::new(text.to_owned());
            let row = config::Upstream {
                base_url: Some("http://host".to_owned()),
                api_key: Some(secret(key)),
                headers: vec![("x-title".parse().expect("a name"), secret(key))],
                query: vec![("key".to_owned(), secret(key))],
                ..config::Upstream::simulator()
            };
            Client::new(&network, &row)
        };
        let fine = client("sk-canary").expect("a client");
        assert!(!format!("{fine:?}").contains("canary"));
        let error = client("sk-canary\u{7f}\n\u{1}x").expect_err("control characters");
        assert!(
            error.contains("`api_key`") && !error.contains("canary"),
            "{error}"
        );
    }
}
