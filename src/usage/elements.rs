//! Walks over JSON arrays and objects that may have millions of elements. They are not collected: a body of millions of ids must
//! not take many times its size.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Gives each element of an array, in order; `None` if it is no array.
pub(super) fn elements<'a>(array: &'a RawValue, take: &mut dyn FnMut(&'a RawValue)) -> Option<()> {
    let mut json = serde_json::Deserializer::from_str(array.get());
    json.deserialize_seq(Elements(take)).ok()
}

/// Gives each member of an object, in order; `None` if it is no object.
pub(super) fn members<'a>(
    object: &'a RawValue,
    take: &mut dyn FnMut(&str, &'a RawValue),
) -> Option<()> {
    let mut json = serde_json::Deserializer::from_str(object.get());
    json.deserialize_map(Members(take)).ok()
}

/// How many elements an array has; none where it is no array.
pub(super) fn length(array: &RawValue) -> u64 {
    let mut json = serde_json::Deserializer::from_str(array.get());
    json.deserialize_seq(Length).unwrap_or(0)
}

struct Elements<'t, 'a>(&'t mut dyn FnMut(&'a RawValue));

impl<'a> Visitor<'a> for Elements<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut elements: S) -> Result<(), S::Error> {
        while let Some(element) = elements.next_element::<&'a RawValue>()? {
            (self.0)(element);
        }
        Ok(())
    }
}

struct Members<'t, 'a>(&'t mut dyn FnMut(&str, &'a RawValue));

impl<'a> Visitor<'a> for Members<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some((name, value)) = members.next_entry::<Cow<'a, str>, &'a RawValue>()? {
            (self.0)(&name, value);
        }
        Ok(())
    }
}

struct Length;

impl<'a> Visitor<'a> for Length {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut elements: S) -> Result<u64, S::Error> {
        let mut length = 0;
        while elements.next_element::<IgnoredAny>()?.is_some() {
            length += 1;
        }
        Ok(length)
    }
}
