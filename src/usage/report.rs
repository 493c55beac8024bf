//! One tolerant reader of the `usage` object, whichever vendor wrote it.
//!
//! Vendors spell the same few facts differently, so that the reader takes every spelling of a fact
//! and keeps the largest: gateways fill the spellings that they do not use with 0. What comes out
//! is disjoint ([`Usage`]); what cannot be true is [`Unbelievable`], never repaired.

use thiserror::Error;

use super::lenient::{self, trimmed};
use super::skim::Skim;
use super::{Meter, Unit, Usage};
use count::{Count, fact};
use fields::{CacheCreation, Details, Fields};
use meters::{input_meters, inside, output_meters};

mod count;
mod fields;
mod meters;

/// The largest count that is believed: 2^40.
pub const COUNT_MAX: u64 = 1 << 40;

/// What an upstream said that a request consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The disjoint meters. A side that was not reported is 0 here.
    pub usage: Usage,
    /// Whether the input was reported (a reported 0 is a report).
    pub has_input: bool,
    /// Whether the output was reported.
    pub has_output: bool,
}

impl Reported {
    /// What the beginning of an answer can tell: its input. What it says of the output is of a text that has hardly begun.
    #[must_use]
    pub fn input_alone(mut self) -> Reported {
        for meter in Meter::ALL.into_iter().filter(|meter| meter.is_output()) {
            self.usage = self.usage.with(meter, 0);
        }
        self.has_output = false;
        self
    }

    /// This report after an `earlier` one of the same answer: a side that it leaves out, or for which it has nothing
    /// where there was something, stays as it was told before.
    pub fn after(self, earlier: Reported) -> Reported {
        let mut joined = self;
        let (mut input, mut output) = (self.has_input, self.has_output);
        let total = |report: &Reported, side: fn(Meter) -> bool| {
            let counts = report.usage.iter().filter(|(meter, _)| side(*meter));
            counts.fold(0_u64, |sum, (_, count)| sum.saturating_add(count))
        };
        input &= total(&self, is_input) > 0 || !earlier.has_input;
        output &= total(&self, Meter::is_output) > 0 || !earlier.has_output;
        for meter in Meter::ALL {
            let from = match meter {
                meter if is_input(meter) => input,
                meter if meter.is_output() => output,
                _ => true,
            };
            if !from {
                joined.usage = joined.usage.with(meter, earlier.usage.get(meter));
            }
        }
        joined.has_input |= earlier.has_input;
        joined.has_output |= earlier.has_output;
        joined
    }
}

fn is_input(meter: Meter) -> bool {
    meter.unit() == Unit::Tokens && !meter.is_output()
}

