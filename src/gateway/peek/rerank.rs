//! The body of a request to put documents in order, member by member.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::at::At;
use super::table::{self, Rule, Table, Why};
use super::walk::{Array, Elements, Members, Object, Pass, walk};
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
        let at = At::Member(&at, name);
        if name == "documents" {
            let elements = &mut Documents {
                input: &mut self.input,
            };
            return map.next_value_seed(Array { pass, at, elements });
        }
        let raw = map.next_value::<&'b RawValue>()?;
        let read = match name {
            "model" => scalar::model(raw, at).map(|model| {
                self.model = Some((model, pass.span(raw)));
            }),
            "service_tier" => scalar::service_tier(raw, at),
            "stream" => match scalar::boolean(raw, at) {
                Ok(Some(true)) => Err(BadRequest::at(
                    "stream",
                    "stream is not served here: leave it out, the order comes in one answer.",
                )),
                read => read.map(drop),
            },
            _ => {
                let bytes = raw.get().len() as u64;
                self.input.shared_bytes = self.input.shared_bytes.saturating_add(bytes);
                self.input.unbounded |= raw.get().starts_with(['{', '[']);
                Ok(())
            }
        };
        read.map_err(|refusal| pass.refuse(refusal))
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

    fn next<S: SeqAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        seq: &mut S,
    ) -> Result<Option<()>, S::Error> {
        let Some(raw) = seq.next_element::<&'b RawValue>()? else {
            return Ok(None);
        };
        let read = match raw.get().as_bytes() {
            [b'"', ..] => Ok(()),
            [b'{', ..] => {
                let members = &mut Document {
                    input: &mut *self.input,
                };
                pass.parse(raw.get(), Object { pass, at, members })
            }
            _ => Err(BadRequest::at(
                at.to_string(),
                format!("{at} must be a string, or an object with a text."),
            )),
        };
        read.map_err(|refusal| pass.refuse(refusal))?;
        self.input.prompts = self.input.prompts.saturating_add(1);
        Ok(Some(()))
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

    fn read<A: MapAccess<'b>>(
        &mut self,
        _pass: &Pass<'b>,
        _at: At<'_>,
        _name: &'static str,
        _map: &mut A,
    ) -> Result<(), A::Error> {
        Ok(())
    }

    fn unknown(&mut self) {
        self.input.unbounded = true;
    }
}
