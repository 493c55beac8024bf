//! Counts the input of a request to OpenAI's Responses.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Tokenizer;
use super::chat::FRAME_TOKENS;
use super::content::{Tally, is_string};
use super::images::ImageRule;
use crate::usage::elements::elements;
use crate::usage::lenient::trimmed;

impl Tokenizer {
    /// The input tokens of a JSON body for `/v1/responses`: `instructions` and each item of `input` framed like the
    /// messages of a chat, tools, and the schema of `text.format`. What `previous_response_id` or a conversation brings in
    /// is not at hand. `None` if the body is not a JSON object with a string or an array as `input`.
    pub fn count_responses(&self, body: &[u8]) -> Option<u64> {
        let request: Responses<'_> = serde_json::from_slice(trimmed(body)).ok()?;
        let mut tally = Tally::new(self, ImageRule::Tiles);
        tally.add(FRAME_TOKENS);
        let mut has_system = request.instructions.is_some();
        tally.written("system", request.instructions);
        let input = request.input?;
        match is_string(input) {
            true => tally.written("user", Some(input)),
            false => elements(input, &mut |item| has_system |= tally.message(item))?,
        }
        tally.tools(request.tools, has_system);
        let text = request.text.map(RawValue::get);
        let format = text.and_then(|text| serde_json::from_str::<Text<'_>>(text).ok());
        tally.format(format.and_then(|text| text.format));
        Some(tally.total())
    }
}

impl Tally<'_> {
    /// Adds a message that is written as its content alone.
    pub fn written(&mut self, role: &str, content: Option<&RawValue>) {
        if content.is_some() {
            self.add(FRAME_TOKENS);
            self.text(role);
            self.content(content);
        }
    }
}

#[derive(Deserialize)]
struct Responses<'a> {
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    instructions: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(borrow, default)]
    format: Option<&'a RawValue>,
}
