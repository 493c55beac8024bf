//! What an honest upstream came to need, and how it reports that.

use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::honest::Most;
use super::row::Row;
use crate::gateway::service::Service;
use crate::usage::{Meter, Usage};

/// Counts that do not overlap.
#[derive(Clone, Debug, Default)]
pub struct Spent {
    pub cached: u64,
    pub written: u64,
    /// Written to be kept for an hour.
    pub kept: u64,
    pub heard: u64,
    pub seen: u64,
    pub read: u64,
    pub reasoned: u64,
    /// Whether the report has that beside the output.
    pub is_beside: bool,
    pub spoken: u64,
    pub drawn: u64,
    pub wrote: u64,
    pub images: u64,
    pub seconds: u64,
    pub characters: u64,
    /// Search units; none where they are not told.
    pub searches: u64,
}

impl Spent {
    pub fn draw(service: Service, most: &Most, dice: &mut Dice<'_>) -> Spent {
        let mut input = dice.up_to(most.input);
        let images = dice.up_to(most.images);
        // No image comes of nothing.
        let mut output = dice.up_to(most.output).max(images.min(1));
        let part = |dice: &mut Dice<'_>, whole: &mut u64, is_there: bool| {
            let part = match is_there && dice.one_in(2) {
                true => dice.up_to(*whole),
                false => 0,
            };
            *whole -= part;
            part
        };
        let searches = match most.searches > 0 && dice.one_in(3) {
            true => 1 + dice.up_to(most.searches - 1),
            false => 0,
        };
        // Who tells of search units tells of no caches.
        let is_text = most.images + most.seconds + most.characters + searches == 0;
        let is_anthropic = service == Service::Messages;
        let reasons = is_text && !is_anthropic;
        Spent {
            cached: part(dice, &mut input, is_text),
            written: part(dice, &mut input, is_text),
            kept: part(dice, &mut input, is_anthropic),
            heard: part(dice, &mut input, most.has_sound && !is_anthropic),
            seen: part(
                dice,
                &mut input,
                most.pictures > 0 && !is_anthropic && most.output > 0,
            ),
            reasoned: part(dice, &mut output, reasons),
            is_beside: dice.one_in(3),
            spoken: part(dice, &mut output, service == Service::Speech),
            drawn: part(dice, &mut output, most.images > 0),
            read: input,
            wrote: output,
            images,
            seconds: dice.up_to(most.seconds),
            characters: most.characters,
            searches,
        }
    }

    pub fn input(&self) -> u64 {
        self.cached + self.written + self.kept + self.heard + self.seen + self.read
    }

    pub fn output(&self) -> u64 {
        self.reasoned + self.spoken + self.drawn + self.wrote
    }

    /// The same by meters, as far as the row counts them.
    pub fn usage(&self, row: &Row) -> Usage {
        let tokens = [
            (Meter::CachedInput, self.cached),
            (Meter::CacheWrite, self.written),
            (Meter::CacheWriteHour, self.kept),
            (Meter::AudioInput, self.heard),
            (Meter::ImageInput, self.seen),
            (Meter::Input, self.read),
            (Meter::Reasoning, self.reasoned),
            (Meter::AudioOutput, self.spoken),
            (Meter::ImageOutput, self.drawn),
            (Meter::Output, self.wrote),
        ];
        let lengths = [
            (Meter::Seconds, self.seconds),
            (Meter::Characters, self.characters),
        ];
        let searches = [(Meter::Requests, self.searches)];
        let searches = searches.into_iter().filter(|_| row.counts_requests());
        let tokens = tokens.into_iter().filter(|_| row.counts_tokens);
        let lengths = lengths.into_iter().filter(|_| row.counts_length);
        let counts = tokens.chain(lengths).chain(searches);
        counts.fold(Usage::images(self.images), |usage, (meter, count)| {
            usage.with(meter, count)
        })
    }

    /// A `usage` object as vendors of this service write it.
    pub fn report(&self, service: Service, dice: &mut Dice<'_>) -> Value {
        match service {
            Service::Messages => self.anthropic(),
            Service::Embeddings | Service::Rerank | Service::Moderations => json!({
                "prompt_tokens": self.input(),
                "total_tokens": self.input(),
                "prompt_tokens_details": {"cached_tokens": self.cached, "cache_write_tokens": self.written},
            }),
            Service::Chat | Service::Completions => self.openai("prompt", "completion", true, dice),
            _ => {
                let mut report = self.openai("input", "output", dice.one_in(2), dice);
                if service == Service::Transcriptions {
                    report["seconds"] = json!(self.seconds);
                }
                report["generated_images"] = json!(self.images);
                report
            }
        }
    }

    fn openai(&self, read: &str, wrote: &str, is_told: bool, dice: &mut Dice<'_>) -> Value {
        let is_beside = self.is_beside && self.reasoned > 0;
        let output = self.output() - if is_beside { self.reasoned } else { 0 };
        let mut report = Map::new();
        let mut set = |name: String, value: Value| drop(report.insert(name, value));
        set(format!("{read}_tokens"), json!(self.input()));
        set(format!("{wrote}_tokens"), json!(output));
        if is_told || is_beside || dice.one_in(2) {
            set(
                "total_tokens".to_owned(),
                json!(self.input() + self.output()),
            );
        }
        let details = json!({
            "reasoning_tokens": self.reasoned, "audio_tokens": self.spoken, "image_tokens": self.drawn,
            "accepted_prediction_tokens": 3, "rejected_prediction_tokens": 4, "text_tokens": null,
        });
        set(format!("{wrote}_tokens_details"), details);
        let mut details = json!({
            "cached_tokens": self.cached, "cache_write_tokens": self.written, "audio_tokens": self.heard,
            "image_tokens": self.seen,
        });
        let is_flat = read == "prompt" && self.written == 0;
        match dice.below(4) {
            // DeepSeek, Moonshot.
            0 if is_flat => {
                set("prompt_cache_hit_tokens".to_owned(), json!(self.cached));
                let miss = self.input() - self.cached;
                set("prompt_cache_miss_tokens".to_owned(), json!(miss));
                details["cached_tokens"] = Value::Null;
            }
            1 if is_flat => {
                set("cached_tokens".to_owned(), json!(self.cached));
                details["cached_tokens"] = json!(0);
            }
            // Gateways fill the names that they do not use.
            2 if read == "prompt" => {
                set("input_tokens".to_owned(), json!(0));
                set("output_tokens".to_owned(), json!(0));
                set("input_tokens_details".to_owned(), Value::Null);
            }
            _ => {}
        }
        set(format!("{read}_tokens_details"), details);
        Value::Object(report)
    }

    fn anthropic(&self) -> Value {
        json!({
            "input_tokens": self.read + self.heard + self.seen,
            "cache_read_input_tokens": self.cached,
            "cache_creation_input_tokens": self.written + self.kept,
            "cache_creation": {"ephemeral_5m_input_tokens": self.written, "ephemeral_1h_input_tokens": self.kept},
            "output_tokens": self.output(),
            "service_tier": "standard",
        })
    }
}
