//! The worst case of a request, from its size and its model's bounds.

use super::{AudioRequest, BadRequest, ImageRequest, InputRequest, SpeechRequest, TextRequest};
use crate::gateway::splice::MaximumField;
use crate::price::{Bounds, ImageShape, WorstCase};

/// How large a request is, in the measures that bound its input tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputSize {
    /// Bytes of the whole body.
    pub body_bytes: u64,
    /// Bytes of it that are images written out (base64 data URIs), which are counted as images instead.
    pub inline_media_bytes: u64,
    /// Images in the input, written out or linked.
    pub images: u64,
    /// Prompts that are read apart, each in a context of its own; 0 is one as well.
    pub prompts: u64,
    /// Bytes of it that some servers put to every prompt: a suffix, an instruction.
    pub shared_bytes: u64,
    /// Whether it holds or links something whose tokens cannot be told from its bytes: audio, video, documents.
    pub unbounded: bool,
}

impl InputSize {
    /// Adds what another part of the body comes to.
    pub(super) fn add(&mut self, other: &InputSize) {
        self.body_bytes = self.body_bytes.saturating_add(other.body_bytes);
        self.inline_media_bytes = self
            .inline_media_bytes
            .saturating_add(other.inline_media_bytes);
        self.images = self.images.saturating_add(other.images);
        self.prompts = self.prompts.saturating_add(other.prompts);
        self.shared_bytes = self.shared_bytes.saturating_add(other.shared_bytes);
        self.unbounded |= other.unbounded;
    }

    /// The most input tokens that a body of this size can come to: a token is never less than a byte. What a server
    /// adds to each of several prompts (their begin and end) is not more than their quotes and commas.
    pub fn tokens_max(&self, bounds: &Bounds) -> u64 {
        let prompts = self.prompts.max(1);
        let context_tokens = bounds.context_tokens.saturating_mul(prompts);
        // A row that states no tokens for an image bounds none.
        if self.unbounded || (self.images > 0 && bounds.image_tokens_max == 0) {
            return context_tokens;
        }
        let repeated_bytes = self.shared_bytes.saturating_mul(prompts - 1);
        self.body_bytes
            .saturating_sub(self.inline_media_bytes)
            .saturating_add(repeated_bytes)
            .saturating_add(self.images.saturating_mul(bounds.image_tokens_max))
            .saturating_add(bounds.overhead_tokens)
            .min(context_tokens)
    }

    /// The most search units that documents of this size can come to, which are the prompts here; the query is what
    /// they share. A query is taken to leave half of each piece to the document at least, and what it has beyond that to
    /// be a part of each document.
    pub fn search_units_max(&self, bounds: &Bounds) -> u64 {
        let documents = self.prompts.max(1);
        let query = self.shared_bytes.min(PIECE_TOKENS / 2);
        let mut tokens = (self.shared_bytes - query)
            .saturating_mul(documents)
            .saturating_add(self.body_bytes.saturating_sub(self.shared_bytes));
        if self.unbounded {
            tokens = tokens.max(bounds.context_tokens.saturating_mul(documents));
        }
        // Each document begins a piece, and every so many tokens of any begin another.
        let pieces = documents.saturating_add(tokens / (PIECE_TOKENS - query));
        pieces.div_ceil(UNIT_DOCUMENTS)
    }
}

/// Documents of one search unit, by which some servers charge to put documents in order.
const UNIT_DOCUMENTS: u64 = 100;
/// Tokens of a document and the query up to which it counts as one; of a longer one, each piece of that length counts.
const PIECE_TOKENS: u64 = 500;

/// Output tokens of a preview of an image (OpenAI's guide on image generation).
const PREVIEW_TOKENS: u64 = 100;

