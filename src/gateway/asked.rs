//! What a client asks for, whichever service it asks: one face for the request's side of all of them.

use bytes::Bytes;

use super::job::Product;
use super::peek::{self, BadRequest, ChatRequest, ImageRequest, PeekCaps};
use super::refusal::Refused;
use super::reservation::Reservation;
use super::splice::{Clamp, Edits, splice};
use crate::ledger::key::OnShort;
use crate::price::{Category, Model, PriceVersion, QuoteError, Segment, WorstCase};
use crate::usage::Meter;

/// A metered service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Chat completions.
    Chat,
    /// Images made or edited.
    Images,
}

impl Service {
    /// The path below `/v1`, here and upstream.
    pub const fn path(self) -> &'static str {
        match self {
            Service::Chat => "/chat/completions",
            Service::Images => "/images/generations",
        }
    }

    /// What it sells.
    pub const fn product(self) -> Product {
        match self {
            Service::Chat => Product::Text,
            Service::Images => Product::Images,
        }
    }
}

/// A request's body, read.
pub enum Asked<'b> {
    /// For a chat.
    Chat(ChatRequest<'b>),
    /// For images.
    Images(ImageRequest<'b>),
}

impl<'b> Asked<'b> {
    /// Reads a body.
    pub fn read(service: Service, body: &'b [u8], json_depth: usize) -> Result<Self, Refused> {
        let caps = PeekCaps { json_depth };
        match service {
            Service::Chat => peek::peek_chat(body, caps).map(Asked::Chat),
            Service::Images => peek::peek_images(body, caps).map(Asked::Images),
        }
        .map_err(Refused::from)
    }

    /// The service.
    pub fn service(&self) -> Service {
        match self {
            Asked::Chat(_) => Service::Chat,
            Asked::Images(_) => Service::Images,
        }
    }

    /// The model, as the client named it.
    pub fn model(&self) -> &str {
        match self {
            Asked::Chat(chat) => &chat.model,
            Asked::Images(images) => &images.model,
        }
    }

    /// Whether the model can do this at all.
    pub fn fits(&self, model: &Model) -> Result<(), Refused> {
        let is_chat = model.category == Category::Chat;
        if is_chat == matches!(self, Asked::Chat(_)) {
            return Ok(());
        }
        let other = if is_chat {
            Service::Chat
        } else {
            Service::Images
        };
        let (id, path) = (&model.id, other.path());
        Err(
            Refused::bad_request(format!("The model `{id}` is served at POST /v1{path}."))
                .param("model"),
        )
    }

    /// The worst case, priced.
    pub fn quote(
        &self,
        model: &Model,
        price: &PriceVersion,
        on_short: OnShort,
    ) -> Result<Vec<Segment>, Refused> {
        let worst = match self {
            Asked::Chat(chat) => {
                let mut worst = chat.worst_case(&model.bounds)?;
                if on_short == OnShort::Clamp {
                    worst.output_tokens_min = chat.output_floor(&model.bounds);
                }
                worst
            }
            Asked::Images(images) => images.worst_case(&model.bounds)?,
        };
        price.quote(worst).map_err(too_large)
    }

    /// The maximum for each choice, where the ledger admitted less than was asked.
    pub fn clamp(&self, reservation: &Reservation) -> Option<u64> {
        let Asked::Chat(chat) = self else { return None };
        let admitted = reservation.bound(Meter::is_output);
        let worst: WorstCase = chat.worst_case(&reservation.model.bounds).ok()?;
        if admitted >= worst.output_tokens {
            return None;
        }
        chat.maximum_within(admitted, &reservation.model.bounds)
    }

    /// Whether the stream's usage chunk would be there for our sake only.
    pub fn asks_usage_unasked(&self) -> bool {
        matches!(self, Asked::Chat(chat) if chat.stream && chat.include_usage != Some(true))
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
            Asked::Chat(chat) => &chat.layout,
            Asked::Images(images) => &images.layout,
        };
        let edits = Edits {
            model: model.filter(|model| *model != self.model()),
            include_usage,
            clamp: clamp.map(|tokens| Clamp {
                tokens,
                field: &row.bounds.max_tokens_field,
            }),
        };
        splice(body, layout, &edits)
    }
}

fn too_large(error: QuoteError) -> Refused {
    Refused::bad_request(format!("{error}. Lower `max_tokens` or `n`.")).param("max_tokens")
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
