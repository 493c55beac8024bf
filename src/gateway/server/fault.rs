//! Why a connection ended early, in a word: what is wrong before there is a request has no line and no record.

use std::error::Error;
use std::io;

/// What went wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What came is no HTTP request.
    Head,
    /// The head of a request is larger than it may be.
    HeadTooLarge,
    /// A head, a handshake or the next request did not come in time.
    Timeout,
    /// The TLS handshake failed.
    Tls,
    /// The client broke the rules of HTTP/2.
    Http2,
    /// It was cut, in the middle of something.
    Cut,
}

impl Fault {
    /// What they are called, in the order of their declaration.
    pub const WORDS: [&'static str; 6] =
        ["head", "head_too_large", "timeout", "tls", "http2", "cut"];

    /// What an error of a connection means.
    pub fn of(error: &(dyn Error + 'static)) -> Fault {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return match error.kind() {
                io::ErrorKind::TimedOut => Fault::Timeout,
                // What rustls says of what it was sent.
                io::ErrorKind::InvalidData => Fault::Tls,
                _ => Fault::Cut,
            };
        }
        match error.downcast_ref::<hyper::Error>() {
            Some(error) if error.is_parse_too_large() => Fault::HeadTooLarge,
            Some(error) if error.is_parse() => Fault::Head,
            Some(error) if error.is_timeout() => Fault::Timeout,
            // A body of ours that breaks off on purpose is no fault of the client's.
            Some(error) if error.is_user() => Fault::Cut,
            // hyper has no name for an error of h2: it is what has a cause that is not the socket's.
            Some(error) => match error.source() {
                Some(cause) if !cause.is::<io::Error>() => Fault::Http2,
                _ => Fault::Cut,
            },
            None => Fault::Cut,
        }
    }
}
