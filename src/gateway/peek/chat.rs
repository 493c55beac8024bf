//! The body of a chat completion, member by member.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::content::Messages;
use super::options::stream_options;
use super::table::{self, Rule, Table, Why};
use super::tools::{Modalities, Tools};
use super::walk::{Array, At, Members, Pass, walk};
use super::{BadRequest, ChatRequest, InputSize, N_MAX, scalar};
use crate::gateway::splice::{Layout, Maximum, Span, StreamOptions};

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
        (Rule::Unbounded, UNBOUNDED),
        (Rule::Refuse(Why::Redirect), table::REDIRECTS),
        (Rule::Refuse(Why::OtherModel), table::OTHER_MODELS),
        (Rule::Refuse(Why::Shared), table::SHARED),
        (Rule::Refuse(Why::Background), &["background"]),
        (Rule::Refuse(Why::Builtin), table::BUILTINS),
        (Rule::Refuse(Why::Audio), &["audio"]),
        (Rule::Refuse(Why::Maximum), MAXIMA),
        (Rule::Refuse(Why::Count), COUNTS),
    ])
});

/// What makes a prompt longer than the body, or adds to it what is not in the body.
const UNBOUNDED: &[&str] = &[
    "chat_template",
    "mm_processor_kwargs",
    "media_io_kwargs",
    "attachments",
    "files",
    "image",
    "images",
    "video",
    "videos",
];

/// What some server or other reads in the place of `max_tokens`.
const MAXIMA: &[&str] = &[
    "n_predict",
    "num_predict",
    "max_new_tokens",
    "max_output_tokens",
    "max_gen_tokens",
    "max_gen_len",
    "max_length",
    "max_decode_tokens",
    "max_tokens_to_sample",
];

/// What some server or other reads in the place of `n`.
const COUNTS: &[&str] = &[
    "n_cmpl",
    "num_return_sequences",
    "num_completions",
    "num_generations",
    "candidate_count",
];

/// Reads a chat request.
pub(super) fn peek(body: &str) -> Result<ChatRequest<'_>, BadRequest> {
    let pass = Pass::new(body);
    let mut chat = Chat::default();
    walk(&pass, &mut chat)?;
    let (model, model_span) = chat.model.ok_or_else(scalar::no_model)?;
    if !chat.has_messages {
        return Err(BadRequest::at(
            "messages",
            "messages is missing: send an array of messages.",
        ));
    }
    Ok(ChatRequest {
        model,
        n: chat.n.unwrap_or(1),
        stream: chat.stream,
        include_usage: chat.include_usage,
        input: InputSize {
            body_bytes: pass.body_bytes(),
            ..chat.input
        },
        prediction_bytes: chat.prediction_bytes,
        layout: Layout {
            first_member: pass.first_member(),
            model: model_span,
            max_tokens: chat.max_tokens,
            max_completion_tokens: chat.max_completion_tokens,
            stream_options: chat.stream_options,
        },
    })
}

/// What has been read so far.
#[derive(Default)]
struct Chat<'b> {
    model: Option<(Cow<'b, str>, Span)>,
    has_messages: bool,
    n: Option<u64>,
    stream: bool,
    stream_options: StreamOptions,
    include_usage: Option<bool>,
    max_tokens: Option<Maximum>,
    max_completion_tokens: Option<Maximum>,
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
        let at = At::Member(&at, name);
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
                let elements = &mut Tools;
                map.next_value_seed(Array { pass, at, elements })
            }
            _ => {
                let raw = map.next_value::<&'b RawValue>()?;
                self.value(pass, at, name, raw)
                    .map_err(|refusal| pass.refuse(refusal))
            }
        }
    }

    fn unbounded(&mut self) {
        self.input.unbounded = true;
    }
}

impl<'b> Chat<'b> {
    fn value(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        raw: &'b RawValue,
    ) -> Result<(), BadRequest> {
        let span = pass.span(raw);
        match name {
            "model" => self.model = Some((scalar::model(raw, at)?, span)),
            "n" => self.n = scalar::positive(raw, at, N_MAX)?,
            "best_of" => best_of(raw, at)?,
            "max_tokens" => self.max_tokens = Some(maximum(raw, at, span)?),
            "max_completion_tokens" => {
                self.max_completion_tokens = Some(maximum(raw, at, span)?);
            }
            "stream" => self.stream = scalar::boolean(raw, at)?.unwrap_or(false),
            "stream_options" => {
                (self.stream_options, self.include_usage) = stream_options(pass, at, raw)?;
            }
            "prediction" if raw.get() != "null" => self.prediction_bytes = raw.get().len() as u64,
            "modalities" => {
                let elements = &mut Modalities;
                pass.parse(raw.get(), Array { pass, at, elements })?;
            }
            "service_tier" => scalar::service_tier(raw, at)?,
            _ => {}
        }
        Ok(())
    }
}

fn maximum(raw: &RawValue, at: At<'_>, span: Span) -> Result<Maximum, BadRequest> {
    let tokens = scalar::positive(raw, at, u64::MAX)?;
    Ok(Maximum { span, tokens })
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
