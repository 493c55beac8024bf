//! What a client asks for, whichever service it asks: one face for the request's side of all of them.

use bytes::Bytes;

use super::peek::{self, BadRequest, EmbeddingRequest, ImageRequest, PeekCaps, TextRequest};
use super::refusal::Refused;
use super::reservation::Reservation;
use super::service::{Paths, Service};
use super::splice::{Clamp, Edits, splice};
use crate::ledger::key::OnShort;
use crate::price::{Model, PriceVersion, QuoteError, Segment, WorstCase};
use crate::usage::Meter;

/// A request's body, read.
pub enum Asked<'b> {
    /// For a chat.
    Chat(TextRequest<'b>),
    /// For completions of plain text.
    Completions(TextRequest<'b>),
    /// For embeddings.
    Embeddings(EmbeddingRequest<'b>),
    /// For images.
    Images(ImageRequest<'b>),
}

impl<'b> Asked<'b> {
    /// Reads a body.
    pub fn read(service: Service, body: &'b [u8], json_depth: usize) -> Result<Self, Refused> {
        let caps = PeekCaps { json_depth };
        match service {
            Service::Chat => peek::peek_chat(body, caps).map(Asked::Chat),
            Service::Completions => peek::peek_completions(body, caps).map(Asked::Completions),
            Service::Embeddings => peek::peek_embeddings(body, caps).map(Asked::Embeddings),
            Service::Images => peek::peek_images(body, caps).map(Asked::Images),
        }
        .map_err(Refused::from)
    }

    /// The service.
    pub fn service(&self) -> Service {
        match self {
            Asked::Chat(_) => Service::Chat,
            Asked::Completions(_) => Service::Completions,
            Asked::Embeddings(_) => Service::Embeddings,
            Asked::Images(_) => Service::Images,
        }
    }

    /// The model, as the client named it.
    pub fn model(&self) -> &str {
        match self {
            Asked::Chat(text) | Asked::Completions(text) => &text.model,
            Asked::Embeddings(embeddings) => &embeddings.model,
            Asked::Images(images) => &images.model,
        }
    }

    /// Whether the model can do this at all.
    pub fn fits(&self, model: &Model) -> Result<(), Refused> {
        if self.service().serves(model.category) {
            return Ok(());
        }
        let (id, paths) = (&model.id, Paths(model.category));
        let message = format!("The model `{id}` is served at {paths}.");
        Err(Refused::bad_request(message).param("model"))
    }

    /// The worst case, priced.
    pub fn quote(
        &self,
        model: &Model,
        price: &PriceVersion,
        on_short: OnShort,
    ) -> Result<Vec<Segment>, Refused> {
        let worst = match self {
            Asked::Chat(text) | Asked::Completions(text) => {
                let mut worst = text.worst_case(&model.bounds)?;
                if on_short == OnShort::Clamp {
                    worst.output_tokens_min = text.output_floor(&model.bounds);
                }
                worst
            }
            Asked::Embeddings(embeddings) => embeddings.worst_case(&model.bounds),
            Asked::Images(images) => images.worst_case(&model.bounds)?,
        };
        price.quote(worst).map_err(|error| self.too_large(error))
    }

    /// The maximum for each choice, where the ledger admitted less than was asked.
    pub fn clamp(&self, reservation: &Reservation) -> Option<u64> {
        let text = self.text()?;
        let admitted = reservation.bound(Meter::is_output);
        let worst: WorstCase = text.worst_case(&reservation.model.bounds).ok()?;
        if admitted >= worst.output_tokens {
            return None;
        }
        text.maximum_within(admitted, &reservation.model.bounds)
    }

    /// Whether the stream's usage chunk would be there for our sake only.
    pub fn asks_usage_unasked(&self) -> bool {
        self.text()
            .is_some_and(|text| text.stream && text.include_usage != Some(true))
    }

    fn too_large(&self, error: QuoteError) -> Refused {
        let QuoteError::TooLarge { meter, .. } = error;
        match self.service().smaller(meter) {
            Some(how) => Refused::bad_request(format!("{error}: {}.", how.advice)).param(how.param),
            None => Refused::bad_request(format!("{error}.")),
        }
    }

    fn text(&self) -> Option<&TextRequest<'b>> {
        match self {
            Asked::Chat(text) | Asked::Completions(text) => Some(text),
            Asked::Embeddings(_) | Asked::Images(_) => None,
        }
    }

    /// The body for an upstream: the client's, with what must differ spliced in.
    pub fn edited(
        &self,
        body: &Bytes,
        model: Option<&str>,
        include_usage: bool,
        clamp: Option<u64>,
        row: &Model,
    ) -> Bytes {
        let layout = match self {
            Asked::Chat(text) | Asked::Completions(text) => &text.layout,
            Asked::Embeddings(embeddings) => &embeddings.layout,
            Asked::Images(images) => &images.layout,
        };
        let clamp = clamp.zip(self.text()).map(|(tokens, text)| Clamp {
            tokens,
            field: text.max_tokens_field(&row.bounds),
        });
        let edits = Edits {
            model: model.filter(|model| *model != self.model()),
            include_usage,
            clamp,
        };
        splice(body, layout, &edits)
    }
}

impl From<BadRequest> for Refused {
    fn from(bad: BadRequest) -> Self {
        let mut refused = match bad.status {
            413 => Refused::too_large(bad.message),
            _ => Refused::bad_request(bad.message),
        };
        refused.param = bad.param.map(String::into_boxed_str);
        refused
    }
}
