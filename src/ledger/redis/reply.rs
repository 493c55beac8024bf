//! What server-side calls answer: arrays that begin with a word.

use redis::Value;

use crate::ledger::LedgerError;

/// One answer.
#[derive(Debug)]
pub struct Reply(Vec<Value>);

impl Reply {
    /// The answer that a value is.
    ///
    /// # Errors
    /// `Unavailable` where it is no array.
    pub fn new(value: Value) -> Result<Reply, LedgerError> {
        match value {
            Value::Array(values) => Ok(Reply(values)),
            _ => Err(malformed()),
        }
    }

    /// Its word; empty where there is none.
    pub fn word(&self) -> &str {
        self.text(0).unwrap_or("")
    }

    /// The text at a place.
    ///
    /// # Errors
    /// `Unavailable` where there is none.
    pub fn text(&self, place: usize) -> Result<&str, LedgerError> {
        self.0.get(place).and_then(text).ok_or_else(malformed)
    }

    /// The number at a place, whether it came as a number or as text.
    ///
    /// # Errors
    /// `Unavailable` where there is none.
    pub fn number<T: std::str::FromStr + TryFrom<i64>>(
        &self,
        place: usize,
    ) -> Result<T, LedgerError> {
        let number = match self.0.get(place) {
            Some(Value::Int(number)) => T::try_from(*number).ok(),
            Some(other) => text(other).and_then(|text| text.parse().ok()),
            None => None,
        };
        number.ok_or_else(malformed)
    }

    /// The texts of the array at a place; nothing is an empty text.
    ///
    /// # Errors
    /// `Unavailable` where there is none.
    pub fn texts(&self, place: usize) -> Result<Vec<&str>, LedgerError> {
        match self.0.get(place) {
            Some(Value::Array(values)) => texts(values).ok_or_else(malformed),
            _ => Err(malformed()),
        }
    }
}

impl Reply {
    /// The values of the array at a place.
    ///
    /// # Errors
    /// `Unavailable` where there is none.
    pub fn values(&self, place: usize) -> Result<&[Value], LedgerError> {
        match self.0.get(place) {
            Some(Value::Array(values)) => Ok(values),
            _ => Err(malformed()),
        }
    }
}

/// The text of a value; nothing is an empty text, anything but text is `None`.
pub fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        Value::Okay => Some("OK"),
        Value::Nil => Some(""),
        _ => None,
    }
}

/// The texts of values.
pub fn texts(values: &[Value]) -> Option<Vec<&str>> {
    values.iter().map(text).collect()
}

/// The texts of an array; nothing is an empty list. A map is a list of its names and contents.
pub fn list(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::Array(values) => texts(values),
        Value::Nil => Some(Vec::new()),
        Value::Map(pairs) => {
            let pairs = pairs.iter().flat_map(|(name, content)| [name, content]);
            pairs.map(text).collect()
        }
        _ => None,
    }
}

/// The store holds something that this program did not write, or not like this.
pub fn malformed() -> LedgerError {
    LedgerError::Unavailable(
        "the store's answer has an unexpected form: is its prefix used by another program or version?"
            .to_owned(),
    )
}
