//! The `upstreams` section.

mod headers;
mod proxy;

use std::collections::BTreeMap;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::read::Field;
use super::text::is_name;
use super::{CaFile, Owner, Upstream, UpstreamKind};
use crate::file;
use crate::secret::Secret;

const DAY_MS: u64 = 86_400_000;
/// The most failures that a breaker waits for.
const FAILURES_MAX: u64 = 10_000;

/// What is added to an address; an ending that contains another comes before it.
const ENDPOINTS: [&str; 4] = [
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/images/generations",
];

/// Every upstream, by name.
pub(super) fn upstreams(field: &Field<'_>) -> BTreeMap<String, Upstream> {
    let named = |(name, field): (&str, Field<'_>)| {
        if !is_name(name) {
            field.problem::<()>("is no name: 1 to 64 of the characters A-Z a-z 0-9 _ . : -");
        }
        (name.to_owned(), upstream(name, &field))
    };
    let upstreams: BTreeMap<String, Upstream> = field.entries().into_iter().map(named).collect();
    let mut keepers = upstreams.iter().filter(|(_, upstream)| upstream.files);
    if let (Some((first, _)), Some((second, _))) = (keepers.next(), keepers.next()) {
        field.problem::<()>(format!(
            "has `files: true` at {first} and at {second}; one upstream keeps all files"
        ));
    }
    upstreams
}

fn upstream(name: &str, field: &Field<'_>) -> Upstream {
    let section = field.section();
    let kind = section.word("kind", UpstreamKind::Openai);
    // What makes sense only for what is reached over a network.
    let remote = |name| {
        let field = section.get(name)?;
        match kind {
            UpstreamKind::Openai => Some(field),
            UpstreamKind::Simulator => {
                field.problem("the simulator is built in and has no address; remove the field")
            }
        }
    };
    let base_url = remote("base_url");
    if base_url.is_none() && kind == UpstreamKind::Openai {
        section.need("base_url", "https://api.example.com/v1");
    }
    let api_key = section.get("api_key");
    let auth_header = headers::auth_header(remote("auth_header"), api_key.is_some());
    let owner = || Owner::Upstream(name.to_owned());
    let default = Upstream::simulator();
    let ms = |name, default| section.integer(name, default, 1, DAY_MS);
    let upstream = Upstream {
        kind,
        base_url: base_url.as_ref().and_then(shown_safely),
        api_key: api_key
            .as_ref()
            .and_then(|field| field.header_secret(owner())),
        headers: headers::headers(
            remote("headers"),
            &owner,
            api_key.as_ref().map(|_| &auth_header),
        ),
        auth_header,
        query: query(remote("query"), &owner),
        proxy: remote("proxy").and_then(|field| proxy::proxy(&field, owner())),
        ca_file: remote("ca_file").and_then(|field| ca_file(&field)),
        connect_timeout_ms: ms("connect_timeout_ms", default.connect_timeout_ms),
        response_timeout_ms: ms("response_timeout_ms", default.response_timeout_ms),
        idle_timeout_ms: ms("idle_timeout_ms", default.idle_timeout_ms),
        total_timeout_ms: ms("total_timeout_ms", default.total_timeout_ms),
        breaker_failures: section.integer(
            "breaker_failures",
            default.breaker_failures,
            0,
            FAILURES_MAX,
        ),
        breaker_cooldown_ms: ms("breaker_cooldown_ms", default.breaker_cooldown_ms),
        ask_usage: section.word("ask_usage", default.ask_usage),
        files: remote("files")
            .and_then(|field| field.flag())
            .unwrap_or(false),
    };
    if let (Some(field), Some(_), true) =
        (&base_url, &api_key, is_open(upstream.base_url.as_deref()))
    {
        field.warn("sends its api_key unencrypted over the network; use https");
    }
    section.finish();
    upstream
}

/// What is added to every address.
fn query(field: Option<Field<'_>>, owner: &dyn Fn() -> Owner) -> Vec<(String, Secret)> {
    let entries = field.map(|field| field.entries());
    entries
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, field)| Some((name.to_owned(), field.secret(owner())?)))
        .collect()
}

/// The largest file of authorities: what systems trust altogether is less than a tenth of it.
const CA_BYTES_MAX: usize = 4 << 20;

/// Certificate authorities in a PEM file.
pub(super) fn ca_file(field: &Field<'_>) -> Option<CaFile> {
    let path = field.path()?;
    match authorities(&path) {
        Ok(certificates) => Some(CaFile { path, certificates }),
        Err(wrong) => field.problem(format!("the file {} {wrong}", path.display())),
    }
}

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = file::read(path, CA_BYTES_MAX).map_err(|error| error.to_string())?;
    let certificates = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("is not sound PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("has no certificate; one begins with -----BEGIN CERTIFICATE-----".to_owned());
    }
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        let number = index + 1;
        roots.add(certificate.clone()).map_err(|error| {
            format!("has a certificate (number {number}) that is none: {error}")
        })?;
    }
    Ok(certificates)
}

/// An address; where it is wrong in a way that may hold a credential, it is not shown.
fn shown_safely(field: &Field<'_>) -> Option<String> {
    if !field.raw()?.contains(['@', '?']) {
        return field.read(address);
    }
    match address(&field.text()?) {
        Ok(address) => Some(address),
        Err(wrong) => field.problem(wrong),
    }
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
            Err("has a query; write it as `query: { name: value }`".to_owned())
        }
        (Some("http" | "https"), Some(_)) => {
            let path = uri.path().trim_end_matches('/');
            match ENDPOINTS.iter().find(|endpoint| path.ends_with(*endpoint)) {
                Some(endpoint) => Err(format!("names one endpoint; leave {endpoint} out")),
                None => Ok(text.trim_end_matches('/').to_owned()),
            }
        }
        _ => Err(wrong.to_owned()),
    }
}

/// Whether what is sent there can be read on the way.
fn is_open(address: Option<&str>) -> bool {
    let Some(uri) = address.and_then(|text| text.parse::<http::Uri>().ok()) else {
        return false;
    };
    uri.scheme_str() == Some("http") && !is_loopback(uri.host().unwrap_or_default())
}

/// Whether what is sent to this host stays on the machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
