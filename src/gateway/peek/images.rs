//! The body of a request for images, member by member.

pub(super) mod form;

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::at::At;
use super::link::Link;
use super::table::{self, Rule, Table, Why};
use super::walk::{Members, Pass, walk};
use super::{BadRequest, Editable, ImageRequest, InputSize, N_MAX, scalar};
use crate::gateway::splice::{Layout, Span};

static IMAGES: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (
            Rule::Read,
            &[
                "model",
                "prompt",
                "n",
                "size",
                "quality",
                "image_size",
                "resolution",
                "width",
                "height",
                "aspect_ratio",
                "response_format",
                "stream",
                "partial_images",
                "sequential_image_generation",
                "image",
                "images",
                "mask",
                "service_tier",
            ],
        ),
        (Rule::Refuse(Why::Redirect), table::REDIRECTS),
        (Rule::Refuse(Why::OtherModel), table::OTHER_MODELS),
        (Rule::Refuse(Why::Shared), table::SHARED),
        (Rule::Refuse(Why::Shared), &["previous_response_id"]),
        (Rule::Refuse(Why::Builtin), table::BUILTINS),
        (Rule::Refuse(Why::Count), COUNTS),
    ])
});

/// The most previews of one image.
const PARTIAL_IMAGES_MAX: u64 = 3;

/// What some server or other reads in the place of `n`.
const COUNTS: &[&str] = &[
    "batch_size",
    "image_count",
    "max_images",
    "n_images",
    "num_images",
    "num_images_per_prompt",
    "num_outputs",
    "num_samples",
    "samples",
    "sequential_image_generation_options",
];

/// Reads a request for images.
pub(super) fn peek(body: &str) -> Result<ImageRequest<'_>, BadRequest> {
    let pass = Pass::new(body);
    let mut images = Images::default();
    walk(&pass, &mut images)?;
    let (model, model_span) = images.model.ok_or_else(scalar::no_model)?;
    let n = images.n.unwrap_or(1);
    if images.stream && n > 1 {
        return Err(many_in_stream());
    }
    Ok(ImageRequest {
        model,
        n,
        partial_images: images.partial_images,
        stream: images.stream,
        size: images.size,
        any_size: images.any_size,
        quality: images.quality,
        response_format: images.response_format,
        input: InputSize {
            body_bytes: pass.body_bytes(),
            ..images.input
        },
        edit: Editable::Json(Layout::of_model(pass.first_member(), model_span)),
    })
}

fn many_in_stream() -> BadRequest {
    BadRequest::at(
        "n",
        "n must be 1 with stream: send a request for each image, or leave stream out.",
    )
}

/// What has been read so far.
#[derive(Default)]
struct Images<'b> {
    model: Option<(Cow<'b, str>, Span)>,
    n: Option<u64>,
    size: Option<Cow<'b, str>>,
    quality: Option<Cow<'b, str>>,
    any_size: bool,
    response_format: Option<Cow<'b, str>>,
    stream: bool,
    partial_images: u64,
    input: InputSize,
}

impl<'b> Members<'b> for Images<'b> {
    fn table() -> &'static Table {
        &IMAGES
    }

    fn read<A: MapAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        if let "image" | "images" | "mask" = name {
            let input = &mut self.input;
            return map.next_value_seed(Pictures { pass, at, input });
        }
        self.read_text(pass, at, name, map)
    }

    fn value(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        raw: &'b RawValue,
    ) -> Result<(), BadRequest> {
        match name {
            "model" => self.model = Some((scalar::model(raw, at)?, pass.span(raw))),
            "n" => self.n = scalar::positive(raw, at, N_MAX)?,
            "size" => self.size = scalar::text(raw, at)?,
            "image_size" | "resolution" | "width" | "height" | "aspect_ratio" => {
                self.any_size |= raw.get() != "null";
            }
            "quality" => self.quality = scalar::text(raw, at)?,
            "response_format" => self.response_format = scalar::text(raw, at)?,
            "service_tier" => scalar::service_tier(raw, at)?,
            "prompt" if !matches!(raw.get().as_bytes(), [b'"', ..] | b"null") => {
                return Err(BadRequest::at("prompt", "prompt must be a string."));
            }
            "stream" => self.stream = scalar::boolean(raw, at)?.unwrap_or(false),
            "partial_images" if raw.get() != "0" => {
                self.partial_images = scalar::positive(raw, at, PARTIAL_IMAGES_MAX)?.unwrap_or(0);
            }
            "sequential_image_generation"
                if !matches!(raw.get(), "null" | "false" | "\"disabled\"") =>
            {
                return Err(BadRequest::at(
                    name,
                    "sequential_image_generation must be disabled: the number of images is set by n alone.",
                ));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Pictures to work from: one link, or an array of them.
struct Pictures<'w, 'b> {
    pass: &'w Pass<'b>,
    at: At<'w>,
    input: &'w mut InputSize,
}

impl<'b> DeserializeSeed<'b> for Pictures<'_, 'b> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for Pictures<'_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, or an array of them")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, url: &str) -> Result<(), E> {
        self.link().visit_str(url)
    }

    fn visit_map<A: MapAccess<'b>>(self, map: A) -> Result<(), A::Error> {
        self.link().visit_map(map)
    }

    fn visit_seq<S: SeqAccess<'b>>(self, mut seq: S) -> Result<(), S::Error> {
        let Pictures { pass, at, input } = self;
        let mut index = 0;
        loop {
            let at = At::Element(&at, index);
            let input = &mut *input;
            if seq.next_element_seed(Link { pass, at, input })?.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }
}

impl<'w, 'b> Pictures<'w, 'b> {
    fn link(self) -> Link<'w, 'b> {
        let Pictures { pass, at, input } = self;
        Link { pass, at, input }
    }
}