/// Why a report is not believed. The request is then counted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unbelievable {
    /// A count below zero.
    #[error("usage.{0} is negative")]
    Negative(&'static str),
    /// A count that is not a whole number.
    #[error("usage.{0} is not a whole number")]
    NotInteger(&'static str),
    /// A count above [`COUNT_MAX`].
    #[error("usage.{0} is larger than 2^40")]
    TooLarge(&'static str),
    /// A part that is larger than its whole.
    #[error("usage.{part} is more than usage.{whole}")]
    Contradiction {
        /// The field or sum that is too large.
        part: &'static str,
        /// The field that should contain it.
        whole: &'static str,
    },
    /// Not an object, or one with duplicate fields.
    #[error("usage is not a readable JSON object")]
    Malformed,
}

/// Reads a `usage` object. `None` if it is null or says nothing about tokens: that is missing, not zero.
pub fn read(usage: &[u8]) -> Option<Result<Reported, Unbelievable>> {
    read_as(usage, reported)
}

/// Reads a `usage` object of a service that writes nothing, such as embeddings: all is input, even where only a total
/// is told, or more in the total. The output is 0, and known to be.
pub fn read_input(usage: &[u8]) -> Option<Result<Reported, Unbelievable>> {
    read_as(usage, reported_input)
}

/// Reads the search units that a `usage` object tells: what some servers charge to put documents in order.
pub fn read_search_units(usage: &[u8]) -> Option<Result<u64, Unbelievable>> {
    read_as(usage, |fields| fields.search_units.known("search_units"))
}

fn read_as<T>(
    usage: &[u8],
    reported: fn(&Fields) -> Result<Option<T>, Unbelievable>,
) -> Option<Result<T, Unbelievable>> {
    match trimmed(usage) {
        b"" | b"null" | b"[]" => None,
        object => match read_fields(object) {
            // Fields without names, as an array would give them, are no report.
            Ok(fields) if object.starts_with(b"{") => reported(&fields).transpose(),
            _ => Some(Err(Unbelievable::Malformed)),
        },
    }
}

/// A report that was read while the answer around it was skimmed.
pub(super) struct Skimmed(Fields);

impl Skimmed {
    /// Takes a report; `None` inside where it is null.
    pub fn take(skim: &mut Skim<'_>) -> Option<Option<Skimmed>> {
        if skim.null() {
            return Some(None);
        }
        Fields::skim(skim).map(|fields| Some(Skimmed(fields)))
    }

    /// The same as [`read`] of its text.
    pub fn read(&self) -> Option<Result<Reported, Unbelievable>> {
        reported(&self.0).transpose()
    }
}

fn read_fields(object: &[u8]) -> serde_json::Result<Fields> {
    match Skim::whole(object, Fields::skim) {
        Some(fields) => Ok(fields),
        None => lenient::read(object),
    }
}

/// The wholes, before their parts are taken out.
struct Wholes {
    input: Option<u64>,
    output: Option<u64>,
    /// Reasoning that was reported beside the output, not inside it.
    reasoning_beside: u64,
}

/// What is inside the wholes.
struct Parts {
    cached: u64,
    /// However long it is kept.
    cache_write: u64,
    /// Of that, what is kept for an hour.
    cache_write_hour: u64,
    audio_input: u64,
    image_input: u64,
    reasoning: u64,
    audio_output: u64,
    image_output: u64,
}

fn reported(fields: &Fields) -> Result<Option<Reported>, Unbelievable> {
    let parts = parts(fields)?;
    let wholes = wholes(fields, &parts)?;
    if wholes.input.is_none() && wholes.output.is_none() {
        return Ok(None);
    }
    if let (Some(0), Some(0), 0) = (wholes.input, wholes.output, wholes.reasoning_beside) {
        // Whoever counted a total had more to tell than nothing.
        let total = fields.total_tokens.known("total_tokens")?.unwrap_or(0);
        let whole = "prompt_tokens + completion_tokens";
        inside("total_tokens", total, 0, whole)?;
    }
    let mut usage = Usage::NONE;
    if let Some(input) = wholes.input {
        usage = input_meters(usage, input, &parts)?;
    }
    if let Some(output) = wholes.output {
        usage = output_meters(usage, output, wholes.reasoning_beside, &parts)?;
    }
    Ok(Some(Reported {
        usage,
        has_input: wholes.input.is_some(),
        has_output: wholes.output.is_some(),
    }))
}

fn reported_input(fields: &Fields) -> Result<Option<Reported>, Unbelievable> {
    let parts = parts(fields)?;
    let whole = wholes(fields, &parts)?.input;
    let total = fields.total_tokens.known("total_tokens")?;
    // Gateways fill the one that they do not know with 0.
    let Some(input) = whole.max(total) else {
        return Ok(None);
    };
    Ok(Some(Reported {
        usage: input_meters(Usage::NONE, input, &parts)?,
        has_input: true,
        has_output: true,
    }))
}

fn parts(fields: &Fields) -> Result<Parts, Unbelievable> {
    let empty = Details::default();
    let of_input = match &fields.input_tokens_details.0 {
        Some(_) => &fields.input_tokens_details,
        None => &fields.input_token_details,
    };
    let [prompt, input, completion, output] = [
        &fields.prompt_tokens_details,
        of_input,
        &fields.completion_tokens_details,
        &fields.output_tokens_details,
    ]
    .map(|details| details.0.as_ref().unwrap_or(&empty));
    let cached = fact(&[
        ("prompt_tokens_details.cached_tokens", prompt.cached_tokens),
        ("input_tokens_details.cached_tokens", input.cached_tokens),
        ("cached_tokens", fields.cached_tokens),
        ("prompt_cache_hit_tokens", fields.prompt_cache_hit_tokens),
        ("cache_read_input_tokens", fields.cache_read_input_tokens),
    ])?;
    let cache_write = fact(&[
        (
            "prompt_tokens_details.cache_write_tokens",
            prompt.cache_write_tokens,
        ),
        (
            "input_tokens_details.cache_write_tokens",
            input.cache_write_tokens,
        ),
        (
            "cache_creation_input_tokens",
            fields.cache_creation_input_tokens,
        ),
    ])?;
    let (cache_write, cache_write_hour) = cache_writes(fields, cache_write)?;
    let audio_input = fact(&[
        ("prompt_tokens_details.audio_tokens", prompt.audio_tokens),
        ("input_tokens_details.audio_tokens", input.audio_tokens),
    ])?;
    let image_input = fact(&[
        ("prompt_tokens_details.image_tokens", prompt.image_tokens),
        ("input_tokens_details.image_tokens", input.image_tokens),
    ])?;
    let image_output = fact(&[
        (
            "completion_tokens_details.image_tokens",
            completion.image_tokens,
        ),
        ("output_tokens_details.image_tokens", output.image_tokens),
    ])?;
    let reasoning = fact(&[
        (
            "completion_tokens_details.reasoning_tokens",
            completion.reasoning_tokens,
        ),
        (
            "output_tokens_details.reasoning_tokens",
            output.reasoning_tokens,
        ),
        ("reasoning_tokens", fields.reasoning_tokens),
    ])?;
    let audio_output = fact(&[
        (
            "completion_tokens_details.audio_tokens",
            completion.audio_tokens,
        ),
        ("output_tokens_details.audio_tokens", output.audio_tokens),
    ])?;
    Ok(Parts {
        cached: cached.unwrap_or(0),
        cache_write,
        cache_write_hour,
        audio_input: audio_input.unwrap_or(0),
        image_input: image_input.unwrap_or(0),
        reasoning: reasoning.unwrap_or(0),
        audio_output: audio_output.unwrap_or(0),
        image_output: image_output.unwrap_or(0),
    })
}

/// What was written to the cache in all, and what of it for an hour.
fn cache_writes(fields: &Fields, told: Option<u64>) -> Result<(u64, u64), Unbelievable> {
    let none = CacheCreation::default();
    let by_time = fields.cache_creation.0.as_ref().unwrap_or(&none);
    let short = by_time
        .ephemeral_5m_input_tokens
        .known("cache_creation.ephemeral_5m_input_tokens")?
        .unwrap_or(0);
    let hour = by_time
        .ephemeral_1h_input_tokens
        .known("cache_creation.ephemeral_1h_input_tokens")?
        .unwrap_or(0);
    let all = told.unwrap_or(short + hour);
    inside(
        "cache_creation",
        short + hour,
        all,
        "cache_creation_input_tokens",
    )?;
    Ok((all, hour))
}

fn wholes(fields: &Fields, parts: &Parts) -> Result<Wholes, Unbelievable> {
    let mut input = fact(&[
        ("prompt_tokens", fields.prompt_tokens),
        ("input_tokens", fields.input_tokens),
    ])?;
    let mut output = fact(&[
        ("completion_tokens", fields.completion_tokens),
        ("output_tokens", fields.output_tokens),
    ])?;
    let total = fact(&[("total_tokens", fields.total_tokens)])?;
    let hit = fields
        .prompt_cache_hit_tokens
        .known("prompt_cache_hit_tokens")?;
    let miss = fields
        .prompt_cache_miss_tokens
        .known("prompt_cache_miss_tokens")?;
    if let (Some(hit), Some(miss)) = (hit, miss) {
        let both = hit + miss;
        inside(
            "prompt_cache_hit_tokens + prompt_cache_miss_tokens",
            both,
            input.unwrap_or(both),
            "prompt_tokens",
        )?;
        input = input.or(Some(both));
    }
    if let Some(total) = total {
        inside("prompt_tokens", input.unwrap_or(0), total, "total_tokens")?;
        inside(
            "completion_tokens",
            output.unwrap_or(0),
            total,
            "total_tokens",
        )?;
    }
    // The names with `_input_tokens` come from an API whose `input_tokens` leaves the cache out.
    let cache_beside = matches!(fields.prompt_tokens, Count::Absent)
        && !matches!(
            (
                fields.cache_read_input_tokens,
                fields.cache_creation_input_tokens
            ),
            (Count::Absent, Count::Absent)
        );
    if cache_beside {
        input = input.map(|rest| rest + parts.cached + parts.cache_write);
    }
    if let Some(total) = total {
        match (input, output) {
            (Some(input), None) => output = Some(total.saturating_sub(input)),
            (None, Some(output)) => input = Some(total.saturating_sub(output)),
            _ => {}
        }
    }
    let reasoning_beside = match (input, output, total) {
        (Some(input), Some(output), Some(total)) => {
            let more = total.saturating_sub(input + output);
            // Some report reasoning in the total alone.
            let is_hidden = parts.reasoning == 0 && input > 0 && parts.cached == 0;
            if is_hidden || more == parts.reasoning {
                more
            } else {
                0
            }
        }
        _ => 0,
    };
    Ok(Wholes {
        input,
        output,
        reasoning_beside,
    })
}

#[cfg(test)]
mod alike;
#[cfg(test)]
mod tests;
