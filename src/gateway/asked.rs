//! What a client asks for, whichever service it asks: one face for the request's side of all of them.

use std::borrow::Cow;

use bytes::Bytes;

use super::peek::{self, BadRequest, ImageRequest, InputRequest, PeekCaps, TextRequest};
use super::refusal::Refused;
use super::reservation::Reservation;
use super::service::{Counts, Paths, Service};
use super::splice::{Clamp, Edits, Layout, splice};
use crate::ledger::key::OnShort;
use crate::price::{Model, PriceVersion, QuoteError, Segment, WorstCase};
use crate::usage::Meter;

/// A request's body, read.
pub struct Asked<'b> {
    service: Service,
    work: Work<'b>,
}

/// What is to be done.
enum Work<'b> {
    /// Text is to be written.
    Text(TextRequest<'b>),
    /// Something is to be read, and nothing written.
    Input(InputRequest<'b>),
    /// Images are to be made.
    Images(ImageRequest<'b>),
}

impl<'b> Asked<'b> {
    /// Reads a body.
    pub fn read(service: Service, body: &'b [u8], json_depth: usize) -> Result<Self, Refused> {
        let caps = PeekCaps { json_depth };
        let work = match service {
            Service::Chat => peek::peek_chat(body, caps).map(Work::Text),
            Service::Completions => peek::peek_completions(body, caps).map(Work::Text),
            Service::Responses | Service::ResponseTokens => {
                peek::peek_responses(body, caps).map(Work::Text)
            }
            Service::Messages | Service::MessageTokens => {
                peek::peek_messages(body, caps).map(Work::Text)
            }
            Service::Embeddings => peek::peek_embeddings(body, caps).map(Work::Input),
            Service::Rerank => peek::peek_rerank(body, caps).map(Work::Input),
            Service::Moderations => peek::peek_moderations(body, caps).map(Work::Input),
            Service::Images => peek::peek_images(body, caps).map(Work::Images),
        };
        Ok(Asked {
            service,
            work: work?,
        })
    }

    /// The service.
    pub fn service(&self) -> Service {
        self.service
    }

    /// The model, as the client named it.
    pub fn model(&self) -> &str {
        match &self.work {
            Work::Text(text) => &text.model,
            Work::Input(input) => &input.model,
            Work::Images(images) => &images.model,
        }
    }

    /// Whether the model can do this at all.
    pub fn fits(&self, model: &Model) -> Result<(), Refused> {
        if self.service.serves(model.category) {
            return Ok(());
        }
        let (id, paths) = (&model.id, Paths(model.category));
        let message = format!("The model `{id}` is served at {paths}.");
        Err(Refused::bad_request(message).param("model"))
    }

    /// The price of it: that of the model, but of what is free.
    pub fn price<'p>(&self, of_model: &'p PriceVersion) -> Cow<'p, PriceVersion> {
        match self.service.counts() {
            Counts::Nothing => Cow::Owned(of_model.freed()),
            _ => Cow::Borrowed(of_model),
        }
    }

    /// The worst case, priced.
    pub fn quote(
        &self,
        model: &Model,
        price: &PriceVersion,
        on_short: OnShort,
    ) -> Result<Vec<Segment>, Refused> {
        let worst = match &self.work {
            _ if self.service.counts() == Counts::Nothing => return Ok(Vec::new()),
            Work::Text(text) => {
                let mut worst = text.worst_case(&model.bounds)?;
                if on_short == OnShort::Clamp {
                    worst.output_tokens_min = text.output_floor(&model.bounds);
                }
                worst
            }
            Work::Input(input) => input.worst_case(&model.bounds),
            Work::Images(images) => images.worst_case(&model.bounds)?,
        };
        price.quote(worst).map_err(|error| self.too_large(error))
    }

    /// The maximum for each choice, where the ledger admitted less than was asked.
    pub fn clamp(&self, reservation: &Reservation) -> Option<u64> {
        if self.service.counts() == Counts::Nothing {
            return None;
        }
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
        self.service.has_stream_options()
            && self
                .text()
                .is_some_and(|text| text.stream && text.include_usage != Some(true))
    }

    fn too_large(&self, error: QuoteError) -> Refused {
        let QuoteError::TooLarge { meter, .. } = error;
        match self.service.smaller(meter) {
            Some(how) => Refused::bad_request(format!("{error}: {}.", how.advice)).param(how.param),
            None => Refused::bad_request(format!("{error}.")),
        }
    }

    fn text(&self) -> Option<&TextRequest<'b>> {
        match &self.work {
            Work::Text(text) => Some(text),
            Work::Input(_) | Work::Images(_) => None,
        }
    }

    fn layout(&self) -> &Layout {
        match &self.work {
            Work::Text(text) => &text.layout,
            Work::Input(input) => &input.layout,
            Work::Images(images) => &images.layout,
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
        let clamp = clamp.zip(self.text()).map(|(tokens, text)| Clamp {
            tokens,
            field: text.max_tokens_field(&row.bounds),
        });
        let edits = Edits {
            model: model.filter(|model| *model != self.model()),
            include_usage,
            clamp,
        };
        splice(body, self.layout(), &edits)
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
