//! Counts the input of a chat request as the models' chat format frames it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Counter, Tokenizer};
use crate::usage::lenient::{Objects, trimmed};
use crate::usage::transcript::{Transcript, unescape};

/// Tokens around every message, and before the answer.
const FRAME_TOKENS: u64 = 3;

impl Tokenizer {
    /// The input tokens of a chat request's JSON body: 3, role and content (and 1 for a name) for each
    /// message, and 3. Definitions of tools count as their JSON text, images not at all.
    /// `None` if the body is not a JSON object with `messages`.
    pub fn count_chat(self, body: &[u8]) -> Option<u64> {
        let chat: Chat<'_> = serde_json::from_slice(trimmed(body)).ok()?;
        let messages = chat.messages.0?;
        let mut counter = Counter::new(self);
        let mut frames = FRAME_TOKENS;
        for message in messages.iter().flatten() {
            frames += FRAME_TOKENS + u64::from(message.name.is_some());
            message.count(&mut counter);
        }
        for definitions in [chat.tools, chat.functions, chat.response_format] {
            counter.add(definitions.map_or("", RawValue::get));
        }
        Some(counter.total().saturating_add(frames))
    }
}

#[derive(Deserialize)]
struct Chat<'a> {
    #[serde(borrow, default)]
    messages: Objects<Message<'a>>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default)]
    functions: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response_format: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    role: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
}

impl Message<'_> {
    fn count(&self, counter: &mut Counter) {
        let values = [
            self.role,
            self.name,
            self.content,
            self.reasoning_content,
            self.tool_calls,
            self.function_call,
        ];
        for value in values.into_iter().flatten() {
            counter.add(&text_of(value));
        }
    }
}

/// A string's text, or the text inside an array or object.
pub(super) fn text_of(value: &RawValue) -> Cow<'_, str> {
    let json = value.get();
    if !json.starts_with('"') {
        return Cow::Owned(Transcript::of(json.as_bytes()).text());
    }
    let inside = &json[1..json.len() - 1];
    if inside.contains('\\') {
        Cow::Owned(unescape(inside.as_bytes()))
    } else {
        Cow::Borrowed(inside)
    }
}
