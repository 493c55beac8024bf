//! The base URL of an upstream: everything that a request's address has beside the path of its call.

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};

use crate::secret::Secret;

/// All but what is unreserved in a URL (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What no address can hold as it is. A percent sign stays: what is encoded already is not encoded again.
const UNFIT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What comes before the path of a call, and what comes after it.
#[derive(Debug)]
pub(super) struct Base {
    scheme: Scheme,
    /// With the port where it is not `https`: a tunnel takes 443 for a port that is not told.
    authority: Authority,
    host: HeaderValue,
    /// Empty, or begins with a slash and does not end with one.
    prefix: String,
    /// Empty, or `?` and what is asked on every call. Operators put keys here.
    query: Secret,
}

impl Base {
    /// Takes a base URL apart. The reason why it is none is a sentence.
    pub(super) fn parse(base_url: &str, query: &[(String, Secret)]) -> Result<Self, String> {
        let wrong =
            |what: &str| format!("`base_url` {what}; write it like https://api.example.com/v1");
        let uri: Uri = base_url
            .trim()
            .parse()
            .map_err(|cause| wrong(&format!("is not a URL ({cause})")))?;
        let parts = uri.into_parts();
        let scheme = parts
            .scheme
            .filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS)
            .ok_or_else(|| wrong("needs http:// or https://"))?;
        let authority = parts.authority.ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong(
                "holds a user name; the credential belongs in `api_key`",
            ));
        }
        let path = parts
            .path_and_query
            .unwrap_or(PathAndQuery::from_static("/"));
        if path.query().is_some() {
            return Err(wrong("has a query"));
        }
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| wrong("has a host that no header can hold"))?;
        Ok(Base {
            authority: with_port(authority, &scheme),
            scheme,
            host,
            prefix: path.path().trim_end_matches('/').to_owned(),
            query: encoded(query),
        })
    }

    /// The whole address of a call to `path`, which may have a query. What the operator asks on every call
    /// stands first, and alone: a call cannot ask it too. The reason why there is no address is a sentence.
    pub(super) fn uri(&self, path: &str) -> Result<Uri, String> {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, query),
            None => (path, ""),
        };
        if !path.starts_with('/') || path.split(['/', '\\']).any(leads_up) {
            return Err("the path of the call is none below the upstream's base".to_owned());
        }
        let mut whole = self.prefix.clone();
        whole.extend(utf8_percent_encode(path, UNFIT));
        whole.push_str(self.query.expose());
        let mut sign = if self.query.expose().is_empty() {
            '?'
        } else {
            '&'
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if self.asks(pair) {
                continue;
            }
            whole.push(sign);
            whole.extend(utf8_percent_encode(pair, UNFIT));
            sign = '&';
        }
        let build = |whole: String| {
            Uri::builder()
                .scheme(self.scheme.clone())
                .authority(self.authority.clone())
                .path_and_query(PathAndQuery::from_maybe_shared(Bytes::from(whole))?)
                .build()
        };
        build(whole).map_err(|cause: http::Error| cause.to_string())
    }

    /// The address of the server alone, without a path of ours or the operator's query. The reason why there is none
    /// is a sentence.
    pub(super) fn server(&self) -> Result<Uri, String> {
        let whole = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(PathAndQuery::from_static("/"))
            .build();
        whole.map_err(|cause| cause.to_string())
    }

    /// Whether the operator's query has the name of this pair.
    fn asks(&self, pair: &str) -> bool {
        let own = self.query.expose();
        let name = decoded_name(pair);
        let mut pairs = own.trim_start_matches('?').split('&');
        !own.is_empty() && pairs.any(|own| decoded_name(own).eq_ignore_ascii_case(&name))
    }

    /// What `Host` says.
    pub(super) fn host(&self) -> &HeaderValue {
        &self.host
    }
}

fn with_port(authority: Authority, scheme: &Scheme) -> Authority {
    if authority.port().is_some() || *scheme == Scheme::HTTPS {
        return authority;
    }
    let ported = Authority::from_maybe_shared(format!("{authority}:80"));
    ported.unwrap_or(authority)
}

/// Whether a segment of a path is `.` or `..`, which some servers obey in their encoded form too.
fn leads_up(segment: &str) -> bool {
    let plain = segment.len() <= 6 && segment.contains(['.', '%']);
    plain && matches!(&*decoded(segment), "." | "..")
}

