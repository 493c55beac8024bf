//! What an answer that is not a stream says about its cost.

use serde::Deserialize;
use thiserror::Error;

use super::lenient::{Object, Objects, Raw, is_text, plain, read, says_something, trimmed};
use super::report::{self, Reported, Skimmed, Unbelievable};
use super::skim::Skim;
use super::transcript::Transcript;

/// The facts of one JSON answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerFacts<'a> {
    /// What the upstream reported at the top level, else in `choices[0]`; `None` if it did not.
    pub usage: Option<Result<Reported, Unbelievable>>,
    /// Entries of `data` (or of `images`, as some name it) that carry an image and are not errors.
    pub images: u64,
    /// Entries of `data` that carry an embedding, or entries of `results`: an order of documents, or moderations.
    pub results: u64,
    /// Whether the answer says itself that it carries nothing, or less than asked for: by an error of its own, an
    /// empty list, or an entry that is an error. Where it does not, having no `images` means that its shape is unknown.
    pub is_short: bool,
    /// Entries of `choices`.
    pub choices: u64,
    /// Whether the answer has an `error` of its own.
    pub error: bool,
    /// The answer's `id`, where it is a plain text.
    pub id: Option<&'a str>,
    /// Its `status`, of a response that is stored.
    pub status: Option<&'a str>,
    /// The `size` and `quality` of the images, where the answer tells them.
    pub image: ImageShape<'a>,
    /// Where servers tell of the input: in the usage, and of an order of documents also elsewhere.
    told: [Option<&'a str>; 3],
    /// How long a recording is said to be.
    duration: Option<&'a str>,
    body: &'a [u8],
}

/// How large and how good an answer's images are, in the vendor's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ImageShape<'a> {
    /// Such as `1024x1024`.
    pub size: Option<&'a str>,
    /// Such as `high`.
    pub quality: Option<&'a str>,
}

impl AnswerFacts<'_> {
    /// Whether it says that more of it is to come: its status is none of those with which a response ends.
    pub fn is_unfinished(&self) -> bool {
        let ends = ["completed", "incomplete", "failed", "cancelled"];
        self.status.is_some_and(|status| !ends.contains(&status))
    }

    /// The text that the model wrote, over all choices, for counting it here. Walks the body anew.
    pub fn transcript(&self) -> Transcript {
        Transcript::of(self.body)
    }

    /// Seconds of a recording, rounded up: those of the usage, else its duration.
    pub fn seconds(&self) -> Option<u64> {
        let told = self.told[0].and_then(|usage| {
            let usage: Object<Duration<'_>> = serde_json::from_str(usage).ok()?;
            usage.0?.seconds
        });
        told.and_then(|told| whole_seconds(told.get()))
            .or_else(|| self.duration.and_then(whole_seconds))
    }

    /// What was reported, of a service that writes nothing: all of it is input.
    pub fn input_usage(&self) -> Option<Result<Reported, Unbelievable>> {
        let told = self.told.into_iter().flatten().next()?;
        report::read_input(told.as_bytes())
    }

    /// Search units, of an order of documents: the most that it tells anywhere.
    pub fn search_units(&self) -> Option<Result<u64, Unbelievable>> {
        let told = self.told.into_iter().flatten();
        told.filter_map(|told| report::read_search_units(told.as_bytes()))
            .reduce(|one, other| Ok(one?.max(other?)))
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
    let answer = match Answer::skim(json) {
        Some(answer) => answer,
        None => read(json)?,
    };
    Ok(facts(answer, json))
}

fn facts<'a>(answer: Answer<'a>, json: &'a [u8]) -> AnswerFacts<'a> {
    let images = image_count(&answer.data).max(image_count(&answer.images));
    let error = says_something(answer.error);
    let lists = [&answer.data, &answer.images, &answer.results];
    let is_short = error || lists.into_iter().any(lacks_entries);
    let choices = answer.choices.0.as_ref().map_or(0, Vec::len);
    AnswerFacts {
        usage: match &answer.report {
            Some(report) => report.read().or_else(|| last_usage(None, &answer.choices)),
            None => last_usage(answer.usage, &answer.choices),
        },
        images,
        results: count(&answer.data, |entry| says_something(entry.embedding))
            .max(count(&answer.results, |_| true))
            .max(count(&answer.data, |entry| {
                says_something(entry.relevance_score)
            })),
        is_short,
        choices: u64::try_from(choices).unwrap_or(u64::MAX),
        error,
        id: answer.id.and_then(plain),
        status: answer.status.and_then(plain),
        duration: known(answer.duration),
        image: ImageShape {
            size: answer.size.and_then(plain),
            quality: answer.quality.and_then(plain),
        },
        told: told(&answer),
        body: json,
    }
}

