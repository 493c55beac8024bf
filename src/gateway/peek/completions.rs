//! The body of a completion of plain text, member by member.

use std::sync::LazyLock;

use serde_json::value::RawValue;

use super::at::At;
use super::generation::{Extent, Generation};
use super::prompts;
use super::table::{self, Rule, Table, Why};
use super::walk::{Members, Pass, walk};
use super::{BadRequest, InputSize, N_MAX, TextRequest, scalar};
use crate::gateway::splice::{Maximum, MaximumField};

static COMPLETION: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (
            Rule::Read,
            &[
                "model",
                "prompt",
                "n",
                "best_of",
                "echo",
                "max_tokens",
                "suffix",
                "stream",
                "stream_options",
                "service_tier",
            ],
        ),
        (Rule::Unbounded, table::UNBOUNDED),
        (Rule::Unbounded, &["image_data", "multimodal_data"]),
        (Rule::Refuse(Why::Redirect), table::REDIRECTS),
        (Rule::Refuse(Why::OtherModel), table::OTHER_MODELS),
        (Rule::Refuse(Why::Shared), table::SHARED),
        (Rule::Refuse(Why::Shared), &["previous_response_id"]),
        (Rule::Refuse(Why::Background), &["background"]),
        (Rule::Refuse(Why::Builtin), table::BUILTINS),
        (Rule::Refuse(Why::Audio), &["audio"]),
        (Rule::Refuse(Why::Maximum), table::MAXIMA),
        (Rule::Refuse(Why::Maximum), &["max_output_tokens"]),
        // The field of a chat. A server that does not know it here would write as much as it likes.
        (Rule::Refuse(Why::Maximum), &["max_completion_tokens"]),
        (Rule::Refuse(Why::Count), table::COUNTS),
        (Rule::Refuse(Why::Prompt), PROMPTS),
    ])
});

/// What some server or other reads in the place of `prompt`, or beside it.
const PROMPTS: &[&str] = &[
    "input_ids",
    "inputs",
    "messages",
    "prompt_embeds",
    "prompt_token_ids",
    "prompts",
];

/// Reads a request for completions.
pub(super) fn peek(body: &str) -> Result<TextRequest<'_>, BadRequest> {
    let pass = Pass::new(body);
    let mut completion = Completion::default();
    walk(&pass, &mut completion)?;
    completion.common.named()?;
    let each = completion.generated()?;
    let extent = Extent {
        choices: each.saturating_mul(completion.prompts.max(1)),
        extra_output: match completion.echo {
            true => each.saturating_mul(completion.prompt_bytes),
            false => 0,
        },
        maximum: Some(MaximumField::MaxTokens),
        input: InputSize {
            prompts: completion.prompts,
            ..completion.input
        },
    };
    completion.common.finish(&pass, extent)
}

/// What has been read so far.
#[derive(Default)]
struct Completion<'b> {
    common: Generation<'b>,
    best_of: Option<u64>,
    echo: bool,
    prompts: u64,
    prompt_bytes: u64,
    input: InputSize,
}

impl<'b> Members<'b> for Completion<'b> {
    fn table() -> &'static Table {
        &COMPLETION
    }

    fn value(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        raw: &'b RawValue,
    ) -> Result<(), BadRequest> {
        match name {
            "prompt" => {
                self.prompts = prompts::count(pass, at, raw)?;
                self.prompt_bytes = raw.get().len() as u64;
            }
            "suffix" => self.input.shared_bytes = raw.get().len() as u64,
            "best_of" => self.best_of = scalar::positive(raw, at, N_MAX)?,
            "echo" => self.echo = scalar::boolean(raw, at)?.unwrap_or(false),
            // Whoever wants nothing but the prompt's own log probabilities asks for no token.
            "max_tokens" if raw.get() == "0" => {
                self.common.max_tokens = Some(Maximum {
                    span: pass.span(raw),
                    tokens: Some(0),
                });
            }
            _ => return self.common.value(pass, at, name, raw),
        }
        Ok(())
    }

    fn unbounded(&mut self) {
        self.input.unbounded = true;
    }
}

impl<'b> Completion<'b> {
    /// The texts that are generated for each prompt: candidates that are not shown cost as much as others.
    fn generated(&self) -> Result<u64, BadRequest> {
        let n = self.common.n.unwrap_or(1);
        match self.best_of {
            Some(best_of) if best_of < n => Err(BadRequest::at(
                "best_of",
                format!("best_of is {best_of}, but n is {n}: send at least {n}, or leave it out."),
            )),
            Some(best_of) if best_of > 1 && self.common.stream => Err(BadRequest::at(
                "best_of",
                "best_of must be 1 with stream: the best is known at the end only. Use n.",
            )),
            Some(best_of) => Ok(best_of),
            None => Ok(n),
        }
    }
}
