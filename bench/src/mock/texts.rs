//! The texts of chat answers, in OpenAI's shapes. What repeats is built once for each model and shared.

use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;

use super::bodies::{CREATED, Usage, json_string};

/// Each is one token, with its leading space, in the common vocabularies; a text of them has as many tokens as words.
const WORDS: [&str; 32] = [
    " the", " of", " and", " to", " in", " a", " is", " that", " for", " it", " was", " on",
    " with", " as", " be", " at", " by", " this", " have", " from", " or", " one", " had", " but",
    " not", " what", " all", " were", " we", " when", " your", " can",
];

/// Real endpoints answer with a dated name, which is not the one asked for.
const MODEL_SUFFIX: &str = "-0528";
const MODELS_MAX: usize = 512;

/// The last event of a stream.
pub const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// The frames of one model's streams, in one flavour of `usage`.
pub struct Frames {
    pub role: Bytes,
    pub finish: Bytes,
    content: Vec<Bytes>,
    reasoning: Vec<Bytes>,
}

/// Everything prebuilt for one model.
pub struct ModelTexts {
    model: String,
    plain: Frames,
    null_usage: Frames,
}

/// The models met so far.
#[derive(Default)]
pub struct TextCache {
    models: HashMap<String, Rc<ModelTexts>>,
}

// === impl TextCache ===

impl TextCache {
    pub fn of(&mut self, model: &str) -> Rc<ModelTexts> {
        if let Some(texts) = self.models.get(model) {
            return Rc::clone(texts);
        }
        if self.models.len() >= MODELS_MAX {
            self.models.clear();
        }
        let texts = Rc::new(ModelTexts::new(model));
        self.models.insert(model.to_owned(), Rc::clone(&texts));
        texts
    }
}

// === impl ModelTexts ===

