//! The tools of a message.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::value::RawValue;

use crate::gateway::peek::array::Elements;
use crate::gateway::peek::at::At;
use crate::gateway::peek::table::{Rule, Table};
use crate::gateway::peek::walk::{Members, Pass};
use crate::gateway::peek::{BadRequest, InputSize, scalar};

static TOOL: LazyLock<Table> = LazyLock::new(|| Table::new(&[(Rule::Read, &["type"])]));

/// The beginnings of the types of tools that the client runs itself. What the model is told of them is the
/// upstream's own text.
const RUN_BY_CLIENT: [&str; 4] = ["bash_", "computer_", "memory_", "text_editor_"];

/// `tools`; what they make of the input is noted there.
pub(super) struct Tools<'i> {
    pub(super) input: &'i mut InputSize,
}

/// One of `tools`.
#[derive(Default)]
pub(super) struct Tool<'b> {
    kind: Option<Cow<'b, str>>,
}

impl<'b> Elements<'b> for Tools<'_> {
    const EXPECTED: &'static str = "an array of tools";
    type Element = Tool<'b>;

    fn take(&mut self, _: &Pass<'b>, at: At<'_>, tool: Tool<'b>) -> Result<(), BadRequest> {
        match tool.kind.as_deref() {
            None | Some("custom") => Ok(()),
            Some(kind) if RUN_BY_CLIENT.iter().any(|begin| kind.starts_with(begin)) => {
                self.input.unbounded = true;
                Ok(())
            }
            Some(_) => {
                let at = At::Member(&at, "type");
                Err(BadRequest::at(
                    at.to_string(),
                    format!(
                        "{at} must be custom: tools that the upstream runs have no price here."
                    ),
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
        _name: &'static str,
        raw: &'b RawValue,
    ) -> Result<(), BadRequest> {
        self.kind = scalar::text(raw, at)?;
        Ok(())
    }
}
