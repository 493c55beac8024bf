//! The simulator's `/completions`.

use serde::Deserialize;

use super::prompts::{Prompt, Prompts};
use super::said::{CHOICES_MAX, Choice, Form, Said, Shape, StreamOptions, Usage, range};
use super::{Answer, Plan, Refused, parse, text};

/// What OpenAI gives to those who ask for no maximum.
const MAX_TOKENS_DEFAULT: u64 = 16;

#[derive(Deserialize)]
struct Request {
    prompt: Option<Prompts>,
    suffix: Option<String>,
    max_tokens: Option<i64>,
    n: Option<i64>,
    best_of: Option<i64>,
    echo: Option<bool>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

/// Answers one request for completions.
pub(super) fn answer(body: &[u8], plan: &Plan) -> Result<Answer, Refused> {
    let mut request: Request = parse(body)?;
    let prompts = request.prompt.take().map(Prompts::each);
    let said = say(&request, &prompts.unwrap_or_default(), plan)?;
    let options = request.stream_options.as_ref();
    let form = Form {
        shape: Shape::Text,
        stream: request.stream == Some(true),
        include_usage: options.and_then(|options| options.include_usage) == Some(true),
    };
    said.answer(&form, plan)
}

/// Works out the choices of every prompt, one prompt's after the other's, and their usage.
fn say(request: &Request, prompts: &[Prompt], plan: &Plan) -> Result<Said, Refused> {
    if prompts.is_empty() {
        let message = "you must provide a prompt".to_owned();
        return Err(Refused::bad(message, Some("prompt")));
    }
    let n = range("n", request.n, CHOICES_MAX)?.unwrap_or(1);
    let best_of = range("best_of", request.best_of, CHOICES_MAX)?.unwrap_or(n);
    if best_of < n {
        let message = "best_of must be at least n".to_owned();
        return Err(Refused::bad(message, Some("best_of")));
    }
    let limit = match request.max_tokens {
        Some(0) => 0,
        given => range("max_tokens", given, i64::MAX)?.unwrap_or(MAX_TOKENS_DEFAULT),
    };
    let mut input = request.suffix.as_deref().map_or(0, text::count);
    let (mut output, mut choices) = (0, Vec::new());
    for prompt in prompts {
        input += prompt.tokens;
        for index in 0..best_of {
            let reply = text::reply(&plan.model, &prompt.text, index);
            let mut choice = Choice::new(&reply, limit);
            output += choice.pieces.len() as u64;
            if request.echo == Some(true) {
                choice.pieces.insert(0, prompt.text.clone());
            }
            // Those that are not shown were written as well.
            if index < n {
                choices.push(choice);
            }
        }
    }
    Ok(Said {
        usage: Usage::report(input, output, plan.fault),
        choices,
    })
}
