//! The body of a chat completion, member by member.

use std::sync::LazyLock;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::array::Array;
use super::at::At;
use super::content::Messages;
use super::generation::{Extent, Generation};
use super::table::{self, Rule, Table, Why};
use super::tools::{Modalities, Tools};
use super::walk::{Members, Pass, walk};
use super::{BadRequest, InputSize, TextRequest};

static CHAT: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (
            Rule::Read,
            &[
                "model",
                "messages",
                "n",
                "best_of",
                "max_tokens",
                "max_completion_tokens",
                "stream",
                "stream_options",
                "prediction",
                "modalities",
                "service_tier",
                "tools",
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
        (Rule::Refuse(Why::Maximum), &["max_output_tokens"]),
        (Rule::Refuse(Why::Count), table::COUNTS),
    ])
});

/// Reads a chat request.
pub(super) fn peek(body: &str) -> Result<TextRequest<'_>, BadRequest> {
    let pass = Pass::new(body);
    let mut chat = Chat::default();
    walk(&pass, &mut chat)?;
    chat.common.named()?;
    if !chat.has_messages {
        return Err(BadRequest::at(
            "messages",
            "messages is missing: send an array of messages.",
        ));
    }
    let choices = chat.common.n.unwrap_or(1);
    let extent = Extent {
        choices,
        // Each choice may turn the prediction down.
        extra_output: choices.saturating_mul(chat.prediction_bytes),
        maximum: None,
        input: chat.input,
    };
    chat.common.finish(&pass, extent)
}

/// What has been read so far.
#[derive(Default)]
struct Chat<'b> {
    common: Generation<'b>,
    has_messages: bool,
    prediction_bytes: u64,
    input: InputSize,
}

impl<'b> Members<'b> for Chat<'b> {
    fn table() -> &'static Table {
        &CHAT
    }

    fn read<A: MapAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            "messages" => {
                let elements = &mut Messages {
                    input: &mut self.input,
                    given: false,
                };
                map.next_value_seed(Array { pass, at, elements })?;
                self.has_messages = elements.given;
                Ok(())
            }
            "tools" => {
                let elements = &mut Tools {
                    input: &mut self.input,
                };
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
            "best_of" => best_of(raw, at),
            "prediction" if raw.get() != "null" => {
                self.prediction_bytes = raw.get().len() as u64;
                Ok(())
            }
            "modalities" => {
                let elements = &mut Modalities;
                pass.parse(raw.get(), Array { pass, at, elements })
            }
            _ => self.common.value(pass, at, name, raw),
        }
    }

    fn unbounded(&mut self) {
        self.input.unbounded = true;
    }
}

fn best_of(raw: &RawValue, at: At<'_>) -> Result<(), BadRequest> {
    match raw.get() {
        "null" | "1" => Ok(()),
        _ => Err(BadRequest::at(
            at.to_string(),
            format!("{at} must be 1: candidates that are not shown have no price here. Use n."),
        )),
    }
}
