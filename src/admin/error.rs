//! The one way in which the management API says no.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::keygen::NoRandomness;
use crate::ledger::LedgerError;

/// A refusal: a status, a code for programs and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    param: Option<String>,
    message: String,
}

/// The body of every refusal, in OpenAI's shape: all four keys are always there.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// The inside of an [`ErrorBody`].
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// What is wrong and what to do, for people.
    pub message: String,
    /// `invalid_request_error` or `server_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The field or parameter at fault.
    pub param: Option<String>,
    /// What is wrong, for programs.
    pub code: String,
}

impl ApiError {
    /// 400: a field is missing, malformed or impossible.
    pub fn invalid(param: &str, message: impl Into<String>) -> Self {
        ApiError {
            param: Some(param.to_owned()),
            ..Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
        }
    }

    /// 404: the thing named does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 409: the request contradicts what the ledger holds.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// 500: a fault of this program.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    /// Any other refusal.
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        ApiError {
            status,
            code,
            param: None,
            message: message.into(),
        }
    }

    /// 403: nobody may use the API, since no token is set.
    pub(super) fn off() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "admin_api_off",
            "the management API is off: set TOLLGATE_ADMIN_TOKEN where the server runs, and start it again",
        )
    }

    /// 401: the token is missing or wrong; which of the two is not said.
    pub(super) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid_admin_token",
            "the admin token is missing or wrong: send `Authorization: Bearer <TOLLGATE_ADMIN_TOKEN>`",
        )
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Unavailable(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ledger_unavailable",
                error.to_string(),
            ),
            LedgerError::Conflict(message) => Self::conflict(message),
            LedgerError::NotFound(message) => Self::not_found(message),
        }
    }
}

impl From<NoRandomness> for ApiError {
    fn from(error: NoRandomness) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "no_randomness",
            error.to_string(),
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let kind = if self.status.is_server_error() {
            "server_error"
        } else {
            "invalid_request_error"
        };
        let body = ErrorBody {
            error: ErrorDetail {
                message: self.message,
                kind: kind.to_owned(),
                param: self.param,
                code: self.code.to_owned(),
            },
        };
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
