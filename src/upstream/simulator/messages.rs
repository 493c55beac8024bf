//! The simulator's `/messages`: Anthropic's API.

mod form;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::said::range;
use super::talk::{By, Content, Talk, Turn};
use super::tools::{ToolChoice, functions};
use super::{Answer, Fault, Plan, Refused, parse, text};
use form::Form;

#[derive(Deserialize)]
struct Request<'a> {
    messages: Option<Vec<Message>>,
    system: Option<Content>,
    max_tokens: Option<i64>,
    stream: Option<bool>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    tool_choice: Option<ToolChoice>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Content,
}

/// Answers one request for a message.
pub(super) fn answer(body: &[u8], plan: &Plan) -> Result<Answer, Refused> {
    let request: Request<'_> = parse(body)?;
    let stream = request.stream == Some(true) && plan.fault != Some(Fault::Json);
    let maximum = range("max_tokens", request.max_tokens, i64::MAX)?;
    let missing = || Refused::bad("max_tokens: Field required".to_owned(), Some("max_tokens"));
    let maximum = maximum.ok_or_else(missing)?;
    let said = talk(request)?.say(1, maximum, plan)?;
    let form = Form::new(&said, plan);
    match stream {
        true => Ok(Answer::Events(form.events())),
        false => plan.document(&form.whole()),
    }
}

/// How many tokens the input of a request has.
pub(super) fn input_tokens(body: &[u8]) -> Result<u64, Refused> {
    Ok(talk(parse(body)?)?.tokens())
}

fn talk(request: Request<'_>) -> Result<Talk, Refused> {
    let messages = request.messages.filter(|all| !all.is_empty());
    let messages = messages.ok_or_else(|| Refused::missing("messages"))?;
    let system = request.system.as_ref();
    let system = system.map(|content| Turn::new(By::Other, "system", Some(content), 0));
    Ok(Talk {
        turns: system
            .into_iter()
            .chain(messages.iter().map(Message::turn))
            .collect(),
        tools_tokens: request.tools.map_or(0, |raw| text::count(raw.get())),
        functions: functions(request.tools)?,
        tool_choice: request.tool_choice,
    })
}

impl Message {
    /// A function's result comes in a message of the user.
    fn turn(&self) -> Turn {
        let by = match self.role.as_str() {
            "user" if self.content.has_result() => By::Result,
            "user" => By::User,
            _ => By::Other,
        };
        let calls = self.content.calls_tokens();
        Turn::new(by, &self.role, Some(&self.content), calls)
    }
}
