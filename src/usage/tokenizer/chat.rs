//! Counts the input of a chat request as the models' chat format frames it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Tokenizer;
use super::content::{Block, Tally, text_of};
use super::images::ImageRule;
use crate::usage::elements::elements;
use crate::usage::lenient::trimmed;

/// Tokens around every message, and before the answer.
pub(super) const FRAME_TOKENS: u64 = 3;

impl Tokenizer {
    /// The input tokens of a chat request's JSON body: 3, role and content (and 1 for a name) for each
    /// message, and 3; images by their size, definitions of tools as the models read them.
    /// `None` if the body is not a JSON object with `messages`.
    pub fn count_chat(&self, body: &[u8]) -> Option<u64> {
        let chat: Chat<'_> = serde_json::from_slice(trimmed(body)).ok()?;
        let mut tally = Tally::new(self, ImageRule::Tiles);
        tally.add(FRAME_TOKENS);
        let mut has_system = false;
        elements(chat.messages?, &mut |message| {
            has_system |= tally.message(message);
        })?;
        tally.tools(chat.tools, has_system);
        tally.tools(chat.functions, has_system);
        tally.format(chat.response_format);
        Some(tally.total())
    }
}

impl Tally<'_> {
    /// Adds a message with its frame; anything but an object is none. Answers whether it is the system's.
    pub fn message(&mut self, message: &RawValue) -> bool {
        if !message.get().starts_with('{') {
            return false;
        }
        self.add(FRAME_TOKENS);
        let Ok(block) = serde_json::from_str::<Block<'_>>(message.get()) else {
            self.text(&text_of(message));
            return false;
        };
        // Calls of tools among the items of Responses have a name that is no speaker's.
        self.add(u64::from(block.name.is_some() && block.role.is_some()));
        self.block(&block, 0);
        let role = block.role.map(text_of).unwrap_or_default();
        matches!(&*role, "system" | "developer")
    }

    /// Adds the schema of a format that is asked for, if it has one.
    pub fn format(&mut self, format: Option<&RawValue>) {
        let format =
            format.and_then(|format| serde_json::from_str::<Format<'_>>(format.get()).ok());
        self.json(format.and_then(|format| format.json_schema.or(format.schema)));
    }
}

/// Chats have their schema inside, Responses beside the name.
#[derive(Deserialize)]
struct Format<'a> {
    #[serde(borrow, default)]
    json_schema: Option<&'a RawValue>,
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Chat<'a> {
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default)]
    functions: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response_format: Option<&'a RawValue>,
}
