//! Where in a body something stands.

use std::fmt;

/// How much of a client's key is repeated to it.
const QUOTED_CHARS_MAX: usize = 64;

/// A place in a body; its display is the `param` of a refusal.
#[derive(Clone, Copy)]
pub(super) enum At<'p> {
    /// The body itself.
    Body,
    /// A member of an object.
    Member(&'p At<'p>, &'p str),
    /// An element of an array.
    Element(&'p At<'p>, usize),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Body => Ok(()),
            At::Member(At::Body, name) => f.write_str(name),
            At::Member(parent, name) => write!(f, "{parent}.{name}"),
            At::Element(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// The beginning of a client's key, short enough to be repeated.
pub(super) fn quoted(key: &str) -> &str {
    key.char_indices()
        .nth(QUOTED_CHARS_MAX)
        .map_or(key, |(end, _)| &key[..end])
}
