//! Rows of a price list: bounds and prices of every kind that goes with a service.

use std::sync::Arc;

use super::dice::Dice;
use crate::config::Config;
use crate::gateway::service::Service;
use crate::price::{Model, PriceBook};

/// What the operator says of a model. The honest upstream keeps to it.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub category: &'static str,
    pub context_tokens: u64,
    pub max_output_tokens: u64,
    pub reasoning_tokens_max: u64,
    pub image_tokens_max: u64,
    pub overhead_tokens: u64,
    pub images_max: u64,
    pub seconds_max: u64,
    pub max_tokens_field: &'static str,
    /// The prices, without braces.
    pub prices: String,
    /// Whether tokens are counted, for a price or for limits.
    pub counts_tokens: bool,
    /// Whether seconds and characters are.
    pub counts_length: bool,
    /// The sizes that have a price of their own, and that of an image whose size nobody tells.
    pub sizes: Vec<&'static str>,
    pub default_size: Option<&'static str>,
    pub qualities: Vec<&'static str>,
    pub default_quality: Option<&'static str>,
}

pub const SIZES: [&str; 3] = ["1x1", "2x2", "9x9"];
pub const QUALITIES: [&str; 3] = ["low", "high", "best"];

/// Prices of a million tokens, or of one of anything else.
const PRICES: [&str; 6] = ["4", "0", "0.3", "16.000001", "0.0000013", "250"];

impl Row {
    pub fn draw(service: Service, dice: &mut Dice<'_>) -> Row {
        let mut row = Row {
            category: match service {
                Service::Embeddings => "embedding",
                Service::Rerank => "rerank",
                Service::Moderations => "moderation",
                Service::Images => "text-to-image",
                Service::ImageEdits => "image-edit",
                Service::Speech => "speech",
                Service::Transcriptions => "transcription",
                _ => "chat",
            },
            context_tokens: dice.pick(&[131_072, 4_000, 150, 1]),
            max_output_tokens: dice.pick(&[500, 8_192, 16, 1]),
            reasoning_tokens_max: dice.pick(&[0, 0, 300]),
            image_tokens_max: dice.pick(&[1_500, 85, 0, 4_000]),
            overhead_tokens: dice.pick(&[0, 30, 512, 3_000]),
            images_max: dice.pick(&[4, 1, 10]),
            seconds_max: dice.pick(&[60, 10_800]),
            max_tokens_field: dice.pick(&["both", "max_tokens", "max_completion_tokens"]),
            ..Row::default()
        };
        row.price(dice);
        row
    }

    fn price(&mut self, dice: &mut Dice<'_>) {
        let is_text = self.category == "chat" || self.only_reads();
        let is_image = self.category.contains("image");
        self.counts_tokens = is_text;
        if dice.one_in(16) {
            self.prices = "free: true".to_owned();
            self.counts_length = true;
            return;
        }
        let mut parts = Vec::new();
        let kinds = if is_text { 8 } else { 3 };
        let kind = dice.below(kinds);
        // Text is priced by tokens or by request; all else by its own unit, by tokens, or by both.
        let by_tokens = if is_text { kind < 7 } else { kind > 0 };
        let by_own = !is_text && kind != 1;
        if by_tokens {
            self.tokens(dice, &mut parts);
        }
        if by_own {
            match self.category {
                "speech" => parts.push(format!("million_characters: {}", dice.pick(&PRICES))),
                "transcription" => {
                    let unit = dice.pick(&["minute", "second"]);
                    parts.push(format!("{unit}: 0.{}", dice.below(100)));
                }
                _ => self.images(dice, &mut parts),
            }
        }
        let alone = parts.is_empty();
        if alone || dice.one_in(4) {
            parts.push(format!("request: 0.0{}", dice.below(1_000)));
        }
        if dice.one_in(4) {
            let times = dice.pick(&["1.3333", "0.5", "0"]);
            parts.push(format!(
                "hours: [{{ from: \"00:00\", to: \"24:00\", times: {times} }}]"
            ));
        }
        self.counts_tokens |= by_tokens;
        self.counts_length = by_own || !by_tokens;
        if is_image {
            self.counts_length = false;
        }
        self.prices = parts.join(", ");
    }

    /// Whether a request has a price.
    pub fn counts_requests(&self) -> bool {
        self.prices.contains("request: ")
    }

