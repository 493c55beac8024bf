//! The rows of the price list.

use rust_decimal::Decimal;

use super::Words as _;
use crate::clock::UnixMs;
use crate::money::Factor;
use crate::vocabulary::Vocabulary;

/// One model of the price list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRow {
    /// The canonical id.
    pub id: String,
    /// Other names that reach it.
    pub aliases: Vec<String>,
    /// What it does.
    pub category: Category,
    /// Where it is served; never empty.
    pub routes: Vec<Route>,
    /// The largest request that it can get and the largest answer that it can give.
    pub bounds: Bounds,
    /// What tokens are counted with where the upstream does not say.
    pub tokenizer: Vocabulary,
    /// Its prices; never empty, no two from the same time.
    pub prices: Vec<PriceRow>,
    /// Its line in the file.
    pub line: u32,
}

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Text from text (and perhaps images), by `/chat/completions`, `/completions`, `/responses` and `/messages`.
    Chat,
    /// Vectors for texts, by `/embeddings`.
    Embedding,
    /// Documents put in order, by `/rerank`.
    Rerank,
    /// Harmful content found, by `/moderations`.
    Moderation,
    /// Speech from text.
    Speech,
    /// Text from speech.
    Transcription,
    /// Whatever is served at a path of its own, which its id and aliases are: priced by the request.
    Path,
    /// Images from text.
    TextToImage,
    /// Images from an image and text.
    ImageEdit,
    /// Images from several images and text.
    MultiImageEdit,
}

/// One place where a model is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The upstream's name.
    pub upstream: String,
    /// The model's name there.
    pub model: String,
    /// The share of requests among routes of one priority; at least 1.
    pub weight: u32,
    /// Lower comes first; others are used when those fail.
    pub priority: u32,
}

/// Bounds from which worst cases are computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The largest possible input, in tokens.
    pub context_tokens: u64,
    /// The largest possible output of one choice, in tokens.
    pub max_output_tokens: u64,
    /// Reasoning tokens that may come *on top of* the client's maximum, a choice; 0 where the maximum includes them.
    pub reasoning_tokens_max: u64,
    /// The most input tokens that one image comes to.
    pub image_tokens_max: u64,
    /// Input tokens that the upstream adds to every request (templates and the like).
    pub overhead_tokens: u64,
    /// The most images that one request may ask for.
    pub images_max: u64,
    /// The longest audio that one request may carry, in seconds.
    pub seconds_max: u64,
    /// The most characters that one request may have spoken.
    pub characters_max: u64,
    /// The field of a chat that bounds the output.
    pub max_tokens_field: MaxTokensField,
}

/// The fields of a chat whose maximum its endpoint obeys. A maximum in another field bounds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MaxTokensField {
    /// `max_tokens`.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
    /// Either of them.
    Both,
}

/// What a model costs from some time on. Prices are as printed; see [`Per`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRow {
    /// From when on; `None` is always.
    pub effective_from: Option<UnixMs>,
    /// Whether everything is free; then there are no prices.
    pub free: bool,
    /// How many tokens the token prices are for.
    pub per: Per,
    /// The prices that are written, in the order of [`PriceField`].
    pub rates: Rates,
    /// Prices of requests with a longer input, by threshold.
    pub tiers: Vec<TierRow>,
    /// Prices of an image by its size and quality.
    pub images: Vec<ImageRow>,
    /// The size that an image has where the request asks for none.
    pub default_size: Option<String>,
    /// The quality that an image has where the request asks for none.
    pub default_quality: Option<String>,
    /// What prices are multiplied by at which hours.
    pub hours: Vec<HoursRow>,
    /// Its line in the file.
    pub line: u32,
}

/// Prices of requests whose input has more tokens than a threshold; what has none costs as in the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierRow {
    /// The threshold.
    pub above_input_tokens: u64,
    /// Prices of tokens.
    pub rates: Rates,
}

/// The price of one image of a size and a quality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRow {
    /// The size, as [`image_word`] writes it; any where absent.
    pub size: Option<String>,
    /// The quality, as [`image_word`] writes it; any where absent.
    pub quality: Option<String>,
    /// The price.
    pub price: Decimal,
}

/// A factor for a part of every day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoursRow {
    /// Its first minute, counted from midnight in the server's time zone.
    pub from: u16,
    /// The minute that it ends before; not after `from` where it ends on the next day.
    pub to: u16,
    /// The factor.
    pub times: Factor,
}

/// Prices by field.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rates(Vec<(PriceField, Decimal)>);

