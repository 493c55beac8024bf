//! A conversation, whichever API it came by: what is asked, what it counts as, and what is said to it.

use serde::Deserialize;
use serde_json::Value;

use super::said::{Call, Choice, Said, Usage};
use super::tools::{self, Function, ToolChoice};
use super::{Plan, Refused, text};

/// Around each message, and before the answer, as chat templates do.
const TOKENS_PER_MESSAGE: u64 = 3;
pub(super) const TOKENS_PER_IMAGE: u64 = 85;

/// A conversation up to the answer.
pub(super) struct Talk {
    pub(super) turns: Vec<Turn>,
    /// What the description of the tools counts as.
    pub(super) tools_tokens: u64,
    /// Those that may be called.
    pub(super) functions: Vec<Function>,
    pub(super) tool_choice: Option<ToolChoice>,
}

/// One message.
pub(super) struct Turn {
    by: By,
    text: String,
    tokens: u64,
}

/// Whose a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// What is asked.
    User,
    /// What a function gave.
    Result,
    /// The model's, or the operator's.
    Other,
}

/// What a message holds, in all APIs.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of a message. Functions' calls and results are parts in some APIs.
#[derive(Deserialize)]
pub(super) struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    content: Option<Content>,
    input: Option<Value>,
}

impl Talk {
    /// What the conversation counts as.
    pub(super) fn tokens(&self) -> u64 {
        let turns = self.turns.iter().map(|turn| turn.tokens);
        turns.fold(TOKENS_PER_MESSAGE + self.tools_tokens, u64::saturating_add)
    }

    /// Works out the choices and their usage.
    pub(super) fn say(&self, n: u64, limit: u64, plan: &Plan) -> Result<Said, Refused> {
        let result = self.turns.last().filter(|turn| turn.by == By::Result);
        let asked = result.or_else(|| self.turns.iter().rev().find(|turn| turn.by == By::User));
        let asked = asked.or(self.turns.last());
        let prompt = asked.map_or("", |turn| turn.text.as_str());
        let call = match result {
            Some(_) => None,
            None => tools::chosen(&self.functions, self.tool_choice.as_ref(), prompt)?,
        };
        let choices: Vec<Choice> = (0..n)
            .map(|choice| match &call {
                None => Choice::new(&text::reply(&plan.model, prompt, choice), limit),
                Some((name, arguments)) => {
                    Choice::calling(Call::new(plan, name, choice), arguments, limit)
                }
            })
            .collect();
        let output = choices.iter().map(Choice::tokens).sum();
        Ok(Said {
            usage: Usage::report(self.tokens(), output, plan.fault),
            choices,
        })
    }
}

impl Turn {
    /// A message whose content counts as `more` beside its text and images.
    pub(super) fn new(by: By, role: &str, content: Option<&Content>, more: u64) -> Self {
        let text = content.map_or_else(String::new, Content::text);
        let images = content.map_or(0, Content::images);
        let tokens = TOKENS_PER_MESSAGE
            .saturating_add(text::count(role))
            .saturating_add(text::count(&text))
            .saturating_add(more)
            .saturating_add(TOKENS_PER_IMAGE.saturating_mul(images));
        Turn { by, text, tokens }
    }
}

impl Content {
    /// The text, without images.
    pub(super) fn text(&self) -> String {
        match self {
            Content::Text(text) => text.clone(),
            Content::Parts(parts) => {
                let texts: Vec<String> = parts.iter().filter_map(Part::text).collect();
                texts.join(" ")
            }
        }
    }

    /// How many images there are.
    pub(super) fn images(&self) -> u64 {
        match self {
            Content::Text(_) => 0,
            Content::Parts(parts) => parts.iter().map(Part::images).sum(),
        }
    }

    /// What the calls in it count as.
    pub(super) fn calls_tokens(&self) -> u64 {
        match self {
            Content::Text(_) => 0,
            Content::Parts(parts) => {
                let inputs = parts.iter().filter_map(|part| part.input.as_ref());
                inputs.map(|input| text::count(&input.to_string())).sum()
            }
        }
    }

    /// Whether a function's result is in it.
    pub(super) fn has_result(&self) -> bool {
        matches!(self, Content::Parts(parts) if parts.iter().any(|part| part.kind == "tool_result"))
    }
}

impl Part {
    fn text(&self) -> Option<String> {
        let nested = || self.content.as_ref().map(Content::text);
        self.text.clone().or_else(nested)
    }

    fn images(&self) -> u64 {
        let is_image = matches!(self.kind.as_str(), "image_url" | "input_image" | "image");
        u64::from(is_image) + self.content.as_ref().map_or(0, Content::images)
    }
}
