//! What a chat may use and answer with: tools and modalities.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::value::RawValue;

use super::array::Elements;
use super::at::At;
use super::table::{Rule, Table};
use super::walk::{Members, Pass};
use super::{BadRequest, InputSize, scalar};

static TOOL: LazyLock<Table> = LazyLock::new(|| Table::new(&[(Rule::Read, &["type", "function"])]));

/// `tools`; what they make of the input is noted there.
pub(super) struct Tools<'i> {
    pub(super) input: &'i mut InputSize,
}

/// One of `tools`.
#[derive(Default)]
pub(super) struct Tool<'b> {
    kind: Option<Cow<'b, str>>,
    has_function: bool,
}

impl<'b> Elements<'b> for Tools<'_> {
    const EXPECTED: &'static str = "an array of tools";
    type Element = Tool<'b>;

    fn take(&mut self, _: &Pass<'b>, at: At<'_>, tool: Tool<'b>) -> Result<(), BadRequest> {
        match tool.kind.as_deref() {
            Some("function" | "custom") => Ok(()),
            None if tool.has_function => Ok(()),
            // The client runs them; what the model is told of them is the upstream's own text.
            Some("local_shell" | "apply_patch") => {
                self.input.unbounded = true;
                Ok(())
            }
            _ => {
                let at = At::Member(&at, "type");
                Err(BadRequest::at(
                    at.to_string(),
                    format!("{at} must be function or custom: built-in tools have no price here."),
                ))
            }
        }
    }
}

impl<'b> Members<'b> for Tool<'b> {
    fn table() -> &'static Table {
        &TOOL
    }

    fn value(
        &mut self,
        _pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        raw: &'b RawValue,
    ) -> Result<(), BadRequest> {
        match name {
            "type" => self.kind = scalar::text(raw, at)?,
            _ => self.has_function = raw.get().starts_with('{'),
        }
        Ok(())
    }
}

/// `modalities`.
pub(super) struct Modalities;

impl<'b> Elements<'b> for Modalities {
    const EXPECTED: &'static str = "an array of strings";
    type Element = &'b RawValue;

    fn take(&mut self, _: &Pass<'b>, at: At<'_>, raw: &'b RawValue) -> Result<(), BadRequest> {
        match scalar::text(raw, at) {
            Ok(Some(modality)) if modality == "text" => Ok(()),
            _ => Err(BadRequest::at(
                "modalities",
                "modalities must be [\"text\"]: audio and images from a chat have no price here.",
            )),
        }
    }
}
