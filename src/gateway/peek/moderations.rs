//! The body of a request for a moderation, member by member.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::value::RawValue;

use super::array::{Array, Elements};
use super::at::At;
use super::content::part;
use super::table::{self, Rule, Table, Why};
use super::walk::{Members, Pass, walk};
use super::{BadRequest, InputRequest, InputSize, scalar};
use crate::gateway::splice::{Layout, Span};

static MODERATION: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (Rule::Read, &["model", "input"]),
        (Rule::Unbounded, table::UNBOUNDED),
        (Rule::Refuse(Why::Redirect), table::REDIRECTS),
        (Rule::Refuse(Why::OtherModel), table::OTHER_MODELS),
        (Rule::Refuse(Why::Shared), table::SHARED),
        (Rule::Refuse(Why::Shared), &["previous_response_id"]),
        (Rule::Refuse(Why::Background), &["background"]),
        (Rule::Refuse(Why::Builtin), table::BUILTINS),
        (Rule::Refuse(Why::Input), &["inputs", "messages", "prompt"]),
    ])
});

/// Reads a request for a moderation.
pub(super) fn peek(body: &str) -> Result<InputRequest<'_>, BadRequest> {
    let pass = Pass::new(body);
    let mut moderation = Moderation::default();
    walk(&pass, &mut moderation)?;
    let (model, model_span) = moderation.model.ok_or_else(scalar::no_model)?;
    Ok(InputRequest {
        model,
        objects: pass.objects(),
        input: InputSize {
            body_bytes: pass.body_bytes(),
            ..moderation.input
        },
        layout: Layout::of_model(pass.first_member(), model_span),
    })
}

/// What has been read so far.
#[derive(Default)]
struct Moderation<'b> {
    model: Option<(Cow<'b, str>, Span)>,
    input: InputSize,
}

impl<'b> Members<'b> for Moderation<'b> {
    fn table() -> &'static Table {
        &MODERATION
    }

    fn value(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        raw: &'b RawValue,
    ) -> Result<(), BadRequest> {
        match (name, raw.get().as_bytes()) {
            ("model", _) => scalar::model(raw, at).map(|model| {
                self.model = Some((model, pass.span(raw)));
            }),
            (_, [b'[', ..]) => {
                let elements = &mut Inputs {
                    input: &mut self.input,
                };
                pass.parse(raw.get(), Array { pass, at, elements })
            }
            (_, [b'"', ..] | b"null") => Ok(()),
            _ => Err(BadRequest::at(
                "input",
                "input must be a string, an array of strings, or an array of parts.",
            )),
        }
    }

    fn unbounded(&mut self) {
        self.input.unbounded = true;
    }
}

/// Texts, or parts of texts and images.
struct Inputs<'i> {
    input: &'i mut InputSize,
}

impl<'b> Elements<'b> for Inputs<'_> {
    const EXPECTED: &'static str = "an array of texts";
    type Element = &'b RawValue;

    fn take(&mut self, pass: &Pass<'b>, at: At<'_>, raw: &'b RawValue) -> Result<(), BadRequest> {
        if !raw.get().starts_with('"') {
            part(pass, at, raw, self.input)?;
        }
        // Each is read in a context of its own.
        self.input.prompts = self.input.prompts.saturating_add(1);
        Ok(())
    }
}
