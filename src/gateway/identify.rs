//! Whose request this is: from a bearer credential to a key's record.

use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;
use http::header::{self, HeaderMap};
use ipnet::IpNet;

use super::refusal::{Code, Refused};
use crate::ledger::key::Key;
use crate::ledger::{Ledger, LedgerError};

/// The longest secret that is looked up.
const SECRET_BYTES_MAX: usize = 512;

/// Finds the key that a request was sent with.
///
/// Whether a key is unknown, revoked or expired cannot be told from outside. A ledger that
/// gives no answer is no reason to call a customer's key invalid.
pub async fn identify(
    ledger: &dyn Ledger,
    headers: &HeaderMap,
    peer: IpAddr,
) -> Result<Arc<Key>, Refused> {
    let secret = bearer(headers).ok_or_else(Refused::invalid_key)?;
    let found = ledger.key(ledger.digest(secret)).await;
    let key = match found {
        Ok(Some(key)) => key,
        Ok(None) | Err(LedgerError::NotFound(_)) => return Err(Refused::invalid_key()),
        Err(error) => {
            tracing::error!(%error, "no key can be looked up");
            return Err(Refused::ledger_unavailable());
        }
    };
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

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    let secret = secret.trim();
    let fine =
        scheme.eq_ignore_ascii_case("bearer") && (1..=SECRET_BYTES_MAX).contains(&secret.len());
    fine.then_some(secret)
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
    use http::HeaderValue;

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
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(read("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(read("bearer  abc ").as_deref(), Some("abc"));
        assert_eq!(read("Basic abc"), None);
        assert_eq!(read("Bearer "), None);
        assert_eq!(read("abc"), None);
    }
}
