//! Adds many headers to a map.

use std::fmt;

use bytes::BytesMut;
use http::header::{Entry, HeaderMap, HeaderName, HeaderValue};

use crate::gateway::plain::Plain;

/// Room for a typical value.
const VALUE_BYTES: usize = 32;

/// Adds headers to a map. Their values share one buffer, so that many headers cost few allocations.
pub struct Writer<'m> {
    map: &'m mut HeaderMap,
    buffer: BytesMut,
}

impl<'m> Writer<'m> {
    /// A writer that makes room for about `count` headers at once.
    pub fn new(map: &'m mut HeaderMap, count: usize) -> Self {
        map.reserve(count);
        Writer {
            map,
            buffer: BytesMut::with_capacity(count * VALUE_BYTES),
        }
    }

    /// Sets a header to what `shown` says.
    pub fn put(&mut self, name: HeaderName, shown: impl Plain) {
        let value = value(&mut self.buffer, &shown);
        self.map.insert(name, value);
    }

    /// Sets a header unless it is there.
    pub fn put_absent(&mut self, name: HeaderName, shown: impl Plain) {
        if let Entry::Vacant(place) = self.map.entry(name) {
            place.insert(value(&mut self.buffer, &shown));
        }
    }

    /// Sets two headers to the same value.
    pub fn put_both(&mut self, names: [HeaderName; 2], shown: impl Plain) {
        let value = value(&mut self.buffer, &shown);
        let [first, second] = names;
        self.map.insert(first, value.clone());
        self.map.insert(second, value);
    }
}

fn value(buffer: &mut BytesMut, shown: &impl Plain) -> HeaderValue {
    let written: fmt::Result = shown.write(buffer);
    let bytes = buffer.split().freeze();
    let whole = written.ok().map(|()| HeaderValue::from_maybe_shared(bytes));
    whole.and_then(Result::ok).unwrap_or_else(|| {
        let mut text = String::new();
        match shown.write(&mut text) {
            Ok(()) => super::value(&text),
            Err(_) => super::value("?"),
        }
    })
}
