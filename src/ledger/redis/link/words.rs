//! What a failure means: whether it may heal, and what to say to whoever must act.

use std::io;

use redis::{ErrorKind, RedisError, ServerError};

use super::super::error::LinkError;
use super::super::options::Address;

/// Answers after which the same call may succeed later.
const PASSING: [&str; 10] = [
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "READONLY",
    "TRYAGAIN",
    "MOVED",
    "ASK",
    "BUSY",
    "MISCONF",
    "NOREPLICAS",
];

/// What an error that Redis answered means.
pub(super) fn answered(address: &Address, error: &ServerError) -> LinkError {
    let code = error.code();
    // What to do follows.
    let details = error.details().unwrap_or_default().trim_end_matches('.');
    let said = match code {
        "ERR" => format!("Redis at {address} says: {details}"),
        _ => format!("Redis at {address} says: {code} {details}"),
    };
    if PASSING.contains(&code) {
        return LinkError::Away(said);
    }
    let remedy = match code {
        "NOAUTH" => "; set the password in ledger.url or ledger.password",
        "WRONGPASS" => {
            "; set the right user and password in ledger.url, or ledger.user and ledger.password"
        }
        "NOPERM" => "; allow the command or key to this user (README, section Redis)",
        "OOM" => "; give it more memory (maxmemory): it must not forget anything",
        "DENIED" => {
            "; Redis runs in protected mode: give it a password (requirepass), or bind it to the interface"
        }
        "ERR" if details.contains("without any password configured") => {
            "; it wants no password: remove it from ledger.url or ledger.password"
        }
        "ERR" if details.contains("not allowed in cluster mode") => {
            "; a cluster has one database: write `nodes: [...]` in place of `url`"
        }
        "ERR" if details.contains("DB index is out of range") => {
            "; it has not so many databases: name another one at the end of ledger.url"
        }
        _ => "",
    };
    LinkError::Refused(format!("{said}{remedy}"))
}

/// What a failure of an open connection means.
pub(super) fn broken(address: &Address, error: &RedisError) -> LinkError {
    match ServerError::try_from(error.clone()) {
        Ok(error) => answered(address, &error),
        Err(error) if error.kind() == ErrorKind::Parse => LinkError::Away(format!(
            "{address} does not speak Redis' protocol (a TLS port? then write rediss://, or `tls: true`): {error}"
        )),
        Err(error) => LinkError::Away(format!(
            "the connection to Redis at {address} broke: {error}"
        )),
    }
}

/// Why no TCP connection was made.
pub(super) fn unconnected(address: &Address, error: &io::Error) -> LinkError {
    LinkError::Away(match error.kind() {
        io::ErrorKind::ConnectionRefused => format!(
            "nothing listens at {address} (connection refused): is Redis running, and is the port right?"
        ),
        _ => format!("cannot connect to Redis at {address}: {error}"),
    })
}

/// Why the name of a host leads nowhere.
pub(super) fn unresolved(address: &Address, error: &io::Error) -> LinkError {
    LinkError::Away(format!(
        "the host of Redis, `{}`, has no address ({error}): is its name right?",
        address.host
    ))
}

/// Why TLS was not agreed on.
pub(super) fn untrusted(address: &Address, error: &io::Error, own_ca: bool) -> LinkError {
    use rustls::CertificateError as Bad;
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let said = match tls {
        Some(rustls::Error::InvalidCertificate(Bad::UnknownIssuer)) if own_ca => {
            "its certificate was not issued by an authority in ledger.ca_file; name the right file".to_owned()
        }
        Some(rustls::Error::InvalidCertificate(Bad::UnknownIssuer)) => {
            "its certificate was issued by an authority that is not public; name its file in ledger.ca_file".to_owned()
        }
        Some(rustls::Error::InvalidCertificate(
            Bad::NotValidForName | Bad::NotValidForNameContext { .. },
        )) => format!(
            "its certificate is for another name than `{}`; use the name in the certificate, or have one issued for this",
            address.host
        ),
        Some(rustls::Error::InvalidCertificate(bad)) => format!("its certificate is not valid: {bad}"),
        Some(rustls::Error::InvalidMessage(_)) => return plain(address),
        Some(other) => other.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof || error.kind() == io::ErrorKind::ConnectionReset => {
            return plain(address);
        }
        None => return LinkError::Away(format!("no TLS with Redis at {address}: {error}")),
    };
    LinkError::Refused(format!("no TLS with Redis at {address}: {said}"))
}

/// A server that answers a TLS greeting with something else.
fn plain(address: &Address) -> LinkError {
    LinkError::Refused(format!(
        "{address} does not speak TLS; write redis:// (or `tls: false`), or name its TLS port"
    ))
}

/// A connection that ended before Redis had answered anything.
pub(super) fn speechless(address: &Address) -> LinkError {
    LinkError::Away(format!(
        "{address} closed the connection without an answer: is it Redis, and not its TLS port \
         (then write rediss://, or `tls: true`)?"
    ))
}

/// A server that does not answer within a limit.
pub(super) fn late(address: &Address, limit_ms: u64) -> LinkError {
    LinkError::Away(format!(
        "Redis at {address} did not answer within {limit_ms} ms"
    ))
}

/// A server that is not reached within a limit.
pub(super) fn unreached(address: &Address, limit_ms: u64, stage: Stage) -> LinkError {
    LinkError::Away(match stage {
        Stage::Name => format!(
            "the name of {address} was not resolved within {limit_ms} ms: is the DNS server well?"
        ),
        Stage::Tcp => format!(
            "no connection to Redis at {address} within {limit_ms} ms: is the address right, and is there a firewall between?"
        ),
        Stage::Tls => format!(
            "{address} took the connection, but agreed on no TLS within {limit_ms} ms: does this port speak TLS?"
        ),
        Stage::Greeting => format!(
            "{address} took the connection, but did not answer within {limit_ms} ms: is it Redis, and is it stopped or overloaded?"
        ),
    })
}

/// How far a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Name,
    Tcp,
    Tls,
    Greeting,
}
