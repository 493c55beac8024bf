//! The YAML file as a tree of texts, each with its line.
//!
//! Scalars are kept as they are written: a price must be read from its digits, never through a float.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::error::{ConfigError, Problem};

/// A value of the file.
#[derive(Debug)]
pub(super) struct Node {
    /// Where it is used, from 1.
    pub line: u32,
    /// What it is.
    pub value: Value,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A field of a map.
#[derive(Debug)]
pub(super) struct Entry {
    pub name: String,
    pub line: u32,
    pub node: Node,
}

/// Reads one YAML document. Duplicate keys, several documents and inputs that expand without bound are refused.
pub(super) fn parse(text: &str, file: &str) -> Result<Node, ConfigError> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options)
        .map(|raw| node(raw, text))
        .map_err(|error| {
            let at = error.location().unwrap_or(Location::UNKNOWN);
            let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
            // The line stands in front of the message already.
            let place = format!(" at line {}, column {}", at.line(), at.column());
            let message = message.trim_end_matches(place.as_str());
            ConfigError::of(Problem {
                file: file.to_owned(),
                line: line(at),
                field: String::new(),
                message: format!("is not valid YAML: {message}"),
            })
        })
}

/// A value as the parser hands it over: numbers and booleans only as marks that they are there.
enum Raw {
    Null,
    Text(String),
    Number,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn node(raw: Spanned<Raw>, source: &str) -> Node {
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(text) => Value::Text(text),
        Raw::Number => Value::Text(written(raw.defined, source)),
        Raw::List(items) => Value::List(items.into_iter().map(|item| node(item, source)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(name, value)| Entry {
                    line: line(name.referenced),
                    name: name.value,
                    node: node(value, source),
                })
                .collect(),
        ),
    };
    Node {
        line: line(raw.referenced),
        value,
    }
}

/// The text of the file at a place. Empty if the parser does not know the place, which then reads as no number.
fn written(at: Location, source: &str) -> String {
    let span = at.span();
    let range = span
        .byte_offset()
        .zip(span.byte_len())
        .and_then(|(start, len)| {
            let start = usize::try_from(start).ok()?;
            source.get(start..start.checked_add(usize::try_from(len).ok()?)?)
        });
    range.unwrap_or_default().trim().to_owned()
}

fn line(at: Location) -> u32 {
    u32::try_from(at.line()).unwrap_or(u32::MAX)
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
