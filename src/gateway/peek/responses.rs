//! The body of a request for a response, member by member.

use std::sync::LazyLock;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::array::Array;
use super::at::At;
use super::generation::{Extent, Generation};
use super::items::Items;
use super::table::{self, Rule, Table, Why};
use super::tools::{Modalities, Tools};
use super::walk::{Members, Pass, walk};
use super::{BadRequest, InputSize, TextRequest, scalar};
use crate::gateway::splice::MaximumField;

static RESPONSE: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (
            Rule::Read,
            &[
                "model",
                "input",
                "max_output_tokens",
                "stream",
                "tools",
                "modalities",
                "service_tier",
                "n",
                "best_of",
                "background",
                "store",
                "instructions",
            ],
        ),
        (Rule::Guard, &["include"]),
        // The conversation so far: its tokens are input again.
        (Rule::Object, &["previous_response_id"]),
        (Rule::Unbounded, table::UNBOUNDED),
        (Rule::Refuse(Why::Redirect), table::REDIRECTS),
        (Rule::Refuse(Why::OtherModel), table::OTHER_MODELS),
        (Rule::Refuse(Why::Shared), table::SHARED),
        // A template that is stored at the upstream.
        (Rule::Refuse(Why::Shared), &["prompt"]),
        (Rule::Refuse(Why::Builtin), table::BUILTINS),
        (Rule::Refuse(Why::Audio), &["audio"]),
        (Rule::Refuse(Why::Maximum), table::MAXIMA),
        (
            Rule::Refuse(Why::Maximum),
            &["max_tokens", "max_completion_tokens"],
        ),
        (Rule::Refuse(Why::Count), table::COUNTS),
        (Rule::Refuse(Why::Input), &["messages", "inputs"]),
    ])
});

/// Reads a request for a response.
pub(super) fn peek(body: &str) -> Result<TextRequest<'_>, BadRequest> {
    let pass = Pass::new(body);
    let mut response = Response::default();
    walk(&pass, &mut response)?;
    response.common.named()?;
    let stored = response.stored.unwrap_or(true);
    if response.background && !stored {
        return Err(BadRequest::at(
            "store",
            "store must not be false with background: the answer is fetched from where it is stored.",
        ));
    }
    let extent = Extent {
        choices: 1,
        extra_output: 0,
        maximum: Some(MaximumField::MaxOutputTokens),
        input: response.input,
    };
    let request = response.common.finish(&pass, extent)?;
    Ok(TextRequest {
        stored,
        background: response.background,
        ..request
    })
}

/// What has been read so far.
#[derive(Default)]
struct Response<'b> {
    common: Generation<'b>,
    background: bool,
    stored: Option<bool>,
    input: InputSize,
}

impl<'b> Members<'b> for Response<'b> {
    fn table() -> &'static Table {
        &RESPONSE
    }

    fn read<A: MapAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        if name == "tools" {
            let elements = &mut Tools {
                input: &mut self.input,
            };
            return map.next_value_seed(Array { pass, at, elements });
        }
        self.read_text(pass, at, name, map)
    }

    fn value(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        raw: &'b RawValue,
    ) -> Result<(), BadRequest> {
        match (name, raw.get().as_bytes()) {
            ("input", [b'"', ..] | b"null") => Ok(()),
            ("input", [b'[', ..]) => {
                let elements = &mut Items {
                    input: &mut self.input,
                };
                pass.parse(raw.get(), Array { pass, at, elements })
            }
            ("input", _) => Err(BadRequest::at(
                "input",
                "input must be a string or an array of items.",
            )),
            // Items there would be input that nobody looks through.
            ("instructions", _) => scalar::text(raw, at).map(drop),
            ("modalities", _) => {
                let elements = &mut Modalities;
                pass.parse(raw.get(), Array { pass, at, elements })
            }
            ("n" | "best_of", _) => scalar::one(raw, at),
            ("background", _) => {
                self.background = scalar::boolean(raw, at)?.unwrap_or(false);
                Ok(())
            }
            ("store", _) => {
                self.stored = scalar::boolean(raw, at)?;
                Ok(())
            }
            _ => self.common.value(pass, at, name, raw),
        }
    }

    fn unbounded(&mut self) {
        self.input.unbounded = true;
    }
}
