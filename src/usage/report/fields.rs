//! The members of a report, under every name that vendors give them.

use serde::Deserialize;

use super::count::Count;
use crate::usage::lenient::Object;

/// Every field that any vendor is known to send and that bears on money.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Fields {
    pub prompt_tokens: Count,
    pub input_tokens: Count,
    pub completion_tokens: Count,
    pub output_tokens: Count,
    pub total_tokens: Count,
    pub cached_tokens: Count,
    pub prompt_cache_hit_tokens: Count,
    pub prompt_cache_miss_tokens: Count,
    pub cache_read_input_tokens: Count,
    pub cache_creation_input_tokens: Count,
    pub cache_creation: Object<CacheCreation>,
    pub reasoning_tokens: Count,
    /// Of servers that put documents in order.
    pub search_units: Count,
    pub prompt_tokens_details: Object<Details>,
    pub input_tokens_details: Object<Details>,
    /// So it is written of recordings.
    pub input_token_details: Object<Details>,
    pub completion_tokens_details: Object<Details>,
    pub output_tokens_details: Object<Details>,
}

/// For how long tokens were written to the cache.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct CacheCreation {
    pub ephemeral_5m_input_tokens: Count,
    pub ephemeral_1h_input_tokens: Count,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Details {
    pub cached_tokens: Count,
    pub cache_write_tokens: Count,
    pub audio_tokens: Count,
    pub image_tokens: Count,
    pub reasoning_tokens: Count,
}
