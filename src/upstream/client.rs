//! The HTTP client of one upstream: where it is, its credential, its pool of kept connections.
//!
//! Each upstream has a pool of its own, so that neither a connect timeout nor a crowd of idle
//! connections is shared between them. There are no redirects, no proxies from the environment,
//! no decompression.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;

use super::error::{SendError, SendErrorKind};
use super::{Call, UpstreamBody};

/// Shorter than the keep-alive of most servers, so that few kept connections are closed under us.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// More idle connections than this to one upstream are closed; open ones are not limited.
const POOL_IDLE_MAX: usize = 1024;

/// What opens connections, plain or TLS.
pub(super) type Connector = HttpsConnector<HttpConnector>;

/// A client of one base URL.
#[derive(Debug)]
pub(super) struct Client {
    http: legacy::Client<Timed, Full<Bytes>>,
    base: Base,
    authorization: Option<HeaderValue>,
}

/// A base URL: everything that comes before the path of a call.
#[derive(Debug, PartialEq, Eq)]
struct Base {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    /// Empty, or begins with a slash and does not end with one.
    prefix: String,
}

/// A connector whose whole work (name, TCP, TLS) has a time limit.
#[derive(Clone, Debug)]
struct Timed {
    inner: Connector,
    limit: Duration,
}

/// A connector for `http` and `https` with the public web's roots, to be shared: the roots are parsed once.
pub(super) fn connector() -> Connector {
    let mut tcp = HttpConnector::new();
    // With Nagle on, a small chunk waits for the acknowledgement of the one before.
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(Duration::from_secs(60)));
    tcp.enforce_http(false);
    HttpsConnectorBuilder::new()
        .with_webpki_roots()
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp)
}

impl Client {
    /// A client of `base_url`. The reason why that cannot be is a sentence.
    pub(super) fn new(
        connector: &Connector,
        base_url: &str,
        api_key: Option<&str>,
        connect_timeout: Duration,
    ) -> Result<Self, String> {
        let authorization = api_key.map(bearer).transpose()?;
        let timed = Timed {
            inner: connector.clone(),
            limit: connect_timeout,
        };
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_IDLE_MAX)
            // Only ever moves a request of which no byte was taken from its queue.
            .retry_canceled_requests(true)
            .build(timed);
        Ok(Client {
            http,
            base: Base::parse(base_url)?,
            authorization,
        })
    }

    /// Sends one request and waits for the head of its answer, without a limit of time.
    pub(super) async fn send(
        &self,
        upstream: &Arc<str>,
        call: &Call<'_>,
    ) -> Result<Response<UpstreamBody>, SendError> {
        let request = self.request(call).map_err(|cause| {
            SendError::new(upstream, SendErrorKind::Protocol, false, cause.to_string())
        })?;
        match self.http.request(request).await {
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
            Ok(response) => Ok(response.map(UpstreamBody::Http)),
            Err(cause) => Err(explain(upstream, &cause)),
        }
    }

    fn request(&self, call: &Call<'_>) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.base.uri(call.path)?;
        *request.headers_mut() = self.headers(call);
        Ok(request)
    }

    fn headers(&self, call: &Call<'_>) -> HeaderMap {
        let mut headers = call.headers.clone();
        headers.remove(TRANSFER_ENCODING);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(call.body.len()));
        headers.insert(HOST, self.base.host.clone());
        // What is metered must be readable.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        match &self.authorization {
            Some(key) => headers.insert(AUTHORIZATION, key.clone()),
            None => headers.remove(AUTHORIZATION),
        };
        headers
    }
}

impl Base {
    fn parse(base_url: &str) -> Result<Self, String> {
        let wrong =
            |what: &str| format!("`base_url` {what}; write it like https://api.example.com/v1");
        let uri: Uri = base_url
            .trim()
            .parse()
            .map_err(|cause| wrong(&format!("is not a URL ({cause})")))?;
        let parts = uri.into_parts();
        let scheme = parts
            .scheme
            .filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS)
            .ok_or_else(|| wrong("needs http:// or https://"))?;
        let authority = parts.authority.ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong(
                "holds a user name; the credential belongs in `api_key`",
            ));
        }
        let path = parts
            .path_and_query
            .unwrap_or(PathAndQuery::from_static("/"));
        if path.query().is_some() {
            return Err(wrong("has a query"));
        }
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| wrong("has a host that no header can hold"))?;
        Ok(Base {
            scheme,
            authority,
            host,
            prefix: path.path().trim_end_matches('/').to_owned(),
        })
    }

    fn uri(&self, path: &str) -> Result<Uri, http::Error> {
        let path = PathAndQuery::from_maybe_shared(Bytes::from([&self.prefix, path].concat()))?;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
    }
}

impl Service<Uri> for Timed {
    type Response = <Connector as Service<Uri>>::Response;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = self.limit;
        let connecting = self.inner.call(uri);
        Box::pin(async move {
            tokio::time::timeout(limit, connecting)
                .await
                .map_err(|_| format!("no connection within {} ms", limit.as_millis()))?
        })
    }
}

/// The `Authorization` header of a key; marked so that no debug output prints it.
fn bearer(key: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim()))
        .map_err(|_| "`api_key` holds characters that no header can carry".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a failure of the client means. Unless it is sure that nothing left, the request counts as sent.
fn explain(upstream: &Arc<str>, error: &legacy::Error) -> SendError {
    let detail = chain(error);
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

/// The causes of a failure, without the client's own wrapping of them.
fn chain(error: &legacy::Error) -> String {
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if causes.last() != Some(&text) {
            causes.push(text);
        }
        next = cause.source();
    }
    if causes.is_empty() {
        causes.push(error.to_string());
    }
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_full_prefix_with_or_without_its_last_slash() {
        for (base, whole) in [
            ("https://host", "https://host/x"),
            ("https://host/", "https://host/x"),
            ("https://host/v1", "https://host/v1/x"),
            ("http://host:81/api/v3/", "http://host:81/api/v3/x"),
            (
                " http://[::1]:81/api/paas/v4 ",
                "http://[::1]:81/api/paas/v4/x",
            ),
        ] {
            let uri = Base::parse(base).and_then(|base| base.uri("/x").map_err(|e| e.to_string()));
            assert_eq!(uri.map(|uri| uri.to_string()), Ok(whole.to_owned()));
        }
    }

    #[test]
    fn a_base_that_is_none_is_refused_with_the_reason() {
        for (base, reason) in [
            ("host/v1", "not a URL"),
            ("/v1", "needs http"),
            ("ftp://host/v1", "needs http"),
            ("https://user:secret@host/v1", "belongs in `api_key`"),
            ("https://host/v1?key=secret", "has a query"),
            ("", "not a URL"),
        ] {
            let error = Base::parse(base).expect_err(base);
            assert!(error.contains(reason), "{base}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        let client = Client::new(
            &connector(),
            "http://host",
            Some("sk-canary"),
            Duration::from_secs(1),
        )
        .expect("a client");
        assert!(!format!("{client:?}").contains("canary"));
        let error = Client::new(
            &connector(),
            "http://host",
            Some("sk-canary\u{7f}\n\u{1}x"),
            Duration::from_secs(1),
        )
        .expect_err("control characters");
        assert!(!error.contains("canary"));
    }
}
