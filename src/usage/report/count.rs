//! Reads one number of a report, and one fact out of its several spellings.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{COUNT_MAX, Unbelievable};

/// One number as it was written.
#[derive(Clone, Copy, Default)]
pub(super) enum Count {
    #[default]
    Absent,
    Is(u64),
    Negative,
    NotInteger,
    TooLarge,
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        Ok(Count::written(raw.get()))
    }
}

impl Count {
    /// The number that a value's text is.
    pub(super) fn written(text: &str) -> Count {
        // 12.0 is a whole number too: some upstreams print every number so.
        let whole = match text.split_once('.') {
            Some((whole, zeros)) if zeros.bytes().all(|digit| digit == b'0') => whole,
            _ => text,
        };
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        match whole.parse::<u64>() {
            _ if text == "null" => Count::Absent,
            Ok(count) if is_number && count <= COUNT_MAX => Count::Is(count),
            _ if !is_number => Count::NotInteger,
            _ if whole.starts_with('-') => Count::Negative,
            _ => Count::TooLarge,
        }
    }

    /// The count, `None` if it is not there.
    pub fn known(self, field: &'static str) -> Result<Option<u64>, Unbelievable> {
        match self {
            Count::Absent => Ok(None),
            Count::Is(count) => Ok(Some(count)),
            Count::Negative => Err(Unbelievable::Negative(field)),
            Count::NotInteger => Err(Unbelievable::NotInteger(field)),
            Count::TooLarge => Err(Unbelievable::TooLarge(field)),
        }
    }
}

/// The largest of all spellings of one fact.
pub(super) fn fact(spellings: &[(&'static str, Count)]) -> Result<Option<u64>, Unbelievable> {
    spellings.iter().try_fold(None, |largest, (field, count)| {
        Ok(largest.max(count.known(field)?))
    })
}
