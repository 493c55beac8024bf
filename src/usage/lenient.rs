//! Parts of an upstream's JSON that may have any type: what does not fit is passed over, not refused.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A value as its text, whatever it is.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a>(pub &'a str);

impl<'a> Raw<'a> {
    /// The text.
    pub fn get(self) -> &'a str {
        self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Raw(raw.get()))
    }
}

/// An object read as `T`; anything that is not an object is `None`.
pub(super) struct Object<T>(pub Option<T>);

/// An array of objects; an element that is not an object is kept as `None`. Anything but an array is `None`.
pub(super) struct Objects<T>(pub Option<Vec<Option<T>>>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Object(None)
    }
}

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Objects(None)
    }
}

impl<T> Objects<T> {
    /// The first element, if it is an object.
    pub fn first(&self) -> Option<&T> {
        self.0.as_ref()?.first()?.as_ref()
    }
}

/// Whether a value is there and says anything: not null, false, an empty string, array or object.
pub(super) fn says_something(value: Option<Raw<'_>>) -> bool {
    value.is_some_and(|raw| !matches!(raw.get(), "null" | "false" | "\"\"" | "{}" | "[]"))
}

/// Whether a value is a string that is not empty.
pub(super) fn is_text(value: Option<Raw<'_>>) -> bool {
    value.is_some_and(|raw| raw.get().starts_with('"') && raw.get() != "\"\"")
}

/// The inside of a string that has no escapes and is not empty.
pub(super) fn plain(value: Raw<'_>) -> Option<&str> {
    let inside = value.get().strip_prefix('"')?.strip_suffix('"')?;
    (!inside.is_empty() && !inside.contains('\\')).then_some(inside)
}

/// Reads JSON. Text that was found to be UTF-8 as a whole is not looked at again, string by string; what is none can
/// still be read, as long as nothing that is not UTF-8 is asked for.
pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    match std::str::from_utf8(json) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(json),
    }
}

/// The bytes without a byte order mark and the blanks around them.
pub(super) fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(bytes)
        .trim_ascii()
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Objects<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectsVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);
struct ObjectsVisitor<T>(PhantomData<T>);

/// Scalars are passed over.
macro_rules! pass_over_scalars {
    ($none:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any JSON")
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($none)
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($none)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($none)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($none)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($none)
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($none)
        }
    };
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    pass_over_scalars!(Object(None));

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| Object(Some(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Object(None))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectsVisitor<T> {
    type Value = Objects<T>;

    pass_over_scalars!(Objects(None));

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Objects(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(Object(element)) = seq.next_element::<Object<T>>()? {
            elements.push(element);
        }
        Ok(Objects(Some(elements)))
    }
}
