//! The one error boundary: everything that a client can be refused for, in OpenAI's shape.
//!
//! The official SDKs decide by status and `x-should-retry` whether to try again, so each
//! cause says whether that can help: a spent balance never heals by itself, an occupied one does.

mod code;
mod event;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::headers;
use super::service::Service;
use super::signal::Signal;
pub use code::Code;

/// Whether and when the same request may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The status says it all.
    ByStatus,
    /// Not by itself.
    Never,
    /// After this many milliseconds.
    AfterMs(u64),
}

/// A request that is not served, and why.
#[derive(Debug)]
pub struct Refused {
    /// The HTTP status.
    pub status: StatusCode,
    /// OpenAI's `error.type`.
    pub kind: &'static str,
    /// OpenAI's `error.code`.
    pub code: Code,
    /// What is wrong, how much is missing, when it ends.
    pub message: String,
    /// The field of the request at fault.
    pub param: Option<Box<str>>,
    /// Whether to try again.
    pub retry: Retry,
    /// More headers.
    pub headers: Option<Box<HeaderMap>>,
    /// The receipt of the request that this one repeats.
    pub receipt: Option<Box<serde_json::Value>>,
    /// What was asked for, where that is known: some APIs have a shape of their own.
    pub service: Option<Service>,
}

#[derive(Serialize)]
struct Body<'a> {
    /// `error`, where the API's errors say so.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<&'a serde_json::Value>,
}

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

impl Refused {
    /// A refusal; the shorter constructors below name the common ones.
    pub fn new(
        status: StatusCode,
        kind: &'static str,
        code: Code,
        message: impl Into<String>,
    ) -> Self {
        Refused {
            status,
            kind,
            code,
            message: message.into(),
            param: None,
            retry: Retry::ByStatus,
            headers: None,
            receipt: None,
            service: None,
        }
    }

    /// The same refusal, with advice on trying again.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The same refusal, naming the field at fault.
    #[must_use]
    pub fn param(mut self, param: impl Into<Box<str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// No key, or one that is unknown, revoked or expired: outsiders cannot tell which.
    pub fn invalid_key() -> Self {
        let message = "The API key is missing, unknown, revoked or expired. \
                       Send a valid key as `Authorization: Bearer <key>`, `x-api-key: <key>` \
                       or `api-key: <key>`.";
        Refused::unidentified(message)
    }

    /// Credentials that differ: whose request it is cannot be told.
    pub fn several_keys() -> Self {
        Refused::unidentified(
            "The request has several API keys, which differ. Send one key, as \
             `Authorization: Bearer <key>`, `x-api-key: <key>` or `api-key: <key>`.",
        )
    }

    fn unidentified(message: &'static str) -> Self {
        Refused::new(
            StatusCode::UNAUTHORIZED,
            "invalid_request_error",
            Code::InvalidApiKey,
            message,
        )
    }

    /// A request that is wrong in itself.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Refused::new(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            Code::InvalidRequestError,
            message,
        )
    }

    /// A request that is larger than it may be.
    pub fn too_large(message: impl Into<String>) -> Self {
        Refused::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_request_error",
            Code::InvalidRequestError,
            message,
        )
    }

    /// A model without a row, or without a price in force.
    pub fn unknown_model(model: &str) -> Self {
        let message = format!(
            "The model `{model}` does not exist or has no price in force. \
             `GET /v1/models` lists the models."
        );
        Refused::new(
            StatusCode::NOT_FOUND,
            "invalid_request_error",
            Code::ModelNotFound,
            message,
        )
        .param("model")
    }

    /// A path or method that is not served.
    pub fn unknown_url(method: &http::Method, path: &str) -> Self {
        let message = format!(
            "{method} {path} is not served here: what cannot be metered is refused. \
             See {}, `GET /v1/models`.",
            Service::list()
        );
        Refused::new(
            StatusCode::NOT_FOUND,
            "invalid_request_error",
            Code::UnknownUrl,
            message,
        )
    }

    /// The ledger gives no answer now.
    pub fn ledger_unavailable() -> Self {
        Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "server_error",
            Code::LedgerUnavailable,
            "The ledger is not available. Nothing was charged. Try again shortly.",
        )
        .retry(Retry::AfterMs(1_000))
    }

    /// Too much is in memory already.
    pub fn overloaded(what: &str) -> Self {
        Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "server_error",
            Code::Overloaded,
            format!("The memory for {what} is full. Nothing was charged. Try again shortly."),
        )
        .retry(Retry::AfterMs(1_000))
    }

    /// No upstream gave an answer.
    pub fn upstream_unavailable(status: StatusCode, message: impl Into<String>) -> Self {
        Refused::new(status, "server_error", Code::UpstreamUnavailable, message)
    }

    /// An upstream turned the operator's own account away: retrying cannot help the customer.
    pub fn operator_fault() -> Self {
        Refused::upstream_unavailable(
            StatusCode::BAD_GATEWAY,
            "The provider of this model refused the operator's credentials or account. \
             Nothing was charged. The operator has to mend this.",
        )
        .retry(Retry::Never)
    }

    /// The process ends, and its answer is waited for no longer. Another process may serve it.
    pub fn shutting_down() -> Self {
        Refused::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "server_error",
            Code::ShuttingDown,
            "The server is shutting down. Nothing was charged. Try again shortly.",
        )
        .retry(Retry::AfterMs(1_000))
    }

    /// Nobody waits for the answer: the client went, or the process ends.
    pub fn unawaited(stop: &Signal) -> Self {
        match stop.is_raised() {
            true => Refused::shutting_down(),
            false => Refused::client_gone(),
        }
    }

    /// Nobody is there to read this.
    pub fn client_gone() -> Self {
        Refused::new(
            client_closed_request(),
            "invalid_request_error",
            Code::ClientGone,
            "The client is gone.",
        )
    }

    /// A bug, caught.
    pub fn internal() -> Self {
        Refused::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            Code::InternalError,
            "Something went wrong inside Tollgate. Nothing was charged beyond what was delivered.",
        )
    }

    /// The refusal as JSON.
    fn body_for(&self, service: Option<Service>) -> Bytes {
        let is_anthropic = service.is_some_and(Service::is_anthropic);
        let body = Body {
            kind: is_anthropic.then_some("error"),
            error: Error {
                message: &self.message,
                kind: match is_anthropic {
                    true => self.anthropic_kind(),
                    false => self.kind,
                },
                param: self.param.as_deref(),
                code: self.code.word(),
                receipt: self.receipt.as_deref(),
            },
        };
        serde_json::to_vec(&body)
            .map(Bytes::from)
            .unwrap_or_else(|_| Bytes::from_static(b"{}"))
    }

    /// Anthropic's `error.type`, which follows from the status.
    fn anthropic_kind(&self) -> &'static str {
        match self.status.as_u16() {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 => "overloaded_error",
            504 => "timeout_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        }
    }

    /// The refusal as a whole response.
    pub fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body_for(self.service)));
        *response.status_mut() = self.status;
        let map = response.headers_mut();
        map.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        match self.retry {
            Retry::ByStatus => {}
            Retry::Never => {
                map.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
            }
            Retry::AfterMs(ms) => {
                map.insert(
                    header::RETRY_AFTER,
                    headers::value(&ms.div_ceil(1_000).max(1).to_string()),
                );
            }
        }
        map.extend(self.headers.map(|more| *more).unwrap_or_default());
        response
    }
}

/// 499, as nginx has it: in logs and metrics only, since nobody is there to get it.
fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT)
}
