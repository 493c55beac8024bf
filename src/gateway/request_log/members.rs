//! Members of a JSON object, each after a comma: what serde would write, without its way through every type.

use std::fmt;

use crate::gateway::plain::Plain;

/// Adds members to a line. Their names are the code's own, and need no escapes.
pub(super) struct Members<'l>(pub &'l mut Vec<u8>);

impl Members<'_> {
    /// A text.
    pub fn text(&mut self, name: &'static str, value: impl Plain) {
        self.name(name);
        self.0.push(b'"');
        // A line takes every text.
        let _ = value.write(&mut Escaped(self.0));
        self.0.push(b'"');
    }

    /// A text, where it is known.
    pub fn known(&mut self, name: &'static str, value: Option<impl Plain>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A number.
    pub fn number(&mut self, name: &'static str, value: u64) {
        self.name(name);
        self.0
            .extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Whether something is so.
    pub fn flag(&mut self, name: &'static str, value: bool) {
        self.name(name);
        self.0
            .extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn name(&mut self, name: &'static str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

/// Takes what stands between the quotes of a JSON string.
struct Escaped<'l>(&'l mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // All bytes are looked at, so that many are looked at at once.
        let special = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
        if text.bytes().fold(false, |any, byte| any | special(byte)) {
            let quoted = serde_json::to_string(text).map_err(|_| fmt::Error)?;
            self.0
                .extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
        } else {
            self.0.extend_from_slice(text.as_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::money::Nano;

    fn written(add: impl FnOnce(&mut Members<'_>)) -> String {
        let mut line = Vec::new();
        add(&mut Members(&mut line));
        String::from_utf8(line).expect("text")
    }

    proptest! {
        #[test]
        fn texts_are_escaped_as_serde_escapes_them(
            text in prop_oneof![".*", "[\\x00-\\x7f\"\\\\]{0,40}", "[a-z0-9 .,=-]{0,90}"],
            number: u64,
            nano: i64,
        ) {
            let expected = |value: serde_json::Value| format!(",\"name\":{value}");
            prop_assert_eq!(written(|line| line.text("name", &*text)), expected(json!(text)));
            prop_assert_eq!(written(|line| line.number("name", number)), expected(json!(number)));
            let nano = Nano::new(nano);
            prop_assert_eq!(written(|line| line.text("name", nano)), expected(json!(nano.to_string())));
            prop_assert_eq!(written(|line| line.known("name", Some(format!("{text}{text}")))), expected(json!(format!("{text}{text}"))));
            prop_assert_eq!(written(|line| line.known("name", None::<String>)), "");
            prop_assert_eq!(written(|line| line.flag("name", nano.is_negative())), expected(json!(nano.is_negative())));
        }
    }
}
