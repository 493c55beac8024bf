//! The form of a request that turns speech into text.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::form::{Fields, boolean, walk, word};
use super::table::{self, Rule, Table, Why};
use super::{AudioRequest, BadRequest, Editable, scalar};
use crate::gateway::multipart::{Form, Part};

static AUDIO: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (
            Rule::Read,
            &["model", "file", "stream", "response_format", "service_tier"],
        ),
        (
            Rule::Guard,
            &[
                "language",
                "prompt",
                "temperature",
                "timestamp_granularities",
                "include",
                "chunking_strategy",
            ],
        ),
        (Rule::Unbounded, &["url", "file_url"]),
        (Rule::Refuse(Why::Redirect), table::REDIRECTS),
        (Rule::Refuse(Why::OtherModel), table::OTHER_MODELS),
        (Rule::Refuse(Why::Shared), table::SHARED),
        (Rule::Refuse(Why::Background), &["background"]),
    ])
});

/// Reads a form.
pub(super) fn peek(form: Form<'_>) -> Result<AudioRequest<'_>, BadRequest> {
    let mut audio = Audio::default();
    walk(&form, &mut audio)?;
    let (model, part) = audio.model.ok_or_else(scalar::no_model)?;
    if audio.file.is_none() && !audio.is_linked {
        return Err(BadRequest::at(
            "file",
            "file is missing: send the recording.",
        ));
    }
    Ok(AudioRequest {
        model: Cow::Borrowed(model),
        // Which of two counts is the upstream's to say.
        file: audio
            .file
            .filter(|_| !audio.is_linked)
            .map(|file| file.value),
        stream: audio.stream,
        edit: Editable::Form(form, part),
    })
}

/// What has been read so far.
#[derive(Default)]
struct Audio<'b> {
    model: Option<(&'b str, Part<'b>)>,
    file: Option<Part<'b>>,
    is_linked: bool,
    stream: bool,
}

impl<'b> Fields<'b> for Audio<'b> {
    const REPEATABLE: &'static [&'static str] = &[
        "timestamp_granularities[]",
        "include[]",
        "known_speaker_names[]",
        "known_speaker_references[]",
    ];

    fn table() -> &'static Table {
        &AUDIO
    }

    fn read(
        &mut self,
        form: &Form<'b>,
        part: &Part<'b>,
        name: &'static str,
    ) -> Result<(), BadRequest> {
        match name {
            "model" => self.model = Some((scalar::model_name(form.text(part)?)?, *part)),
            "file" => self.file = Some(*part),
            "stream" => self.stream = boolean(form, part)?,
            "response_format" => drop(word(form, part)?),
            _ => scalar::tier(form.text(part)?, name)?,
        }
        Ok(())
    }

    fn unbounded(&mut self) {
        self.is_linked = true;
    }
}
