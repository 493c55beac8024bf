//! The simulator's `/chat/completions`.

mod form;
mod tools;

use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Answer, Fault, Plan, Refused, parse, text};
use form::{Stream, Usage, whole};
use tools::{Call, ToolChoice};

const CHOICES_MAX: i64 = 128;
/// Around each message, and before the answer, as chat templates do.
const TOKENS_PER_MESSAGE: u64 = 3;
const TOKENS_PER_IMAGE: u64 = 85;
/// More than any context, within JSON's exact numbers.
const ABSURD_TOKENS: i64 = 9_000_000_000_000_000;

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
struct StreamOptions {
    include_usage: Option<bool>,
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

/// What is said, before it is put into a form.
struct Said {
    choices: Vec<Choice>,
    /// `None` if it is not to be reported.
    usage: Option<Usage>,
}

struct Choice {
    /// The function that is called, if one is; the pieces are then its arguments.
    call: Option<Call>,
    pieces: Vec<String>,
    finish_reason: &'static str,
}

/// Answers one chat.
pub(super) fn answer(body: &[u8], plan: &Plan) -> Result<Answer, Refused> {
    let request: Request<'_> = parse(body)?;
    let said = say(&request, plan)?;
    let id = format!("chatcmpl-{:016x}", plan.hash);
    if request.stream == Some(true) && plan.fault != Some(Fault::Json) {
        let asked = request
            .stream_options
            .and_then(|options| options.include_usage);
        let stream = Stream {
            id: &id,
            plan,
            usage: said.usage.filter(|_| asked == Some(true)),
        };
        return Ok(Answer::Events(stream.events(&said.choices)));
    }
    match plan.fault {
        Some(Fault::ErrorEvent) => Err(Refused::on_demand(StatusCode::INTERNAL_SERVER_ERROR)),
        _ => Ok(Answer::Json(StatusCode::OK, whole(&id, plan, &said))),
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
    let last = messages.last().filter(|message| message.role == "tool");
    let asked = last.or_else(|| messages.iter().rev().find(|message| message.role == "user"));
    let prompt = asked
        .or(messages.last())
        .map_or_else(String::new, Message::text);
    let call = match last {
        Some(_) => None,
        None => tools::chosen(&tools, request.tool_choice.as_ref(), &prompt)?,
    };
    let choices: Vec<Choice> = (0..n)
        .map(|choice| match &call {
            None => Choice::words(&text::reply(&plan.model, &prompt, choice), limit),
            Some((name, arguments)) => {
                Choice::call(Call::new(plan, name, choice), arguments, limit)
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

/// A field that is a number from 1 to `max`, if it is there.
fn range(name: &'static str, value: Option<i64>, max: i64) -> Result<Option<u64>, Refused> {
    let Some(value) = value else {
        return Ok(None);
    };
    let fits = u64::try_from(value)
        .ok()
        .filter(|_| (1..=max).contains(&value));
    fits.map(Some).ok_or_else(|| {
        Refused::bad(
            format!("{name} is {value}; it must be from 1 to {max}"),
            Some(name),
        )
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

impl Choice {
    fn words(text: &str, limit: u64) -> Self {
        Choice::new(None, text, limit, "stop")
    }

    /// The name is the first token, so that any limit allows it.
    fn call(call: Call, arguments: &str, limit: u64) -> Self {
        Choice::new(Some(call), arguments, limit - 1, "tool_calls")
    }

    /// The text, or as much of it as `limit` pieces are.
    fn new(call: Option<Call>, text: &str, limit: u64, finish_reason: &'static str) -> Self {
        let mut pieces: Vec<String> = text::pieces(text).map(str::to_owned).collect();
        let kept = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_whole = pieces.len() <= kept;
        pieces.truncate(kept);
        Choice {
            call,
            pieces,
            finish_reason: if is_whole { finish_reason } else { "length" },
        }
    }

    fn tokens(&self) -> u64 {
        u64::from(self.call.is_some()) + self.pieces.len() as u64
    }
}

impl Usage {
    /// The usage that is reported, true but for faults.
    fn report(input: u64, output: u64, fault: Option<Fault>) -> Option<Self> {
        let count = |count| i64::try_from(count).unwrap_or(i64::MAX / 4);
        let (input, output) = match fault {
            Some(Fault::NoUsage) => return None,
            Some(Fault::NegativeUsage) => (-count(input), -count(output)),
            Some(Fault::AbsurdUsage) => (ABSURD_TOKENS, ABSURD_TOKENS),
            _ => (count(input), count(output)),
        };
        Some(Usage {
            prompt_tokens: input,
            completion_tokens: output,
            total_tokens: input.saturating_add(output),
        })
    }
}