/// A field of the price list that is a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PriceField {
    /// Input tokens.
    Input,
    /// Input tokens read from the upstream's cache; as input where absent.
    CachedInput,
    /// Input tokens written to the upstream's cache; as input where absent.
    CacheWrite,
    /// Input tokens written to it for an hour; as cache writes where absent.
    CacheWriteHour,
    /// Audio tokens of the input; as input where absent.
    AudioInput,
    /// Image tokens of the input; as input where absent.
    ImageInput,
    /// Output tokens.
    Output,
    /// Output tokens spent on reasoning; as output where absent.
    Reasoning,
    /// Audio tokens of the output; as output where absent.
    AudioOutput,
    /// Image tokens of the output; as output where absent.
    ImageOutput,
    /// One image of a size and quality that has no price of its own.
    Image,
    /// A second of audio.
    Second,
    /// A minute of audio; counted by the second.
    Minute,
    /// A character to be spoken.
    Character,
    /// 1,000 characters to be spoken.
    ThousandCharacters,
    /// 1,000,000 characters to be spoken.
    MillionCharacters,
    /// One request.
    Request,
}

/// What the token prices of a row are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Per {
    /// 1,000,000 tokens.
    MillionTokens,
    /// 1,000 tokens.
    ThousandTokens,
    /// One token.
    Token,
    /// No token has a price: the row is for images.
    Image,
    /// No token has a price: the row is for requests.
    Request,
}

impl Category {
    /// Whether text is read, whose tokens count even where none of them has a price.
    pub const fn is_text(self) -> bool {
        match self {
            Category::Chat | Category::Embedding | Category::Rerank | Category::Moderation => true,
            Category::Speech
            | Category::Transcription
            | Category::TextToImage
            | Category::ImageEdit
            | Category::MultiImageEdit
            | Category::Path => false,
        }
    }

    /// Whether images are made.
    pub const fn is_image(self) -> bool {
        match self {
            Category::Chat
            | Category::Embedding
            | Category::Rerank
            | Category::Moderation
            | Category::Speech
            | Category::Transcription
            | Category::Path => false,
            Category::TextToImage | Category::ImageEdit | Category::MultiImageEdit => true,
        }
    }
}

impl Bounds {
    /// The longest audio of a request where the row does not say.
    pub const SECONDS_MAX: u64 = 10_800;
    /// The most characters of a request where the row does not say.
    pub const CHARACTERS_MAX: u64 = 4_096;
}

impl PriceField {
    /// Prices of input tokens; the first is what the others fall back to.
    pub const INPUT: [PriceField; 6] = [
        PriceField::Input,
        PriceField::CachedInput,
        PriceField::CacheWrite,
        PriceField::CacheWriteHour,
        PriceField::AudioInput,
        PriceField::ImageInput,
    ];
    /// Prices of output tokens; the first is what the others fall back to.
    pub const OUTPUT: [PriceField; 4] = [
        PriceField::Output,
        PriceField::Reasoning,
        PriceField::AudioOutput,
        PriceField::ImageOutput,
    ];

    /// Whether it is a price of tokens.
    pub fn is_tokens(self) -> bool {
        PriceField::INPUT.contains(&self) || PriceField::OUTPUT.contains(&self)
    }

    /// How many units of its meter a price is for, in a row of `per`.
    pub fn units(self, per: Per) -> u64 {
        match self {
            PriceField::Minute => 60,
            PriceField::ThousandCharacters => 1_000,
            PriceField::MillionCharacters => 1_000_000,
            _ if self.is_tokens() => per.tokens(),
            _ => 1,
        }
    }

    /// What a price is for, as people read it, in a row of `per`.
    pub fn unit(self, per: Per) -> &'static str {
        match self {
            PriceField::Image => "image",
            PriceField::Second => "second",
            PriceField::Minute => "minute",
            PriceField::Character => "character",
            PriceField::ThousandCharacters => "1K characters",
            PriceField::MillionCharacters => "1M characters",
            PriceField::Request => "request",
            _ => per.name(),
        }
    }
}

impl Rates {
    /// The prices of a list in the order of fields.
    pub fn new(prices: impl IntoIterator<Item = (PriceField, Decimal)>) -> Self {
        Rates(prices.into_iter().collect())
    }

    /// The price in a field.
    pub fn get(&self, field: PriceField) -> Option<Decimal> {
        self.iter()
            .find(|(each, _)| *each == field)
            .map(|(_, price)| price)
    }

    /// Every price that is written.
    pub fn iter(&self) -> impl Iterator<Item = (PriceField, Decimal)> {
        self.0.iter().copied()
    }

    /// The first of some fields that has a price.
    pub fn first(&self, fields: &[PriceField]) -> Option<PriceField> {
        fields
            .iter()
            .copied()
            .find(|field| self.get(*field).is_some())
    }
}

/// A size or a quality as it is compared: small letters, and `1024x1024` however it is written.
/// `None` for what leaves the choice to the upstream.
pub fn image_word(text: &str) -> Option<String> {
    let word = text.trim().to_lowercase().replace(['*', '×'], "x");
    (!word.is_empty() && word != "auto").then_some(word)
}

impl Per {
    /// How many tokens a token price is for; 1 where no token has a price.
    pub const fn tokens(self) -> u64 {
        match self {
            Per::MillionTokens => 1_000_000,
            Per::ThousandTokens => 1_000,
            Per::Token | Per::Image | Per::Request => 1,
        }
    }
}