impl ModelTexts {
    fn new(model: &str) -> ModelTexts {
        let model = json_string(&format!("{model}{MODEL_SUFFIX}"));
        let plain = Frames::new(&model, "");
        let null_usage = Frames::new(&model, r#","usage":null"#);
        ModelTexts {
            model,
            plain,
            null_usage,
        }
    }

    /// With `usage: null` in every chunk, if the request asked for usage.
    pub fn frames(&self, asked: bool) -> &Frames {
        if asked { &self.null_usage } else { &self.plain }
    }

    /// OpenAI's usage chunk: no choices.
    pub fn usage_chunk(&self, usage: &Usage) -> Bytes {
        let tail = format!(r#","usage":{}"#, usage.json());
        chunk(&self.model, "", &tail)
    }

    /// The finish chunk with the usage at its top level.
    pub fn finish_with_usage(&self, usage: &Usage) -> Bytes {
        let tail = format!(r#","usage":{}"#, usage.json());
        chunk(&self.model, &choice("{}", r#""stop""#, ""), &tail)
    }

    /// The finish chunk with the usage inside its choice.
    pub fn finish_with_nested_usage(&self, usage: &Usage) -> Bytes {
        let nested = format!(r#","usage":{}"#, usage.json());
        chunk(&self.model, &choice("{}", r#""stop""#, &nested), "")
    }

    /// A content chunk that repeats the usage so far.
    pub fn content_with_usage(&self, index: u64, usage: &Usage) -> Bytes {
        let tail = format!(r#","usage":{}"#, usage.json());
        chunk(
            &self.model,
            &choice(&delta("content", word(index)), "null", ""),
            &tail,
        )
    }

    /// A whole chat answer; its content grows to `bytes_min`, whatever the usage says.
    pub fn completion(
        &self,
        tokens: u64,
        reasoning: u64,
        bytes_min: u64,
        usage: Option<&str>,
        nested: bool,
    ) -> Bytes {
        let thought = match reasoning {
            0 => String::new(),
            count => format!(r#","reasoning_content":"{}""#, text(0..count)),
        };
        let mut content = text(reasoning..tokens);
        if (content.len() as u64) < bytes_min {
            content.push_str(&"x".repeat(bytes_min as usize - content.len()));
        }
        let usage = usage
            .map(|usage| format!(r#","usage":{usage}"#))
            .unwrap_or_default();
        let (inner, outer) = if nested {
            (usage.as_str(), "")
        } else {
            ("", usage.as_str())
        };
        let model = &self.model;
        Bytes::from(format!(
            r#"{{"id":"chatcmpl-mock","object":"chat.completion","created":{CREATED},"model":{model},"choices":[{{"index":0,"message":{{"role":"assistant","content":"{content}"{thought},"refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"{inner}}}]{outer},"service_tier":"default","system_fingerprint":"fp_mock"}}"#
        ))
    }
}

// === impl Frames ===

impl Frames {
    fn new(model: &str, tail: &str) -> Frames {
        let of = |kind: &str| {
            WORDS
                .iter()
                .map(|word| chunk(model, &choice(&delta(kind, word), "null", ""), tail))
                .collect()
        };
        let role = r#"{"role":"assistant","content":"","refusal":null}"#;
        Frames {
            role: chunk(model, &choice(role, "null", ""), tail),
            finish: chunk(model, &choice("{}", r#""stop""#, ""), tail),
            content: of("content"),
            reasoning: of("reasoning_content"),
        }
    }

    /// The chunk of the token at `index`; the first `reasoning` tokens are thought.
    pub fn token(&self, index: u64, reasoning: u64) -> Bytes {
        let frames = if index < reasoning {
            &self.reasoning
        } else {
            &self.content
        };
        frames[word_index(index)].clone()
    }
}

fn word_index(index: u64) -> usize {
    (index % WORDS.len() as u64) as usize
}

fn word(index: u64) -> &'static str {
    WORDS[word_index(index)]
}

fn text(range: std::ops::Range<u64>) -> String {
    range.map(word).collect()
}

fn delta(kind: &str, word: &str) -> String {
    format!(r#"{{"{kind}":"{word}"}}"#)
}

fn choice(delta: &str, finish: &str, extra: &str) -> String {
    format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}{extra}}}"#)
}

fn chunk(model: &str, choice: &str, tail: &str) -> Bytes {
    Bytes::from(format!(
        "data: {{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":{CREATED},\"model\":{model},\
         \"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\",\"choices\":[{choice}]{tail}}}\n\n"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const USAGE: Usage = Usage {
        prompt: 7,
        completion: 3,
        cached: 2,
        reasoning: 1,
    };

    fn event(bytes: &Bytes) -> Value {
        let text = std::str::from_utf8(bytes).expect("utf-8");
        let json = text
            .strip_prefix("data: ")
            .and_then(|rest| rest.strip_suffix("\n\n"))
            .expect("one event");
        assert!(!json.contains('\n'));
        serde_json::from_str(json).expect("JSON")
    }

    fn texts() -> Rc<ModelTexts> {
        TextCache::default().of("a/\"b")
    }

    #[test]
    fn chunks_carry_null_usage_only_when_asked() {
        let texts = texts();
        let asked = event(&texts.frames(true).token(0, 0));
        assert_eq!(asked.get("usage"), Some(&Value::Null));
        assert_eq!(asked["model"], "a/\"b-0528");
        assert_eq!(asked["choices"][0]["delta"]["content"], " the");
        assert_eq!(event(&texts.frames(false).token(0, 0)).get("usage"), None);
    }

    #[test]
    fn thought_comes_before_content() {
        let texts = texts();
        let frames = texts.frames(false);
        assert_eq!(
            event(&frames.token(0, 1))["choices"][0]["delta"]["reasoning_content"],
            " the"
        );
        assert_eq!(
            event(&frames.token(33, 1))["choices"][0]["delta"]["content"],
            " of"
        );
    }

    #[test]
    fn usage_lies_where_each_vendor_puts_it() {
        let texts = texts();
        let last = event(&texts.usage_chunk(&USAGE));
        assert_eq!(
            (&last["choices"], &last["usage"]["total_tokens"]),
            (&Value::Array(vec![]), &Value::from(10))
        );
        let finish = event(&texts.finish_with_usage(&USAGE));
        assert_eq!(finish["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
        let nested = event(&texts.finish_with_nested_usage(&USAGE));
        assert_eq!(nested["choices"][0]["usage"]["completion_tokens"], 3);
        assert_eq!(nested.get("usage"), None);
        let every = event(&texts.content_with_usage(0, &USAGE));
        assert_eq!(
            every["usage"]["completion_tokens_details"]["reasoning_tokens"],
            1
        );
    }

    #[test]
    fn a_completion_has_a_word_a_token_and_grows_to_its_size() {
        let usage = USAGE.json();
        let answer: Value =
            serde_json::from_slice(&texts().completion(3, 1, 0, Some(&usage), false))
                .expect("JSON");
        assert_eq!(answer["choices"][0]["message"]["content"], " of and");
        assert_eq!(answer["choices"][0]["message"]["reasoning_content"], " the");
        assert_eq!(answer["usage"]["prompt_tokens"], 7);
        let padded: Value =
            serde_json::from_slice(&texts().completion(3, 0, 1000, None, false)).expect("JSON");
        assert_eq!(
            padded["choices"][0]["message"]["content"]
                .as_str()
                .map(str::len),
            Some(1000)
        );
        assert_eq!(padded.get("usage"), None);
    }
}
