//! Which headers travel: towards the upstream, and back to the client.
//!
//! All do but those that are named here. A list of those that may would be the safer one, but the wire is untouched: a
//! client's own headers, and those of SDKs to come, need no new release of the proxy.

mod writer;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

pub use writer::Writer;

/// Where a secret may stand as it is, beside the bearer: Anthropic's header.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The same: Azure's header.
pub const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// Headers of one connection only (RFC 9110, section 7.6.1), and the de-facto ones.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "proxy-authenticate",
    "proxy-authorization",
    "keep-alive",
];

/// What a client says to the proxy, or must not say to the operator's account upstream.
const CLIENT_ONLY: [&str; 14] = [
    "host",
    "authorization",
    "content-length",
    "accept-encoding",
    "cookie",
    "expect",
    "forwarded",
    // Which pages may call is settled here; some servers turn all but their own away.
    "origin",
    "x-api-key",
    "api-key",
    // Tenants share the upstream's account, where their idempotency keys would collide.
    "idempotency-key",
    "openai-organization",
    "openai-project",
    "proxy-connection",
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
const OPERATOR_ONLY: [&str; 8] = [
    "set-cookie",
    "content-length",
    "alt-svc",
    "openai-organization",
    "openai-project",
    "anthropic-organization-id",
    "anthropic-workspace-id",
    "proxy-connection",
];
/// The same; each is the beginning of a name. The last is who may read an answer in a browser: that is settled here.
const OPERATOR_ONLY_PREFIXES: [&str; 4] = [
    PREFIX,
    "x-ratelimit-",
    "anthropic-ratelimit-",
    "access-control-",
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
    retain(headers, |name| {
        !CLIENT_ONLY.contains(&name) && !steers(name)
    });
}

/// Makes an upstream's headers fit for a client, in place.
///
/// Its request id moves to `x-tollgate-upstream-request-id`: the plain names are the proxy's own. So is the say on which
/// browsers' scripts may read answers.
pub fn towards_client(headers: &mut HeaderMap) {
    retain(headers, |name| {
        !OPERATOR_ONLY.contains(&name) && !begins(name, &OPERATOR_ONLY_PREFIXES)
    });
    for name in &REQUEST_IDS {
        if let Some(id) = headers.remove(name) {
            headers.insert(UPSTREAM_REQUEST_ID, id);
        }
    }
}

/// Drops what is of one connection only, and all else that is not to be kept, in one pass over the names.
fn retain(headers: &mut HeaderMap, keeps: impl Fn(&str) -> bool) {
    let named = headers.get_all(header::CONNECTION).iter();
    let named: Vec<HeaderName> = named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| *name != header::CONTENT_TYPE)
        .collect();
    let drops = |name: &&HeaderName| {
        let text = name.as_str();
        HOP_BY_HOP.contains(&text) || named.contains(name) || !keeps(text)
    };
    let dropped: Vec<HeaderName> = headers.keys().filter(drops).cloned().collect();
    for name in dropped {
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

#[cfg(test)]
mod alike;
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
