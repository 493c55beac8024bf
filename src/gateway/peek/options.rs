//! `stream_options` of a chat or a completion.

use std::sync::LazyLock;

use serde_json::value::RawValue;

use super::at::At;
use super::table::{Rule, Table};
use super::walk::{Members, Object, Pass};
use super::{BadRequest, scalar};
use crate::gateway::splice::{Span, StreamOptions};

static STREAM_OPTIONS: LazyLock<Table> =
    LazyLock::new(|| Table::new(&[(Rule::Read, &["include_usage"])]));

/// What the client asked for with its stream.
#[derive(Default)]
struct Options {
    include_usage: Option<bool>,
    /// Where that is said.
    span: Option<Span>,
    /// Whether there is any member.
    filled: bool,
}

/// Reads `raw`, the value of `stream_options`.
pub(super) fn stream_options<'b>(
    pass: &Pass<'b>,
    at: At<'_>,
    raw: &'b RawValue,
) -> Result<(StreamOptions, Option<bool>), BadRequest> {
    let span = pass.span(raw);
    if raw.get() == "null" {
        return Ok((StreamOptions::Null(span), None));
    }
    let mut options = Options::default();
    let members = &mut options;
    pass.parse(raw.get(), Object { pass, at, members })?;
    let layout = StreamOptions::Object {
        first_member: span.start + 1,
        empty: !options.filled,
        include_usage: options.span,
    };
    Ok((layout, options.include_usage))
}

impl<'b> Members<'b> for Options {
    fn table() -> &'static Table {
        &STREAM_OPTIONS
    }

    fn value(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        _name: &'static str,
        raw: &'b RawValue,
    ) -> Result<(), BadRequest> {
        self.filled = true;
        self.span = Some(pass.span(raw));
        self.include_usage = scalar::boolean(raw, at)?;
        Ok(())
    }

    fn unknown(&mut self) {
        self.filled = true;
    }
}
