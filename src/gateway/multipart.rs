//! Forms (`multipart/form-data`), read where they stand in a buffered body: the parts in order, each value as a range.
//!
//! Parsers of forms disagree more than those of JSON: on what ends a part, on which of two names counts, on escapes.
//! A part that an upstream sees and this proxy does not is not metered, so what any of them could read otherwise is
//! refused. The bytes `--boundary` may stand at delimiters alone: then it does not matter how lenient one is in finding
//! them. Names and parameters have the one spelling that all encoders in use write. Which names matter, which look like
//! one that does, and which may repeat, is for the caller to say; [`Form::once`] and [`Form::text`] help.
//!
//! Nothing is copied, and the time is linear in the body's length.

mod boundary;
mod head;
mod params;

use std::collections::HashSet;

use memchr::memmem::Finder;

use super::bad_request::BadRequest;
use super::splice::{Span, Splicer};
pub use boundary::Boundary;

/// The most parts of a form.
pub const PARTS_MAX: usize = 256;
/// The largest head of a part, in bytes.
pub const HEAD_BYTES_MAX: usize = 8 << 10;
/// The longest name of a field, in bytes.
pub const NAME_BYTES_MAX: usize = 256;

const LINE_END: &[u8] = b"\r\n";
/// How much of a client's text is repeated to it, in characters.
const QUOTED_CHARS_MAX: usize = 64;

/// A form that all parsers read alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form<'b> {
    body: &'b [u8],
    boundary: Boundary<'b>,
    parts: Vec<Part<'b>>,
}

/// One field, or one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'b> {
    /// The field's name: letters, digits, and `_-.[]`.
    pub name: &'b str,
    /// The file's name, as it stands there, percent escapes and all; `None` for what is no file.
    pub filename: Option<&'b str>,
    /// The content type, as it stands there.
    pub content_type: Option<&'b str>,
    /// Where the value is in the body.
    pub value: Span,
    /// Where the head tells the value's length, if it does. What it tells is true.
    content_length: Option<Span>,
}

/// What follows a delimiter.
enum After {
    /// A part, from this byte on.
    Part(usize),
    /// The end of the form.
    End,
}

/// Reads the form in `body`.
///
/// # Errors
/// Whatever two parsers could read in two ways, and what passes the bounds of this module. The refusal says at which
/// part, and what to do.
pub fn scan<'b>(body: &'b [u8], boundary: Boundary<'b>) -> Result<Form<'b>, BadRequest> {
    let delimiter = boundary.delimiter();
    let finder = Finder::new(&delimiter);
    let mut form = Form {
        body,
        boundary,
        parts: Vec::new(),
    };
    let mut after = form.open(&finder)?;
    while let After::Part(start) = after {
        let number = form.parts.len() + 1;
        if number > PARTS_MAX {
            return Err(BadRequest::whole(format!(
                "The form has more than {PARTS_MAX} parts: send fewer."
            )));
        }
        let found = finder
            .find(&body[start..])
            .ok_or_else(|| unfinished(number))?;
        let end = start + found;
        form.parts.push(part(body, Span { start, end }, number)?);
        after = form.after(end + delimiter.len())?;
    }
    Ok(form)
}

impl<'b> Form<'b> {
    /// The parts, as they follow each other.
    pub fn parts(&self) -> &[Part<'b>] {
        &self.parts
    }

