//! The tools of a message.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::gateway::peek::at::At;
use crate::gateway::peek::table::{Rule, Table};
use crate::gateway::peek::walk::{Elements, Members, Object, Pass};
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
struct Tool<'b> {
    kind: Option<Cow<'b, str>>,
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
        let next = seq.next_element_seed(Object { pass, at, members })?;
        match members.kind.as_deref() {
            None | Some("custom") => {}
            Some(kind) if RUN_BY_CLIENT.iter().any(|begin| kind.starts_with(begin)) => {
                self.input.unbounded = true;
            }
            Some(_) => {
                let at = At::Member(&at, "type");
                return Err(pass.refuse(BadRequest::at(
                    at.to_string(),
                    format!(
                        "{at} must be custom: tools that the upstream runs have no price here."
                    ),
                )));
            }
        }
        Ok(next)
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
        let kind = scalar::text(raw, At::Member(&at, name));
        self.kind = kind.map_err(|refusal| pass.refuse(refusal))?;
        Ok(())
    }
}
