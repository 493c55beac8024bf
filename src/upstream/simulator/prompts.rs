//! The texts of a completion or of embeddings: one or several, written out or as token ids.

use serde::Deserialize;

use super::text;

/// `prompt` or `input`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Prompts {
    Text(String),
    Texts(Vec<String>),
    Ids(Vec<u32>),
    Lists(Vec<Vec<u32>>),
}

/// One of them.
pub(super) struct Prompt {
    pub(super) text: String,
    pub(super) tokens: u64,
}

impl Prompts {
    /// Each by itself.
    pub(super) fn each(self) -> Vec<Prompt> {
        match self {
            Prompts::Text(text) => vec![Prompt::of(text)],
            Prompts::Texts(texts) => texts.into_iter().map(Prompt::of).collect(),
            Prompts::Ids(ids) => vec![Prompt::of_ids(&ids)],
            Prompts::Lists(lists) => lists.iter().map(|ids| Prompt::of_ids(ids)).collect(),
        }
    }
}

impl Prompt {
    fn of(text: String) -> Self {
        Prompt {
            tokens: text::count(&text),
            text,
        }
    }

    /// There is no vocabulary: ids are read as their digits.
    fn of_ids(ids: &[u32]) -> Self {
        let digits: Vec<String> = ids.iter().map(u32::to_string).collect();
        Prompt {
            tokens: ids.len() as u64,
            text: digits.join(" "),
        }
    }
}
