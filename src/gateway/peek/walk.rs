//! Walking through JSON objects whose every key is looked at.
//!
//! [`walk`] gives the members of an object to a [`Members`], one by one, after it has refused duplicate keys and keys
//! that merely look like a name that matters. A refusal is kept in the [`Pass`], since errors of serde carry text only.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::at::{At, quoted};
use super::nested;
use super::seen::Seen;
use super::table::{Found, Rule, Table};
use super::text::Text;
use super::{BadRequest, Named, PeekCaps, depth, scalar};
use crate::gateway::splice::Span;

/// The most objects of an upstream that one request may name: each is looked up.
const OBJECTS_MAX: usize = 64;

/// One pass over one body.
pub(super) struct Pass<'b> {
    body: &'b str,
    /// Why it ends early.
    refusal: RefCell<Option<BadRequest>>,
    /// The member of the body that is being read.
    member: Cell<Option<&'static str>>,
    /// Objects of the upstream that it names.
    objects: RefCell<Vec<Named>>,
}

/// A kind of object.
pub(super) trait Members<'b> {
    /// The names that matter in it.
    fn table() -> &'static Table;

    /// Takes the next value of `map`, whose rule is to be read. Here is the place for what is better walked through while
    /// it is parsed; all else is left to [`Members::read_text`].
    fn read<A: MapAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        self.read_text(pass, at, name, map)
    }

    /// Takes the next value of `map` as text, for [`Members::value`].
    fn read_text<A: MapAccess<'b>>(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let raw = map.next_value()?;
        self.value(pass, at, name, raw)
            .map_err(|refusal| pass.refuse(refusal))
    }

    /// Takes the text of a value whose rule is to be read. A table without such names needs none.
    fn value(
        &mut self,
        _pass: &Pass<'b>,
        _at: At<'_>,
        _name: &'static str,
        _raw: &'b RawValue,
    ) -> Result<(), BadRequest> {
        Ok(())
    }

    /// Is told of a member that makes the input unbounded.
    fn unbounded(&mut self) {}

    /// Is told of a member that is not in the table.
    fn unknown(&mut self) {}
}

/// An object, to be given to `members`.
pub(super) struct Object<'w, 'b, M> {
    pub(super) pass: &'w Pass<'b>,
    pub(super) at: At<'w>,
    pub(super) members: &'w mut M,
}

/// The body as text that is worth parsing.
pub(super) fn text(body: &[u8], caps: PeekCaps) -> Result<&str, BadRequest> {
    if body.is_empty() {
        return Err(BadRequest::whole("The body is empty: send a JSON object."));
    }
    if body.starts_with(b"\xef\xbb\xbf") {
        return Err(BadRequest::whole(
            "The body starts with a byte order mark: send JSON without one.",
        ));
    }
    if !depth::within(body, caps.json_depth) {
        let limit = caps.json_depth;
        return Err(BadRequest::whole(format!(
            "The body nests deeper than {limit} objects and arrays: flatten it."
        )));
    }
    std::str::from_utf8(body).map_err(|error| {
        BadRequest::whole(format!(
            "The body is not UTF-8 at byte {}: send JSON in UTF-8.",
            error.valid_up_to()
        ))
    })
}

/// Gives every member of the body to `members`.
pub(super) fn walk<'b, M: Members<'b>>(pass: &Pass<'b>, members: &mut M) -> Result<(), BadRequest> {
    let at = At::Body;
    pass.parse(pass.body, Object { pass, at, members })
}

impl<'b> Pass<'b> {
    /// A pass over `body`.
    pub(super) fn new(body: &'b str) -> Self {
        Pass {
            body,
            refusal: RefCell::new(None),
            member: Cell::new(None),
            objects: RefCell::default(),
        }
    }

    /// The objects of the upstream that were named so far.
    pub(super) fn objects(&self) -> Vec<Named> {
        self.objects.take()
    }

    /// Notes an object of the upstream that the body names.
    fn name_object(&self, at: At<'_>, raw: &'b RawValue) -> Result<(), BadRequest> {
        let param = at.to_string();
        let id = scalar::text(raw, at)?.filter(|id| !id.is_empty());
        let Some(id) = id else {
            return Err(BadRequest::at(param, format!("{at} must name an object.")));
        };
        let mut objects = self.objects.borrow_mut();
        if objects.len() == OBJECTS_MAX {
            let message = format!("The body names more than {OBJECTS_MAX} stored objects.");
            return Err(BadRequest::at(param, message));
        }
        let id = id.into_owned();
        objects.push(Named { param, id });
        Ok(())
    }

