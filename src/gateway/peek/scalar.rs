//! Checked readings of single values. A null is an absent value.

use std::borrow::Cow;

use serde::de::DeserializeSeed;
use serde_json::value::RawValue;

use super::at::At;
use super::text::Text;
use super::{BadRequest, MODEL_BYTES_MAX};

/// A string.
pub(super) fn text<'b>(raw: &'b RawValue, at: At<'_>) -> Result<Option<Cow<'b, str>>, BadRequest> {
    if raw.get() == "null" {
        return Ok(None);
    }
    Text.deserialize(&mut serde_json::Deserializer::from_str(raw.get()))
        .map(Some)
        .map_err(|_| BadRequest::at(at.to_string(), format!("{at} must be a string.")))
}

/// True or false.
pub(super) fn boolean(raw: &RawValue, at: At<'_>) -> Result<Option<bool>, BadRequest> {
    match raw.get() {
        "null" => Ok(None),
        "true" => Ok(Some(true)),
        "false" => Ok(Some(false)),
        _ => Err(BadRequest::at(
            at.to_string(),
            format!("{at} must be true, false or null."),
        )),
    }
}

/// A whole number of at least 1 and at most `max`, written without fraction or exponent.
pub(super) fn positive(raw: &RawValue, at: At<'_>, max: u64) -> Result<Option<u64>, BadRequest> {
    let written = raw.get();
    if written == "null" {
        return Ok(None);
    }
    match written.parse::<u64>() {
        Ok(number) if (1..=max).contains(&number) => Ok(Some(number)),
        _ if max == u64::MAX => Err(BadRequest::at(
            at.to_string(),
            format!("{at} must be a whole number of at least 1."),
        )),
        _ => Err(BadRequest::at(
            at.to_string(),
            format!("{at} must be a whole number from 1 to {max}."),
        )),
    }
}

/// The model's name.
pub(super) fn model<'b>(raw: &'b RawValue, at: At<'_>) -> Result<Cow<'b, str>, BadRequest> {
    let model = text(raw, at)?.unwrap_or_default();
    model_name(&model)?;
    Ok(model)
}

/// A text as a model's name.
pub(super) fn model_name(model: &str) -> Result<&str, BadRequest> {
    match model.len() {
        0 => Err(no_model()),
        1..=MODEL_BYTES_MAX => Ok(model),
        _ => Err(BadRequest::at(
            "model",
            format!("model is longer than {MODEL_BYTES_MAX} bytes: no model has such a name."),
        )),
    }
}

/// The refusal of a request that names no model.
pub(super) fn no_model() -> BadRequest {
    BadRequest::at("model", "model is missing: name one of GET /v1/models.")
}

/// Refuses a class of service with a price of its own.
pub(super) fn service_tier(raw: &RawValue, at: At<'_>) -> Result<(), BadRequest> {
    let tier_name = text(raw, at)?;
    tier(tier_name.as_deref().unwrap_or_default(), &at.to_string())
}

/// Refuses a class of service by its name; none is the usual one.
pub(super) fn tier(name: &str, param: &str) -> Result<(), BadRequest> {
    match name {
        "" | "auto" | "default" | "standard" => Ok(()),
        _ => Err(BadRequest::at(
            param,
            format!("{param} must be auto, default or standard: other tiers have no price here."),
        )),
    }
}

/// Refuses any number but one.
pub(super) fn one(raw: &RawValue, at: At<'_>) -> Result<(), BadRequest> {
    match raw.get() {
        "null" | "1" => Ok(()),
        _ => Err(BadRequest::at(
            at.to_string(),
            format!("{at} must be 1 here: send a request for each."),
        )),
    }
}
