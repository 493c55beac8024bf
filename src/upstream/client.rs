//! The HTTP client of one upstream: where it is, its credential, its pool of kept connections.
//!
//! Each upstream has a pool of its own, so that neither a connect timeout nor a crowd of idle
//! connections is shared between them. There are no redirects, no proxies from the environment,
//! no decompression.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::Call;
use super::base::Base;
use super::body::{Source, UpstreamBody};
use super::connect::{Connector, Network};
use super::error::{SendError, SendErrorKind, causes};
use crate::config;
use crate::secret::Secret;
use crate::workers::PerWorker;

/// Shorter than the keep-alive of most servers, so that few kept connections are closed under us.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// More idle connections than this of one thread to one upstream are closed; open ones are not limited.
const POOL_IDLE_MAX: usize = 1024;

/// A client of one base URL.
#[derive(Debug)]
pub(super) struct Client {
    /// Connections are kept by the thread that opened them.
    http: PerWorker<legacy::Client<Connector, Full<Bytes>>>,
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
        let pool = || {
            legacy::Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(POOL_IDLE)
                .pool_max_idle_per_host(POOL_IDLE_MAX)
                // Only ever moves a request of which no byte was taken from its queue.
                .retry_canceled_requests(true)
                .build(connector.clone())
        };
        Ok(Client {
            http: PerWorker::new(pool),
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
        match self.http.get().request(request).await {
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
            Ok(response) => Ok(response.map(|body| UpstreamBody::new(Source::Http(body)))),
            Err(cause) => Err(explain(upstream, &cause)),
        }
    }

    fn request(&self, call: Call<'_>) -> Result<Request<Full<Bytes>>, String> {
        let uri = self.base.uri(call.path)?;
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
        *request.uri_mut() = uri;
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

/// What a failure of the client means. Unless it is sure that nothing left, the request counts as sent.
fn explain(upstream: &Arc<str>, error: &legacy::Error) -> SendError {
    let detail = match std::error::Error::source(error) {
        None => error.to_string(),
        // Without the client's own wrapping of it.
        cause => causes(cause),
    };
    if error.is_connect() {
        return SendError::new(upstream, SendErrorKind::Connect, false, detail);
    }
    let wire = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    let (kind, sent) = match wire {
        // The connection ended before it took the request from its queue.
        Some(cause) if hyper::Error::is_canceled(cause) || cause.is_closed() => {
            (SendErrorKind::Closed, false)
        }
        Some(cause) if cause.is_parse() => (SendErrorKind::Protocol, true),
        _ => (SendErrorKind::Closed, true),
    };
    SendError::new(upstream, kind, sent, detail)
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
