//! Which headers travel: towards the upstream, and back to the client.
//!
//! All do but those that are named here. A list of those that may would be the safer one, but the wire is untouched: a
//! client's own headers, and those of SDKs to come, need no new release of the proxy.

use std::fmt::{Display, Write};

use bytes::BytesMut;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Where a secret may stand as it is, beside the bearer: Anthropic's header.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The same: Azure's header.
pub const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// Headers of one connection only (RFC 9110, section 7.6.1), and the de-facto ones.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
];

/// What a client says to the proxy, or must not say to the operator's account upstream.
const CLIENT_ONLY: [HeaderName; 14] = [
    header::HOST,
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::ACCEPT_ENCODING,
    header::COOKIE,
    header::EXPECT,
    header::FORWARDED,
    // Which pages may call is settled here; some servers turn all but their own away.
    header::ORIGIN,
    X_API_KEY,
    API_KEY,
    // Tenants share the upstream's account, where their idempotency keys would collide.
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("proxy-connection"),
];

/// What steers an upstream that is a gateway itself (to another model, account or cache), or tells it of the client's
/// address. Each is the beginning of a name.
const STEERING: [&str; 12] = [
    "akamai-",
    "cf-",
    "client-ip",
    "fastly-",
    "fly-",
    "helicone-",
    "nvcf-",
    "ocp-apim-",
    "portkey-",
    "true-client-ip",
    "via",
    "wl-proxy-",
];

/// The same, of names that begin with `x-`.
const X_STEERING: [&str; 25] = [
    "ai-eg-",
    "ai-gateway-",
    "amz",
    "appengine-",
    "azure-",
    "bt-",
    "client-ip",
    "cluster-client-ip",
    "envoy-",
    "forwarded",
    "gateway-",
    "goog-",
    "helicone-",
    "host",
    "http-method",
    "litellm-",
    "method-override",
    "ms-",
    "original-",
    "portkey-",
    "proxyuser-ip",
    "real-ip",
    "rewrite-",
    "tollgate-",
    "vercel-",
];

/// What an upstream says to the operator, not to the operator's customers.
const OPERATOR_ONLY: [HeaderName; 8] = [
    header::SET_COOKIE,
    header::CONTENT_LENGTH,
    header::ALT_SVC,
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("anthropic-organization-id"),
    HeaderName::from_static("anthropic-workspace-id"),
    HeaderName::from_static("proxy-connection"),
];

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PREFIX: &str = "x-tollgate-";
/// OpenAI's, and Anthropic's.
const REQUEST_IDS: [HeaderName; 2] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
];
const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-tollgate-upstream-request-id");

/// Makes a client's headers fit for an upstream, in place.
///
/// The body was read, and priced, as JSON in UTF-8. The upstream is told to read it so: in another
/// charset or as a form, the same bytes could ask for something else.
pub fn towards_upstream(headers: &mut HeaderMap) {
    towards_upstream_as_sent(headers);
    headers.insert(header::CONTENT_TYPE, JSON);
}

/// The content types alone, of which there should be one.
pub fn content_types(headers: &HeaderMap) -> HeaderMap {
    let values = headers.get_all(header::CONTENT_TYPE).iter();
    values
        .map(|value| (header::CONTENT_TYPE, value.clone()))
        .collect()
}

/// The same of a body that is no JSON, whose type stays as the client wrote it.
pub fn towards_upstream_as_sent(headers: &mut HeaderMap) {
    drop_hop_by_hop(headers);
    for name in &CLIENT_ONLY {
        headers.remove(name);
    }
    drop_named(headers, steers);
}

/// Makes an upstream's headers fit for a client, in place.
///
/// Its request id moves to `x-tollgate-upstream-request-id`: the plain names are the proxy's own. So is the say on which
/// browsers' scripts may read answers.
pub fn towards_client(headers: &mut HeaderMap) {
    drop_hop_by_hop(headers);
    for name in &OPERATOR_ONLY {
        headers.remove(name);
    }
    let prefixes = [
        PREFIX,
        "x-ratelimit-",
        "anthropic-ratelimit-",
        "access-control-",
    ];
    drop_named(headers, |name| begins(name, &prefixes));
    for name in &REQUEST_IDS {
        if let Some(id) = headers.remove(name) {
            headers.insert(UPSTREAM_REQUEST_ID, id);
        }
    }
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != header::CONTENT_TYPE)
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn drop_named(headers: &mut HeaderMap, named: impl Fn(&str) -> bool) {
    let hit = |name: &&HeaderName| named(name.as_str());
    let names: Vec<HeaderName> = headers.keys().filter(hit).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

fn steers(name: &str) -> bool {
    match name.strip_prefix("x-") {
        Some(rest) => begins(rest, &X_STEERING),
        None => begins(name, &STEERING),
    }
}

fn begins(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a header's comma-separated values have this token, in any case.
pub fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// A header value of text that may hold anything: what a header cannot carry is escaped.
pub fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| {
        let escaped: String = text.escape_default().collect();
        HeaderValue::from_str(&escaped).unwrap_or_else(|_| HeaderValue::from_static("?"))
    })
}

