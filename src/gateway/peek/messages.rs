//! The body of a request for a message (Anthropic's Messages), member by member.

mod blocks;
mod tools;

use std::sync::LazyLock;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::array::Array;
use super::at::At;
use super::generation::{Extent, Generation};
use super::table::{self, Rule, Table, Why};
use super::walk::{Members, Pass, walk};
use super::{BadRequest, InputSize, TextRequest, scalar};
use crate::gateway::splice::MaximumField;
use blocks::{Messages, text_or_blocks};
use tools::Tools;

static MESSAGES: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (
            Rule::Read,
            &[
                "model",
                "messages",
                "system",
                "max_tokens",
                "stream",
                "tools",
                "service_tier",
                "speed",
                "context_management",
                "n",
                "best_of",
            ],
        ),
        (Rule::Unbounded, table::UNBOUNDED),
        (Rule::Refuse(Why::Redirect), table::REDIRECTS),
        (Rule::Refuse(Why::OtherModel), table::OTHER_MODELS),
        (Rule::Refuse(Why::Shared), table::SHARED),
        (Rule::Refuse(Why::Shared), &["previous_response_id"]),
        (Rule::Refuse(Why::Background), &["background"]),
        (Rule::Refuse(Why::Builtin), table::BUILTINS),
        (Rule::Refuse(Why::Audio), &["audio"]),
        (Rule::Refuse(Why::Maximum), table::MAXIMA),
        (
            Rule::Refuse(Why::Maximum),
            &["max_output_tokens", "max_completion_tokens"],
        ),
        (Rule::Refuse(Why::Count), table::COUNTS),
        // Where the work is done changes its price.
        (Rule::Refuse(Why::Dearer), &["inference_geo"]),
    ])
});

/// Reads a request for a message, or for the count of its tokens.
pub(super) fn peek(body: &str) -> Result<TextRequest<'_>, BadRequest> {
    let pass = Pass::new(body);
    let mut message = Message::default();
    walk(&pass, &mut message)?;
    message.common.named()?;
    if !message.has_messages {
        return Err(BadRequest::at(
            "messages",
            "messages is missing: send an array of messages.",
        ));
    }
    let extent = Extent {
        choices: 1,
        extra_output: 0,
        maximum: Some(MaximumField::MaxTokens),
        input: message.input,
    };
    message.common.finish(&pass, extent)
}

/// What has been read so far.
#[derive(Default)]
struct Message<'b> {
    common: Generation<'b>,
    has_messages: bool,
    input: InputSize,
}

impl<'b> Members<'b> for Message<'b> {
    fn table() -> &'static Table {
        &MESSAGES
    }

    fn read<A: MapAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let input = &mut self.input;
        match name {
            "messages" => {
                let elements = &mut Messages {
                    input,
                    given: false,
                };
                map.next_value_seed(Array { pass, at, elements })?;
                self.has_messages = elements.given;
                Ok(())
            }
            "tools" => {
                let elements = &mut Tools { input };
                map.next_value_seed(Array { pass, at, elements })
            }
            _ => self.read_text(pass, at, name, map),
        }
    }

    fn value(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        raw: &'b RawValue,
    ) -> Result<(), BadRequest> {
        match name {
            "system" => text_or_blocks(pass, at, raw, &mut self.input),
            "n" | "best_of" => scalar::one(raw, at),
            // The name that this API has for the usual tier alone.
            "service_tier" if raw.get() == "\"standard_only\"" => Ok(()),
            "speed" if !matches!(raw.get(), "null" | "\"standard\"") => Err(BadRequest::at(
                "speed",
                "speed must be standard: a faster one has no price here.",
            )),
            // What a compaction writes is in no sum of the usage.
            "context_management" if raw.get().contains(['\\']) || raw.get().contains("compact") => {
                Err(BadRequest::at(
                    "context_management",
                    "context_management must not compact: what that writes has no price here.",
                ))
            }
            _ => self.common.value(pass, at, name, raw),
        }
    }

    fn unbounded(&mut self) {
        self.input.unbounded = true;
    }
}
