//! What an answer that is not a stream says about its cost.

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use super::lenient::{Objects, is_text, says_something, trimmed};
use super::report::{self, Reported, Unbelievable};
use super::transcript::Transcript;

/// The facts of one JSON answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerFacts<'a> {
    /// What the upstream reported at the top level, else in `choices[0]`; `None` if it did not.
    pub usage: Option<Result<Reported, Unbelievable>>,
    /// Entries of `data` (or of `images`, as some name it) that carry an image and are not errors.
    pub images: u64,
    /// Whether the answer says itself that it carries no image, or fewer than asked for: by an error of its own, an
    /// empty list, or an entry that is an error. Where it does not, having no `images` means that its shape is unknown.
    pub without_images: bool,
    /// Entries of `choices`.
    pub choices: u64,
    /// Whether the answer has an `error` of its own.
    pub error: bool,
    body: &'a [u8],
}

impl AnswerFacts<'_> {
    /// The text that the model wrote, over all choices, for counting it here. Walks the body anew.
    pub fn transcript(&self) -> Transcript {
        Transcript::of(self.body)
    }
}

/// Why an answer tells nothing.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// The body is empty, or only blanks.
    #[error("the answer is empty")]
    Empty,
    /// The body is not one JSON object, is cut short, or names a field twice.
    #[error("the answer is not a readable JSON object: {0}")]
    NotJson(#[from] serde_json::Error),
}

/// Reads a whole answer. Blanks and a byte order mark around it do not matter, nor do unknown
/// fields or known ones of an unexpected type.
///
/// # Errors
/// When the body is not a JSON object. [`Transcript::of`] still finds what text there is.
pub fn read_answer(body: &[u8]) -> Result<AnswerFacts<'_>, AnswerError> {
    let json = trimmed(body);
    if json.is_empty() {
        return Err(AnswerError::Empty);
    }
    let answer: Answer<'_> = serde_json::from_slice(json)?;
    let images = image_count(&answer.data).max(image_count(&answer.images));
    let error = says_something(answer.error);
    let without_images = error || lacks_images(&answer.data) || lacks_images(&answer.images);
    let choices = answer.choices.0.as_ref().map_or(0, Vec::len);
    Ok(AnswerFacts {
        usage: last_usage(answer.usage, &answer.choices),
        images,
        without_images,
        choices: u64::try_from(choices).unwrap_or(u64::MAX),
        error,
        body: json,
    })
}

/// The report of one object: its own, else that of its first choice.
pub(super) fn last_usage(
    top: Option<&RawValue>,
    choices: &Objects<Choice<'_>>,
) -> Option<Result<Reported, Unbelievable>> {
    let nested = || choices.first()?.usage;
    let read = |raw: &RawValue| report::read(raw.get().as_bytes());
    top.and_then(read).or_else(|| nested().and_then(read))
}

/// One entry of `choices`.
#[derive(Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(borrow, default)]
    pub usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    choices: Objects<Choice<'a>>,
    #[serde(borrow, default)]
    data: Objects<Image<'a>>,
    #[serde(borrow, default)]
    images: Objects<Image<'a>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    b64_json: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

fn image_count(entries: &Objects<Image<'_>>) -> u64 {
    let delivered = |image: &&Image<'_>| {
        (is_text(image.url) || is_text(image.b64_json)) && !says_something(image.error)
    };
    let entries = entries.0.iter().flatten().flatten();
    u64::try_from(entries.filter(delivered).count()).unwrap_or(u64::MAX)
}

/// Whether a list is there and empty, or tells of an error.
fn lacks_images(entries: &Objects<Image<'_>>) -> bool {
    let failed = |image: &Image<'_>| says_something(image.error);
    let is_short =
        |list: &Vec<Option<Image<'_>>>| list.is_empty() || list.iter().flatten().any(failed);
    entries.0.as_ref().is_some_and(is_short)
}

#[cfg(test)]
mod tests;
