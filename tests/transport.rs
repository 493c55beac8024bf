//! How clients reach the proxy: HTTP/2 by prior knowledge and by ALPN, TLS and its certificates, proxies in front.
//! Every test runs the real binary against the mock upstream, with curl or with a client of its own.

mod support;

#[path = "transport/addresses.rs"]
mod addresses;
#[path = "transport/bounds.rs"]
mod bounds;
#[path = "transport/ending.rs"]
mod ending;
#[path = "transport/http2.rs"]
mod http2;
#[path = "transport/leaving.rs"]
mod leaving;
#[path = "transport/tls.rs"]
mod tls;

/// Names of headers that HTTP/2 forbids.
const OF_HTTP1: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];
