//! Walking through JSON arrays whose every element is looked at.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::BadRequest;
use super::at::At;
use super::walk::{Members, Object, Pass};

/// An array or null; each element is given to `elements`.
pub(super) struct Array<'w, 'b, E> {
    pub(super) pass: &'w Pass<'b>,
    pub(super) at: At<'w>,
    pub(super) elements: &'w mut E,
}

/// A kind of array.
pub(super) trait Elements<'b> {
    /// What it is, for the refusal of anything else.
    const EXPECTED: &'static str;
    /// As what each element is read.
    type Element: Element<'b>;

    /// Is told that there is an array at all.
    fn begin(&mut self) {}

    /// Takes the next element.
    fn take(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        element: Self::Element,
    ) -> Result<(), BadRequest>;
}

/// What elements can be read as: an object whose members are looked at, or text that is still to be read.
pub(super) trait Element<'b>: Sized {
    /// The next element; `None` after the last.
    fn next<S: SeqAccess<'b>>(
        pass: &Pass<'b>,
        at: At<'_>,
        seq: &mut S,
    ) -> Result<Option<Self>, S::Error>;
}

impl<'b> Element<'b> for &'b RawValue {
    fn next<S: SeqAccess<'b>>(
        _: &Pass<'b>,
        _: At<'_>,
        seq: &mut S,
    ) -> Result<Option<Self>, S::Error> {
        seq.next_element()
    }
}

impl<'b, M: Members<'b> + Default> Element<'b> for M {
    fn next<S: SeqAccess<'b>>(
        pass: &Pass<'b>,
        at: At<'_>,
        seq: &mut S,
    ) -> Result<Option<Self>, S::Error> {
        let mut object = M::default();
        let members = &mut object;
        let next = seq.next_element_seed(Object { pass, at, members })?;
        Ok(next.map(|()| object))
    }
}

impl<'b, E: Elements<'b>> DeserializeSeed<'b> for Array<'_, 'b, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'b, E: Elements<'b>> Visitor<'b> for Array<'_, 'b, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(E::EXPECTED)
    }

    fn visit_unit<R: Error>(self) -> Result<(), R> {
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'b>>(self, mut seq: S) -> Result<(), S::Error> {
        let Array { pass, at, elements } = self;
        elements.begin();
        let mut index = 0;
        loop {
            let at = At::Element(&at, index);
            let Some(element) = E::Element::next(pass, at, &mut seq)? else {
                return Ok(());
            };
            elements
                .take(pass, at, element)
                .map_err(|refusal| pass.refuse(refusal))?;
            index += 1;
        }
    }
}
