//! The address of an HTTP proxy, with its user and password. No message shows it: it is a secret.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use percent_encoding::percent_decode_str;

use super::super::read::Field;
use super::super::{Owner, Proxy};
use crate::secret::Secret;

/// The proxy that a field names.
pub(super) fn proxy(field: &Field<'_>, owner: Owner) -> Option<Proxy> {
    match parse(field.secret(owner)?.expose()) {
        Ok(proxy) => Some(proxy),
        Err(wrong) => field.problem(wrong),
    }
}

fn parse(text: &str) -> Result<Proxy, &'static str> {
    const WRONG: &str = "is not the address of a proxy, such as http://user:password@proxy:3128 \
        (other characters than letters and digits in user or password as %40)";
    let uri: Uri = text.parse().map_err(|_| WRONG)?;
    let authority = uri.authority().ok_or(WRONG)?;
    if uri.scheme_str() != Some("http") {
        return Err("is not an HTTP proxy: its address begins with http://, \
            and https upstreams are encrypted through it");
    }
    if uri.path().len() > 1 || uri.query().is_some() {
        return Err("has a path; the address of a proxy ends with its port");
    }
    let (user, place) = match authority.as_str().rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority.as_str()),
    };
    let (host, port) = (authority.host(), authority.port_u16());
    let whole = match port {
        Some(port) => format!("{host}:{port}") == place,
        None => host == place,
    };
    if host.is_empty() || !whole {
        return Err(WRONG);
    }
    Ok(Proxy {
        address: format!("{host}:{}", port.unwrap_or(80)),
        authorization: user.map(basic).transpose()?,
    })
}

/// `user:password`, percent-encoded, as a Basic credential (RFC 7617).
fn basic(user: &str) -> Result<Secret, &'static str> {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let decoded = |text| -> Vec<u8> { percent_decode_str(text).collect() };
    let user = decoded(user);
    if user.contains(&b':') {
        return Err("has a user with a colon in it, which no proxy can be sent");
    }
    let pair = Secret::new(BASE64_STANDARD.encode([&user, &b":"[..], &decoded(password)].concat()));
    Ok(Secret::new(format!("Basic {}", pair.expose())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_port_and_credential() {
        for (text, address, authorization) in [
            ("http://proxy:3128", "proxy:3128", None),
            ("http://proxy/", "proxy:80", None),
            ("http://[::1]:3128", "[::1]:3128", None),
            // The example of RFC 7617.
            (
                "http://Aladdin:open%20sesame@proxy:1",
                "proxy:1",
                Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ),
            (
                "http://a:b%40%3Ac@proxy",
                "proxy:80",
                Some("Basic YTpiQDpj"),
            ),
            ("http://a@proxy", "proxy:80", Some("Basic YTo=")),
        ] {
            let proxy = parse(text).expect(text);
            assert_eq!(proxy.address, address);
            let shown = proxy.authorization.as_ref().map(Secret::expose);
            assert_eq!(shown, authorization, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, why) in [
            ("proxy:3128", "is not"),
            ("http://", "is not the address"),
            ("http://proxy:99999", "is not the address"),
            ("http://proxy:", "is not the address"),
            ("https://proxy:3128", "is not an HTTP proxy"),
            ("socks5://proxy:1080", "is not an HTTP proxy"),
            ("http://proxy:3128/path", "has a path"),
            ("http://a%3Ab:c@proxy", "with a colon"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
