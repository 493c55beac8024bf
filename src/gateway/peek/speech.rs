//! The body of a request for speech, member by member.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::value::RawValue;

use super::at::At;
use super::table::{self, Rule, Table, Why};
use super::walk::{Members, Object, Pass, walk};
use super::{BadRequest, InputSize, SpeechRequest, scalar};
use crate::gateway::splice::{Layout, Span};

static SPEECH: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (
            Rule::Read,
            &["model", "input", "voice", "service_tier", "stream", "n"],
        ),
        (Rule::Guard, &["instructions", "stream_format"]),
        (Rule::Unbounded, table::UNBOUNDED),
        (Rule::Refuse(Why::Redirect), table::REDIRECTS),
        (Rule::Refuse(Why::OtherModel), table::OTHER_MODELS),
        (Rule::Refuse(Why::Shared), table::SHARED),
        (Rule::Refuse(Why::Shared), &["previous_response_id"]),
        (Rule::Refuse(Why::Background), &["background"]),
        (Rule::Refuse(Why::Builtin), table::BUILTINS),
        (
            Rule::Refuse(Why::Input),
            &["inputs", "messages", "prompt", "ssml", "text", "texts"],
        ),
    ])
});

/// Reads a request for speech.
pub(super) fn peek(body: &str) -> Result<SpeechRequest<'_>, BadRequest> {
    let pass = Pass::new(body);
    let mut speech = Speech::default();
    walk(&pass, &mut speech)?;
    let (model, model_span) = speech.model.ok_or_else(scalar::no_model)?;
    let characters = speech.characters.ok_or_else(|| {
        BadRequest::at("input", "input is missing: send the text that is spoken.")
    })?;
    Ok(SpeechRequest {
        model,
        characters,
        input: InputSize {
            body_bytes: pass.body_bytes(),
            ..speech.input
        },
        layout: Layout::of_model(pass.first_member(), model_span),
    })
}

/// What has been read so far.
#[derive(Default)]
struct Speech<'b> {
    model: Option<(Cow<'b, str>, Span)>,
    characters: Option<u64>,
    input: InputSize,
}

impl<'b> Members<'b> for Speech<'b> {
    fn table() -> &'static Table {
        &SPEECH
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
            "input" => {
                let text = scalar::text(raw, at)?;
                self.characters = text.map(|text| text.chars().count() as u64);
            }
            // A voice is named by a word; one that was made of somebody's own is an object with its id.
            "voice" if raw.get().starts_with('{') => {
                let members = &mut Voice;
                pass.parse(raw.get(), Object { pass, at, members })?;
            }
            "service_tier" => scalar::service_tier(raw, at)?,
            "stream" => drop(scalar::boolean(raw, at)?),
            "n" => scalar::one(raw, at)?,
            _ => {}
        }
        Ok(())
    }

    fn unbounded(&mut self) {
        self.input.unbounded = true;
    }
}

static VOICE: LazyLock<Table> =
    LazyLock::new(|| Table::new(&[(Rule::Refuse(Why::Shared), &["id", "voice_id"])]));

/// A voice as an object.
struct Voice;

impl<'b> Members<'b> for Voice {
    fn table() -> &'static Table {
        &VOICE
    }
}
