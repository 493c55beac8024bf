//! The body of a request for embeddings, member by member.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::value::RawValue;

use super::at::At;
use super::prompts;
use super::table::{self, Rule, Table, Why};
use super::walk::{Members, Pass, walk};
use super::{BadRequest, InputRequest, InputSize, scalar};
use crate::gateway::splice::{Layout, Span};

static EMBEDDING: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (
            Rule::Read,
            &[
                "model",
                "input",
                "instruct",
                "instruction",
                "stream",
                "service_tier",
            ],
        ),
        (Rule::Unbounded, table::UNBOUNDED),
        // The name of a text that the server puts before every input.
        (Rule::Unbounded, &["prompt_name"]),
        (Rule::Refuse(Why::Redirect), table::REDIRECTS),
        (Rule::Refuse(Why::OtherModel), table::OTHER_MODELS),
        (Rule::Refuse(Why::Shared), table::SHARED),
        (Rule::Refuse(Why::Shared), &["previous_response_id"]),
        (Rule::Refuse(Why::Background), &["background"]),
        (Rule::Refuse(Why::Builtin), table::BUILTINS),
        (Rule::Refuse(Why::Audio), &["audio"]),
        (Rule::Refuse(Why::Input), INPUTS),
    ])
});

/// What some server or other reads in the place of `input`.
const INPUTS: &[&str] = &[
    "content",
    "contents",
    "input_ids",
    "inputs",
    "messages",
    "prompt",
    "requests",
    "texts",
];

/// Reads a request for embeddings.
pub(super) fn peek(body: &str) -> Result<InputRequest<'_>, BadRequest> {
    let pass = Pass::new(body);
    let mut embedding = Embedding::default();
    walk(&pass, &mut embedding)?;
    let (model, model_span) = embedding.model.ok_or_else(scalar::no_model)?;
    if embedding.input.prompts == 0 {
        return Err(BadRequest::at(
            "input",
            "input is missing or empty: send a string, an array of strings, or token ids.",
        ));
    }
    Ok(InputRequest {
        model,
        objects: pass.objects(),
        input: InputSize {
            body_bytes: pass.body_bytes(),
            ..embedding.input
        },
        layout: Layout::of_model(pass.first_member(), model_span),
    })
}

/// What has been read so far.
#[derive(Default)]
struct Embedding<'b> {
    model: Option<(Cow<'b, str>, Span)>,
    input: InputSize,
}

impl<'b> Members<'b> for Embedding<'b> {
    fn table() -> &'static Table {
        &EMBEDDING
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
            "input" => self.input.prompts = prompts::count(pass, at, raw)?,
            "instruct" | "instruction" => {
                let bytes = raw.get().len() as u64;
                self.input.shared_bytes = self.input.shared_bytes.saturating_add(bytes);
            }
            "stream" if scalar::boolean(raw, at)? == Some(true) => {
                return Err(BadRequest::at(
                    name,
                    "stream is not served for embeddings: leave it out, they come in one answer.",
                ));
            }
            "service_tier" => scalar::service_tier(raw, at)?,
            _ => {}
        }
        Ok(())
    }

    fn unbounded(&mut self) {
        self.input.unbounded = true;
    }
}
