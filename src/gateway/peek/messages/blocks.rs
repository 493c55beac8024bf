//! The messages and their blocks: what in them is not bounded by their bytes.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::value::RawValue;

use crate::gateway::peek::array::{Array, Elements};
use crate::gateway::peek::at::At;
use crate::gateway::peek::table::{Rule, Table, Why};
use crate::gateway::peek::walk::{Members, Object, Pass};
use crate::gateway::peek::{BadRequest, InputSize, scalar};

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

static MESSAGE: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (Rule::Read, &["content"]),
        (Rule::Guard, &["role"]),
        (Rule::Refuse(Why::Shared), &["file_id", "container"]),
    ])
});

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
        text_or_blocks(pass, at, raw, &mut self.input)
    }

    fn unknown(&mut self) {
        // No member but these is known; a server that reads another one may find anything there.
        self.input.unbounded = true;
    }
}

/// Reads a text, or an array of blocks.
pub(super) fn text_or_blocks<'b>(
    pass: &Pass<'b>,
    at: At<'_>,
    raw: &'b RawValue,
    input: &mut InputSize,
) -> Result<(), BadRequest> {
    match raw.get().as_bytes() {
        [b'"', ..] | b"null" => Ok(()),
        [b'[', ..] => {
            let elements = &mut Blocks { input };
            pass.parse(raw.get(), Array { pass, at, elements })
        }
        _ => Err(BadRequest::at(
            at.to_string(),
            format!("{at} must be a string or an array of blocks."),
        )),
    }
}

struct Blocks<'i> {
    input: &'i mut InputSize,
}

impl<'b> Elements<'b> for Blocks<'_> {
    const EXPECTED: &'static str = "an array of blocks";
    type Element = Block<'b>;

    fn take(&mut self, _: &Pass<'b>, _: At<'_>, block: Block<'b>) -> Result<(), BadRequest> {
        block.add_to(self.input);
        Ok(())
    }
}

static BLOCK: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (Rule::Read, &["type", "source", "content"]),
        (
            Rule::Guard,
            &[
                "text",
                "thinking",
                "signature",
                "name",
                "input",
                "cache_control",
            ],
        ),
        (Rule::Refuse(Why::Shared), &["file_id", "file_ids"]),
    ])
});

/// One block. Its type may come after what it types.
#[derive(Default)]
struct Block<'b> {
    kind: Option<Cow<'b, str>>,
    source: Source,
    input: InputSize,
}

impl Block<'_> {
    fn add_to(mut self, input: &mut InputSize) {
        match self.kind.as_deref() {
            Some(
                "text" | "thinking" | "redacted_thinking" | "tool_use" | "tool_result"
                | "search_result",
            ) => {}
            Some("image") => {
                self.input.images = self.input.images.saturating_add(1);
                let written = self.source.data_bytes;
                self.input.inline_media_bytes =
                    self.input.inline_media_bytes.saturating_add(written);
            }
            // Documents, and whatever comes: their tokens cannot be told from their bytes.
            _ => self.input.unbounded = true,
        }
        input.add(&self.input);
        input.add(&self.source.input);
    }
}

impl<'b> Members<'b> for Block<'b> {
    fn table() -> &'static Table {
        &BLOCK
    }

    fn value(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        raw: &'b RawValue,
    ) -> Result<(), BadRequest> {
        match (name, raw.get().as_bytes()) {
            ("type", _) => scalar::text(raw, at).map(|kind| self.kind = kind),
            // A search result names its source as a text.
            ("source", [b'{', ..]) => {
                let members = &mut self.source;
                pass.parse(raw.get(), Object { pass, at, members })
            }
            ("content", [b'[' | b'"', ..]) => text_or_blocks(pass, at, raw, &mut self.input),
            ("content", [b'{', ..]) => {
                self.input.unbounded = true;
                let mut block = Block::default();
                let members = &mut block;
                pass.parse(raw.get(), Object { pass, at, members })
                    .map(|()| block.add_to(&mut self.input))
            }
            _ => Ok(()),
        }
    }
}

static SOURCE: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (Rule::Read, &["type", "data", "content"]),
        (Rule::Guard, &["url", "media_type"]),
        (Rule::Object, &["file_id"]),
        (Rule::Refuse(Why::Shared), &["file_ids"]),
    ])
});

/// Where a block's image or document is.
#[derive(Default)]
struct Source {
    /// How many bytes of the body are written out as media.
    data_bytes: u64,
    /// What the blocks come to that it is made of.
    input: InputSize,
}

impl<'b> Members<'b> for Source {
    fn table() -> &'static Table {
        &SOURCE
    }

    fn value(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        raw: &'b RawValue,
    ) -> Result<(), BadRequest> {
        match name {
            "data" => {
                self.data_bytes = raw.get().len() as u64;
                Ok(())
            }
            "content" => text_or_blocks(pass, at, raw, &mut self.input),
            _ => scalar::text(raw, at).map(drop),
        }
    }
}
