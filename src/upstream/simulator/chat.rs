//! The simulator's `/chat/completions`.

mod tools;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::said::{CHOICES_MAX, Call, Choice, Form, Said, Shape, StreamOptions, Usage, range};
use super::{Answer, Plan, Refused, parse, text};
use tools::ToolChoice;

/// Around each message, and before the answer, as chat templates do.
const TOKENS_PER_MESSAGE: u64 = 3;
const TOKENS_PER_IMAGE: u64 = 85;
#[derive(Deserialize)]
struct Request<'a> {
    messages: Option<Vec<Message<'a>>>,
    max_tokens: Option<i64>,
    max_completion_tokens: Option<i64>,
    n: Option<i64>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    tool_choice: Option<ToolChoice>,
}

#[derive(Deserialize)]
struct Message<'a> {
    role: String,
    content: Option<Content>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

/// Answers one chat.
pub(super) fn answer(body: &[u8], plan: &Plan) -> Result<Answer, Refused> {
    let request: Request<'_> = parse(body)?;
    let said = say(&request, plan)?;
    said.answer(&form(&request), plan)
}

fn form(request: &Request<'_>) -> Form {
    let options = request.stream_options.as_ref();
    Form {
        shape: Shape::Chat,
        stream: request.stream == Some(true),
        include_usage: options.and_then(|options| options.include_usage) == Some(true),
    }
}

/// Works out the choices and their usage.
fn say(request: &Request<'_>, plan: &Plan) -> Result<Said, Refused> {
    let messages = request.messages.as_deref().filter(|all| !all.is_empty());
    let messages = messages
        .ok_or_else(|| Refused::bad("you must provide messages".to_owned(), Some("messages")))?;
    let n = range("n", request.n, CHOICES_MAX)?.unwrap_or(1);
    let limits = [
        range("max_tokens", request.max_tokens, i64::MAX)?,
        range(
            "max_completion_tokens",
            request.max_completion_tokens,
            i64::MAX,
        )?,
    ];
    let limit = limits.into_iter().flatten().min().unwrap_or(u64::MAX);
    let tools = tools::parse(request.tools)?;
    let result = messages.last().filter(|message| message.role == "tool");
    let asked = result.or_else(|| messages.iter().rev().find(|message| message.role == "user"));
    let prompt = asked
        .or(messages.last())
        .map_or_else(String::new, Message::text);
    let call = match result {
        Some(_) => None,
        None => tools::chosen(&tools, request.tool_choice.as_ref(), &prompt)?,
    };
    let choices: Vec<Choice> = (0..n)
        .map(|choice| match &call {
            None => Choice::new(&text::reply(&plan.model, &prompt, choice), limit),
            Some((name, arguments)) => {
                Choice::calling(Call::new(plan, name, choice), arguments, limit)
            }
        })
        .collect();
    let of_tools = request.tools.map_or(0, |raw| text::count(raw.get()));
    let input = messages
        .iter()
        .fold(TOKENS_PER_MESSAGE + of_tools, |sum, message| {
            sum + message.tokens()
        });
    let output = choices.iter().map(Choice::tokens).sum();
    Ok(Said {
        usage: Usage::report(input, output, plan.fault),
        choices,
    })
}

impl Message<'_> {
    /// The text of the message, without its images.
    fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                let texts: Vec<&str> = parts
                    .iter()
                    .filter_map(|part| part.text.as_deref())
                    .collect();
                texts.join(" ")
            }
        }
    }

    fn tokens(&self) -> u64 {
        let images = match &self.content {
            Some(Content::Parts(parts)) => {
                parts.iter().filter(|part| part.kind == "image_url").count()
            }
            _ => 0,
        };
        TOKENS_PER_MESSAGE
            + text::count(&self.role)
            + text::count(&self.text())
            + self.tool_calls.map_or(0, |raw| text::count(raw.get()))
            + TOKENS_PER_IMAGE.saturating_mul(images as u64)
    }
}
