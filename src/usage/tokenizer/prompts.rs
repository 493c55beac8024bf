//! Counts the input of a completion or of embeddings: plain texts without any frame, and token ids; and what was
//! written for a completion.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::content::text_of;
use super::{Counter, Tokenizer};
use crate::usage::elements::{elements, length};
use crate::usage::lenient::trimmed;
use crate::usage::transcript::Transcript;

impl Tokenizer {
    /// The input tokens of a completion's JSON body: of `prompt`, each text by itself, and of `suffix`, which goes to
    /// each; token ids are themselves the count. `None` if the body is no such object.
    pub fn count_prompts(&self, body: &[u8]) -> Option<u64> {
        let completion: Completion<'_> = serde_json::from_slice(trimmed(body)).ok()?;
        self.count_all(completion.prompt?, &[completion.suffix])
    }

    /// The output tokens of a completion that was asked for by this JSON body. Prompts that `echo` brought back were
    /// input already, and of `best_of` candidates only `n` were delivered: the others are taken to be as long.
    pub fn count_completions(&self, body: &[u8], answer: &Transcript) -> u64 {
        let tokens = answer.tokens(self);
        let Ok(completion) = serde_json::from_slice::<Completion<'_>>(trimmed(body)) else {
            return tokens;
        };
        let n = completion.n.unwrap_or(1).max(1);
        let echo = match (completion.echo, completion.prompt) {
            (Some(true), Some(prompt)) => self.count_echo(prompt, n, &answer.text()),
            _ => 0,
        };
        let shown = u128::from(tokens.saturating_sub(echo));
        let candidates = completion.best_of.unwrap_or(n).max(n);
        let written = (shown * u128::from(candidates)).div_ceil(u128::from(n));
        u64::try_from(written).unwrap_or(u64::MAX)
    }

    /// The input tokens of a JSON body that asks for embeddings: of `input`, as for prompts.
    pub fn count_inputs(&self, body: &[u8]) -> Option<u64> {
        let embeddings: Embeddings<'_> = serde_json::from_slice(trimmed(body)).ok()?;
        let shared = [embeddings.instruct, embeddings.instruction];
        self.count_all(embeddings.input?, &shared)
    }

    /// The tokens of prompts, and for each of them those of every text in `shared`.
    fn count_all(&self, prompts: &RawValue, shared: &[Option<&RawValue>]) -> Option<u64> {
        let mut sum = Sum {
            texts: Counter::new(self),
            ids: 0,
            prompts: 0,
        };
        each(prompts, &mut |prompt| sum.add(prompt))?;
        let mut counter = Counter::new(self);
        for text in shared.iter().flatten() {
            counter.add(&text_of(text));
        }
        let shared = counter.total().saturating_mul(sum.prompts.max(1));
        let total = sum.texts.total().saturating_add(sum.ids);
        Some(total.saturating_add(shared))
    }

    /// The tokens of the prompts that really stand in `text`, each before `choices` choices, in their order. Token ids
    /// come back as a text that cannot be told from the answer's own: they count as output.
    fn count_echo(&self, prompts: &RawValue, choices: u64, text: &str) -> u64 {
        let mut rest = Some(text);
        let mut tokens: u64 = 0;
        each(prompts, &mut |prompt| {
            let Prompt::Text(prompt) = prompt else {
                rest = None;
                return;
            };
            if prompt.is_empty() {
                return;
            }
            let mut found: u64 = 0;
            for _ in 0..choices {
                // The first begins the text; the next ones follow upon an answer.
                let at = rest.and_then(|rest| match rest.len() == text.len() {
                    true => rest.starts_with(&*prompt).then_some(0),
                    false => rest.find(&*prompt),
                });
                rest = at.and_then(|at| rest?.get(at + prompt.len()..));
                found += u64::from(rest.is_some());
            }
            if found > 0 {
                tokens = tokens.saturating_add(self.count(&prompt).saturating_mul(found));
            }
        });
        tokens
    }
}

/// What one element of an array of prompts is.
enum Prompt<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// So many token ids: a prompt of its own.
    Ids(u64),
    /// One token id of the only prompt.
    Id,
}

/// What prompts come to.
struct Sum<'t> {
    texts: Counter<'t>,
    ids: u64,
    prompts: u64,
}

impl Sum<'_> {
    fn add(&mut self, prompt: Prompt<'_>) {
        let (ids, prompts) = match prompt {
            Prompt::Text(text) => {
                self.texts.add(&text);
                (0, 1)
            }
            Prompt::Ids(ids) => (ids, 1),
            Prompt::Id => (1, 0),
        };
        self.ids = self.ids.saturating_add(ids);
        self.prompts = self.prompts.saturating_add(prompts);
    }
}

/// Gives each of a text, an array of texts, token ids, or an array of arrays of them.
fn each<'a>(prompts: &'a RawValue, take: &mut dyn FnMut(Prompt<'a>)) -> Option<()> {
    match prompts.get().as_bytes() {
        b"null" => Some(()),
        [b'[', ..] => elements(prompts, &mut |element| {
            take(match element.get().as_bytes() {
                [b'"', ..] => Prompt::Text(text_of(element)),
                [b'[', ..] => Prompt::Ids(length(element)),
                _ => Prompt::Id,
            });
        }),
        _ => {
            take(Prompt::Text(text_of(prompts)));
            Some(())
        }
    }
}

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow, default)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow, default)]
    suffix: Option<&'a RawValue>,
    #[serde(default)]
    echo: Option<bool>,
    #[serde(default)]
    n: Option<u64>,
    #[serde(default)]
    best_of: Option<u64>,
}

#[derive(Deserialize)]
struct Embeddings<'a> {
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    instruct: Option<&'a RawValue>,
    #[serde(borrow, default)]
    instruction: Option<&'a RawValue>,
}
