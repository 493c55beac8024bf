//! Which web pages may call the proxy from a browser: the server's side of the Fetch standard's CORS protocol.
//!
//! Keys travel in headers that scripts set. Cookies are never used, and so never allowed: all requests are what the
//! standard calls "without credentials", for which `Access-Control-Expose-Headers: *` shows a script every header,
//! the receipt's among them. `Access-Control-Allow-Headers: *` would leave `Authorization` out (it is the standard's
//! one "non-wildcard request-header name"), so what a preflight asks for is repeated instead.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};

use super::client_body::ClientBody;
use crate::config::CorsOrigins;

const ANY: HeaderValue = HeaderValue::from_static("*");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
/// Two hours: no browser keeps a preflight's answer for longer, but Firefox.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("7200");

/// The pages that may call.
pub struct Cors(CorsOrigins);

/// One request, as far as its origin matters.
pub struct Visit {
    /// The origin whose scripts may read the answer.
    allowed: Option<HeaderValue>,
    /// Whether another origin would get another answer.
    varies: bool,
    /// A browser asks first whether it may send a request, with these headers.
    preflight: Option<Option<HeaderValue>>,
}

impl Cors {
    /// By the config.
    pub fn new(origins: CorsOrigins) -> Self {
        Cors(origins)
    }

    /// Looks at a request.
    pub fn visit<B>(&self, request: &Request<B>) -> Visit {
        let headers = request.headers();
        let (allowed, varies) = match &self.0 {
            CorsOrigins::None => return Visit::NONE,
            CorsOrigins::Any => (Some(ANY), false),
            CorsOrigins::Listed(origins) => {
                let listed = |origin: &&HeaderValue| origins.iter().any(|each| each == *origin);
                let origin = headers.get(header::ORIGIN);
                (origin.filter(listed).cloned(), true)
            }
        };
        let path = request.uri().path();
        let asks_first = request.method() == Method::OPTIONS
            && (path == "/v1" || path.starts_with("/v1/"))
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let wanted = || headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        Visit {
            allowed,
            varies,
            preflight: asks_first.then(wanted),
        }
    }
}

impl Visit {
    const NONE: Visit = Visit {
        allowed: None,
        varies: false,
        preflight: None,
    };

    /// The answer to a preflight, which has no key and needs none; `None` for any other request.
    pub fn preflight(&self) -> Option<Response<ClientBody>> {
        let wanted = self.preflight.as_ref()?;
        let mut response = Response::new(ClientBody::full(Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        vary(headers, header::ACCESS_CONTROL_REQUEST_HEADERS);
        if self.allowed.is_some() {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
            if let Some(wanted) = wanted {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
        }
        Some(response)
    }

    /// Tells the browser, on any answer, which scripts may read it.
    pub fn mark(self, headers: &mut HeaderMap) {
        if self.varies {
            vary(headers, header::ORIGIN);
        }
        if let Some(origin) = self.allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANY);
        }
    }
}

/// Keeps caches from giving the answer to a request that differs in this header.
fn vary(headers: &mut HeaderMap, name: HeaderName) {
    headers.append(header::VARY, HeaderValue::from(name));
}