/// A number of seconds, written as a number or a text, rounded up; what is no number, or beyond a year, is none.
fn whole_seconds(value: &str) -> Option<u64> {
    let text = value
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let text = text.unwrap_or(value);
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(part) {
        return None;
    }
    let more = part.bytes().any(|digit| digit != b'0');
    let seconds = whole.parse::<u64>().ok()?.checked_add(u64::from(more))?;
    (seconds <= SECONDS_MAX).then_some(seconds)
}

/// Longer recordings are not believed: a year.
const SECONDS_MAX: u64 = 366 * 86_400;

/// A usage that tells seconds.
#[derive(Deserialize)]
struct Duration<'a> {
    #[serde(borrow, default)]
    seconds: Option<Raw<'a>>,
}

/// The usage, and what servers that put documents in order tell in its place; the first that is there counts.
fn told<'a>(answer: &Answer<'a>) -> [Option<&'a str>; 3] {
    let meta = answer.meta.0.as_ref();
    let tokens = meta.and_then(|meta| meta.tokens);
    let billed = meta.and_then(|meta| meta.billed_units);
    [answer.usage, tokens, billed].map(known)
}

/// The text of a value that is there and not null.
fn known(raw: Option<Raw<'_>>) -> Option<&str> {
    raw.map(Raw::get).filter(|raw| *raw != "null")
}

/// The report of one object: its own, else that of its first choice.
pub(super) fn last_usage(
    top: Option<Raw<'_>>,
    choices: &Objects<Choice<'_>>,
) -> Option<Result<Reported, Unbelievable>> {
    let nested = || choices.first()?.usage;
    let read = |raw: Raw<'_>| report::read(raw.get().as_bytes());
    top.and_then(read).or_else(|| nested().and_then(read))
}

/// One entry of `choices`.
#[derive(Deserialize, Default)]
pub(super) struct Choice<'a> {
    #[serde(borrow, default)]
    pub usage: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
struct Answer<'a> {
    #[serde(borrow, default)]
    usage: Option<Raw<'a>>,
    /// The usage, where it was read already.
    #[serde(skip)]
    report: Option<Skimmed>,
    #[serde(borrow, default)]
    choices: Objects<Choice<'a>>,
    #[serde(borrow, default)]
    data: Objects<Entry<'a>>,
    #[serde(borrow, default)]
    images: Objects<Entry<'a>>,
    #[serde(borrow, default)]
    results: Objects<Entry<'a>>,
    #[serde(borrow, default)]
    error: Option<Raw<'a>>,
    #[serde(borrow, default)]
    id: Option<Raw<'a>>,
    #[serde(borrow, default)]
    status: Option<Raw<'a>>,
    #[serde(borrow, default)]
    duration: Option<Raw<'a>>,
    #[serde(borrow, default)]
    size: Option<Raw<'a>>,
    #[serde(borrow, default)]
    quality: Option<Raw<'a>>,
    #[serde(borrow, default)]
    meta: Object<Meta<'a>>,
}

#[derive(Deserialize, Default)]
struct Meta<'a> {
    #[serde(borrow, default)]
    tokens: Option<Raw<'a>>,
    #[serde(borrow, default)]
    billed_units: Option<Raw<'a>>,
}

#[derive(Deserialize, Default)]
struct Entry<'a> {
    #[serde(borrow, default)]
    url: Option<Raw<'a>>,
    #[serde(borrow, default)]
    b64_json: Option<Raw<'a>>,
    #[serde(borrow, default)]
    embedding: Option<Raw<'a>>,
    /// Of a document, where `data` is their order.
    #[serde(borrow, default)]
    relevance_score: Option<Raw<'a>>,
    #[serde(borrow, default)]
    error: Option<Raw<'a>>,
}

