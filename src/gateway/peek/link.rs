//! Links to images, and images written out as `data:` URIs.

use std::fmt;
use std::sync::LazyLock;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::at::At;
use super::table::{Rule, Table, Why};
use super::walk::{Members, Object, Pass};
use super::{BadRequest, InputSize};

static LINK: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (Rule::Read, &["url", "image_url"]),
        (Rule::Guard, &["detail"]),
        (Rule::Unbounded, &["max_pixels", "min_pixels"]),
        (Rule::Refuse(Why::Shared), &["file_id", "file_ids"]),
    ])
});

/// A link to an image, added to `input`: null, a string, or an object that holds one.
pub(super) struct Link<'w, 'b> {
    pub(super) pass: &'w Pass<'b>,
    pub(super) at: At<'w>,
    pub(super) input: &'w mut InputSize,
}

impl<'b> DeserializeSeed<'b> for Link<'_, 'b> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for Link<'_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, or an object with a url")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, url: &str) -> Result<(), E> {
        let size = size(url, self.at).map_err(|refusal| self.pass.refuse(refusal))?;
        self.input.add(&size);
        Ok(())
    }

    fn visit_map<A: MapAccess<'b>>(self, map: A) -> Result<(), A::Error> {
        let Link { pass, at, input } = self;
        let members = &mut Fields::default();
        Object { pass, at, members }.visit_map(map)?;
        // An object without a link is an image all the same: who knows what the upstream reads.
        members.input.images = members.input.images.max(1);
        input.add(&members.input);
        Ok(())
    }
}

/// The object form of a link.
#[derive(Default)]
struct Fields {
    input: InputSize,
}

impl<'b> Members<'b> for Fields {
    fn table() -> &'static Table {
        &LINK
    }

    fn read<A: MapAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        _name: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let input = &mut self.input;
        map.next_value_seed(Link { pass, at, input })
    }

    fn unbounded(&mut self) {
        self.input.unbounded = true;
    }
}

/// What one URL comes to: one of the web, a `data:` URI, or bare base64, whose bytes count as text.
fn size(url: &str, at: At<'_>) -> Result<InputSize, BadRequest> {
    let mut size = InputSize {
        images: 1,
        ..InputSize::default()
    };
    let url = url.trim_start();
    let Some((scheme, rest)) = url.split_once(':') else {
        return Ok(size);
    };
    if scheme.eq_ignore_ascii_case("data") {
        match rest.split_once(',') {
            Some((kind, _)) if is_base64_image(kind) => size.inline_media_bytes = url.len() as u64,
            _ => size.unbounded = true,
        }
    } else if !["http", "https"]
        .iter()
        .any(|web| scheme.eq_ignore_ascii_case(web))
    {
        return Err(BadRequest::at(
            at.to_string(),
            format!(
                "{at} must be an http, https or data URL: others name what only the upstream can see."
            ),
        ));
    }
    Ok(size)
}

/// Whether the head of a `data:` URI says that an image in base64 follows.
fn is_base64_image(head: &str) -> bool {
    let head = head.to_ascii_lowercase();
    head.starts_with("image/") && head.ends_with(";base64")
}
