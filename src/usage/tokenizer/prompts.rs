//! Counts the input of a completion or of embeddings: plain texts without any frame, and token ids.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::chat::text_of;
use super::{Counter, Tokenizer, to_u64};
use crate::usage::lenient::trimmed;

impl Tokenizer {
    /// The input tokens of a completion's JSON body: of `prompt` and `suffix`, each text by itself; token ids are
    /// themselves the count. `None` if the body is no such object.
    pub fn count_prompts(self, body: &[u8]) -> Option<u64> {
        let completion: Completion<'_> = serde_json::from_slice(trimmed(body)).ok()?;
        let prompt = self.count_value(completion.prompt?)?;
        let suffix = completion.suffix.and_then(|text| self.count_value(text));
        Some(prompt.saturating_add(suffix.unwrap_or(0)))
    }

    /// The tokens of a completion's answer that are the prompts over again, for `echo`: 0 without it.
    pub fn count_echo(self, body: &[u8]) -> u64 {
        let Ok(completion) = serde_json::from_slice::<Completion<'_>>(trimmed(body)) else {
            return 0;
        };
        let choices = match completion.echo {
            Some(true) => completion.n.unwrap_or(1),
            _ => return 0,
        };
        let prompt = completion.prompt.and_then(|text| self.count_value(text));
        prompt.unwrap_or(0).saturating_mul(choices)
    }

    /// The input tokens of a JSON body that asks for embeddings: of `input`, as for prompts.
    pub fn count_inputs(self, body: &[u8]) -> Option<u64> {
        let embeddings: Embeddings<'_> = serde_json::from_slice(trimmed(body)).ok()?;
        self.count_value(embeddings.input?)
    }

    /// A text, an array of texts, token ids, or an array of arrays of them.
    fn count_value(self, value: &RawValue) -> Option<u64> {
        let mut counter = Counter::new(self);
        let mut ids = 0_u64;
        match value.get().as_bytes() {
            b"null" => {}
            [b'[', ..] => {
                let items: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
                for item in items {
                    ids = ids.saturating_add(match item.get().as_bytes() {
                        [b'"', ..] => {
                            counter.add(&text_of(item));
                            0
                        }
                        [b'[', ..] => {
                            let list: Vec<IgnoredAny> = serde_json::from_str(item.get()).ok()?;
                            to_u64(list.len())
                        }
                        _ => 1,
                    });
                }
            }
            _ => counter.add(&text_of(value)),
        }
        Some(counter.total().saturating_add(ids))
    }
}

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow, default)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow, default)]
    suffix: Option<&'a RawValue>,
    #[serde(default)]
    echo: Option<bool>,
    #[serde(default)]
    n: Option<u64>,
}

#[derive(Deserialize)]
struct Embeddings<'a> {
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}
