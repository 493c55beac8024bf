//! The headers that an operator adds to every request of an upstream, and which ones cannot be added.

use std::collections::HashSet;

use http::HeaderName;
use http::header::AUTHORIZATION;

use super::super::Owner;
use super::super::read::Field;
use crate::secret::Secret;

/// The header that carries the upstream's key.
pub(super) fn auth_header(field: Option<Field<'_>>, has_key: bool) -> HeaderName {
    let Some(field) = field else {
        return AUTHORIZATION;
    };
    if !has_key {
        field.problem::<()>(
            "carries the api_key, and there is none; write one, or remove the field",
        );
    }
    field.read(name).unwrap_or(AUTHORIZATION)
}

/// What is sent on every request.
pub(super) fn headers(
    field: Option<Field<'_>>,
    owner: &dyn Fn() -> Owner,
    auth_header: Option<&HeaderName>,
) -> Vec<(HeaderName, Secret)> {
    let entries = field.map(|field| field.entries());
    let mut taken: HashSet<HeaderName> = HashSet::new();
    let mut header = |(text, field): (&str, Field<'_>)| {
        let name = match name(text) {
            Ok(name) => name,
            Err(wrong) => return field.problem(wrong),
        };
        if auth_header == Some(&name) {
            return field.problem("is the header that carries api_key; remove one of the two");
        }
        if !taken.insert(name.clone()) {
            return field.problem("is there twice: the case of a header's name has no meaning");
        }
        Some((name, field.header_secret(owner())?))
    };
    let entries = entries.unwrap_or_default().into_iter();
    entries.filter_map(&mut header).collect()
}

/// The name of a header that may be set.
fn name(text: &str) -> Result<HeaderName, String> {
    let name: HeaderName = text
        .parse()
        .map_err(|_| "is no name of a header, such as X-Title or api-key".to_owned())?;
    match unfit(name.as_str()) {
        None => Ok(name),
        Some(why) => Err(format!("{why}; it cannot be set here")),
    }
}

/// Why a header is not the operator's to set.
fn unfit(name: &str) -> Option<&'static str> {
    Some(match name {
        "host" | "content-length" | "content-type" | "accept-encoding" => {
            "is set by Tollgate, to what it sends and can read"
        }
        "content-encoding" => "would change what the body means, which Tollgate sends as it is",
        "connection" | "expect" | "keep-alive" | "te" | "trailer" | "transfer-encoding"
        | "upgrade" => "is about one connection, which is Tollgate's to keep",
        "idempotency-key" => "would be the same on all requests, as if they were one",
        name if name.starts_with("proxy-") => {
            "is for a proxy, whose user and password stand in `proxy`"
        }
        _ => return None,
    })
}
