//! The body of a chat completion, member by member.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::content::Messages;
use super::table::{Rule, Table, Why};
use super::walk::{Array, At, Elements, Members, Object, Pass, walk};
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
        (Rule::Refuse(Why::Redirect), super::table::REDIRECTS),
        (Rule::Refuse(Why::OtherModel), super::table::OTHER_MODELS),
        (Rule::Refuse(Why::Shared), super::table::SHARED),
        (Rule::Refuse(Why::Background), &["background"]),
        (Rule::Refuse(Why::Builtin), super::table::BUILTINS),
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

static STREAM_OPTIONS: LazyLock<Table> =
    LazyLock::new(|| Table::new(&[(Rule::Read, &["include_usage"])]));

static TOOL: LazyLock<Table> = LazyLock::new(|| Table::new(&[(Rule::Read, &["type", "function"])]));

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
        include_usage: chat.options.include_usage,
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
            stream_options: chat.options.layout(),
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
    options: Options,
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
                self.options.span = Some(span);
                self.options.null = raw.get() == "null";
                if !self.options.null {
                    let members = &mut self.options;
                    pass.parse(raw.get(), Object { pass, at, members })?;
                }
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

/// `stream_options`.
#[derive(Default)]
struct Options {
    span: Option<Span>,
    null: bool,
    /// Whether it has members.
    filled: bool,
    include_usage: Option<bool>,
    include_usage_span: Option<Span>,
}

impl Options {
    fn layout(&self) -> StreamOptions {
        match self.span {
            None => StreamOptions::Absent,
            Some(span) if self.null => StreamOptions::Null(span),
            Some(span) => StreamOptions::Object {
                first_member: span.start + 1,
                empty: !self.filled,
                include_usage: self.include_usage_span,
            },
        }
    }
}

impl<'b> Members<'b> for Options {
    fn table() -> &'static Table {
        &STREAM_OPTIONS
    }

    fn read<A: MapAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        self.filled = true;
        let raw = map.next_value::<&'b RawValue>()?;
        self.include_usage_span = Some(pass.span(raw));
        self.include_usage =
            scalar::boolean(raw, At::Member(&at, name)).map_err(|refusal| pass.refuse(refusal))?;
        Ok(())
    }

    fn unknown(&mut self) {
        self.filled = true;
    }
}

/// `modalities`.
struct Modalities;

impl<'b> Elements<'b> for Modalities {
    const EXPECTED: &'static str = "an array of strings";

    fn next<S: SeqAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        seq: &mut S,
    ) -> Result<Option<()>, S::Error> {
        let Some(raw) = seq.next_element::<&'b RawValue>()? else {
            return Ok(None);
        };
        match scalar::text(raw, at) {
            Ok(Some(modality)) if modality == "text" => Ok(Some(())),
            _ => Err(pass.refuse(BadRequest::at(
                "modalities",
                "modalities must be [\"text\"]: audio and images from a chat have no price here.",
            ))),
        }
    }
}

/// `tools`.
struct Tools;

/// One of `tools`.
#[derive(Default)]
struct Tool<'b> {
    kind: Option<Cow<'b, str>>,
    has_function: bool,
}

impl<'b> Elements<'b> for Tools {
    const EXPECTED: &'static str = "an array of tools";

    fn next<S: SeqAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        seq: &mut S,
    ) -> Result<Option<()>, S::Error> {
        let members = &mut Tool::default();
        if seq
            .next_element_seed(Object { pass, at, members })?
            .is_none()
        {
            return Ok(None);
        }
        match members.kind.as_deref() {
            Some("function" | "custom") => Ok(Some(())),
            None if members.has_function => Ok(Some(())),
            _ => {
                let at = At::Member(&at, "type");
                Err(pass.refuse(BadRequest::at(
                    at.to_string(),
                    format!("{at} must be function or custom: built-in tools have no price here."),
                )))
            }
        }
    }
}

impl<'b> Members<'b> for Tool<'b> {
    fn table() -> &'static Table {
        &TOOL
    }

    fn read<A: MapAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let raw = map.next_value::<&'b RawValue>()?;
        match name {
            "type" => {
                self.kind = scalar::text(raw, At::Member(&at, name))
                    .map_err(|refusal| pass.refuse(refusal))?;
            }
            _ => self.has_function = raw.get().starts_with('{'),
        }
        Ok(())
    }
}
