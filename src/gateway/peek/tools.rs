//! What a chat may use and answer with: tools and modalities.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::at::At;
use super::table::{Rule, Table};
use super::walk::{Elements, Members, Object, Pass};
use super::{BadRequest, InputSize, scalar};

static TOOL: LazyLock<Table> = LazyLock::new(|| Table::new(&[(Rule::Read, &["type", "function"])]));

/// `tools`; what they make of the input is noted there.
pub(super) struct Tools<'i> {
    pub(super) input: &'i mut InputSize,
}

/// One of `tools`.
#[derive(Default)]
struct Tool<'b> {
    kind: Option<Cow<'b, str>>,
    has_function: bool,
}

impl<'b> Elements<'b> for Tools<'_> {
    const EXPECTED: &'static str = "an array of tools";

    fn next<S: SeqAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        seq: &mut S,
    ) -> Result<Option<()>, S::Error> {
        let members = &mut Tool::default();
        if seq
            .next_element_seed(Object { pass, at, members })?
            .is_none()
        {
            return Ok(None);
        }
        match members.kind.as_deref() {
            Some("function" | "custom") => Ok(Some(())),
            None if members.has_function => Ok(Some(())),
            // The client runs them; what the model is told of them is the upstream's own text.
            Some("local_shell" | "apply_patch") => {
                self.input.unbounded = true;
                Ok(Some(()))
            }
            _ => {
                let at = At::Member(&at, "type");
                Err(pass.refuse(BadRequest::at(
                    at.to_string(),
                    format!("{at} must be function or custom: built-in tools have no price here."),
                )))
            }
        }
    }
}

impl<'b> Members<'b> for Tool<'b> {
    fn table() -> &'static Table {
        &TOOL
    }

    fn read<A: MapAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let raw = map.next_value::<&'b RawValue>()?;
        match name {
            "type" => {
                self.kind = scalar::text(raw, At::Member(&at, name))
                    .map_err(|refusal| pass.refuse(refusal))?;
            }
            _ => self.has_function = raw.get().starts_with('{'),
        }
        Ok(())
    }
}

/// `modalities`.
pub(super) struct Modalities;

impl<'b> Elements<'b> for Modalities {
    const EXPECTED: &'static str = "an array of strings";

    fn next<S: SeqAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        seq: &mut S,
    ) -> Result<Option<()>, S::Error> {
        let Some(raw) = seq.next_element::<&'b RawValue>()? else {
            return Ok(None);
        };
        match scalar::text(raw, at) {
            Ok(Some(modality)) if modality == "text" => Ok(Some(())),
            _ => Err(pass.refuse(BadRequest::at(
                "modalities",
                "modalities must be [\"text\"]: audio and images from a chat have no price here.",
            ))),
        }
    }
}
