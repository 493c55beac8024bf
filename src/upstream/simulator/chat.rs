//! The simulator's `/chat/completions`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::said::{CHOICES_MAX, Form, Shape, StreamOptions, range};
use super::talk::{By, Content, Talk, Turn};
use super::tools::{ToolChoice, functions};
use super::{Answer, Plan, Refused, parse, text};

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

/// Answers one chat.
pub(super) fn answer(body: &[u8], plan: &Plan) -> Result<Answer, Refused> {
    let request: Request<'_> = parse(body)?;
    let options = request.stream_options.as_ref();
    let form = Form {
        shape: Shape::Chat,
        stream: request.stream == Some(true),
        include_usage: options.and_then(|options| options.include_usage) == Some(true),
    };
    let messages = request.messages.filter(|all| !all.is_empty());
    let messages = messages.ok_or_else(|| Refused::missing("messages"))?;
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
    let talk = Talk {
        turns: messages.iter().map(Message::turn).collect(),
        tools_tokens: request.tools.map_or(0, |raw| text::count(raw.get())),
        functions: functions(request.tools)?,
        tool_choice: request.tool_choice,
    };
    talk.say(n, limit, plan)?.answer(&form, plan)
}

impl Message<'_> {
    fn turn(&self) -> Turn {
        let by = match self.role.as_str() {
            "user" => By::User,
            "tool" => By::Result,
            _ => By::Other,
        };
        let calls = self.tool_calls.map_or(0, |raw| text::count(raw.get()));
        Turn::new(by, &self.role, self.content.as_ref(), calls)
    }
}
