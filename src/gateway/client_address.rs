//! Where a request really comes from: the peer, or what a trusted proxy in front says of it.
//!
//! The proxies' headers are read from the right, because each proxy appends the peer that it saw:
//! what stands left of an entry is only as good as whoever that entry names. So the walk ends at
//! the first address that is not a trusted proxy, and at the first entry that is no address.

use std::net::{IpAddr, SocketAddr};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address, an IPv4 one as such even where it came over IPv6.
///
/// `X-Forwarded-For` counts where there is one, else `Forwarded` (RFC 7239); neither does where
/// the peer itself is not trusted. Where every entry is a trusted proxy, the left-most is the client.
pub fn client_address(trusted: &[IpNet], peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if !is_trusted(&peer) {
        return peer;
    }
    if headers.contains_key(&X_FORWARDED_FOR) {
        walk(
            peer,
            is_trusted,
            entries(headers, &X_FORWARDED_FOR).map(address),
        )
    } else {
        walk(
            peer,
            is_trusted,
            entries(headers, &header::FORWARDED).map(forwarded_for),
        )
    }
}

/// Goes from the nearest hop outwards, up to the first that is not trusted.
fn walk(
    peer: IpAddr,
    is_trusted: impl Fn(&IpAddr) -> bool,
    hops: impl Iterator<Item = Option<IpAddr>>,
) -> IpAddr {
    let mut client = peer;
    for hop in hops {
        let Some(hop) = hop else { break };
        client = hop;
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

/// All entries of a header, the last first. Quotes do not protect a comma: no address has one, and
/// a quote that a client opened must not swallow what its proxy appended.
fn entries<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let text = |value: &'h HeaderValue| value.to_str().unwrap_or_default();
    let lines = headers.get_all(name).into_iter().rev();
    lines
        .flat_map(move |line| text(line).rsplit(','))
        .map(str::trim)
}

/// An address, as proxies write it: `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7`, `[2001:db8::7]:4711`.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = |entry: &str| entry.parse::<IpAddr>().ok();
    let bracketed = || bare(entry.strip_prefix('[')?.strip_suffix(']')?).filter(IpAddr::is_ipv6);
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    let found = bare(entry).or_else(bracketed).or_else(with_port)?;
    Some(found.to_canonical())
}

/// The `for` of an element such as `for="[2001:db8::7]:4711";proto=https`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut values = element.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then_some(value.trim())
    });
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    let quoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    address(quoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn resolve(peer: &str, lines: &[(&'static str, &'static str)]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().expect("a range"));
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let peer = peer.parse().expect("an address");
        client_address(&trusted, peer, &headers).to_string()
    }

    fn forwarded_by_proxy(value: &'static str) -> String {
        resolve(PROXY, &[("x-forwarded-for", value)])
    }

    #[test]
    fn a_peer_that_is_not_trusted_is_the_client_whatever_it_says() {
        let said = [
            ("x-forwarded-for", "10.0.0.7"),
            ("forwarded", "for=10.0.0.7"),
        ];
        assert_eq!(resolve("192.0.2.1", &said), "192.0.2.1");
        assert_eq!(resolve("::ffff:192.0.2.1", &said), "192.0.2.1");
    }

    #[test]
    fn without_proxies_nobody_is_believed() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("1.1.1.1"));
        let peer = PROXY.parse().expect("an address");
        assert_eq!(client_address(&[], peer, &headers), peer);
    }

    #[test]
    fn the_right_most_address_that_is_no_proxy_is_the_client() {
        assert_eq!(forwarded_by_proxy("192.0.2.7"), "192.0.2.7");
        assert_eq!(forwarded_by_proxy("198.51.100.9, 192.0.2.7"), "192.0.2.7");
        assert_eq!(
            forwarded_by_proxy("10.9.9.9, 192.0.2.7, 10.0.0.2"),
            "192.0.2.7"
        );
        assert_eq!(forwarded_by_proxy("10.0.0.3,10.0.0.2"), "10.0.0.3");
        assert_eq!(resolve(PROXY, &[]), PROXY);
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = [
            ("x-forwarded-for", "192.0.2.7, 10.0.0.3"),
            ("x-forwarded-for", "10.0.0.2"),
        ];
        assert_eq!(resolve(PROXY, &lines), "192.0.2.7");
        let lines = [
            ("x-forwarded-for", "198.51.100.9"),
            ("x-forwarded-for", "192.0.2.7"),
        ];
        assert_eq!(resolve(PROXY, &lines), "192.0.2.7");
    }

    #[test]
    fn nothing_left_of_what_is_no_address_is_believed() {
        for broken in [
            "198.51.100.9, unknown, 10.0.0.2",
            "198.51.100.9, 10.0.0.300, 10.0.0.2",
            "198.51.100.9, , 10.0.0.2",
            "198.51.100.9, 10.0.0.3 10.0.0.4, 10.0.0.2",
            "198.51.100.9, [10.0.0.3], 10.0.0.2",
            "198.51.100.9, \"10.0.0.3\", 10.0.0.2",
        ] {
            assert_eq!(forwarded_by_proxy(broken), "10.0.0.2", "{broken}");
        }
        assert_eq!(forwarded_by_proxy(""), PROXY);
        assert_eq!(forwarded_by_proxy("192.0.2.7,"), PROXY);
        let lines = [
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-for", "\u{e9}"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            headers.append(name, value);
        }
        let trusted = ["10.0.0.0/8".parse().expect("a range")];
        let peer = PROXY.parse().expect("an address");
        assert_eq!(client_address(&trusted, peer, &headers), peer);
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        for (written, meant) in [
            ("192.0.2.7:4711", "192.0.2.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("[::ffff:192.0.2.7]:80", "192.0.2.7"),
        ] {
            assert_eq!(forwarded_by_proxy(written), meant);
        }
        assert_eq!(
            forwarded_by_proxy("192.0.2.7, ::ffff:10.0.0.2"),
            "192.0.2.7"
        );
        let said = [("x-forwarded-for", "192.0.2.7")];
        assert_eq!(resolve("::ffff:10.0.0.1", &said), "192.0.2.7");
        assert_eq!(resolve("fd00::1", &said), "192.0.2.7");
    }

    #[test]
    fn forwarded_counts_where_there_is_no_x_forwarded_for() {
        for (written, meant) in [
            ("for=192.0.2.7", "192.0.2.7"),
            (
                "For=\"[2001:db8::7]:4711\";proto=https;by=10.0.0.1",
                "2001:db8::7",
            ),
            (
                "for=198.51.100.9, for=192.0.2.7;host=h, for=10.0.0.2",
                "192.0.2.7",
            ),
            ("for=198.51.100.9, for=unknown, for=10.0.0.2", "10.0.0.2"),
            ("for=198.51.100.9, for=_hidden", PROXY),
            ("for=198.51.100.9, proto=https", PROXY),
            ("for=198.51.100.9;for=192.0.2.7", PROXY),
            // A client's open quote does not hide what the proxy appended.
            ("for=\"10.0.0.9, for=192.0.2.7", "192.0.2.7"),
        ] {
            assert_eq!(
                resolve(PROXY, &[("forwarded", written)]),
                meant,
                "{written}"
            );
        }
        let both = [
            ("forwarded", "for=198.51.100.9"),
            ("x-forwarded-for", "192.0.2.7"),
        ];
        assert_eq!(resolve(PROXY, &both), "192.0.2.7");
    }
}
