//! The worst case of a request, from its size and its model's bounds.

use super::{BadRequest, ChatRequest, ImageRequest};

/// A model's bounds, from which worst cases are computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The largest possible input, in tokens.
    pub context_tokens: u64,
    /// The largest possible output of one choice, in tokens.
    pub max_output_tokens: u64,
    /// Reasoning tokens that may come on top of the client's maximum, a choice; 0 where the maximum includes them.
    pub reasoning_tokens_max: u64,
    /// The most input tokens that one image comes to.
    pub image_tokens_max: u64,
    /// Input tokens that the upstream adds to every request (templates and the like).
    pub overhead_tokens: u64,
    /// The most images that one request may ask for.
    pub images_max: u64,
    /// The request field that lowers the output.
    pub max_tokens_field: String,
}

/// The most that one request can consume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorstCase {
    /// Input tokens.
    pub input: u64,
    /// Output tokens of all choices, reasoning among them.
    pub output: u64,
    /// Images delivered.
    pub images: u64,
    /// Choices.
    pub n: u64,
}

/// How large a request is, in the measures that bound its input tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputSize {
    /// Bytes of the whole body.
    pub body_bytes: u64,
    /// Bytes of it that are images written out (base64 data URIs), which are counted as images instead.
    pub inline_media_bytes: u64,
    /// Images in the input, written out or linked.
    pub images: u64,
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
        self.unbounded |= other.unbounded;
    }

    /// The most input tokens that a body of this size can come to: a token is never less than a byte.
    pub fn tokens_max(&self, bounds: &Bounds) -> u64 {
        // A row that states no tokens for an image bounds none.
        if self.unbounded || (self.images > 0 && bounds.image_tokens_max == 0) {
            return bounds.context_tokens;
        }
        self.body_bytes
            .saturating_sub(self.inline_media_bytes)
            .saturating_add(self.images.saturating_mul(bounds.image_tokens_max))
            .saturating_add(bounds.overhead_tokens)
            .min(bounds.context_tokens)
    }
}

impl ChatRequest<'_> {
    /// The larger of the maxima that the client sent, for one choice.
    pub fn client_max(&self) -> Option<u64> {
        let sent = [self.layout.max_tokens, self.layout.max_completion_tokens];
        sent.into_iter().filter_map(|maximum| maximum?.tokens).max()
    }

    /// The most that this request can consume on a model with these bounds.
    ///
    /// # Errors
    /// Where the client asks for more output than the model may give.
    pub fn worst_case(&self, bounds: &Bounds) -> Result<WorstCase, BadRequest> {
        let choice = match self.client_max() {
            Some(tokens) if tokens > bounds.max_output_tokens => {
                return Err(self.above_maximum(tokens, bounds.max_output_tokens));
            }
            Some(tokens) => tokens,
            None => bounds.max_output_tokens,
        };
        Ok(WorstCase {
            input: self.input.tokens_max(bounds),
            output: self.output_tokens(choice, bounds),
            images: 0,
            n: self.n,
        })
    }

    /// The least output that a ledger may clamp this request to: one token a choice, and what no maximum lowers.
    pub fn output_floor(&self, bounds: &Bounds) -> u64 {
        self.output_tokens(1, bounds)
    }

    /// The maximum to write into the request, a choice, so that it cannot exceed `output` tokens in all.
    /// `None` where that is below [`ChatRequest::output_floor`].
    pub fn maximum_within(&self, output: u64, bounds: &Bounds) -> Option<u64> {
        let choices = output.checked_sub(self.prediction_bytes)?;
        let choice = choices.checked_div(self.n)?;
        choice
            .checked_sub(bounds.reasoning_tokens_max)
            .filter(|tokens| *tokens > 0)
    }

    fn output_tokens(&self, choice: u64, bounds: &Bounds) -> u64 {
        choice
            .saturating_add(bounds.reasoning_tokens_max)
            .saturating_mul(self.n)
            .saturating_add(self.prediction_bytes)
    }

    fn above_maximum(&self, tokens: u64, limit: u64) -> BadRequest {
        let max_tokens = self.layout.max_tokens.and_then(|maximum| maximum.tokens);
        let param = match max_tokens {
            Some(sent) if sent == tokens => "max_tokens",
            _ => "max_completion_tokens",
        };
        BadRequest::at(
            param,
            format!(
                "{param} is {tokens}, but {} gives at most {limit} output tokens: send {limit} or less.",
                self.model
            ),
        )
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
        Ok(WorstCase {
            input: self.input.tokens_max(bounds),
            output: bounds
                .max_output_tokens
                .saturating_add(bounds.reasoning_tokens_max)
                .saturating_mul(self.n),
            images: self.n,
            n: self.n,
        })
    }
}
