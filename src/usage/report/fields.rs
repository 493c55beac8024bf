//! The members of a report, under every name that vendors give them.

use serde::Deserialize;

use super::count::Count;
use crate::usage::lenient::Object;
use crate::usage::skim::Skim;

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

/// A member of `T`: its name, and where it is kept.
type Member<T, V> = (&'static [u8], fn(&mut T) -> &mut V);

const COUNTS: [Member<Fields, Count>; 12] = [
    (b"prompt_tokens", |it| &mut it.prompt_tokens),
    (b"input_tokens", |it| &mut it.input_tokens),
    (b"completion_tokens", |it| &mut it.completion_tokens),
    (b"output_tokens", |it| &mut it.output_tokens),
    (b"total_tokens", |it| &mut it.total_tokens),
    (b"cached_tokens", |it| &mut it.cached_tokens),
    (b"prompt_cache_hit_tokens", |it| {
        &mut it.prompt_cache_hit_tokens
    }),
    (b"prompt_cache_miss_tokens", |it| {
        &mut it.prompt_cache_miss_tokens
    }),
    (b"cache_read_input_tokens", |it| {
        &mut it.cache_read_input_tokens
    }),
    (b"cache_creation_input_tokens", |it| {
        &mut it.cache_creation_input_tokens
    }),
    (b"reasoning_tokens", |it| &mut it.reasoning_tokens),
    (b"search_units", |it| &mut it.search_units),
];

const DETAILS: [Member<Fields, Object<Details>>; 5] = [
    (b"prompt_tokens_details", |it| &mut it.prompt_tokens_details),
    (b"input_tokens_details", |it| &mut it.input_tokens_details),
    (b"input_token_details", |it| &mut it.input_token_details),
    (b"completion_tokens_details", |it| {
        &mut it.completion_tokens_details
    }),
    (b"output_tokens_details", |it| &mut it.output_tokens_details),
];

const CACHE: [Member<Fields, Object<CacheCreation>>; 1] =
    [(b"cache_creation", |it| &mut it.cache_creation)];

const CACHE_COUNTS: [Member<CacheCreation, Count>; 2] = [
    (b"ephemeral_5m_input_tokens", |it| {
        &mut it.ephemeral_5m_input_tokens
    }),
    (b"ephemeral_1h_input_tokens", |it| {
        &mut it.ephemeral_1h_input_tokens
    }),
];

const DETAIL_COUNTS: [Member<Details, Count>; 5] = [
    (b"cached_tokens", |it| &mut it.cached_tokens),
    (b"cache_write_tokens", |it| &mut it.cache_write_tokens),
    (b"audio_tokens", |it| &mut it.audio_tokens),
    (b"image_tokens", |it| &mut it.image_tokens),
    (b"reasoning_tokens", |it| &mut it.reasoning_tokens),
];

impl Fields {
    /// Takes a report, where it is as most are.
    pub fn skim(skim: &mut Skim<'_>) -> Option<Fields> {
        let mut fields = Fields::default();
        let (mut seen, mut seen_details) = (Seen::default(), Seen::default());
        let mut seen_cache = Seen::default();
        skim.object(|skim, name| {
            if let Some(count) = seen.find(&COUNTS, &mut fields, name)? {
                *count = Count::written(skim.raw()?);
            } else if let Some(details) = seen_details.find(&DETAILS, &mut fields, name)? {
                *details = Object(counts(skim, &DETAIL_COUNTS)?);
            } else if let Some(cache) = seen_cache.find(&CACHE, &mut fields, name)? {
                *cache = Object(counts(skim, &CACHE_COUNTS)?);
            } else {
                skim.pass()?;
            }
            Some(())
        })?;
        Some(fields)
    }
}

/// Takes an object of counts; `None` inside where it is null.
fn counts<T: Default>(skim: &mut Skim<'_>, members: &[Member<T, Count>]) -> Option<Option<T>> {
    if skim.null() {
        return Some(None);
    }
    let (mut whole, mut seen) = (T::default(), Seen::default());
    skim.object(|skim, name| {
        match seen.find(members, &mut whole, name)? {
            Some(count) => *count = Count::written(skim.raw()?),
            None => skim.pass()?,
        }
        Some(())
    })?;
    Some(Some(whole))
}

/// Which members there were, by their place in a list.
#[derive(Default)]
struct Seen(u32);

impl Seen {
    /// Where a member of this name is kept, if the list has it; `None` outside where it comes twice.
    fn find<'t, T, V>(
        &mut self,
        members: &[Member<T, V>],
        whole: &'t mut T,
        name: &[u8],
    ) -> Option<Option<&'t mut V>> {
        let Some(index) = members.iter().position(|(known, _)| *known == name) else {
            return Some(None);
        };
        let bit = 1 << index;
        let is_first = self.0 & bit == 0;
        self.0 |= bit;
        is_first.then(|| Some(members[index].1(whole)))
    }
}
