//! `server.cors_origins`: the web pages that may call from a browser.

use super::CorsOrigins;
use super::read::Field;
use super::text::did_you_mean;

/// `"*"`, or a list of origins.
pub(super) fn origins(field: &Field<'_>) -> CorsOrigins {
    if !field.is_list() {
        let any = field.read(|text| match text {
            "*" => Ok(CorsOrigins::Any),
            _ => Err(format!(
                "is no list of origins; write [\"{text}\"], or \"*\" for every page"
            )),
        });
        return any.unwrap_or_default();
    }
    let items = field.list();
    if items.is_empty() {
        field.problem::<()>("is empty; remove the field to allow no web page");
    }
    CorsOrigins::Listed(items.iter().filter_map(|item| item.read(origin)).collect())
}

/// An origin exactly as browsers write it into `Origin`, since it is compared with that.
fn origin(text: &str) -> Result<String, String> {
    let likely = written(text);
    match likely {
        Some(origin) if origin == text => Ok(origin),
        likely => Err(format!(
            "is no origin such as https://chat.example.com, in lower case and without a path{}",
            did_you_mean(likely.as_deref())
        )),
    }
}

/// What a browser makes of an address: scheme, host, and port unless it is the scheme's own.
fn written(text: &str) -> Option<String> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => ("https".to_owned(), text),
    };
    let authority = rest.split(['/', '?', '#']).next()?.to_ascii_lowercase();
    let uri: http::Uri = format!("{scheme}://{authority}").parse().ok()?;
    let parsed = uri.authority()?;
    let own_port = match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    // A user, a stray colon and a wildcard are parts of no origin.
    let host = parsed.host();
    if host.is_empty() || host.contains('*') || authority.contains('@') {
        return None;
    }
    match parsed.port_u16().filter(|port| Some(*port) != own_port) {
        Some(port) => Some(format!("{scheme}://{host}:{port}")),
        None => Some(format!("{scheme}://{host}")),
    }
}
