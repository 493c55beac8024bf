//! The form of a request for edits or variations of images.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::{COUNTS, PARTIAL_IMAGES_MAX, many_in_stream};
use crate::gateway::multipart::{Form, Part};
use crate::gateway::peek::form::{Fields, boolean, positive, walk, word};
use crate::gateway::peek::table::{self, Rule, Table, Why};
use crate::gateway::peek::{BadRequest, Editable, ImageRequest, InputSize, N_MAX, scalar};

static IMAGES: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (
            Rule::Read,
            &[
                "model",
                "n",
                "size",
                "quality",
                "response_format",
                "stream",
                "partial_images",
                "image",
                "mask",
                "service_tier",
            ],
        ),
        (Rule::Guard, &["prompt"]),
        (
            Rule::Refuse(Why::Dearer),
            &["image_size", "resolution", "width", "height"],
        ),
        (Rule::Unbounded, &["images", "image_url"]),
        (Rule::Refuse(Why::Redirect), table::REDIRECTS),
        (Rule::Refuse(Why::OtherModel), table::OTHER_MODELS),
        (Rule::Refuse(Why::Shared), table::SHARED),
        (Rule::Refuse(Why::Builtin), table::BUILTINS),
        (Rule::Refuse(Why::Count), COUNTS),
    ])
});

/// Reads a form.
pub(in crate::gateway::peek) fn peek(form: Form<'_>) -> Result<ImageRequest<'_>, BadRequest> {
    let mut images = Images::default();
    walk(&form, &mut images)?;
    let (model, part) = images.model.ok_or_else(scalar::no_model)?;
    let n = images.n.unwrap_or(1);
    if images.stream && n > 1 {
        return Err(many_in_stream());
    }
    let owned = |word: Option<&'_ str>| word.map(|word| Cow::Owned(word.to_owned()));
    Ok(ImageRequest {
        model: Cow::Borrowed(model),
        n,
        partial_images: images.partial_images,
        stream: images.stream,
        size: owned(images.size),
        any_size: false,
        quality: owned(images.quality),
        response_format: owned(images.response_format),
        input: InputSize {
            body_bytes: form.bytes_total(),
            ..images.input
        },
        edit: Editable::Form(form, part),
    })
}

/// What has been read so far.
#[derive(Default)]
struct Images<'b> {
    model: Option<(&'b str, Part<'b>)>,
    n: Option<u64>,
    size: Option<&'b str>,
    quality: Option<&'b str>,
    response_format: Option<&'b str>,
    stream: bool,
    partial_images: u64,
    input: InputSize,
}

impl<'b> Fields<'b> for Images<'b> {
    const REPEATABLE: &'static [&'static str] = &["image", "image[]"];

    fn table() -> &'static Table {
        &IMAGES
    }

    fn read(
        &mut self,
        form: &Form<'b>,
        part: &Part<'b>,
        name: &'static str,
    ) -> Result<(), BadRequest> {
        match name {
            "model" => self.model = Some((scalar::model_name(form.text(part)?)?, *part)),
            "n" => self.n = positive(form, part, N_MAX)?,
            "size" => self.size = word(form, part)?,
            "quality" => self.quality = word(form, part)?,
            "response_format" => self.response_format = word(form, part)?,
            "stream" => self.stream = boolean(form, part)?,
            "partial_images" if form.bytes(part) != b"0" => {
                self.partial_images = positive(form, part, PARTIAL_IMAGES_MAX)?.unwrap_or(0);
            }
            "service_tier" => scalar::tier(form.text(part)?, name)?,
            "image" | "mask" => {
                self.input.images = self.input.images.saturating_add(1);
                let bytes = form.bytes(part).len() as u64;
                self.input.inline_media_bytes = self.input.inline_media_bytes.saturating_add(bytes);
            }
            _ => {}
        }
        Ok(())
    }

    fn unbounded(&mut self) {
        self.input.unbounded = true;
    }
}