impl TextRequest<'_> {
    /// The maximum of one choice that the client set, in a field that its endpoint obeys. Where it sent another one
    /// beside, the larger: who knows both takes either. A 0 is none: some servers take it for the absence of a maximum.
    pub fn client_max(&self, bounds: &Bounds) -> Option<u64> {
        let obeyed = self.layout.is_bounded(self.max_tokens_field(bounds)) && !self.sends_zero();
        self.sent_max().filter(|_| obeyed)
    }

    /// The field that bounds this request on a model with these bounds: that of its service, for chats the model's.
    pub fn max_tokens_field(&self, bounds: &Bounds) -> MaximumField {
        let of_model = || MaximumField::from(bounds.max_tokens_field);
        self.maximum.unwrap_or_else(of_model)
    }

    fn sent_max(&self) -> Option<u64> {
        self.layout
            .maxima()
            .filter_map(|(_, sent)| sent.tokens)
            .max()
    }

    fn sends_zero(&self) -> bool {
        let mut maxima = self.layout.maxima();
        maxima.any(|(_, sent)| sent.tokens == Some(0))
    }

    /// The most that this request can consume on a model with these bounds, not to be clamped: for a key whose policy
    /// is to clamp, set `output_tokens_min` to [`TextRequest::output_floor`].
    ///
    /// # Errors
    /// Where the client asks for more output than the model may give.
    pub fn worst_case(&self, bounds: &Bounds) -> Result<WorstCase, BadRequest> {
        let limit = bounds.max_output_tokens;
        if let Some(tokens) = self.sent_max().filter(|tokens| *tokens > limit) {
            return Err(self.above_maximum(tokens, limit));
        }
        let choice = self.client_max(bounds).unwrap_or(limit);
        let output_tokens = self.output_tokens(choice, bounds);
        Ok(WorstCase {
            input_tokens: self.input.tokens_max(bounds),
            output_tokens,
            output_tokens_min: output_tokens,
            ..WorstCase::default()
        })
    }

    /// The least output that a ledger may clamp this request to: one token a choice, and what no maximum lowers.
    /// A maximum of 0 cannot be lowered, and to replace it would be to ask for more.
    pub fn output_floor(&self, bounds: &Bounds) -> u64 {
        let choice = match self.sends_zero() {
            true => bounds.max_output_tokens,
            false => bounds.max_output_tokens.min(1),
        };
        self.output_tokens(choice, bounds)
    }

    /// The maximum to write into the request, a choice, so that it cannot exceed `output` tokens in all.
    /// `None` where that is below [`TextRequest::output_floor`].
    pub fn maximum_within(&self, output: u64, bounds: &Bounds) -> Option<u64> {
        let choices = output.checked_sub(self.extra_output)?;
        let choice = choices.checked_div(self.choices)?;
        choice
            .checked_sub(bounds.reasoning_tokens_max)
            .filter(|tokens| *tokens > 0)
    }

    fn output_tokens(&self, choice: u64, bounds: &Bounds) -> u64 {
        choice
            .saturating_add(bounds.reasoning_tokens_max)
            .saturating_mul(self.choices)
            .saturating_add(self.extra_output)
    }

    fn above_maximum(&self, tokens: u64, limit: u64) -> BadRequest {
        let mut maxima = self.layout.maxima();
        let param = maxima
            .find(|(_, sent)| sent.tokens == Some(tokens))
            .map_or("max_tokens", |(name, _)| name);
        BadRequest::at(
            param,
            format!(
                "{param} is {tokens}, but {} gives at most {limit} output tokens: send {limit} or less.",
                self.model
            ),
        )
    }
}

impl InputRequest<'_> {
    /// The most that this request can consume on a model with these bounds. Nothing is written.
    pub fn worst_case(&self, bounds: &Bounds) -> WorstCase {
        WorstCase {
            input_tokens: self.input.tokens_max(bounds),
            ..WorstCase::default()
        }
    }
}

impl SpeechRequest<'_> {
    /// The most that this request can consume on a model with these bounds.
    ///
    /// # Errors
    /// Where the text is longer than the model takes.
    pub fn worst_case(&self, bounds: &Bounds) -> Result<WorstCase, BadRequest> {
        let limit = bounds.characters_max;
        if self.characters > limit {
            return Err(BadRequest::at(
                "input",
                format!(
                    "input has {} characters, but {} speaks at most {limit} a request: send less.",
                    self.characters, self.model
                ),
            ));
        }
        let output_tokens = bounds.max_output_tokens;
        Ok(WorstCase {
            input_tokens: self.input.tokens_max(bounds),
            output_tokens,
            output_tokens_min: output_tokens,
            characters: self.characters,
            ..WorstCase::default()
        })
    }
}

impl AudioRequest<'_> {
    /// The most that this request can consume on a model with these bounds: neither the length nor the tokens of a
    /// recording can be told from its bytes.
    pub fn worst_case(&self, bounds: &Bounds) -> WorstCase {
        WorstCase {
            input_tokens: bounds.context_tokens,
            output_tokens: bounds.max_output_tokens,
            output_tokens_min: bounds.max_output_tokens,
            seconds: bounds.seconds_max,
            ..WorstCase::default()
        }
    }
}

impl ImageRequest<'_> {
    /// The most that this request can consume on a model with these bounds.
    ///
    /// # Errors
    /// Where the client asks for more images than the model may give.
    pub fn worst_case(&self, bounds: &Bounds) -> Result<WorstCase, BadRequest> {
        if self.n > bounds.images_max {
            let limit = bounds.images_max;
            return Err(BadRequest::at(
                "n",
                format!(
                    "n is {}, but {} makes at most {limit} images a request: send {limit} or less.",
                    self.n, self.model
                ),
            ));
        }
        let previews = self.partial_images.saturating_mul(PREVIEW_TOKENS);
        let output_tokens = bounds
            .max_output_tokens
            .saturating_add(bounds.reasoning_tokens_max)
            .saturating_add(previews)
            .saturating_mul(self.n);
        Ok(WorstCase {
            input_tokens: self.input.tokens_max(bounds),
            output_tokens,
            output_tokens_min: output_tokens,
            images: self.n,
            shape: ImageShape::read(self.size.as_deref(), self.quality.as_deref()),
            any_size: self.any_size,
            ..WorstCase::default()
        })
    }
}