/// The name of a pair of a query, read as servers read it.
fn decoded_name(pair: &str) -> String {
    let name = pair.split('=').next().unwrap_or_default();
    decoded(&name.replace('+', " "))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// `?name=value&...`, or nothing.
fn encoded(query: &[(String, Secret)]) -> Secret {
    let mut text = String::new();
    for (name, value) in query {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.extend(utf8_percent_encode(name, RESERVED));
        text.push('=');
        text.extend(utf8_percent_encode(value.expose(), RESERVED));
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_full_prefix_with_or_without_its_last_slash() {
        for (base, whole) in [
            ("https://host", "https://host/x"),
            ("https://host/", "https://host/x"),
            ("https://host/v1", "https://host/v1/x"),
            ("http://host/v1", "http://host:80/v1/x"),
            ("http://host:81/api/v3/", "http://host:81/api/v3/x"),
            (
                " http://[::1]:81/api/paas/v4 ",
                "http://[::1]:81/api/paas/v4/x",
            ),
        ] {
            let uri = Base::parse(base, &[]).and_then(|base| base.uri("/x"));
            assert_eq!(uri.map(|uri| uri.to_string()), Ok(whole.to_owned()));
        }
    }

    #[test]
    fn a_base_that_is_none_is_refused_with_the_reason() {
        for (base, reason) in [
            ("host/v1", "not a URL"),
            ("/v1", "needs http"),
            ("ftp://host/v1", "needs http"),
            ("https://user:secret@host/v1", "belongs in `api_key`"),
            ("https://host/v1?key=secret", "has a query"),
            ("", "not a URL"),
        ] {
            let error = Base::parse(base, &[]).expect_err(base);
            assert!(error.contains(reason), "{base}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_query_is_encoded_and_follows_the_path_of_every_call() {
        let query = [
            ("api-version", "2024-10-21"),
            ("a b&c", "é=/+?#"),
            ("k", "~_.-"),
        ]
        .map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())));
        let base = Base::parse("https://host/v1", &query).expect("a base");
        assert_eq!(
            base.uri("/x").expect("an address").to_string(),
            "https://host/v1/x?api-version=2024-10-21&a%20b%26c=%C3%A9%3D%2F%2B%3F%23&k=~_.-"
        );
        assert!(!format!("{base:?}").contains("2024"));
    }

    #[test]
    fn a_call_has_any_path_below_the_base_and_a_query_of_its_own() {
        let own = [("api-version".to_owned(), Secret::new("1".to_owned()))];
        for (own, path, whole) in [
            (&[][..], "/responses/r_1", "/v1/responses/r_1"),
            (
                &[],
                "/responses/r_1?include[]=x&a=b",
                "/v1/responses/r_1?include[]=x&a=b",
            ),
            (&own, "/x?include[]=x", "/v1/x?api-version=1&include[]=x"),
            (&own, "/x?", "/v1/x?api-version=1"),
            (&own, "/x?&&a", "/v1/x?api-version=1&a"),
            // What the operator asks is not the client's to ask, however it is written.
            (
                &own,
                "/x?api-version=2&b&API%2dVersion=3",
                "/v1/x?api-version=1&b",
            ),
            (
                &[],
                "/a b/%20/é/#?c d=#e",
                "/v1/a%20b/%20/%C3%A9/%23?c%20d=%23e",
            ),
            (&[], "/a?b=c?d=/../e", "/v1/a?b=c?d=/../e"),
            (&[], "/a..b/...", "/v1/a..b/..."),
        ] {
            let base = Base::parse("https://host/v1", own).expect("a base");
            let uri = base.uri(path).expect(path);
            assert_eq!(uri.to_string(), format!("https://host{whole}"));
        }
    }

    #[test]
    fn no_path_leads_out_of_the_base() {
        let base = Base::parse("https://host/v1", &[]).expect("a base");
        for path in [
            "",
            "x",
            "//../x",
            "/..",
            "/a/%2e%2E/b",
            "/.%2e",
            "/./x",
            "/a\\..\\b",
            "@evil/x",
        ] {
            assert!(base.uri(path).is_err(), "{path}");
        }
        assert!(base.uri(&format!("/{}", "x".repeat(70_000))).is_err());
    }
}
