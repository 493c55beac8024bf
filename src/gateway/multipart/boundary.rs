//! The boundary that a content type names.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::params::{Params, is_plain};
use super::{BadRequest, quoted};

/// The longest boundary that RFC 2046 knows, in bytes.
const BYTES_MAX: usize = 70;
const ESSENCE: &str = "multipart/form-data";

/// What stands between the parts of a form, after two dashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary<'h> {
    text: &'h str,
}

impl<'h> Boundary<'h> {
    /// The boundary of a request with these headers.
    ///
    /// # Errors
    /// Where there is not exactly one content type, or it does not name exactly one boundary that all parsers read alike.
    pub fn of(headers: &'h HeaderMap) -> Result<Self, BadRequest> {
        let mut sent = headers.get_all(CONTENT_TYPE).iter();
        match (sent.next(), sent.next()) {
            (Some(value), None) => Boundary::named_in(value.as_bytes()),
            (None, _) => Err(wrong("is missing")),
            (Some(_), Some(_)) => Err(wrong("is sent twice")),
        }
    }

    /// The boundary that the value of a content type names.
    ///
    /// # Errors
    /// As [`Boundary::of`].
    pub fn named_in(content_type: &'h [u8]) -> Result<Self, BadRequest> {
        let value = std::str::from_utf8(content_type).map_err(|_| wrong("is not ASCII"))?;
        let value = value.trim_matches(' ');
        let rest = match value.get(..ESSENCE.len()) {
            Some(start) if start.eq_ignore_ascii_case(ESSENCE) => &value[ESSENCE.len()..],
            _ => return Err(wrong("is not multipart/form-data")),
        };
        let mut named = None;
        for param in Params::new(rest.trim_start_matches(' ')) {
            let (name, value) = param.map_err(|_| wrong("cannot be read"))?;
            if name.eq_ignore_ascii_case("charset") && value.eq_ignore_ascii_case("utf-8") {
                continue;
            }
            if name.eq_ignore_ascii_case("boundary") {
                if named.replace(value).is_some() {
                    return Err(wrong("names two boundaries"));
                }
                continue;
            }
            let name = quoted(name);
            return Err(wrong(&format!(
                "has the parameter {name}, which is not accepted"
            )));
        }
        let text = named.ok_or_else(|| wrong("names no boundary"))?;
        // Among dashes alone, the delimiter and the two dashes of the end cannot be told apart.
        let is_distinct = text.bytes().any(|byte| byte != b'-');
        if !is_distinct || text.len() > BYTES_MAX || !text.bytes().all(is_boundary) {
            return Err(wrong(
                "has a boundary that is not 1 to 70 letters, digits, and signs of -_.+=/:?",
            ));
        }
        Ok(Boundary { text })
    }

    /// The boundary itself.
    pub fn as_str(&self) -> &'h str {
        self.text
    }

    /// The content type to be sent on: this boundary, and nothing that could be read otherwise.
    pub fn content_type(&self) -> String {
        match self.text.chars().all(is_plain) {
            true => format!("{ESSENCE}; boundary={}", self.text),
            false => format!("{ESSENCE}; boundary=\"{}\"", self.text),
        }
    }

    /// What stands in the body.
    pub(super) fn delimiter(&self) -> String {
        format!("--{}", self.text)
    }
}

/// What RFC 2046 lets stand in a boundary, but for blanks, apostrophes, commas and parentheses: some parsers end
/// there, or leave them out.
fn is_boundary(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'_' | b'.' | b'+' | b'=' | b'/' | b':' | b'?')
}

fn wrong(how: &str) -> BadRequest {
    BadRequest::whole(format!(
        "The request's content-type {how}: send one `multipart/form-data; boundary=...`, as your HTTP client writes it."
    ))
}
