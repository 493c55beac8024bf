//! Answers as vendors write them, whole and in events, with a usage or without.

mod events;

use serde_json::{Value, json};

use super::dice::Dice;
use super::honest::Most;
use super::row::{QUALITIES, SIZES};
use super::spent::Spent;
use crate::gateway::service::Service;

/// How an answer comes.
pub enum Answer {
    Whole(String),
    Events(String),
    /// Sound, of which nothing can be read.
    Opaque(Vec<u8>),
}

/// What is answered.
pub struct Told<'t> {
    pub service: Service,
    pub most: &'t Most,
    pub spent: &'t Spent,
    /// Whether the usage is in it.
    pub has_usage: bool,
}

impl Told<'_> {
    pub fn write(&self, dice: &mut Dice<'_>) -> Answer {
        let usage = match self.has_usage {
            true => Some(self.spent.report(self.service, dice)),
            false => None,
        };
        if self.most.is_stream && self.most.images == 0 {
            return Answer::Events(events::texts(self, usage, dice));
        }
        match self.service {
            Service::Images | Service::ImageEdits if self.most.is_stream => {
                Answer::Events(events::images(self, usage, dice))
            }
            Service::Speech if !self.has_usage => Answer::Opaque(b"RIFF\xff\xfe".to_vec()),
            _ => Answer::Whole(self.whole(usage, dice).to_string()),
        }
    }

    fn whole(&self, usage: Option<Value>, dice: &mut Dice<'_>) -> Value {
        let usage = usage.unwrap_or(Value::Null);
        let texts = self.texts(dice);
        match self.service {
            Service::Chat => {
                let choice = |(index, text): (usize, &String)| json!({"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
                let choices: Vec<Value> = texts.iter().enumerate().map(choice).collect();
                json!({"id": "c", "object": "chat.completion", "choices": choices, "usage": usage})
            }
            Service::Completions => {
                let choice =
                    |(index, text): (usize, &String)| json!({"index": index, "text": text});
                let choices: Vec<Value> = texts.iter().enumerate().map(choice).collect();
                json!({"id": "c", "choices": choices, "usage": usage})
            }
            Service::Responses => json!({
                "id": "resp_1", "object": "response", "status": "completed", "usage": usage,
                "output": [{"type": "message", "content": [{"type": "output_text", "text": texts[0]}]}],
            }),
            Service::Messages => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "usage": usage,
                "content": [{"type": "text", "text": texts[0]}], "stop_reason": "end_turn",
            }),
            Service::Embeddings => json!({
                "object": "list", "usage": usage,
                "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
            }),
            Service::Rerank => {
                let results = json!([{"index": 0, "relevance_score": 0.75}]);
                match self.spent.searches {
                    searches if searches > 0 && self.has_usage => {
                        let tokens = json!({"input_tokens": self.spent.input()});
                        let units = json!({"search_units": searches});
                        json!({"results": results, "meta": {"tokens": tokens, "billed_units": units}})
                    }
                    _ => json!({"results": results, "usage": usage}),
                }
            }
            Service::Moderations => {
                json!({"id": "modr", "results": [{"flagged": false}], "usage": usage})
            }
            Service::Images | Service::ImageEdits => self.images(&usage, dice),
            _ => json!({"text": texts[0], "usage": usage}),
        }
    }

    fn images(&self, usage: &Value, dice: &mut Dice<'_>) -> Value {
        let made = (0..self.spent.images).map(|_| match dice.one_in(2) {
            true => json!({"b64_json": "iVBORw0K"}),
            false => json!({"url": "https://example.com/1.png"}),
        });
        let mut data: Vec<Value> = made.collect();
        if self.spent.images < self.most.images {
            data.push(json!({"error": {"code": "refused", "message": "unsafe"}}));
        }
        let mut answer = json!({"created": 1, "data": data, "usage": usage});
        self.state(&mut answer, dice);
        answer
    }

    /// Says how large and how good the images are, or leaves it out. They are as was asked for.
    fn state(&self, answer: &mut Value, dice: &mut Dice<'_>) {
        let size = self.most.size.clone();
        let size = size.unwrap_or_else(|| dice.pick(&SIZES).to_owned());
        let quality = self.most.quality.clone();
        let quality = quality.unwrap_or_else(|| dice.pick(&QUALITIES).to_owned());
        for (name, word) in [("size", size), ("quality", quality)] {
            if dice.one_in(2) {
                answer[name] = json!(word);
            }
        }
    }

    /// A text for each choice. With a usage, none of more tokens than it tells of.
    fn texts(&self, dice: &mut Dice<'_>) -> Vec<String> {
        let choices = self.most.choices.max(1);
        let most = match self.has_usage {
            true => (self.spent.wrote / choices).min(300),
            false => 400,
        };
        let sentence = " It is a cat, 猫, that sleeps in the sun all day long.";
        let text = |_| {
            let bytes = usize::try_from(dice.up_to(most)).expect("few");
            let mut text = sentence.repeat(bytes / sentence.len() + 1);
            let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
            text
        };
        (0..choices).map(text).collect()
    }
}
