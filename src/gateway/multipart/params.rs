//! The parameters of a header's value: `; name=value; name="value"`.
//!
//! Quoted values have no escapes, since parsers disagree on backslashes; unquoted ones have no sign at which some end.

/// Why parameters are not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not of the form `; name=value`.
    Malformed,
    /// A backslash in quotes.
    Backslash,
}

/// Reads parameter after parameter.
pub(super) struct Params<'h> {
    rest: &'h str,
}

impl<'h> Params<'h> {
    /// What follows the first word of a header's value.
    pub(super) fn new(rest: &'h str) -> Self {
        Params { rest }
    }

    fn read(&mut self) -> Option<(&'h str, &'h str)> {
        let rest = self.rest.strip_prefix(';')?.trim_start_matches(' ');
        let (name, rest) = rest.split_once('=')?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*');
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        let (value, rest) = match rest.strip_prefix('"') {
            Some(rest) => rest.split_once('"')?,
            None => {
                let end = rest.find(|sign| !is_plain(sign)).unwrap_or(rest.len());
                rest.split_at_checked(end).filter(|_| end > 0)?
            }
        };
        self.rest = rest.trim_start_matches(' ');
        Some((name, value))
    }
}

impl<'h> Iterator for Params<'h> {
    type Item = Result<(&'h str, &'h str), Fault>;

    /// The next name and value, without its quotes. After a fault there is nothing.
    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_start_matches(' ');
        if self.rest.is_empty() {
            return None;
        }
        match self.read() {
            Some((_, value)) if value.contains('\\') => {
                self.rest = "";
                Some(Err(Fault::Backslash))
            }
            Some(read) => Some(Ok(read)),
            None => {
                self.rest = "";
                Some(Err(Fault::Malformed))
            }
        }
    }
}

/// Whether a sign may stand in a value without quotes.
pub(super) fn is_plain(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '.' | '+')
}
