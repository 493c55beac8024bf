//! What handlers read from a request; every failure is an [`ApiError`].

use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use bytes::Bytes;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::clock::UnixMs;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

/// The parameters of the query string.
pub(super) struct Params<T>(pub(super) T);

/// The id in the path.
pub(super) struct Id<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                ApiError::new(rejection.status(), "unreadable_body", rejection.body_text())
            })?;
        serde_json::from_slice(&bytes).map(Body).map_err(|error| {
            ApiError::invalid("body", format!("the body is not as expected: {error}"))
        })
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Params(params)),
            Err(rejection) => {
                // Values are texts until a handler reads them: a name is unknown, or is there twice.
                let text = rejection.body_text();
                let problem = text.rsplit(": ").next().unwrap_or(&text);
                Err(ApiError::invalid("query", problem))
            }
        }
    }
}

impl<S: Send + Sync, T: FromStr<Err: std::fmt::Display>> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::invalid("id", rejection.body_text()))?;
        text.parse()
            .map(Id)
            .map_err(|error: T::Err| ApiError::invalid("id", error.to_string()))
    }
}

/// Reads an id of the query string.
pub(super) fn id<T>(param: &str, text: Option<String>) -> Result<Option<T>, ApiError>
where
    T: FromStr<Err: std::fmt::Display>,
{
    let read = text.map(|text| text.parse()).transpose();
    read.map_err(|error: T::Err| ApiError::invalid(param, error.to_string()))
}

/// Reads an instant: RFC 3339, or a date, which means its first moment in `zone`.
pub(super) fn instant(param: &str, text: &str, zone: &TimeZone) -> Result<UnixMs, ApiError> {
    let of_date = || {
        let start = text.parse::<Date>().ok()?.to_zoned(zone.clone()).ok()?;
        Some(start.timestamp())
    };
    text.parse::<jiff::Timestamp>()
        .ok()
        .or_else(of_date)
        .map(|at| UnixMs(at.as_millisecond()))
        .ok_or_else(|| {
            let shown: String = text.escape_default().take(80).collect();
            ApiError::invalid(
                param,
                format!("`{shown}` is no time: write a date (2027-01-31) or RFC 3339 (2027-01-31T08:00:00+08:00)"),
            )
        })
}
