//! What pictures count as, where a vendor counts them in tokens.

use serde_json::{Value, json};

use super::super::said::Usage;
use super::super::talk::TOKENS_PER_IMAGE;
use super::super::{Fault, text};

/// Where a request leaves the quality open.
pub(super) const QUALITY: &str = "medium";
/// Where a request leaves the size open.
pub(super) const SIZE: &str = "1024x1024";
/// Of one preview.
const TOKENS_PER_PARTIAL: u64 = 100;

/// What is counted.
pub(super) struct Counted<'a> {
    pub(super) prompt: &'a str,
    /// That were sent.
    pub(super) pictures: u64,
    /// That were made.
    pub(super) images: u64,
    pub(super) partial_images: u64,
    pub(super) size: Option<&'a str>,
    pub(super) quality: Option<&'a str>,
}

/// The usage that is reported, true but for faults.
pub(super) fn usage(counted: &Counted<'_>, fault: Option<Fault>) -> Option<Value> {
    let words = text::count(counted.prompt);
    let pictures = TOKENS_PER_IMAGE.saturating_mul(counted.pictures);
    let each = per_image(
        counted.size.unwrap_or(SIZE),
        counted.quality.unwrap_or(QUALITY),
    );
    let output = each * counted.images + TOKENS_PER_PARTIAL * counted.partial_images;
    let usage = Usage::report(words.saturating_add(pictures), output, fault)?;
    Some(json!({
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"text_tokens": words, "image_tokens": pictures},
        "output_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }))
}

fn per_image(size: &str, quality: &str) -> u64 {
    let [square, tall, wide] = match quality {
        "low" => [272, 408, 400],
        "high" => [4_160, 6_240, 6_208],
        _ => [1_056, 1_584, 1_568],
    };
    match size {
        "1024x1536" => tall,
        "1536x1024" => wide,
        _ => square,
    }
}
