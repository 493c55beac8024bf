//! What a client asks for, whichever service it asks: one face for the request's side of all of them.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};

use super::multipart::{self, Boundary, Form};
use super::peek::{
    self, AudioRequest, BadRequest, Editable, ImageRequest, InputRequest, Named, PeekCaps,
    SpeechRequest, TextRequest,
};
use super::refusal::Refused;
use super::reservation::Reservation;
use super::service::{Counts, Paths, Service};
use super::splice::{Clamp, Edits, Span, Splicer, splice};
use crate::clock::UnixMs;
use crate::ledger::key::{Key, OnShort};
use crate::money::Factor;
use crate::price::{Model, PriceVersion, QuoteError, Segment, Terms, WorstCase};
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
    /// A text is to be spoken.
    Speech(SpeechRequest<'b>),
    /// A recording is to be written down.
    Audio(AudioRequest<'b>),
    /// What nobody looks into, at this path.
    Path(&'b str),
}

impl<'b> Asked<'b> {
    /// Reads a body of the type that the headers tell.
    pub fn read(
        service: Service,
        headers: &'b HeaderMap,
        body: &'b [u8],
        json_depth: usize,
    ) -> Result<Self, Refused> {
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
            Service::ImageEdits if !is_form(headers) => {
                peek::peek_images(body, caps).map(Work::Images)
            }
            Service::ImageEdits | Service::ImageVariations => {
                form(headers, body).and_then(|form| peek::peek_image_form(form).map(Work::Images))
            }
            Service::Speech => peek::peek_speech(body, caps).map(Work::Speech),
            Service::Transcriptions | Service::Translations => {
                form(headers, body).and_then(|form| peek::peek_audio(form).map(Work::Audio))
            }
            Service::Priced => return Err(Refused::internal()),
        };
        Ok(Asked {
            service,
            work: work?,
        })
    }

    /// A request at a path that is priced by the request: its body is not looked into.
    pub fn at(path: &'b str) -> Self {
        Asked {
            service: Service::Priced,
            work: Work::Path(path),
        }
    }

    /// The path below an upstream's base.
    pub fn path(&self) -> &str {
        match self.work {
            Work::Path(path) => path,
            _ => self.service.path(),
        }
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
            Work::Speech(speech) => &speech.model,
            Work::Audio(audio) => &audio.model,
            Work::Path(path) => path,
        }
    }

    /// Whether it asks for images as a stream.
    pub fn streams_images(&self) -> bool {
        matches!(&self.work, Work::Images(images) if images.stream)
    }

    /// How many texts it asks for.
    pub fn choices(&self) -> u64 {
        self.text().map_or(1, |text| text.choices)
    }

    /// Where the recording is in the body, if there is one.
    pub fn recording(&self) -> Option<Span> {
        match &self.work {
            Work::Audio(audio) => audio.file,
            _ => None,
        }
    }

    /// Whether the body's content type goes upstream as the client wrote it.
    pub fn keeps_type(&self) -> bool {
        match &self.work {
            Work::Images(ImageRequest { edit, .. }) | Work::Audio(AudioRequest { edit, .. }) => {
                matches!(edit, Editable::Form(..))
            }
            Work::Path(_) => true,
            _ => false,
        }
    }

    /// The objects of the upstream that it names.
    pub fn objects(&self) -> &[Named] {
        match &self.work {
            Work::Text(text) => &text.objects,
            Work::Input(input) => &input.objects,
            Work::Images(_) | Work::Speech(_) | Work::Audio(_) | Work::Path(_) => &[],
        }
    }

    /// Whether the upstream stores the answer.
    pub fn is_stored(&self) -> bool {
        self.service == Service::Responses && self.text().is_some_and(|text| text.stored)
    }

    /// Whether the answer is written after the request was answered.
    pub fn is_background(&self) -> bool {
        self.service == Service::Responses && self.text().is_some_and(|text| text.background)
    }

    /// Whether the model can do this at all.
    pub fn fits(&self, model: &Model) -> Result<(), Refused> {
        if self.service.serves(model.category) {
            return Ok(());
        }
        let id = &model.id;
        let message = match Paths(model.category).to_string() {
            // Its name is its path.
            paths if paths.is_empty() => format!("The model `{id}` is served at POST /v1{id}."),
            paths => format!("The model `{id}` is served at {paths}."),
        };
        Err(Refused::bad_request(message).param("model"))
    }

    /// What it is priced by, held at `now` by a key; and the worst case in priced segments.
    pub fn quote(
        &self,
        model: &Model,
        price: &Arc<PriceVersion>,
        now: UnixMs,
        key: &Key,
    ) -> Result<(Terms, Vec<Segment>), Refused> {
        if self.service.counts() == Counts::Nothing {
            let free = Arc::new(price.freed());
            let terms = free.terms(now, Factor::ONE, WorstCase::default());
            return Ok((terms, Vec::new()));
        }
        let terms = price.terms(now, key.multiplier, self.worst_case(model, key.on_short)?);
        let segments = terms.quote().map_err(|error| self.unquotable(error))?;
        Ok((terms, segments))
    }

    fn worst_case(&self, model: &Model, on_short: OnShort) -> Result<WorstCase, Refused> {
        Ok(match &self.work {
            Work::Text(text) => {
                let mut worst = text.worst_case(&model.bounds)?;
                if on_short == OnShort::Clamp {
                    worst.output_tokens_min = text.output_floor(&model.bounds);
                }
                worst
            }
            Work::Input(input) => {
                let mut worst = input.worst_case(&model.bounds);
                if self.service == Service::Rerank {
                    worst.requests = input.input.search_units_max(&model.bounds);
                }
                worst
            }
            Work::Images(images) => images.worst_case(&model.bounds)?,
            Work::Speech(speech) => speech.worst_case(&model.bounds)?,
            Work::Audio(audio) => audio.worst_case(&model.bounds),
            Work::Path(_) => WorstCase::default(),
        })
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

    fn unquotable(&self, error: QuoteError) -> Refused {
        let meter = match &error {
            QuoteError::TooLarge { meter, .. } => *meter,
            QuoteError::NoImagePrice { param, .. } => {
                let message = format!("Of {}, {error}.", self.model());
                return Refused::bad_request(message).param(*param);
            }
        };
        match self.service.smaller(meter) {
            Some(how) => Refused::bad_request(format!("{error}: {}.", how.advice)).param(how.param),
            None => Refused::bad_request(format!("{error}.")),
        }
    }

    fn text(&self) -> Option<&TextRequest<'b>> {
        match &self.work {
            Work::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The body for an upstream: the client's, with what must differ spliced in.
    ///
    /// # Errors
    /// Where the upstream's name of the model cannot stand in the client's form.
    pub fn edited(
        &self,
        body: &Bytes,
        model: Option<&str>,
        include_usage: bool,
        clamp: Option<u64>,
        row: &Model,
    ) -> Result<Bytes, Refused> {
        let model = model.filter(|model| *model != self.model());
        let layout = match &self.work {
            Work::Text(text) => &text.layout,
            Work::Input(input) => &input.layout,
            Work::Speech(speech) => &speech.layout,
            Work::Path(_) => return Ok(body.clone()),
            Work::Images(ImageRequest { edit, .. }) | Work::Audio(AudioRequest { edit, .. }) => {
                match edit {
                    Editable::Json(layout) => layout,
                    Editable::Form(form, part) => {
                        let mut splicer = Splicer::default();
                        if let Some(model) = model {
                            form.replace(part, model, &mut splicer)?;
                        }
                        return Ok(splicer.apply(body));
                    }
                }
            }
        };
        let clamp = clamp.zip(self.text()).map(|(tokens, text)| Clamp {
            tokens,
            field: text.max_tokens_field(&row.bounds),
        });
        let edits = Edits {
            model,
            include_usage,
            clamp,
        };
        Ok(splice(body, layout, &edits))
    }
}

/// Whether the headers tell of a form.
fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.map(HeaderValue::as_bytes).unwrap_or_default();
    let begin = kind.get(.."multipart/".len()).unwrap_or_default();
    begin.eq_ignore_ascii_case(b"multipart/")
}

/// The body as a form.
fn form<'b>(headers: &'b HeaderMap, body: &'b [u8]) -> Result<Form<'b>, BadRequest> {
    multipart::scan(body, Boundary::of(headers)?)
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
