//! Whose request this is: from a credential to a key's record.

use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use ipnet::IpNet;

use super::headers::{API_KEY, X_API_KEY};
use super::refusal::{Code, Refused};
use crate::ledger::id::KeyDigest;
use crate::ledger::key::{Freshness, Key};
use crate::ledger::{Ledger, LedgerError};

/// The longest secret that is looked up.
const SECRET_BYTES_MAX: usize = 512;

/// Finds the key that a request was sent with.
///
/// Whether a key is unknown, revoked or expired cannot be told from outside. A ledger that
/// gives no answer is no reason to call a customer's key invalid; nor is a record that may be
/// old, so what would be refused by one is looked up again.
pub async fn identify(
    ledger: &dyn Ledger,
    headers: &HeaderMap,
    peer: IpAddr,
    freshness: Freshness,
) -> Result<Arc<Key>, Refused> {
    let digest = ledger.digest(secret(headers)?);
    let found = look_up(ledger, digest, freshness).await?;
    match admitted(ledger, found, peer) {
        Err(_) if freshness == Freshness::Any => {
            let found = look_up(ledger, digest, Freshness::Shown).await?;
            admitted(ledger, found, peer)
        }
        answer => answer,
    }
}

async fn look_up(
    ledger: &dyn Ledger,
    digest: KeyDigest,
    freshness: Freshness,
) -> Result<Option<Arc<Key>>, Refused> {
    match ledger.key(digest, freshness).await {
        Ok(found) => Ok(found),
        Err(LedgerError::NotFound(_)) => Ok(None),
        Err(error) => {
            tracing::error!(%error, "no key can be looked up");
            Err(Refused::ledger_unavailable())
        }
    }
}

fn admitted(
    ledger: &dyn Ledger,
    found: Option<Arc<Key>>,
    peer: IpAddr,
) -> Result<Arc<Key>, Refused> {
    let key = found.ok_or_else(Refused::invalid_key)?;
    let expired = key.expires_at.is_some_and(|end| end <= ledger.now());
    if !key.enabled || expired {
        return Err(Refused::invalid_key());
    }
    allowed_from(&key.allowed_ips, peer)?;
    Ok(key)
}

fn allowed_from(nets: &[IpNet], peer: IpAddr) -> Result<(), Refused> {
    // A listener on `[::]` sees an IPv4 client as `::ffff:192.0.2.7`.
    let peer = peer.to_canonical();
    if nets.is_empty() || nets.iter().any(|net| net.contains(&peer)) {
        return Ok(());
    }
    Err(ip_not_allowed(peer))
}

/// The one secret of a request, wherever it stands. Several that differ name no one.
fn secret(headers: &HeaderMap) -> Result<&str, Refused> {
    let bearers = headers.get_all(header::AUTHORIZATION).iter();
    let plain = [X_API_KEY, API_KEY]
        .into_iter()
        .flat_map(|name| headers.get_all(name));
    let mut all = bearers.filter_map(bearer).chain(plain.filter_map(text));
    let first = all.next().ok_or_else(Refused::invalid_key)?;
    match all.all(|other| other == first) {
        true => Ok(first),
        false => Err(Refused::several_keys()),
    }
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, secret) = value.to_str().ok()?.split_once(' ')?;
    let secret = secret.trim();
    (scheme.eq_ignore_ascii_case("bearer") && is_secret(secret)).then_some(secret)
}

fn text(value: &HeaderValue) -> Option<&str> {
    let secret = value.to_str().ok()?.trim();
    is_secret(secret).then_some(secret)
}

fn is_secret(text: &str) -> bool {
    (1..=SECRET_BYTES_MAX).contains(&text.len())
}

fn ip_not_allowed(peer: IpAddr) -> Refused {
    Refused::new(
        StatusCode::FORBIDDEN,
        "permission_error",
        Code::IpNotAllowed,
        format!("This key may not be used from {peer}. Use an address that it allows."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_range_allows_its_addresses_also_where_they_come_over_an_ipv6_listener() {
        let nets = ["10.0.0.0/8".parse().expect("a range")];
        let allowed = |peer: &str| allowed_from(&nets, peer.parse().expect("an address")).is_ok();
        assert!(allowed("10.1.2.3"));
        assert!(allowed("::ffff:10.1.2.3"));
        assert!(!allowed("11.1.2.3"));
        assert!(!allowed("::ffff:11.1.2.3"));
        assert!(!allowed("::1"));
    }

    #[test]
    fn a_bearer_is_read_in_any_case_and_nothing_else_is() {
        let read = |value: &'static str| found(&[("authorization", value)]).ok();
        assert_eq!(read("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(read("bearer  abc ").as_deref(), Some("abc"));
        assert_eq!(read("Basic abc"), None);
        assert_eq!(read("Bearer "), None);
        assert_eq!(read("abc"), None);
    }

    #[test]
    fn a_plain_secret_is_read_as_it_stands() {
        for name in ["x-api-key", "api-key"] {
            assert_eq!(found(&[(name, " abc ")]).as_deref(), Ok("abc"));
            assert!(found(&[(name, "")]).is_err());
            // What is no credential of ours is none, such as that of a proxy in between.
            let both = [("authorization", "Basic eDp5"), (name, "abc")];
            assert_eq!(found(&both).as_deref(), Ok("abc"));
        }
    }

    #[test]
    fn several_secrets_must_be_one() {
        let same = [
            ("authorization", "Bearer abc"),
            ("x-api-key", "abc"),
            ("api-key", "abc"),
        ];
        assert_eq!(found(&same).as_deref(), Ok("abc"));
        for other in ["authorization", "x-api-key", "api-key"] {
            let value = if other == "authorization" {
                "Bearer xyz"
            } else {
                "xyz"
            };
            let differ = [("authorization", "Bearer abc"), (other, value)];
            let message = found(&differ).expect_err("two keys");
            assert!(message.contains("differ"), "{message}");
        }
    }

    /// The secret that is found among these headers, or why there is none.
    fn found(pairs: &[(&'static str, &'static str)]) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let secret = secret(&headers).map_err(|refused| refused.message)?;
        Ok(secret.to_owned())
    }
}
