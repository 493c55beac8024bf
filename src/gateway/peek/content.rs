//! The messages of a chat: what in them is not bounded by their bytes.

use std::sync::LazyLock;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::array::{Array, Elements};
use super::at::At;
use super::link::Link;
use super::table::{Rule, Table, Why};
use super::walk::{Members, Object, Pass};
use super::{BadRequest, InputSize, scalar};

static MESSAGE: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (Rule::Read, &["content"]),
        (Rule::Guard, &["role", "name", "tool_calls", "refusal"]),
        (Rule::Unbounded, MEDIA),
        (Rule::Unbounded, &["image_url", "file"]),
        (
            Rule::Refuse(Why::Shared),
            &["audio", "file_id", "file_ids", "container"],
        ),
    ])
});

static PART: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (Rule::Read, &["type", "image_url", "file"]),
        (Rule::Guard, &["text", "refusal", "cache_control"]),
        (Rule::Unbounded, MEDIA),
        (Rule::Unbounded, &["audio"]),
        (Rule::Object, &["file_id"]),
        (Rule::Refuse(Why::Shared), &["file_ids"]),
    ])
});

/// Media whose tokens bytes do not bound, and settings that change how many an image has.
const MEDIA: &[&str] = &[
    "attachments",
    "audio_url",
    "audios",
    "documents",
    "files",
    "file_url",
    "image",
    "image_embeds",
    "images",
    "input_audio",
    "input_file",
    "input_image",
    "input_video",
    "max_pixels",
    "min_pixels",
    "video",
    "video_url",
    "videos",
];

static FILE: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (Rule::Object, &["file_id"]),
        (Rule::Refuse(Why::Shared), &["file_ids", "id"]),
    ])
});

/// The array of messages, added up in `input`.
pub(super) struct Messages<'i> {
    pub(super) input: &'i mut InputSize,
    /// Whether there is an array at all.
    pub(super) given: bool,
}

impl<'b> Elements<'b> for Messages<'_> {
    const EXPECTED: &'static str = "an array of messages";
    type Element = Message;

    fn begin(&mut self) {
        self.given = true;
    }

    fn take(&mut self, _: &Pass<'b>, _: At<'_>, message: Message) -> Result<(), BadRequest> {
        self.input.add(&message.input);
        Ok(())
    }
}

/// One message.
#[derive(Default)]
pub(super) struct Message {
    input: InputSize,
}

impl<'b> Members<'b> for Message {
    fn table() -> &'static Table {
        &MESSAGE
    }

    fn value(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        _name: &'static str,
        raw: &'b RawValue,
    ) -> Result<(), BadRequest> {
        text_or_parts(pass, at, raw, &mut self.input)
    }

    fn unbounded(&mut self) {
        self.input.unbounded = true;
    }
}

/// The parts of a message's content.
struct Parts<'i> {
    input: &'i mut InputSize,
}

/// Reads one part by itself.
pub(super) fn part<'b>(
    pass: &Pass<'b>,
    at: At<'_>,
    raw: &'b RawValue,
    input: &mut InputSize,
) -> Result<(), BadRequest> {
    let mut part = Part::default();
    let members = &mut part;
    pass.parse(raw.get(), Object { pass, at, members })?;
    part.add_to(input);
    Ok(())
}

/// Reads content that is a text, or an array of parts.
pub(super) fn text_or_parts<'b>(
    pass: &Pass<'b>,
    at: At<'_>,
    raw: &'b RawValue,
    input: &mut InputSize,
) -> Result<(), BadRequest> {
    // Text stays unread: what is wrong inside of it is the upstream's to say.
    match raw.get().as_bytes() {
        [b'"', ..] | b"null" => Ok(()),
        [b'[', ..] => {
            let elements = &mut Parts { input };
            pass.parse(raw.get(), Array { pass, at, elements })
        }
        _ => Err(BadRequest::at(
            at.to_string(),
            format!("{at} must be a string, an array of parts, or null."),
        )),
    }
}

impl<'b> Elements<'b> for Parts<'_> {
    const EXPECTED: &'static str = "an array of content parts";
    type Element = Part;

    fn take(&mut self, _: &Pass<'b>, _: At<'_>, part: Part) -> Result<(), BadRequest> {
        part.add_to(self.input);
        Ok(())
    }
}

/// One part. Its type may come after what it types.
#[derive(Default)]
struct Part {
    kind: Kind,
    /// What its `image_url` comes to; some servers go by that and need no type.
    input: InputSize,
    /// Whether it has members that are not in the table.
    strange: bool,
}

#[derive(Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Untyped,
    Text,
    Image,
    Other,
}

impl Part {
    fn add_to(mut self, input: &mut InputSize) {
        if self.kind == Kind::Image {
            self.input.images = self.input.images.max(1);
        }
        self.input.unbounded |=
            self.kind == Kind::Other || (self.kind == Kind::Untyped && self.strange);
        input.add(&self.input);
    }
}

impl<'b> Members<'b> for Part {
    fn table() -> &'static Table {
        &PART
    }

    fn read<A: MapAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        if name == "image_url" {
            let input = &mut self.input;
            return map.next_value_seed(Link { pass, at, input });
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
            "type" => scalar::text(raw, at).map(|kind| self.kind = Kind::of(kind.as_deref())),
            _ if raw.get() == "null" => Ok(()),
            _ => {
                self.input.unbounded = true;
                let members = &mut File;
                pass.parse(raw.get(), Object { pass, at, members })
            }
        }
    }

    fn unbounded(&mut self) {
        self.input.unbounded = true;
    }

    fn unknown(&mut self) {
        self.strange = true;
    }
}

impl Kind {
    fn of(name: Option<&str>) -> Self {
        match name {
            None => Kind::Untyped,
            Some(
                "text" | "input_text" | "output_text" | "refusal" | "summary_text"
                | "reasoning_text",
            ) => Kind::Text,
            Some("image_url" | "input_image") => Kind::Image,
            Some(_) => Kind::Other,
        }
    }
}

/// A file that is written out, or stored.
struct File;

impl<'b> Members<'b> for File {
    fn table() -> &'static Table {
        &FILE
    }
}
