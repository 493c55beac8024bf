//! The items of a response's input: messages, calls of functions and their outputs, reasoning.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::value::RawValue;

use super::array::Elements;
use super::at::At;
use super::content::text_or_parts;
use super::table::{Rule, Table, Why};
use super::walk::{Members, Object, Pass};
use super::{BadRequest, InputSize, scalar};

static ITEM: LazyLock<Table> = LazyLock::new(|| {
    Table::new(&[
        (
            Rule::Read,
            &["type", "content", "output", "encrypted_content"],
        ),
        (
            Rule::Guard,
            &["role", "name", "arguments", "input", "summary", "call_id"],
        ),
        (
            Rule::Unbounded,
            &["file_url", "file_data", "image_url", "result", "screenshot"],
        ),
        (
            Rule::Refuse(Why::Shared),
            &["file_id", "file_ids", "container_id"],
        ),
    ])
});

/// The array of items, added up in `input`.
pub(super) struct Items<'i> {
    pub(super) input: &'i mut InputSize,
}

impl<'b> Elements<'b> for Items<'_> {
    const EXPECTED: &'static str = "an array of items";
    type Element = Item<'b>;

    fn take(&mut self, _: &Pass<'b>, at: At<'_>, item: Item<'b>) -> Result<(), BadRequest> {
        item.add_to(self.input, at)
    }
}

/// The refusal of an item that is only named.
fn reference(at: At<'_>) -> BadRequest {
    let at = At::Member(&at, "type").to_string();
    let message = format!(
        "{at} must not be a reference: stored items of the upstream cannot be used through this proxy. Send the item itself."
    );
    BadRequest::at(at, message)
}

/// One item. Its type may come after what it types.
#[derive(Default)]
pub(super) struct Item<'b> {
    kind: Option<Cow<'b, str>>,
    is_encrypted: bool,
    has_content: bool,
    input: InputSize,
}

impl Item<'_> {
    fn add_to(self, input: &mut InputSize, at: At<'_>) -> Result<(), BadRequest> {
        let is_bounded = match self.kind.as_deref() {
            // The upstream looks reasoning up by its id where the item does not bring it along.
            Some("reasoning") => self.is_encrypted,
            // Without content, a name is all that there is of it.
            None if !self.has_content => return Err(reference(at)),
            Some("image_generation_call") if !self.input.unbounded => return Err(reference(at)),
            Some("item_reference") => return Err(reference(at)),
            None
            | Some(
                "message"
                | "function_call"
                | "function_call_output"
                | "custom_tool_call"
                | "custom_tool_call_output"
                | "local_shell_call"
                | "local_shell_call_output"
                | "apply_patch_call"
                | "apply_patch_call_output",
            ) => true,
            Some(_) => false,
        };
        input.unbounded |= !is_bounded;
        input.add(&self.input);
        Ok(())
    }
}

impl<'b> Members<'b> for Item<'b> {
    fn table() -> &'static Table {
        &ITEM
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
            ("encrypted_content", text) => {
                self.is_encrypted = text.starts_with(b"\"");
                Ok(())
            }
            // A screenshot, or another object of a tool.
            ("output", [b'{', ..]) => {
                self.input.unbounded = true;
                let members = &mut Output;
                pass.parse(raw.get(), Object { pass, at, members })
            }
            _ => {
                self.has_content |= name == "content" && raw.get() != "null";
                text_or_parts(pass, at, raw, &mut self.input)
            }
        }
    }

    fn unbounded(&mut self) {
        self.input.unbounded = true;
    }
}

static OUTPUT: LazyLock<Table> =
    LazyLock::new(|| Table::new(&[(Rule::Refuse(Why::Shared), &["file_id", "file_ids"])]));

/// The output of a tool that is neither a text nor parts.
struct Output;

impl<'b> Members<'b> for Output {
    fn table() -> &'static Table {
        &OUTPUT
    }
}
