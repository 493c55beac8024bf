//! The rows of the price list.

use rust_decimal::Decimal;

use crate::clock::UnixMs;
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
    /// Input tokens.
    pub input: Option<Decimal>,
    /// Input tokens read from the upstream's cache; as input where absent.
    pub cached_input: Option<Decimal>,
    /// Input tokens written to the upstream's cache; as input where absent.
    pub cache_write: Option<Decimal>,
    /// Audio tokens of the input; as input where absent.
    pub audio_input: Option<Decimal>,
    /// Output tokens.
    pub output: Option<Decimal>,
    /// Output tokens spent on reasoning; as output where absent.
    pub reasoning: Option<Decimal>,
    /// Audio tokens of the output; as output where absent.
    pub audio_output: Option<Decimal>,
    /// One image, whatever `per` says.
    pub image: Option<Decimal>,
    /// One request, whatever `per` says.
    pub request: Option<Decimal>,
    /// Its line in the file.
    pub line: u32,
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
    /// Whether images are made.
    pub const fn is_image(self) -> bool {
        match self {
            Category::Chat
            | Category::Embedding
            | Category::Rerank
            | Category::Moderation
            | Category::Speech
            | Category::Transcription => false,
            Category::TextToImage | Category::ImageEdit | Category::MultiImageEdit => true,
        }
    }
}

impl PriceRow {
    /// The prices that are written: each with its field's name and how many units it is for.
    pub fn written(&self) -> impl Iterator<Item = (&'static str, Decimal, u64)> {
        let tokens = self.per.tokens();
        [
            ("input", self.input, tokens),
            ("cached_input", self.cached_input, tokens),
            ("cache_write", self.cache_write, tokens),
            ("audio_input", self.audio_input, tokens),
            ("output", self.output, tokens),
            ("reasoning", self.reasoning, tokens),
            ("audio_output", self.audio_output, tokens),
            ("image", self.image, 1),
            ("request", self.request, 1),
        ]
        .into_iter()
        .filter_map(|(field, price, per)| Some((field, price?, per)))
    }
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
