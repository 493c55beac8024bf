//! Objects of the upstream that are named deep inside of what passes as it is.

use std::cell::Cell;
use std::fmt;
use std::sync::LazyLock;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::BadRequest;
use super::at::{At, quoted};
use super::table::{Found, Rule, Table, Why};
use super::text::Text;

static STORED: LazyLock<Table> =
    LazyLock::new(|| Table::new(&[(Rule::Refuse(Why::Shared), &["file_id", "file_ids"])]));

/// Refuses a value in which anything names a stored file: all customers share the upstream's files.
pub(super) fn refuse_stored(at: At<'_>, value: &RawValue) -> Result<(), BadRequest> {
    let [b'{' | b'[', ..] = value.get().as_bytes() else {
        return Ok(());
    };
    let found = &Cell::new(None);
    let mut json = serde_json::Deserializer::from_str(value.get());
    let looked = Nested { at, found }.deserialize(&mut json);
    looked.map_err(|error| match found.take() {
        Some(refusal) => refusal,
        // A number that is out of range, say: what comes after it was not looked at.
        None => BadRequest::at(at.to_string(), format!("{at} cannot be read: {error}.")),
    })
}

/// Any value, to be looked through.
#[derive(Clone, Copy)]
struct Nested<'w> {
    at: At<'w>,
    /// Why it ends early.
    found: &'w Cell<Option<BadRequest>>,
}

impl<'b> DeserializeSeed<'b> for Nested<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for Nested<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'b>>(self, mut seq: S) -> Result<(), S::Error> {
        let found = self.found;
        let mut index = 0;
        loop {
            let at = At::Element(&self.at, index);
            if seq.next_element_seed(Nested { at, found })?.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<(), A::Error> {
        let found = self.found;
        while let Some(key) = map.next_key_seed(Text)? {
            let at = At::Member(&self.at, quoted(&key));
            if STORED.find(&key) == Found::Unknown {
                map.next_value_seed(Nested { at, found })?;
                continue;
            }
            if map.next_value::<&'b RawValue>()?.get() != "null" {
                let message = format!("{at} {}", Why::Shared.text());
                found.set(Some(BadRequest::at(at.to_string(), message)));
                return Err(Error::custom("refused"));
            }
        }
        Ok(())
    }
}
