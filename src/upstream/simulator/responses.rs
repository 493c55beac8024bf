//! The simulator's `/responses`.

mod form;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::said::range;
use super::talk::{By, Content, Talk, Turn};
use super::tools::{ToolChoice, functions};
use super::{Answer, Fault, Plan, Refused, parse, text};
use form::Form;

/// A request, and what its answer repeats of it.
#[derive(Deserialize)]
struct Request<'a> {
    input: Option<Input>,
    instructions: Option<String>,
    max_output_tokens: Option<i64>,
    stream: Option<bool>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    tool_choice: Option<ToolChoice>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Items(Vec<Item>),
}

/// A message, a call of a function, or what it gave.
#[derive(Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: Option<String>,
    role: Option<String>,
    content: Option<Content>,
    arguments: Option<String>,
    output: Option<Content>,
}

/// Answers one request for a response.
pub(super) fn answer(body: &[u8], plan: &Plan) -> Result<Answer, Refused> {
    let mut request: Request<'_> = parse(body)?;
    let maximum = range("max_output_tokens", request.max_output_tokens, i64::MAX)?;
    let said = talk(&mut request)?.say(1, maximum.unwrap_or(u64::MAX), plan)?;
    let form = Form::new(&request, &said, plan);
    match request.stream == Some(true) && plan.fault != Some(Fault::Json) {
        true => Ok(Answer::Events(form.events())),
        false => plan.document(&form.whole()),
    }
}

/// How many tokens the input of a request has.
pub(super) fn input_tokens(body: &[u8]) -> Result<u64, Refused> {
    Ok(talk(&mut parse(body)?)?.tokens())
}

fn talk(request: &mut Request<'_>) -> Result<Talk, Refused> {
    let mut turns = Vec::new();
    if let Some(instructions) = &request.instructions {
        let content = Content::Text(instructions.clone());
        turns.push(Turn::new(By::Other, "system", Some(&content), 0));
    }
    match &request.input {
        Some(Input::Text(input)) => {
            let content = Content::Text(input.clone());
            turns.push(Turn::new(By::User, "user", Some(&content), 0));
        }
        Some(Input::Items(items)) if !items.is_empty() => {
            turns.extend(items.iter().map(Item::turn));
        }
        _ => return Err(Refused::missing("input")),
    }
    Ok(Talk {
        turns,
        tools_tokens: request.tools.map_or(0, |raw| text::count(raw.get())),
        functions: functions(request.tools)?,
        tool_choice: request.tool_choice.take(),
    })
}

impl Item {
    fn turn(&self) -> Turn {
        let role = self.role.as_deref().unwrap_or_default();
        match (self.kind.as_deref(), role) {
            (Some("function_call_output"), _) => {
                Turn::new(By::Result, "tool", self.output.as_ref(), 0)
            }
            (_, "user") => Turn::new(By::User, role, self.content.as_ref(), 0),
            _ => {
                let arguments = self.arguments.as_deref().map_or(0, text::count);
                Turn::new(By::Other, role, self.content.as_ref(), arguments)
            }
        }
    }
}
