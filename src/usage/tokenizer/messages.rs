//! Counts the input of a request to Anthropic's Messages.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Tokenizer;
use super::chat::FRAME_TOKENS;
use super::content::Tally;
use super::images::ImageRule;
use crate::usage::elements::elements;
use crate::usage::lenient::trimmed;

impl Tokenizer {
    /// The input tokens of a JSON body for `/v1/messages`: `system` and each message framed like those of a chat, images
    /// by their pixels, tools as their JSON text. `None` if the body is not a JSON object with `messages`.
    pub fn count_messages(&self, body: &[u8]) -> Option<u64> {
        let request: Messages<'_> = serde_json::from_slice(trimmed(body)).ok()?;
        let mut tally = Tally::new(self, ImageRule::Pixels);
        tally.add(FRAME_TOKENS);
        tally.written("system", request.system);
        elements(request.messages?, &mut |message| {
            tally.message(message);
        })?;
        tally.json(request.tools);
        Some(tally.total())
    }
}

#[derive(Deserialize)]
struct Messages<'a> {
    #[serde(borrow, default)]
    system: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
}
