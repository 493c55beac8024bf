//! Refusals of what the server is told: addresses, origins, certificates, bounds.

use super::{refusal, refuses};

#[test]
fn addresses_and_time_zones_say_what_was_likely_meant() {
    let server = |by: &str| {
        refusal(
            "currency: CNY",
            &format!("currency: CNY\nserver: {{ {by} }}"),
        )
        .remove(0)
    };
    assert_eq!(
        server("listen: \"localhost:80\""),
        "config.yaml:3: server.listen: \"localhost:80\" is not an IP address and port such as 127.0.0.1:8080; did you mean `127.0.0.1:80`?"
    );
    assert_eq!(
        server("listen: 8080"),
        "config.yaml:3: server.listen: \"8080\" is not an IP address and port such as 127.0.0.1:8080; did you mean `127.0.0.1:8080`?"
    );
    assert_eq!(
        server("listen: \"127.0.0.1:8081\""),
        "config.yaml:3: server: listen and admin_listen are both 127.0.0.1:8081; give admin_listen another port"
    );
    assert_eq!(
        server("timezone: Asia/Shangai"),
        "config.yaml:3: server.timezone: \"Asia/Shangai\" is no IANA time zone such as Asia/Shanghai; did you mean `Asia/Shanghai`?"
    );
    assert_eq!(
        server("refusal_status_no_funds: 200"),
        "config.yaml:3: server.refusal_status_no_funds: \"200\" is not one of: 402, 403, 429"
    );
    assert_eq!(
        server("request_log: off"),
        "config.yaml:3: server.request_log: \"off\" is neither true nor false"
    );
    refuses(
        "https://api.example.com/v1/",
        "api.example.com",
        "config.yaml:5: upstreams.real.base_url: \"api.example.com\" is not an address such as https://api.example.com/v1",
    );
    refuses(
        "currency: CNY",
        "currency: cny",
        "config.yaml:2: currency: \"cny\" is not a currency code such as CNY; did you mean `CNY`?",
    );
    refuses(
        "currency: CNY",
        "currency: CNY\ncaps: { json_depth: 1, header_bytes: 8 KiB }",
        "config.yaml:3: caps.json_depth: \"1\" is not a whole number from 8 to 1024",
    );
}

#[test]
fn an_origin_is_written_as_browsers_write_it() {
    const AT: &str = "config.yaml:2: server.cors_origins[0]:";
    for (origin, likely) in [
        ("https://a.example/", "; did you mean `https://a.example`?"),
        (
            "https://a.example/chat?x",
            "; did you mean `https://a.example`?",
        ),
        ("HTTPS://A.example", "; did you mean `https://a.example`?"),
        (
            "https://a.example:443",
            "; did you mean `https://a.example`?",
        ),
        ("a.example", "; did you mean `https://a.example`?"),
        ("https://*.example", ""),
        ("https://", ""),
        ("https://me@a.example", ""),
        ("https://a.example:x", "; did you mean `https://a.example`?"),
        ("*", ""),
    ] {
        refuses(
            "currency: CNY",
            &format!("server: {{ cors_origins: [\"{origin}\"] }}\ncurrency: CNY"),
            &format!(
                "{AT} \"{origin}\" is no origin such as https://chat.example.com, in lower case and without a path{likely}"
            ),
        );
    }
    for (value, message) in [
        ("[]", "is empty; remove the field to allow no web page"),
        (
            "\"https://a.example\"",
            "\"https://a.example\" is no list of origins; write [\"https://a.example\"], or \"*\" for every page",
        ),
    ] {
        refuses(
            "currency: CNY",
            &format!("server: {{ cors_origins: {value} }}\ncurrency: CNY"),
            &format!("config.yaml:2: server.cors_origins: {message}"),
        );
    }
}

#[test]
fn tls_needs_both_files_and_a_list_of_proxies_addresses() {
    let server = |fields: &str| format!("currency: CNY\nserver: {fields}");
    refuses(
        "currency: CNY",
        &server("{ tls: { certificate: a.pem } }"),
        "config.yaml:3: server.tls: has no `key`; write one, such as `key: /etc/tollgate/privkey.pem`",
    );
    refuses(
        "currency: CNY",
        &server("{ tls: { certificate: a.pem, key: b.pem, chain: c.pem } }"),
        "config.yaml:3: server.tls.chain: is no known field; known here: certificate, key",
    );
    refuses(
        "currency: CNY",
        &server("{ trusted_proxies: [proxy.internal] }"),
        "config.yaml:3: server.trusted_proxies[0]: \"proxy.internal\" is no IP address or range such as 10.0.0.0/8 or 2001:db8::/32",
    );
    refuses(
        "currency: CNY",
        &server("{ trusted_proxies: [] }"),
        "config.yaml:3: server.trusted_proxies: trusts no proxy; remove the field to trust none",
    );
    refuses(
        "currency: CNY",
        "currency: CNY\ncaps: { h2_streams: 0 }",
        "config.yaml:3: caps.h2_streams: \"0\" is not a whole number from 1 to 10000",
    );
}
