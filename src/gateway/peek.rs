//! What the gateway must know of a request's body before it can be priced, found in one pass over its bytes.
//!
//! Parsers disagree: on which of two equal keys counts, on upper and lower case, on how deep they go. A body that an
//! upstream could read otherwise than it is read here is refused, since what is read otherwise is not metered. So is
//! whatever cannot be priced, and whatever reaches things that all customers share at the upstream.
//! Everything else passes, known or not: a new parameter of a model needs no new release of the proxy.
//!
//! `store: true` passes: what it stores at the upstream can be read by no route of this proxy.

mod array;
mod at;
mod audio;
mod bounds;
mod chat;
mod completions;
mod content;
mod depth;
mod embeddings;
mod form;
mod generation;
mod images;
mod items;
mod link;
mod messages;
mod moderations;
mod nested;
mod options;
mod prompts;
mod rerank;
mod responses;
mod scalar;
mod seen;
mod speech;
mod table;
mod text;
mod tools;
mod walk;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use super::bad_request::BadRequest;
use super::multipart::{Form, Part};
use super::splice::{Layout, MaximumField, Span};
pub use bounds::InputSize;

/// The longest model name, in bytes.
pub const MODEL_BYTES_MAX: usize = 256;
/// The most choices (of one prompt) or images in one request, whatever its model.
pub const N_MAX: u64 = 128;

/// Bounds on what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeekCaps {
    /// How many objects and arrays may be inside of one another.
    pub json_depth: usize,
}

/// What matters of a request for text: a chat, a completion, a response, a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRequest<'b> {
    /// The model, as the client named it; never empty.
    pub model: Cow<'b, str>,
    /// Texts that are generated, over all prompts, shown or not; at least 1.
    pub choices: u64,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// Whether it asked for usage at the stream's end; `None` where it said nothing.
    pub include_usage: Option<bool>,
    /// What bounds the input tokens.
    pub input: InputSize,
    /// Bytes of the body that may become output beyond the maximum, once for each choice: rejected tokens of a
    /// `prediction` are output, and so is an echoed prompt at some servers.
    pub extra_output: u64,
    /// The field that bounds it; `None` where the model's row says.
    pub maximum: Option<MaximumField>,
    /// Objects of the upstream that it names.
    pub objects: Vec<Named>,
    /// Whether the upstream stores the answer, for requests that name it.
    pub stored: bool,
    /// Whether the answer is written after the request was answered.
    pub background: bool,
    /// Where to edit; [`TextRequest::client_max`] reads the maxima.
    pub layout: Layout,
}

/// An object of the upstream that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The field: `previous_response_id`, `input[0].content[1].file_id`.
    pub param: String,
    /// The object's id.
    pub id: String,
}

/// What matters of a request to which nothing is written: embeddings, an order of documents, a moderation, a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRequest<'b> {
    /// The model, as the client named it; never empty.
    pub model: Cow<'b, str>,
    /// Objects of the upstream that it names.
    pub objects: Vec<Named>,
    /// What bounds the input tokens.
    pub input: InputSize,
    /// Where to edit.
    pub layout: Layout,
}

/// What matters of a request for images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRequest<'b> {
    /// The model, as the client named it; never empty.
    pub model: Cow<'b, str>,
    /// Images asked for; 1 to [`N_MAX`].
    pub n: u64,
    /// Previews of each that are asked for.
    pub partial_images: u64,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// The size, as the client wrote it.
    pub size: Option<Cow<'b, str>>,
    /// Whether something else may decide the size: it then is any, until the answer tells.
    pub any_size: bool,
    /// The quality, as the client wrote it.
    pub quality: Option<Cow<'b, str>>,
    /// `url` or `b64_json`, as the client wrote it.
    pub response_format: Option<Cow<'b, str>>,
    /// What bounds the input tokens.
    pub input: InputSize,
    /// Where to edit.
    pub edit: Editable<'b>,
}