    /// The body's length in bytes.
    pub(super) fn body_bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// Just after the opening brace of the body.
    pub(super) fn first_member(&self) -> usize {
        self.body.find('{').map_or(0, |brace| brace + 1)
    }

    /// Where `raw`, a part of the body, is.
    pub(super) fn span(&self, raw: &'b RawValue) -> Span {
        let start = raw.get().as_ptr().addr() - self.body.as_ptr().addr();
        Span {
            start,
            end: start + raw.get().len(),
        }
    }

    /// Reads all of `text`, a part of the body.
    pub(super) fn parse<S>(&self, text: &'b str, seed: S) -> Result<(), BadRequest>
    where
        S: DeserializeSeed<'b, Value = ()>,
    {
        let mut json = serde_json::Deserializer::from_str(text);
        let parsed = seed.deserialize(&mut json).and_then(|()| json.end());
        parsed.map_err(|error| match self.refusal.take() {
            Some(refusal) => refusal,
            None => self.describe(&error),
        })
    }

    /// Ends the pass with `refusal`.
    pub(super) fn refuse<E: Error>(&self, refusal: BadRequest) -> E {
        self.refusal.replace(Some(refusal));
        E::custom("refused")
    }

    fn describe(&self, error: &serde_json::Error) -> BadRequest {
        match (error.classify(), self.member.get()) {
            (Category::Data, Some(member)) => {
                BadRequest::at(member, format!("{member} has the wrong type: {error}."))
            }
            (Category::Data, None) => {
                BadRequest::whole(format!("The body is not a JSON object: {error}."))
            }
            _ => BadRequest::whole(format!("The body is not valid JSON: {error}.")),
        }
    }
}

impl<'b, M: Members<'b>> DeserializeSeed<'b> for Object<'_, 'b, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'b, M: Members<'b>> Visitor<'b> for Object<'_, 'b, M> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'b>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut seen = Seen::default();
        while let Some(key) = map.next_key_seed(Text)? {
            self.member(key, &mut seen, &mut map)?;
        }
        Ok(())
    }
}

impl<'b, M: Members<'b>> Object<'_, 'b, M> {
    fn member<A: MapAccess<'b>>(
        &mut self,
        key: Cow<'b, str>,
        seen: &mut Seen<'b>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let pass = self.pass;
        let index = match M::table().find(&key) {
            Found::Exact(index) => index,
            Found::Lookalike(index) => {
                let (name, _) = M::table().row(index);
                return Err(pass.refuse(self.lookalike(&key, name)));
            }
            Found::Unknown => {
                if let Some(key) = seen.unknown(key) {
                    return Err(pass.refuse(self.duplicate(&key)));
                }
                self.members.unknown();
                return map.next_value::<IgnoredAny>().map(drop);
            }
        };
        let (name, rule) = M::table().row(index);
        if matches!(self.at, At::Body) {
            pass.member.set(Some(name));
        }
        if !seen.first(index) {
            return Err(pass.refuse(self.duplicate(name)));
        }
        match rule {
            Rule::Read => {
                let at = At::Member(&self.at, name);
                self.members.read(pass, at, name, map)
            }
            Rule::Guard => map.next_value::<IgnoredAny>().map(drop),
            Rule::Unbounded | Rule::Object | Rule::Refuse(_) => {
                let value = map.next_value::<&'b RawValue>()?;
                match (rule, value.get()) {
                    (_, "null" | "false") => Ok(()),
                    (Rule::Object, _) => {
                        self.members.unbounded();
                        pass.name_object(At::Member(&self.at, name), value)
                            .map_err(|refusal| pass.refuse(refusal))
                    }
                    (Rule::Refuse(why), _) => {
                        let at = At::Member(&self.at, name);
                        let message = format!("{at} {}", why.text());
                        Err(pass.refuse(BadRequest::at(at.to_string(), message)))
                    }
                    _ => {
                        self.members.unbounded();
                        nested::refuse_stored(At::Member(&self.at, name), value)
                            .map_err(|refusal| pass.refuse(refusal))
                    }
                }
            }
        }
    }

    fn lookalike(&self, key: &str, name: &str) -> BadRequest {
        let at = At::Member(&self.at, quoted(key)).to_string();
        let message = format!(
            "{at} would be read as `{name}` by some upstreams: write `{name}`, or remove it."
        );
        BadRequest::at(at, message)
    }

    fn duplicate(&self, key: &str) -> BadRequest {
        let at = At::Member(&self.at, quoted(key)).to_string();
        let message = format!("{at} appears twice: send each key once.");
        BadRequest::at(at, message)
    }
}
