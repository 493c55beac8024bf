//! Edits of a JSON body, spliced in between bytes that stay as they came.
//!
//! A body is never printed anew: spacing, key order and number formats reach the upstream as the client wrote them.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use crate::price::MaxTokensField;

const MAX_TOKENS: &str = "max_tokens";
const MAX_COMPLETION_TOKENS: &str = "max_completion_tokens";
const MAX_OUTPUT_TOKENS: &str = "max_output_tokens";

/// The field whose maximum of output tokens an endpoint obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaximumField {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
    /// Either of these two.
    Either,
    /// `max_output_tokens`.
    MaxOutputTokens,
}

impl From<MaxTokensField> for MaximumField {
    fn from(of_chats: MaxTokensField) -> Self {
        match of_chats {
            MaxTokensField::MaxTokens => MaximumField::MaxTokens,
            MaxTokensField::MaxCompletionTokens => MaximumField::MaxCompletionTokens,
            MaxTokensField::Both => MaximumField::Either,
        }
    }
}

/// A range of bytes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// Where the editable parts of a body are. Made by [`super::peek`]; holds for the body that was peeked at only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Just after the opening brace of the body; the object has at least one member.
    pub first_member: usize,
    /// The value of `model`.
    pub model: Span,
    /// The value of `max_tokens`, where there is one.
    pub max_tokens: Option<Maximum>,
    /// The value of `max_completion_tokens`, where there is one.
    pub max_completion_tokens: Option<Maximum>,
    /// The value of `max_output_tokens`, where there is one.
    pub max_output_tokens: Option<Maximum>,
    /// `stream_options`.
    pub stream_options: StreamOptions,
}

impl Layout {
    /// Of a body in which nothing but the model can be edited.
    pub fn of_model(first_member: usize, model: Span) -> Self {
        Layout {
            first_member,
            model,
            max_tokens: None,
            max_completion_tokens: None,
            max_output_tokens: None,
            stream_options: StreamOptions::Absent,
        }
    }

    /// The maxima that the client wrote, with their fields' names.
    pub fn maxima(&self) -> impl Iterator<Item = (&'static str, Maximum)> {
        [
            (MAX_TOKENS, self.max_tokens),
            (MAX_COMPLETION_TOKENS, self.max_completion_tokens),
            (MAX_OUTPUT_TOKENS, self.max_output_tokens),
        ]
        .into_iter()
        .filter_map(|(name, sent)| Some((name, sent?)))
    }

    /// Whether the client set a maximum where `field` says that it is obeyed.
    pub fn is_bounded(&self, field: MaximumField) -> bool {
        let obeyed = |name| match field {
            MaximumField::MaxTokens => name == MAX_TOKENS,
            MaximumField::MaxCompletionTokens => name == MAX_COMPLETION_TOKENS,
            MaximumField::Either => name == MAX_TOKENS || name == MAX_COMPLETION_TOKENS,
            MaximumField::MaxOutputTokens => name == MAX_OUTPUT_TOKENS,
        };
        self.maxima()
            .any(|(name, sent)| sent.tokens.is_some() && obeyed(name))
    }
}

/// A maximum of output tokens that the client wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maximum {
    /// Where.
    pub span: Span,
    /// How much; `None` for a null.
    pub tokens: Option<u64>,
}

/// What the client wrote as `stream_options`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamOptions {
    /// Nothing.
    #[default]
    Absent,
    /// `null`.
    Null(Span),
    /// An object.
    Object {
        /// Just after its opening brace.
        first_member: usize,
        /// Whether it has no members.
        empty: bool,
        /// The value of `include_usage`, where there is one.
        include_usage: Option<Span>,
    },
}

/// What to change in a body. The default changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edits<'e> {
    /// Another name for the model: the upstream's.
    pub model: Option<&'e str>,
    /// Ask for usage at the end of the stream.
    pub include_usage: bool,
    /// Lower the output.
    pub clamp: Option<Clamp>,
}

/// A lower maximum of output tokens, for each choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// How many tokens.
    pub tokens: u64,
    /// The field that must have them.
    pub field: MaximumField,
}

/// An ordered set of edits, applied in one pass.
#[derive(Debug, Default)]
pub struct Splicer<'e> {
    /// Each replaces a span; an empty span inserts. Never overlapping.
    edits: Vec<(Span, Cow<'e, str>)>,
}

