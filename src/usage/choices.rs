//! Whether a reported count of output tokens can be of all choices of an answer.
//!
//! Some servers report the tokens of one choice where several were asked for (llama.cpp does). Where a chat has `n`
//! above 1, its choices are kept apart here, to be counted beside the report.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::elements::elements;
use super::lenient::trimmed;
use super::tokenizer::Tokenizer;
use super::transcript::{TRANSCRIPT_BYTES_MAX, Transcript};

/// Choices with a higher index are not told apart.
const CHOICES_MAX: usize = 128;
/// Fewer tokens than this over all choices prove nothing.
const TOKENS_MIN: u64 = 32;

/// The texts of an answer's choices, apart.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    texts: Vec<Transcript>,
    is_cut: bool,
}

impl Choices {
    /// Adds the choices of one JSON text: an answer, or one event's data. Takes any bytes.
    pub fn feed(&mut self, json: &[u8]) {
        let answer = serde_json::from_slice::<Answer<'_>>(trimmed(json));
        let Some(choices) = answer.ok().and_then(|answer| answer.choices) else {
            return;
        };
        let mut position = 0;
        // What is no array has no choices.
        let _ = elements(choices, &mut |choice| {
            let index = serde_json::from_str::<Choice>(choice.get());
            let index = index.ok().and_then(|choice| choice.index);
            self.add(index.unwrap_or(position), choice);
            position += 1;
        });
    }

    fn add(&mut self, index: usize, choice: &RawValue) {
        let kept: u64 = self.texts.iter().map(Transcript::kept).sum();
        if index >= CHOICES_MAX || kept >= TRANSCRIPT_BYTES_MAX as u64 {
            self.is_cut = true;
            return;
        }
        if self.texts.len() <= index {
            self.texts.resize_with(index + 1, Transcript::default);
        }
        self.texts[index].feed(choice.get().as_bytes());
    }

    /// Whether so many output tokens can be of all choices. They cannot where they are less than five eighths of what is
    /// counted here over all, and at most a quarter more than what is counted of the longest: then they are one's. That needs
    /// a vocabulary that fits the model: one that counts Chinese at twice what the model does takes two choices for one.
    /// Slow: see [`pooled`](super::tokenizer::pooled).
    pub fn can_be_all(&self, reported: u64, tokenizer: &Tokenizer) -> bool {
        let counts = self.texts.iter().map(|text| text.tokens(tokenizer));
        let (mut all, mut longest, mut choices) = (0_u64, 0_u64, 0_u64);
        for count in counts.filter(|count| *count > 0) {
            all = all.saturating_add(count);
            longest = longest.max(count);
            choices += 1;
        }
        if self.is_cut || choices < 2 || all < TOKENS_MIN {
            return true;
        }
        let is_far_from_all = reported.saturating_mul(8) < all.saturating_mul(5);
        let is_near_one = reported.saturating_mul(4) <= longest.saturating_mul(5);
        !(is_far_from_all && is_near_one)
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    choices: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// An answer whose choices are so many words each.
    fn answer(words: &[usize]) -> Choices {
        let choice = |(index, words): (usize, &usize)| json!({ "index": index, "message": { "content": " word".repeat(*words) } });
        let choices: Vec<_> = words.iter().enumerate().map(choice).collect();
        let mut answer = Choices::default();
        answer.feed(json!({ "choices": choices }).to_string().as_bytes());
        answer
    }

    #[test]
    fn a_report_of_one_choice_is_known_from_one_of_all() {
        let tokenizer = Tokenizer::default();
        for (words, reported, all) in [
            // As reported, whatever the vocabulary makes of it.
            (&[40, 40][..], 80, true),
            (&[40, 40], 95, true),
            (&[40, 40], 50, true),
            (&[40, 40], 49, false),
            (&[40, 40], 40, false),
            (&[40, 40, 40], 40, false),
            (&[40, 40, 40], 50, false),
            (&[40, 40, 40], 51, true),
            (&[10, 90], 90, true),
            (&[10, 90], 10, false),
            // Reasoning that nobody shows.
            (&[40, 40], 4_000, true),
            // One choice, and texts that prove nothing.
            (&[40], 1, true),
            (&[40, 0], 1, true),
            (&[10, 10], 10, true),
            (&[], 10, true),
        ] {
            let answer = answer(words);
            assert_eq!(
                answer.can_be_all(reported, &tokenizer),
                all,
                "{words:?} {reported}"
            );
        }
    }

    #[test]
    fn chunks_of_a_stream_add_up_by_their_index() {
        let mut answer = Choices::default();
        for word in 0..60 {
            let chunk =
                json!({ "choices": [{ "index": word % 2, "delta": { "content": " word" } }] });
            answer.feed(chunk.to_string().as_bytes());
        }
        answer.feed(b"[DONE]");
        answer.feed(b"{\"choices\":[],\"usage\":{}}");
        assert!(!answer.can_be_all(30, &Tokenizer::default()));
        assert!(answer.can_be_all(60, &Tokenizer::default()));
        // A choice that is not told apart: nothing is known any more.
        answer.feed(b"{\"choices\":[{\"index\":1000000000,\"delta\":{\"content\":\"a\"}}]}");
        assert!(answer.can_be_all(30, &Tokenizer::default()));
    }
}
