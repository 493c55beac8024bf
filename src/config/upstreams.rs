//! The `upstreams` section.

use std::collections::BTreeMap;

use super::read::Field;
use super::text::is_name;
use super::{Owner, Upstream, UpstreamKind};

const DAY_MS: u64 = 86_400_000;

/// Every upstream, by name.
pub(super) fn upstreams(field: &Field<'_>) -> BTreeMap<String, Upstream> {
    let named = |(name, field): (&str, Field<'_>)| {
        if !is_name(name) {
            field.problem::<()>("is no name: 1 to 64 of the characters A-Z a-z 0-9 _ . : -");
        }
        (name.to_owned(), upstream(name, &field))
    };
    field.entries().into_iter().map(named).collect()
}

fn upstream(name: &str, field: &Field<'_>) -> Upstream {
    let section = field.section();
    let kind = section.word("kind", UpstreamKind::Openai);
    let base_url = match kind {
        UpstreamKind::Openai => section.need("base_url", "https://api.example.com/v1"),
        UpstreamKind::Simulator => section.get("base_url"),
    };
    if let (UpstreamKind::Simulator, Some(url)) = (kind, &base_url) {
        url.problem::<()>("the simulator is built in and has no address; remove the field");
    }
    let api_key = section.get("api_key");
    let owner = Owner::Upstream(name.to_owned());
    let default = Upstream::simulator();
    let ms = |name, default| section.integer(name, default, 1, DAY_MS);
    let upstream = Upstream {
        kind,
        base_url: base_url.as_ref().and_then(|field| field.read(address)),
        api_key: api_key.as_ref().and_then(|field| field.secret(owner)),
        connect_timeout_ms: ms("connect_timeout_ms", default.connect_timeout_ms),
        response_timeout_ms: ms("response_timeout_ms", default.response_timeout_ms),
        idle_timeout_ms: ms("idle_timeout_ms", default.idle_timeout_ms),
        ask_usage: section.word("ask_usage", default.ask_usage),
    };
    if let (Some(field), Some(_), true) =
        (&base_url, &api_key, is_open(upstream.base_url.as_deref()))
    {
        field.warn("sends its api_key unencrypted over the network; use https");
    }
    section.finish();
    upstream
}

/// An address to which paths are appended, without its last slash.
fn address(text: &str) -> Result<String, String> {
    let wrong = "is not an address such as https://api.example.com/v1";
    let uri: http::Uri = text.parse().map_err(|_| wrong.to_owned())?;
    let host = uri.authority().filter(|host| !host.host().is_empty());
    match (uri.scheme_str(), host) {
        (Some("http" | "https"), Some(host)) if host.as_str().contains('@') => {
            Err("has a user in it; put the key into api_key".to_owned())
        }
        (Some("http" | "https"), Some(_)) if uri.query().is_some() => {
            Err("has a query; an address ends with its path".to_owned())
        }
        (Some("http" | "https"), Some(_)) if uri.path().ends_with("/chat/completions") => {
            Err("names one endpoint; leave /chat/completions out".to_owned())
        }
        (Some("http" | "https"), Some(_)) => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err(wrong.to_owned()),
    }
}

/// Whether what is sent there can be read on the way.
fn is_open(address: Option<&str>) -> bool {
    let Some(uri) = address.and_then(|text| text.parse::<http::Uri>().ok()) else {
        return false;
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    uri.scheme_str() == Some("http") && !loopback
}