/// What matters of a request that turns speech into text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioRequest<'b> {
    /// The model, as the client named it; never empty.
    pub model: Cow<'b, str>,
    /// Where the recording is in the body; `None` where it is linked.
    pub file: Option<Span>,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// Where to edit.
    pub edit: Editable<'b>,
}

/// Where the model's name is, in either kind of body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Editable<'b> {
    /// In a JSON object.
    Json(Layout),
    /// In a part of a form.
    Form(Form<'b>, Part<'b>),
}

/// What matters of a request for speech.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeechRequest<'b> {
    /// The model, as the client named it; never empty.
    pub model: Cow<'b, str>,
    /// Characters (Unicode scalar values) of the text that is to be spoken.
    pub characters: u64,
    /// What bounds the input tokens.
    pub input: InputSize,
    /// Where to edit.
    pub layout: Layout,
}

/// Reads the body of a chat completion.
///
/// # Errors
/// What is not one JSON object that all parsers read alike, has fields of a wrong type, or cannot be priced.
pub fn peek_chat(body: &[u8], caps: PeekCaps) -> Result<TextRequest<'_>, BadRequest> {
    chat::peek(walk::text(body, caps)?)
}

/// Reads the body of a completion.
///
/// # Errors
/// As [`peek_chat`].
pub fn peek_completions(body: &[u8], caps: PeekCaps) -> Result<TextRequest<'_>, BadRequest> {
    completions::peek(walk::text(body, caps)?)
}

/// Reads the body of a request for embeddings.
///
/// # Errors
/// As [`peek_chat`].
pub fn peek_embeddings(body: &[u8], caps: PeekCaps) -> Result<InputRequest<'_>, BadRequest> {
    embeddings::peek(walk::text(body, caps)?)
}

/// Reads the body of a request for a response.
///
/// # Errors
/// As [`peek_chat`].
pub fn peek_responses(body: &[u8], caps: PeekCaps) -> Result<TextRequest<'_>, BadRequest> {
    responses::peek(walk::text(body, caps)?)
}

/// Reads the body of a request for a message, or for the count of its tokens.
///
/// # Errors
/// As [`peek_chat`].
pub fn peek_messages(body: &[u8], caps: PeekCaps) -> Result<TextRequest<'_>, BadRequest> {
    messages::peek(walk::text(body, caps)?)
}

/// Reads the body of a request to put documents in order.
///
/// # Errors
/// As [`peek_chat`].
pub fn peek_rerank(body: &[u8], caps: PeekCaps) -> Result<InputRequest<'_>, BadRequest> {
    rerank::peek(walk::text(body, caps)?)
}

/// Reads the body of a request for a moderation.
///
/// # Errors
/// As [`peek_chat`].
pub fn peek_moderations(body: &[u8], caps: PeekCaps) -> Result<InputRequest<'_>, BadRequest> {
    moderations::peek(walk::text(body, caps)?)
}

/// Reads the form of a request for edits or variations of images.
///
/// # Errors
/// Fields that are not understood alike by all, or cannot be priced.
pub fn peek_image_form(form: Form<'_>) -> Result<ImageRequest<'_>, BadRequest> {
    images::form::peek(form)
}

/// Reads the form of a request that turns speech into text.
///
/// # Errors
/// As [`peek_image_form`].
pub fn peek_audio(form: Form<'_>) -> Result<AudioRequest<'_>, BadRequest> {
    audio::peek(form)
}

/// Reads the body of a request for speech.
///
/// # Errors
/// As [`peek_chat`].
pub fn peek_speech(body: &[u8], caps: PeekCaps) -> Result<SpeechRequest<'_>, BadRequest> {
    speech::peek(walk::text(body, caps)?)
}

/// Reads the body of a request for images.
///
/// # Errors
/// As [`peek_chat`].
pub fn peek_images(body: &[u8], caps: PeekCaps) -> Result<ImageRequest<'_>, BadRequest> {
    images::peek(walk::text(body, caps)?)
}
