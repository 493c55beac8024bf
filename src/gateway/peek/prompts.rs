//! `prompt` and `input`: one text or several, written out or as token ids.

use serde_json::value::RawValue;

use super::BadRequest;
use super::array::{Array, Elements};
use super::at::At;
use super::walk::Pass;

/// How many prompts a value holds; 0 for a null or an empty array.
pub(super) fn count<'b>(pass: &Pass<'b>, at: At<'_>, raw: &'b RawValue) -> Result<u64, BadRequest> {
    match raw.get().as_bytes() {
        b"null" => Ok(0),
        [b'"', ..] => Ok(1),
        [b'[', ..] => {
            let elements = &mut Prompts::default();
            pass.parse(raw.get(), Array { pass, at, elements })?;
            Ok(elements.count)
        }
        _ => Err(BadRequest::at(
            at.to_string(),
            format!("{at} must be a string, an array of strings, or token ids."),
        )),
    }
}

/// What an array of prompts is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Strings: a prompt each.
    Texts,
    /// Token ids: one prompt.
    Ids,
    /// Arrays of token ids: a prompt each.
    Lists,
}

#[derive(Default)]
struct Prompts {
    kind: Option<Kind>,
    count: u64,
}

impl<'b> Elements<'b> for Prompts {
    const EXPECTED: &'static str = "an array of prompts";
    type Element = &'b RawValue;

    fn take(&mut self, pass: &Pass<'b>, at: At<'_>, raw: &'b RawValue) -> Result<(), BadRequest> {
        let kind = match raw.get().as_bytes() {
            [b'"', ..] => Some(Kind::Texts),
            [b'[', ..] => Some(Kind::Lists),
            id if is_id(id) => Some(Kind::Ids),
            _ => None,
        };
        // A mixture is one prompt to some servers, and several to others.
        if kind.is_none() || self.kind.is_some_and(|before| Some(before) != kind) {
            return Err(BadRequest::at(
                at.to_string(),
                format!(
                    "{at} does not fit: send only strings, only token ids, or only arrays of token ids."
                ),
            ));
        }
        self.kind = kind;
        if kind == Some(Kind::Lists) {
            let elements = &mut Ids;
            pass.parse(raw.get(), Array { pass, at, elements })?;
        }
        self.count = match kind {
            Some(Kind::Ids) => 1,
            _ => self.count + 1,
        };
        Ok(())
    }
}

/// One prompt as token ids.
struct Ids;

impl<'b> Elements<'b> for Ids {
    const EXPECTED: &'static str = "an array of token ids";
    type Element = &'b RawValue;

    fn take(&mut self, _: &Pass<'b>, at: At<'_>, raw: &'b RawValue) -> Result<(), BadRequest> {
        match is_id(raw.get().as_bytes()) {
            true => Ok(()),
            false => Err(BadRequest::at(
                at.to_string(),
                format!("{at} must be a token id: a whole number of at least 0."),
            )),
        }
    }
}

fn is_id(written: &[u8]) -> bool {
    written.iter().all(u8::is_ascii_digit)
}