    fn only_reads(&self) -> bool {
        matches!(self.category, "embedding" | "rerank" | "moderation")
    }

    fn tokens(&self, dice: &mut Dice<'_>, parts: &mut Vec<String>) {
        let sides: &[(&str, &[&str])] = &[
            (
                "input",
                &[
                    "cached_input",
                    "cache_write",
                    "cache_write_1h",
                    "audio_input",
                    "image_input",
                ],
            ),
            ("output", &["reasoning", "audio_output", "image_output"]),
        ];
        let sides = &sides[..if self.only_reads() { 1 } else { 2 }];
        parts.push("per: 1M tokens".to_owned());
        let mut fields = Vec::new();
        for (side, more) in sides {
            fields.push(*side);
            parts.push(format!("{side}: {}", dice.pick(&PRICES)));
            for part in *more {
                if dice.one_in(3) {
                    fields.push(part);
                    parts.push(format!("{part}: {}", dice.pick(&PRICES)));
                }
            }
        }
        let mut above: Vec<u64> = (0..dice.below(3))
            .map(|_| dice.pick(&[100, 1, 300, 1_000, 5_000]))
            .collect();
        // Others are refused: no request passes them.
        above.retain(|above| *above < self.context_tokens);
        above.sort_unstable();
        above.dedup();
        let tiers = above.into_iter().map(|above| {
            let field = dice.pick(&fields);
            let mut own = vec![format!("{field}: {}", dice.pick(&["900", "1"]))];
            for other in fields.iter().filter(|other| **other != field) {
                if dice.one_in(3) {
                    own.push(format!("{other}: {}", dice.pick(&PRICES)));
                }
            }
            format!("{{ above_input_tokens: {above}, {} }}", own.join(", "))
        });
        let tiers: Vec<String> = tiers.collect();
        if !tiers.is_empty() {
            parts.push(format!("tiers: [{}]", tiers.join(", ")));
        }
    }

    fn images(&mut self, dice: &mut Dice<'_>, parts: &mut Vec<String>) {
        let image = format!("image: {}", dice.pick(&["0.2", "0", "1.000000001"]));
        if dice.one_in(3) {
            parts.push(image);
            return;
        }
        let mut listed = Vec::new();
        for size in [None, Some("1x1"), Some("2x2")] {
            for quality in [None, Some("low"), Some("high")] {
                let is_wanted = size == Some("1x1") && quality == Some("low");
                if (size.is_none() && quality.is_none()) || !(is_wanted || dice.one_in(2)) {
                    continue;
                }
                let words = [("size", size), ("quality", quality)];
                let words = words
                    .into_iter()
                    .filter_map(|(name, word)| Some(format!("{name}: {}, ", word?)));
                let words: String = words.collect();
                let price = dice.pick(&["0.1", "0.9", "2.5", "0"]);
                listed.push(format!("{{ {words}image: {price} }}"));
                self.sizes.extend(size);
                self.qualities.extend(quality);
            }
        }
        parts.push(format!("images: [{}]", listed.join(", ")));
        if dice.one_in(2) {
            parts.push(image);
        }
        if dice.one_in(2) {
            self.default_size = Some("1x1");
            parts.push("default_size: 1x1".to_owned());
        }
        if dice.one_in(2) {
            self.default_quality = Some("low");
            parts.push("default_quality: low".to_owned());
        }
    }

    /// The model that the config makes of it.
    pub fn model(&self) -> Arc<Model> {
        let text = format!(
            "currency: CNY\nupstreams: {{ demo: {{ kind: simulator }} }}\nmodels:\n  - {{ id: m, upstream: demo, \
             category: {}, context_tokens: {}, max_output_tokens: {}, reasoning_tokens_max: {}, image_tokens_max: {}, \
             overhead_tokens: {}, images_max: {}, seconds_max: {}, max_tokens_field: {}, prices: [{{ {} }}] }}\n",
            self.category,
            self.context_tokens,
            self.max_output_tokens,
            self.reasoning_tokens_max,
            self.image_tokens_max,
            self.overhead_tokens,
            self.images_max,
            self.seconds_max,
            self.max_tokens_field,
            self.prices
        );
        let config = Config::parse(&text, "config.yaml", &|_| None);
        let config = config.unwrap_or_else(|error| panic!("{error}\n{text}"));
        let book = PriceBook::new(&config).expect("a book");
        Arc::clone(book.find("m").expect("the model"))
    }
}