impl<'a> Answer<'a> {
    /// The answer, where it is as most are.
    fn skim(json: &'a [u8]) -> Option<Self> {
        let mut answer = Answer::default();
        let member = |skim: &mut Skim<'a>, name: &[u8]| match name {
            b"usage" => {
                let (report, text) = skim.with_text(Skimmed::take)?;
                answer.report = report;
                answer.usage.replace(Raw(text)).is_none().then_some(())
            }
            b"choices" => objects(skim, &mut answer.choices, Choice::skim),
            b"data" => objects(skim, &mut answer.data, Entry::skim),
            b"images" => objects(skim, &mut answer.images, Entry::skim),
            b"results" => objects(skim, &mut answer.results, Entry::skim),
            b"error" => skim.keep(&mut answer.error),
            b"id" => skim.keep(&mut answer.id),
            b"status" => skim.keep(&mut answer.status),
            b"duration" => skim.keep(&mut answer.duration),
            b"size" => skim.keep(&mut answer.size),
            b"quality" => skim.keep(&mut answer.quality),
            b"meta" => {
                let meta = Meta::skim(skim)?;
                answer.meta.0.replace(meta).is_none().then_some(())
            }
            _ => skim.pass(),
        };
        Skim::whole(json, |skim| skim.object(member))?;
        Some(answer)
    }
}

impl<'a> Choice<'a> {
    fn skim(skim: &mut Skim<'a>) -> Option<Self> {
        let mut choice = Choice::default();
        skim.object(|skim, name| match name {
            b"usage" => skim.keep(&mut choice.usage),
            _ => skim.pass(),
        })?;
        Some(choice)
    }
}

impl<'a> Meta<'a> {
    fn skim(skim: &mut Skim<'a>) -> Option<Self> {
        let mut meta = Meta::default();
        skim.object(|skim, name| match name {
            b"tokens" => skim.keep(&mut meta.tokens),
            b"billed_units" => skim.keep(&mut meta.billed_units),
            _ => skim.pass(),
        })?;
        Some(meta)
    }
}

impl<'a> Entry<'a> {
    fn skim(skim: &mut Skim<'a>) -> Option<Self> {
        let mut entry = Entry::default();
        skim.object(|skim, name| match name {
            b"url" => skim.keep(&mut entry.url),
            b"b64_json" => skim.keep(&mut entry.b64_json),
            b"embedding" => skim.keep(&mut entry.embedding),
            b"relevance_score" => skim.keep(&mut entry.relevance_score),
            b"error" => skim.keep(&mut entry.error),
            _ => skim.pass(),
        })?;
        Some(entry)
    }
}

/// Takes a list of objects; another one was taken before where the name comes twice.
fn objects<'a, T>(
    skim: &mut Skim<'a>,
    place: &mut Objects<T>,
    object: fn(&mut Skim<'a>) -> Option<T>,
) -> Option<()> {
    let mut list = Vec::new();
    skim.array(|skim| {
        list.push(Some(object(skim)?));
        Some(())
    })?;
    place.0.replace(list).is_none().then_some(())
}

fn image_count(entries: &Objects<Entry<'_>>) -> u64 {
    count(entries, |image| {
        (is_text(image.url) || is_text(image.b64_json)) && !says_something(image.error)
    })
}

fn count(entries: &Objects<Entry<'_>>, delivered: impl Fn(&Entry<'_>) -> bool) -> u64 {
    let entries = entries.0.iter().flatten().flatten();
    let delivered = entries.filter(|entry| delivered(entry)).count();
    u64::try_from(delivered).unwrap_or(u64::MAX)
}

/// Whether a list is there and empty, or tells of an error.
fn lacks_entries(entries: &Objects<Entry<'_>>) -> bool {
    let failed = |entry: &Entry<'_>| says_something(entry.error);
    let is_short =
        |list: &Vec<Option<Entry<'_>>>| list.is_empty() || list.iter().flatten().any(failed);
    entries.0.as_ref().is_some_and(is_short)
}

#[cfg(test)]
mod alike;
#[cfg(test)]
mod tests;
