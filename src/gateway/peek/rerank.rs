//! The body of a request to put documents in order, member by member.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::array::{Array, Elements};
use super::at::At;
use super::table::{self, Rule, Table, Why};
use super::walk::{Members, Object, Pass, walk};
use super::{BadRequest, InputRequest, InputSize, scalar};
use crate::gateway::splice::{Layout, Span};

static RERANK: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (
            Rule::Read,
            &[
                "model",
                "query",
                "documents",
                "instruct",
                "instruction",
                "service_tier",
                "stream",
            ],
        ),
        (Rule::Guard, &["top_n", "top_k", "return_documents"]),
        (Rule::Unbounded, table::UNBOUNDED),
        (Rule::Refuse(Why::Redirect), table::REDIRECTS),
        (Rule::Refuse(Why::OtherModel), table::OTHER_MODELS),
        (Rule::Refuse(Why::Shared), table::SHARED),
        (Rule::Refuse(Why::Shared), &["previous_response_id"]),
        (Rule::Refuse(Why::Background), &["background"]),
        (Rule::Refuse(Why::Builtin), table::BUILTINS),
        (
            Rule::Refuse(Why::Documents),
            &["input", "inputs", "items", "messages", "passages", "texts"],
        ),
    ])
});

/// Reads a request to put documents in order.
pub(super) fn peek(body: &str) -> Result<InputRequest<'_>, BadRequest> {
    let pass = Pass::new(body);
    let mut rerank = Rerank::default();
    walk(&pass, &mut rerank)?;
    let (model, model_span) = rerank.model.ok_or_else(scalar::no_model)?;
    if rerank.input.prompts == 0 {
        return Err(BadRequest::at(
            "documents",
            "documents is missing or empty: send an array of texts.",
        ));
    }
    Ok(InputRequest {
        model,
        objects: pass.objects(),
        input: InputSize {
            body_bytes: pass.body_bytes(),
            ..rerank.input
        },
        layout: Layout::of_model(pass.first_member(), model_span),
    })
}

/// What has been read so far. The query is read with each document.
#[derive(Default)]
struct Rerank<'b> {
    model: Option<(Cow<'b, str>, Span)>,
    input: InputSize,
}

impl<'b> Members<'b> for Rerank<'b> {
    fn table() -> &'static Table {
        &RERANK
    }

    fn read<A: MapAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        if name == "documents" {
            let elements = &mut Documents {
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
        match name {
            "model" => self.model = Some((scalar::model(raw, at)?, pass.span(raw))),
            "service_tier" => scalar::service_tier(raw, at)?,
            "stream" if scalar::boolean(raw, at)? == Some(true) => {
                return Err(BadRequest::at(
                    "stream",
                    "stream is not served here: leave it out, the order comes in one answer.",
                ));
            }
            "stream" => {}
            _ => {
                let bytes = raw.get().len() as u64;
                self.input.shared_bytes = self.input.shared_bytes.saturating_add(bytes);
                self.input.unbounded |= raw.get().starts_with(['{', '[']);
            }
        }
        Ok(())
    }

    fn unbounded(&mut self) {
        self.input.unbounded = true;
    }
}

/// The documents: texts, or objects with a text.
struct Documents<'i> {
    input: &'i mut InputSize,
}

impl<'b> Elements<'b> for Documents<'_> {
    const EXPECTED: &'static str = "an array of texts";
    type Element = &'b RawValue;

    fn take(&mut self, pass: &Pass<'b>, at: At<'_>, raw: &'b RawValue) -> Result<(), BadRequest> {
        match raw.get().as_bytes() {
            [b'"', ..] => {}
            [b'{', ..] => {
                let members = &mut Document {
                    input: &mut *self.input,
                };
                pass.parse(raw.get(), Object { pass, at, members })?;
            }
            _ => {
                return Err(BadRequest::at(
                    at.to_string(),
                    format!("{at} must be a string, or an object with a text."),
                ));
            }
        }
        self.input.prompts = self.input.prompts.saturating_add(1);
        Ok(())
    }
}

static DOCUMENT: LazyLock<Table> = LazyLock::new(|| Table::new(&[(Rule::Guard, &["text"])]));

/// One document as an object: whatever is not its text may be a picture.
struct Document<'i> {
    input: &'i mut InputSize,
}

impl<'b> Members<'b> for Document<'_> {
    fn table() -> &'static Table {
        &DOCUMENT
    }

    fn unknown(&mut self) {
        self.input.unbounded = true;
    }
}
