//! Counts what messages carry, in whichever vendor's words: texts, images, calls of tools and their results.
//!
//! A block is read by the members that it has, each counted once. What the model never reads is not among them:
//! ids, signatures, encrypted reasoning, padding. Inline data is a medium, never text.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::images::{Detail, ImageRule};
use super::{Counter, Tokenizer};
use crate::usage::elements::elements;
use crate::usage::transcript::{Transcript, unescape};
use crate::vocabulary::Vocabulary;

/// Blocks nested deeper are counted as the text that is in them.
const DEPTH_MAX: u32 = 8;

/// What one request comes to, growing.
pub(super) struct Tally<'t> {
    counter: Counter<'t>,
    image_tokens_max: u64,
    rule: ImageRule,
    /// Tokens that no text makes: frames and media.
    other: u64,
}

impl<'t> Tally<'t> {
    pub fn new(tokenizer: &'t Tokenizer, rule: ImageRule) -> Self {
        Tally {
            counter: Counter::new(tokenizer),
            image_tokens_max: tokenizer.image_tokens_max,
            rule,
            other: 0,
        }
    }

    /// Whether the vocabulary is one of OpenAI's, whose models read functions as TypeScript.
    pub fn reads_typescript(&self) -> bool {
        matches!(self.counter.vocabulary, Vocabulary::Encoding(_))
    }

    /// The tokens of all.
    pub fn total(&self) -> u64 {
        self.counter.total().saturating_add(self.other)
    }

    /// Adds so many tokens.
    pub fn add(&mut self, tokens: u64) {
        self.other = self.other.saturating_add(tokens);
    }

    /// Adds a plain text.
    pub fn text(&mut self, text: &str) {
        self.counter.add(text);
    }

    /// Adds a string, or the JSON text of anything else.
    pub fn json(&mut self, value: Option<&RawValue>) {
        match value {
            Some(value) if is_string(value) => self.counter.add(&text_of(value)),
            Some(value) => self.counter.add(value.get()),
            None => {}
        }
    }

    /// Adds a string, a block, or an array of both.
    pub fn content(&mut self, value: Option<&RawValue>) {
        self.walk(value, 0);
    }

    fn walk(&mut self, value: Option<&RawValue>, depth: u32) {
        let Some(value) = value else {
            return;
        };
        match value.get().as_bytes() {
            [b'"', ..] => self.counter.add(&text_of(value)),
            [b'[' | b'{', ..] if depth >= DEPTH_MAX => self.counter.add(&text_of(value)),
            [b'[', ..] => {
                elements(value, &mut |element| self.walk(Some(element), depth + 1));
            }
            [b'{', ..] => match serde_json::from_str(value.get()) {
                Ok(block) => self.block(&block, depth + 1),
                // It has a member twice.
                Err(_) => self.counter.add(&text_of(value)),
            },
            _ => {}
        }
    }

    /// Adds a block, or a message that is written like one.
    pub fn block(&mut self, block: &Block<'_>, depth: u32) {
        let kind = block.kind.map(text_of).unwrap_or_default();
        let texts = [block.role, block.name, block.text, block.refusal];
        for text in texts.into_iter().flatten() {
            self.counter.add(&text_of(text));
        }
        // Some vendors send reasoning under two names.
        let reasoning = block.thinking.or(block.reasoning_content);
        if let Some(reasoning) = reasoning.or(block.reasoning) {
            self.counter.add(&text_of(reasoning));
        }
        self.json(block.arguments);
        self.json(block.input);
        let nested = [
            block.content,
            block.summary,
            block.output,
            block.tool_calls,
            block.function_call,
            block.function,
            block.custom,
        ];
        for value in nested {
            self.walk(value, depth);
        }
        self.medium(&kind, block);
    }

    fn medium(&mut self, kind: &str, block: &Block<'_>) {
        let source = block.source.and_then(Source::of);
        if let (Some(source), "document") = (&source, kind) {
            let title = [block.title, block.context];
            title.into_iter().for_each(|text| self.json(text));
            match source.kind.map(text_of).as_deref() {
                Some("text") => return self.json(source.data),
                Some("content") => return self.content(source.content),
                _ => {}
            }
        }
        let is_image = kind.contains("image") || block.image_url.is_some();
        let is_other = matches!(
            kind,
            "document"
                | "file"
                | "input_file"
                | "input_audio"
                | "audio_url"
                | "video_url"
                | "video"
        );
        if is_image {
            let link = block.image_url.and_then(Source::of);
            let detail = link.as_ref().and_then(|link| link.detail).or(block.detail);
            let detail = Detail::of(&detail.map(text_of).unwrap_or_default());
            let data = link
                .or(source)
                .and_then(|source| source.url.or(source.data));
            let tokens = self.rule.tokens(data.map_or("", RawValue::get), detail);
            self.add(tokens.min(self.image_tokens_max));
        } else if is_other {
            self.add(self.image_tokens_max);
        }
    }
}

/// A part of a message, or a message, of any vendor.
#[derive(Deserialize)]
pub(super) struct Block<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub role: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    summary: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function: Option<&'a RawValue>,
    #[serde(borrow, default)]
    custom: Option<&'a RawValue>,
    #[serde(borrow, default)]
    title: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
    #[serde(borrow, default)]
    image_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    source: Option<&'a RawValue>,
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
}

/// Where a medium is: `image_url` as an object, or `source`.
#[derive(Default, Deserialize)]
struct Source<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
}

impl<'a> Source<'a> {
    /// From an object, or the URL alone.
    fn of(value: &'a RawValue) -> Option<Source<'a>> {
        if is_string(value) {
            return Some(Source {
                url: Some(value),
                ..Source::default()
            });
        }
        serde_json::from_str(value.get()).ok()
    }
}

/// A string's text, or the text inside an array or object.
pub(super) fn text_of(value: &RawValue) -> Cow<'_, str> {
    let json = value.get();
    if !is_string(value) {
        return Cow::Owned(Transcript::of(json.as_bytes()).text());
    }
    let inside = &json[1..json.len() - 1];
    if inside.contains('\\') {
        Cow::Owned(unescape(inside.as_bytes()))
    } else {
        Cow::Borrowed(inside)
    }
}

pub(super) fn is_string(value: &RawValue) -> bool {
    value.get().starts_with('"')
}