/// Applies `edits` to the body that `layout` was made from.
///
/// Nothing to change gives the same bytes without a copy. A client's explicit `include_usage` is overwritten: what it
/// asked for must be kept elsewhere, to be honoured towards it.
///
/// # Panics
/// Never for a `layout` that belongs to `body`; otherwise where a span is outside of it.
pub fn splice(body: &Bytes, layout: &Layout, edits: &Edits<'_>) -> Bytes {
    let mut splicer = Splicer::default();
    if let Some(model) = edits.model {
        splicer.replace(layout.model, json_string(model));
    }
    if edits.include_usage {
        include_usage(&mut splicer, layout);
    }
    if let Some(clamp) = &edits.clamp {
        lower(&mut splicer, layout, clamp);
    }
    splicer.apply(body)
}

impl<'e> Splicer<'e> {
    /// Puts `text` in the place of `span`.
    pub fn replace(&mut self, span: Span, text: impl Into<Cow<'e, str>>) {
        self.edits.push((span, text.into()));
    }

    /// Puts `text` before the byte at `at`. Texts inserted at one place keep the order of their insertion.
    pub fn insert(&mut self, at: usize, text: impl Into<Cow<'e, str>>) {
        self.replace(Span { start: at, end: at }, text);
    }

    /// The body with all edits made; the same bytes, without a copy, where nothing changes.
    ///
    /// # Panics
    /// Where spans overlap or lie outside of `body`.
    pub fn apply(mut self, body: &Bytes) -> Bytes {
        self.edits
            .retain(|(span, text)| body[span.start..span.end] != *text.as_bytes());
        if self.edits.is_empty() {
            return body.clone();
        }
        // Stable, so that insertions at one place stay in order; and they come before what replaces the byte there.
        self.edits.sort_by_key(|(span, _)| (span.start, span.end));
        let added: usize = self.edits.iter().map(|(_, text)| text.len()).sum();
        let mut spliced = BytesMut::with_capacity(body.len() + added);
        let mut kept = 0;
        for (span, text) in &self.edits {
            spliced.extend_from_slice(&body[kept..span.start]);
            spliced.extend_from_slice(text.as_bytes());
            kept = span.end;
        }
        spliced.extend_from_slice(&body[kept..]);
        spliced.freeze()
    }
}

/// Makes `stream_options.include_usage` true.
fn include_usage(splicer: &mut Splicer<'_>, layout: &Layout) {
    match layout.stream_options {
        StreamOptions::Absent => splicer.insert(
            layout.first_member,
            r#""stream_options":{"include_usage":true},"#,
        ),
        StreamOptions::Null(span) => splicer.replace(span, r#"{"include_usage":true}"#),
        StreamOptions::Object {
            include_usage: Some(span),
            ..
        } => splicer.replace(span, "true"),
        StreamOptions::Object {
            first_member,
            empty,
            include_usage: None,
        } => {
            let comma = if empty { "" } else { "," };
            splicer.insert(first_member, format!(r#""include_usage":true{comma}"#));
        }
    }
}

/// Lowers every maximum that the client sent and that is above; writes one where it sent none that is obeyed.
fn lower(splicer: &mut Splicer<'_>, layout: &Layout, clamp: &Clamp) {
    for (_, sent) in layout.maxima() {
        if sent.tokens.is_some_and(|tokens| tokens > clamp.tokens) {
            splicer.replace(sent.span, clamp.tokens.to_string());
        }
    }
    if layout.is_bounded(clamp.field) {
        return;
    }
    let field = match clamp.field {
        MaximumField::MaxTokens | MaximumField::Either => MAX_TOKENS,
        MaximumField::MaxCompletionTokens => MAX_COMPLETION_TOKENS,
        MaximumField::MaxOutputTokens => MAX_OUTPUT_TOKENS,
    };
    // A null must be replaced: a second member of the same name would be a duplicate key.
    let null = layout.maxima().find(|(name, _)| *name == field);
    match null {
        Some((_, null)) => splicer.replace(null.span, clamp.tokens.to_string()),
        None => splicer.insert(
            layout.first_member,
            format!(r#""{field}":{},"#, clamp.tokens),
        ),
    }
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