    /// The boundary that was read.
    pub fn boundary(&self) -> Boundary<'b> {
        self.boundary
    }

    /// The whole body's length in bytes.
    pub fn bytes_total(&self) -> u64 {
        self.body.len() as u64
    }

    /// The bytes of a part's value.
    pub fn bytes(&self, part: &Part<'_>) -> &'b [u8] {
        &self.body[part.value.start..part.value.end]
    }

    /// The value of a part that is text.
    ///
    /// # Errors
    /// What is a file to some parsers, by its name or its content type, and what is not UTF-8.
    pub fn text(&self, part: &Part<'_>) -> Result<&'b str, BadRequest> {
        let name = part.name;
        let essence = part.content_type.map(head::essence);
        if part.filename.is_some()
            || !essence.is_none_or(|it| it.eq_ignore_ascii_case("text/plain"))
        {
            return Err(BadRequest::at(
                name,
                format!(
                    "{name} is sent as a file: send it as a plain field, without filename and content type."
                ),
            ));
        }
        std::str::from_utf8(self.bytes(part)).map_err(|error| {
            let at = error.valid_up_to();
            BadRequest::at(
                name,
                format!("{name} is not UTF-8 at its byte {at}: send UTF-8."),
            )
        })
    }

    /// Sees to it that no name but those in `repeatable` is there twice: which one counts differs.
    ///
    /// # Errors
    /// The first that comes again.
    pub fn once(&self, repeatable: &[&str]) -> Result<(), BadRequest> {
        let mut seen = HashSet::with_capacity(self.parts.len());
        for Part { name, .. } in &self.parts {
            if !seen.insert(*name) && !repeatable.contains(name) {
                return Err(BadRequest::at(
                    quoted(name),
                    format!("{} appears twice: send each field once.", quoted(name)),
                ));
            }
        }
        Ok(())
    }

    /// Puts `text` in the place of a part's value, and its length where the part tells that.
    ///
    /// # Errors
    /// A text that holds the form's delimiter. The client chose that, and can choose another.
    pub fn replace<'e>(
        &self,
        part: &Part<'_>,
        text: &'e str,
        splicer: &mut Splicer<'e>,
    ) -> Result<(), BadRequest> {
        if text.contains(&self.boundary.delimiter()) {
            let name = part.name;
            return Err(BadRequest::at(
                name,
                format!(
                    "{name} cannot be sent on: the form's boundary occurs in it. Use a random boundary."
                ),
            ));
        }
        splicer.replace(part.value, text);
        if let Some(span) = part.content_length {
            splicer.replace(span, text.len().to_string());
        }
        Ok(())
    }

    /// The form's beginning: its first delimiter, or an empty line and that.
    fn open(&self, finder: &Finder<'_>) -> Result<After, BadRequest> {
        let delimiter = finder.needle();
        let before = self.body.strip_prefix(LINE_END).unwrap_or(self.body);
        if before.starts_with(delimiter) {
            let start = self.body.len() - before.len();
            return self.after(start + delimiter.len());
        }
        Err(BadRequest::whole(match finder.find(self.body) {
            Some(_) => {
                "The form has something before its first boundary: begin the body with that."
            }
            None if self.body.is_empty() => "The body is empty: send a form.",
            None => {
                "The body does not have the boundary that content-type names: have your HTTP client write both."
            }
        }))
    }

    /// What follows the delimiter that ends before `at`.
    fn after(&self, at: usize) -> Result<After, BadRequest> {
        let rest = &self.body[at..];
        if rest.starts_with(LINE_END) {
            return Ok(After::Part(at + LINE_END.len()));
        }
        match rest.strip_prefix(b"--") {
            Some(b"" | b"\r\n") => Ok(After::End),
            Some(_) => Err(BadRequest::whole(format!(
                "The form goes on after its end, {} bytes into the body: end the body there.",
                at + 2
            ))),
            None => Err(stray(self.parts.len())),
        }
    }
}

/// The part that lies in `span`, up to the delimiter that follows it.
fn part(body: &[u8], span: Span, number: usize) -> Result<Part<'_>, BadRequest> {
    let head = head::read(&body[span.start..span.end]).map_err(|fault| fault.refusal(number))?;
    let refuse = |why: &str| Err(refusal(number, Some(head.name), why));
    let start = span.start + head.len;
    let end = span.end.saturating_sub(LINE_END.len());
    if end < start {
        return refuse(
            "has its boundary where its value should begin: write an empty line, the value, and a line end before the boundary.",
        );
    }
    if &body[end..span.end] != LINE_END {
        return Err(stray(number));
    }
    let value = Span { start, end };
    let content_length = match head.content_length {
        None => None,
        Some((told, _)) if told.parse() != Ok(end - start) => {
            return refuse("tells a content-length that is not its value's: leave it out.");
        }
        Some((told, at)) => Some(Span {
            start: span.start + at,
            end: span.start + at + told.len(),
        }),
    };
    Ok(Part {
        name: head.name,
        filename: head.filename,
        content_type: head.content_type,
        value,
        content_length,
    })
}

/// A refusal of one part.
fn refusal(number: usize, name: Option<&str>, why: &str) -> BadRequest {
    match name.map(quoted) {
        Some(name) => BadRequest::at(name, format!("Part {number} of the form (`{name}`) {why}")),
        None => BadRequest::whole(format!("Part {number} of the form {why}")),
    }
}

fn unfinished(number: usize) -> BadRequest {
    BadRequest::whole(format!(
        "The form ends within part {number}: send all of it, with the boundary and two dashes at the end."
    ))
}

fn stray(number: usize) -> BadRequest {
    BadRequest::whole(format!(
        "The form's boundary occurs after the beginning of part {number} where it ends no part as a line of its own: use a random boundary, and CRLF at the ends of lines."
    ))
}

/// The beginning of a client's text, short enough to be repeated.
fn quoted(text: &str) -> &str {
    text.char_indices()
        .nth(QUOTED_CHARS_MAX)
        .map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests;