/// Room for a typical value that [`Writer`] makes.
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

    /// Sets a header to what `shown` displays as.
    pub fn put(&mut self, name: HeaderName, shown: impl Display) {
        let value = self.value(&shown);
        self.map.insert(name, value);
    }

    /// Sets a header unless it is there.
    pub fn put_absent(&mut self, name: HeaderName, shown: impl Display) {
        if !self.map.contains_key(&name) {
            self.put(name, shown);
        }
    }

    /// Sets two headers to the same value.
    pub fn put_both(&mut self, names: [HeaderName; 2], shown: impl Display) {
        let value = self.value(&shown);
        let [first, second] = names;
        self.map.insert(first, value.clone());
        self.map.insert(second, value);
    }

    fn value(&mut self, shown: &impl Display) -> HeaderValue {
        let written = write!(self.buffer, "{shown}");
        let bytes = self.buffer.split().freeze();
        let whole = written.ok().map(|()| HeaderValue::from_maybe_shared(bytes));
        whole
            .and_then(Result::ok)
            .unwrap_or_else(|| value(&shown.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn neither_hop_by_hop_headers_nor_the_clients_secrets_reach_an_upstream() {
        let mut headers = map(&[
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("te", "trailers"),
            ("authorization", "Bearer secret"),
            ("x-api-key", "secret"),
            ("x-tollgate-anything", "1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("accept-encoding", "gzip"),
            ("openai-organization", "org"),
            ("origin", "https://a.example"),
            ("content-type", "application/json"),
            ("user-agent", "a client"),
        ]);
        towards_upstream(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-type", "user-agent"]);
    }

    #[test]
    fn what_steers_a_gateway_or_tells_of_the_client_reaches_no_upstream() {
        let names = "x-portkey-config helicone-cache-enabled cf-aig-cache-ttl cf-connecting-ip x-litellm-tags \
            x-goog-api-key x-goog-user-project x-amz-target x-amzn-bedrock-guardrailidentifier x-ms-region via \
            x-real-ip true-client-ip client-ip x-http-method-override x-method-override x-original-url x-rewrite-url \
            x-envoy-upstream-rq-timeout-ms x-client-ip x-cluster-client-ip fastly-client-ip x-forwarded-host \
            x-forwarded x-bt-use-cache x-ai-eg-model x-gateway-destination-endpoint x-tollgate-request-id";
        for name in names.split_whitespace() {
            let mut headers = map(&[(name, "1")]);
            towards_upstream(&mut headers);
            assert_eq!(headers.len(), 1, "{name}: {headers:?}");
        }
        let kept = "accept user-agent traceparent tracestate baggage openai-beta anthropic-beta anthropic-version \
            http-referer x-title x-stainless-lang x-request-id x-simulator-fault x-client-request-id vary x-b3-traceid";
        for name in kept.split_whitespace() {
            let mut headers = map(&[(name, "1")]);
            towards_upstream(&mut headers);
            assert_eq!(headers[name], "1");
        }
    }

    #[test]
    fn an_upstream_reads_the_body_as_it_was_read_here() {
        for sent in [
            "application/json; charset=utf-7",
            "multipart/form-data; boundary=x",
        ] {
            let mut headers = map(&[("content-type", sent), ("content-type", "text/plain")]);
            towards_upstream(&mut headers);
            let left: Vec<_> = headers.get_all("content-type").iter().collect();
            assert_eq!(left, ["application/json"]);
        }
    }

    #[test]
    fn the_operators_headers_do_not_reach_a_client() {
        let mut headers = map(&[
            ("x-ratelimit-remaining-requests", "1"),
            ("set-cookie", "a=b"),
            ("set-cookie", "c=d"),
            ("openai-organization", "org"),
            ("anthropic-ratelimit-tokens-remaining", "1"),
            ("anthropic-organization-id", "org"),
            ("x-request-id", "up-1"),
            ("x-tollgate-cost", "forged"),
            ("transfer-encoding", "chunked"),
            ("access-control-allow-origin", "*"),
            ("content-type", "application/json"),
        ]);
        towards_client(&mut headers);
        assert_eq!(headers.len(), 2);
        assert_eq!(headers["x-tollgate-upstream-request-id"], "up-1");
        let mut headers = map(&[("request-id", "req_1")]);
        towards_client(&mut headers);
        assert_eq!(headers["x-tollgate-upstream-request-id"], "req_1");
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn a_header_value_cannot_be_injected() {
        assert_eq!(value("a\r\nset-cookie: b"), "a\\r\\nset-cookie: b");
        let mut map = HeaderMap::new();
        Writer::new(&mut map, 1).put(header::ETAG, "a\r\nset-cookie: b");
        assert_eq!(map[header::ETAG], "a\\r\\nset-cookie: b");
    }

    #[test]
    fn values_that_share_a_buffer_stay_apart() {
        let mut map = map(&[("etag", "old"), ("server", "kept")]);
        let mut writer = Writer::new(&mut map, 1);
        writer.put(header::ETAG, 1);
        writer.put(header::VIA, "x".repeat(1_000));
        writer.put_absent(header::SERVER, "lost");
        writer.put_absent(header::AGE, format_args!("{}-{}", 2, 3));
        writer.put_both([header::ALLOW, header::VARY], "both");
        assert_eq!(map[header::ETAG], "1");
        assert_eq!(map[header::VIA], "x".repeat(1_000));
        assert_eq!(map[header::SERVER], "kept");
        assert_eq!(map[header::AGE], "2-3");
        assert_eq!(
            (&map[header::ALLOW], &map[header::VARY]),
            (&value("both"), &value("both"))
        );
    }
}
