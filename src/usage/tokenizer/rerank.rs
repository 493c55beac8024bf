//! Counts the input of a request to order documents, and of one to speak a text.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::content::{is_string, text_of};
use super::{Counter, Tokenizer};
use crate::usage::elements::elements;
use crate::usage::lenient::trimmed;

impl Tokenizer {
    /// The input tokens of a JSON body that asks to rank documents: of each one (a string, or an object with `text`), and
    /// of the query, which models read with every one. `None` if the body is not a JSON object with `query` and an array
    /// of `documents`.
    pub fn count_rerank(&self, body: &[u8]) -> Option<u64> {
        let rerank: Rerank<'_> = serde_json::from_slice(trimmed(body)).ok()?;
        let query = self.count(&text_of(rerank.query?));
        let mut counter = Counter::new(self);
        let mut documents: u64 = 0;
        elements(rerank.documents?, &mut |document| {
            documents += 1;
            match is_string(document) {
                true => counter.add(&text_of(document)),
                false => add_fields(&mut counter, document),
            }
        })?;
        let queries = query.saturating_mul(documents);
        Some(counter.total().saturating_add(queries))
    }

    /// The input tokens of a JSON body that asks for speech: of `input` and `instructions`. `None` if the body is not a
    /// JSON object with `input`.
    pub fn count_speech(&self, body: &[u8]) -> Option<u64> {
        let speech: Speech<'_> = serde_json::from_slice(trimmed(body)).ok()?;
        let mut counter = Counter::new(self);
        counter.add(&text_of(speech.input?));
        if let Some(instructions) = speech.instructions {
            counter.add(&text_of(instructions));
        }
        Some(counter.total())
    }
}

/// A document's `text`; of one without it, its JSON text.
fn add_fields(counter: &mut Counter<'_>, document: &RawValue) {
    let fields = serde_json::from_str::<Document<'_>>(document.get());
    match fields.ok().and_then(|document| document.text) {
        Some(text) => counter.add(&text_of(text)),
        None => counter.add(document.get()),
    }
}

#[derive(Deserialize)]
struct Rerank<'a> {
    #[serde(borrow, default)]
    query: Option<&'a RawValue>,
    #[serde(borrow, default)]
    documents: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Speech<'a> {
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    instructions: Option<&'a RawValue>,
}
