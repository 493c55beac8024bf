//! Errors, as vendors write them: OpenAI's shape, or Anthropic's for its Messages.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;

use super::{Answer, json};

/// An answer that is an error: its status, and what goes into the body's `error`.
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) error: ErrorFields,
}

/// An error as vendors write it: all four keys, always.
#[derive(Serialize)]
pub(super) struct ErrorFields {
    pub(super) message: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) param: Option<&'static str>,
    pub(super) code: Option<&'static str>,
}

/// Whose errors they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vendor {
    OpenAi,
    Anthropic,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a ErrorFields,
}

#[derive(Serialize)]
struct AnthropicBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: AnthropicError<'a>,
}

#[derive(Serialize)]
struct AnthropicError<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

impl Vendor {
    /// Whose API has this path.
    pub(super) fn of(path: &str) -> Self {
        match path.starts_with("/messages") {
            true => Vendor::Anthropic,
            false => Vendor::OpenAi,
        }
    }
}

impl Refused {
    /// A 400.
    pub(super) fn bad(message: String, param: Option<&'static str>) -> Self {
        Refused {
            status: StatusCode::BAD_REQUEST,
            error: ErrorFields {
                message,
                kind: "invalid_request_error",
                param,
                code: None,
            },
        }
    }

    /// A 400 for a field that is not there.
    pub(super) fn missing(name: &'static str) -> Self {
        Refused::bad(format!("you must provide {name}"), Some(name))
    }

    /// A path that nothing is served at.
    pub(super) fn unknown_url(method: &Method, path: &str) -> Self {
        Refused {
            status: StatusCode::NOT_FOUND,
            error: ErrorFields {
                message: format!("Invalid URL ({method} {path})"),
                kind: "invalid_request_error",
                param: None,
                code: Some("unknown_url"),
            },
        }
    }

    /// The error of the fault `error-event`.
    pub(super) fn fault() -> Self {
        Refused::on_demand(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// An error that was asked for as a fault.
    pub(super) fn on_demand(status: StatusCode) -> Self {
        let (kind, code) = match status.as_u16() {
            401 => ("invalid_request_error", Some("invalid_api_key")),
            402 => ("insufficient_quota", Some("insufficient_quota")),
            403 => ("permission_error", Some("permission_denied")),
            429 => ("requests", Some("rate_limit_exceeded")),
            500.. => ("server_error", None),
            _ => ("invalid_request_error", None),
        };
        Refused {
            status,
            error: ErrorFields {
                message: format!("simulated fault: status {}", status.as_u16()),
                kind,
                param: None,
                code,
            },
        }
    }

    /// The error as a JSON document.
    pub(super) fn body(&self, vendor: Vendor) -> Bytes {
        match vendor {
            Vendor::OpenAi => json(&ErrorBody { error: &self.error }),
            Vendor::Anthropic => json(&AnthropicBody {
                kind: "error",
                error: AnthropicError {
                    kind: self.anthropic_kind(),
                    message: &self.error.message,
                },
            }),
        }
    }

    fn anthropic_kind(&self) -> &'static str {
        match self.status.as_u16() {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        }
    }

    pub(super) fn into_answer(self, vendor: Vendor) -> Answer {
        let body = self.body(vendor);
        Answer::Whole(self.status, super::JSON, body)
    }
}
