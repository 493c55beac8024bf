//! Wholes and their parts as disjoint meters.

use super::{Parts, Unbelievable};
use crate::usage::{Meter, Usage};

/// The disjoint meters of an input.
pub(super) fn input_meters(usage: Usage, input: u64, parts: &Parts) -> Result<Usage, Unbelievable> {
    let whole = "prompt_tokens";
    inside("cached_tokens", parts.cached, input, whole)?;
    inside("audio_tokens", parts.audio_input, input, whole)?;
    let media = parts.audio_input + parts.image_input;
    inside("audio_tokens + image_tokens", media, input, whole)?;
    let cache = parts.cached + parts.cache_write;
    inside("cached_tokens + cache_write_tokens", cache, input, whole)?;
    let rest = input - cache;
    // Audio and images may come from the cache too: there they are charged as cached.
    let audio = parts.audio_input.min(rest);
    let image = parts.image_input.min(rest - audio);
    Ok(usage
        .with(Meter::CachedInput, parts.cached)
        .with(
            Meter::CacheWrite,
            parts.cache_write - parts.cache_write_hour,
        )
        .with(Meter::CacheWriteHour, parts.cache_write_hour)
        .with(Meter::AudioInput, audio)
        .with(Meter::ImageInput, image)
        .with(Meter::Input, rest - audio - image))
}

/// The disjoint meters of an output.
pub(super) fn output_meters(
    usage: Usage,
    output: u64,
    reasoning_beside: u64,
    parts: &Parts,
) -> Result<Usage, Unbelievable> {
    let whole = "completion_tokens";
    inside("audio_tokens", parts.audio_output, output, whole)?;
    let (reasoning, rest) = if reasoning_beside > 0 {
        (reasoning_beside, output)
    } else {
        inside("reasoning_tokens", parts.reasoning, output, whole)?;
        (parts.reasoning, output - parts.reasoning)
    };
    let media = parts.audio_output + parts.image_output;
    inside("audio_tokens + image_tokens", media, output, whole)?;
    let audio = parts.audio_output.min(rest);
    let image = parts.image_output.min(rest - audio);
    Ok(usage
        .with(Meter::Reasoning, reasoning)
        .with(Meter::AudioOutput, audio)
        .with(Meter::ImageOutput, image)
        .with(Meter::Output, rest - audio - image))
}

/// Refuses a part that is larger than its whole.
pub(super) fn inside(
    part: &'static str,
    count: u64,
    whole_count: u64,
    whole: &'static str,
) -> Result<(), Unbelievable> {
    if count > whole_count {
        return Err(Unbelievable::Contradiction { part, whole });
    }
    Ok(())
}
