use std::path::PathBuf;

use super::{SMALL, env, parse, refuses};
use crate::config::{Config, Owner, Proxy};
use crate::secret::Secret;

/// The upstream's fields in the small config.
const KEY: &str = "api_key: \"${REAL_KEY}\"";
const AT: &str = "config.yaml:5: upstreams.real";

/// A folder of this test's own, removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tollgate-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// Reads the small config, with other fields of its upstream, as a file of this folder.
    fn parse(&self, fields: &str) -> Result<Config, String> {
        let file = self.0.join("config.yaml").display().to_string();
        let folder = self.0.display().to_string();
        let env = |name: &str| match name {
            "FOLDER" => Some(folder.clone()),
            name => env(name),
        };
        Config::parse(&SMALL.replacen(KEY, fields, 1), &file, &env)
            .map_err(|error| error.to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("it was there");
    }
}

fn exposed(secret: &Option<Secret>) -> Option<&str> {
    secret.as_ref().map(Secret::expose)
}

#[test]
fn an_upstream_has_headers_a_query_a_header_for_its_key_and_a_proxy() {
    let fields = "api_key: k, auth_header: Api-Key, headers: { X-Title: \"${EXAMPLE_KEY}\" }, \
        query: { api-version: 2024-10-21, b: 1 }, proxy: \"http://u:p@proxy:3128\"";
    let config = parse(&SMALL.replacen(KEY, fields, 1)).expect("valid");
    let upstream = &config.upstreams["real"];
    assert_eq!(upstream.auth_header, "api-key");
    let [(name, value)] = &upstream.headers[..] else {
        panic!("one header")
    };
    assert_eq!(
        (name.as_str(), value.expose()),
        ("x-title", "correct horse battery staple")
    );
    let query: Vec<_> = upstream
        .query
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose()))
        .collect();
    assert_eq!(query, [("api-version", "2024-10-21"), ("b", "1")]);
    let proxy = Proxy {
        address: "proxy:3128".to_owned(),
        authorization: Some(Secret::new("Basic dTpw".to_owned())),
    };
    assert_eq!(upstream.proxy, Some(proxy));
    let shown = format!("{config:?}");
    assert!(!shown.contains("horse") && !shown.contains("dTpw") && !shown.contains("u:p"));
}

#[test]
fn upstreams_are_equal_where_their_rows_are() {
    let upstream = |fields: &str| {
        let config = parse(&SMALL.replacen(KEY, fields, 1)).expect("valid");
        config.upstreams["real"].clone()
    };
    let same = "api_key: k, headers: { a: b }, proxy: \"http://u:p@proxy\"";
    assert_eq!(upstream(same), upstream(same));
    for other in [
        "api_key: l, headers: { a: b }, proxy: \"http://u:p@proxy\"",
        "api_key: k, headers: { a: c }, proxy: \"http://u:p@proxy\"",
        "api_key: k, headers: { a: b }, proxy: \"http://u:q@proxy\"",
        "api_key: k, headers: { a: b }, proxy: \"http://u:p@proxy\", query: { a: b }",
        "api_key: k, headers: { a: b }, proxy: \"http://u:p@proxy\", ask_usage: never",
    ] {
        assert_ne!(upstream(same), upstream(other), "{other}");
    }
}

#[test]
fn a_header_that_is_not_the_operators_to_set_is_refused_with_the_reason() {
    for (name, why) in [
        ("Host", "is set by Tollgate"),
        ("content-length", "is set by Tollgate"),
        ("Content-Type", "is set by Tollgate"),
        ("accept-encoding", "is set by Tollgate"),
        ("content-encoding", "what the body means"),
        ("connection", "about one connection"),
        ("TE", "about one connection"),
        ("transfer-encoding", "about one connection"),
        ("upgrade", "about one connection"),
        ("expect", "about one connection"),
        ("proxy-authorization", "stand in `proxy`"),
        ("idempotency-key", "the same on all requests"),
        ("x title", "is no name of a header"),
        ("authorization", "carries api_key"),
    ] {
        let fields = format!("api_key: k, headers: {{ \"{name}\": x }}");
        let error = parse(&SMALL.replacen(KEY, &fields, 1)).expect_err(name);
        let [problem] = error.problems() else {
            panic!("one problem: {error}")
        };
        assert_eq!(problem.field, format!("upstreams.real.headers.{name}"));
        assert!(problem.message.contains(why), "{name}: {problem}");
    }
    refuses(
        KEY,
        "headers: { x-title: a, X-Title: b }",
        &format!(
            "{AT}.headers.X-Title: is there twice: the case of a header's name has no meaning"
        ),
    );
    refuses(
        KEY,
        "headers: { x-title: \"é\" }",
        &format!(
            "{AT}.headers.x-title: has a character that is not ASCII, which no header can carry"
        ),
    );
    refuses(
        KEY,
        "api_key: k, auth_header: connection",
        &format!(
            "{AT}.auth_header: \"connection\" is about one connection, which is Tollgate's to keep; it cannot be set here"
        ),
    );
    refuses(
        KEY,
        "auth_header: api-key",
        &format!(
            "{AT}.auth_header: carries the api_key, and there is none; write one, or remove the field"
        ),
    );
}

#[test]
fn what_needs_an_address_is_refused_for_the_simulator() {
    for field in [
        "headers: { a: b }",
        "query: { a: b }",
        "proxy: \"http://proxy\"",
        "ca_file: ca.pem",
    ] {
        let name = field.split(':').next().expect("a name");
        refuses(
            "kind: simulator",
            &format!("kind: simulator, {field}"),
            &format!(
                "config.yaml:4: upstreams.demo.{name}: the simulator is built in and has no address; remove the field"
            ),
        );
    }
}

#[test]
fn an_address_that_may_hold_a_credential_is_not_shown() {
    for base_url in [
        "https://user:canary@host/v1",
        "https://host/v1?key=canary",
        "ftp://canary@host",
    ] {
        let by = format!("base_url: \"{base_url}\"");
        let text = SMALL.replacen("base_url: \"https://api.example.com/v1/\"", &by, 1);
        let error = parse(&text).expect_err(base_url).to_string();
        assert!(
            error.contains("upstreams.real.base_url") && !error.contains("canary"),
            "{error}"
        );
    }
    let error = parse(&SMALL.replacen(KEY, "proxy: \"https://user:canary@proxy\"", 1));
    let error = error.expect_err("no HTTP proxy").to_string();
    assert!(
        error.contains("upstreams.real.proxy: is not an HTTP proxy"),
        "{error}"
    );
    assert!(!error.contains("canary"), "{error}");
}

#[test]
fn a_secret_may_stand_in_a_file_beside_the_config_or_anywhere() {
    let folder = Folder::new("secrets");
    let key = folder.write("key", b"sk-canary\n");
    for named in [
        "file:key".to_owned(),
        format!("file:{}", key.display()),
        "file:${FOLDER}/key".to_owned(),
        "file:${NOWHERE:-key}".to_owned(),
    ] {
        let config = folder
            .parse(&format!("api_key: \"{named}\""))
            .expect(&named);
        assert_eq!(
            exposed(&config.upstreams["real"].api_key),
            Some("sk-canary")
        );
        assert_eq!(config.files, std::slice::from_ref(&key));
        assert!(config.missing.is_empty() && !format!("{config:?}").contains("canary"));
    }
}

#[test]
fn a_secrets_file_that_is_not_there_is_missing_as_a_variable_is() {
    let folder = Folder::new("missing");
    let config = folder.parse("api_key: \"file:nowhere\"").expect("valid");
    let path = folder.0.join("nowhere");
    assert_eq!(exposed(&config.upstreams["real"].api_key), None);
    let [missing] = &config.missing[..] else {
        panic!("one is missing")
    };
    assert_eq!(missing.what, path.display().to_string());
    assert_eq!(missing.owner, Owner::Upstream("real".to_owned()));
    let said = format!(
        ":5: upstreams.real.api_key: the file {} cannot be read: No such file or directory (os error 2); write the secret into it",
        path.display()
    );
    assert!(
        missing.problem.to_string().ends_with(&said),
        "{}",
        missing.problem
    );
    assert_eq!(config.files, [path]);
}

#[test]
fn a_file_that_holds_no_secret_is_refused_without_its_content() {
    let folder = Folder::new("wrong");
    for (content, why) in [
        (&b""[..], "is empty"),
        (b"\n\n", "is empty"),
        (b"canary\xff", "is not UTF-8"),
        (&[b'c'; 64 * 1024 + 1], "is larger than 64 KiB"),
        (b"canary\ncanary", "must be printable characters"),
        (b" canary", "must be printable characters"),
    ] {
        let path = folder.write("secret", content);
        let error = folder
            .parse("headers: { a: \"file:secret\" }")
            .expect_err(why);
        let field = ":5: upstreams.real.headers.a: the file ";
        assert!(error.contains(field) && error.contains(why), "{error}");
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

#[test]
fn authorities_are_read_from_pem_or_refused_with_the_reason() {
    let folder = Folder::new("authorities");
    let own = rcgen::generate_simple_self_signed(["a.test".to_owned()]).expect("a certificate");
    let pem = own.cert.pem();
    let path = folder.write("ca.pem", format!("# ours\n{pem}{pem}").as_bytes());
    let config = folder.parse("ca_file: ca.pem").expect("two certificates");
    let ca_file = config.upstreams["real"].ca_file.as_ref().expect("a file");
    assert_eq!((&ca_file.path, ca_file.certificates.len()), (&path, 2));
    assert_eq!(config.files, std::slice::from_ref(&path));
    let key = own.signing_key.serialize_pem();
    for (content, why) in [
        (key.as_str(), "has no certificate"),
        ("", "has no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA", "is not sound PEM"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "has a certificate (number 1) that is none",
        ),
    ] {
        folder.write("ca.pem", content.as_bytes());
        let error = folder.parse("ca_file: ca.pem").expect_err(why);
        let shown = format!(
            ":5: upstreams.real.ca_file: the file {} {why}",
            path.display()
        );
        assert!(error.contains(&shown), "{error}");
    }
    let error = folder.parse("ca_file: nowhere.pem").expect_err("no file");
    assert!(
        error.contains("nowhere.pem cannot be read: No such file"),
        "{error}"
    );
}

#[test]
fn an_address_is_not_that_of_one_endpoint() {
    for endpoint in [
        "/chat/completions",
        "/completions",
        "/embeddings",
        "/images/generations",
    ] {
        for end in ["", "/"] {
            let by = format!("base_url: \"https://api.example.com/v1{endpoint}{end}\"");
            let text = SMALL.replacen("base_url: \"https://api.example.com/v1/\"", &by, 1);
            let error = parse(&text).expect_err(endpoint).to_string();
            let hint = format!("names one endpoint; leave {endpoint} out");
            assert!(error.contains(&hint), "{error}");
        }
    }
}

#[test]
fn an_upstream_has_limits_of_time_and_a_breaker() {
    let default = &parse(SMALL).expect("valid").upstreams["real"];
    assert_eq!(default.total_timeout_ms, 3_600_000);
    assert_eq!(
        (default.breaker_failures, default.breaker_cooldown_ms),
        (5, 5_000)
    );
    let fields = "total_timeout_ms: 1, breaker_failures: 0, breaker_cooldown_ms: 60000";
    let upstream = &parse(&SMALL.replacen(KEY, fields, 1))
        .expect("valid")
        .upstreams["real"];
    assert_eq!(upstream.total_timeout_ms, 1);
    assert_eq!(
        (upstream.breaker_failures, upstream.breaker_cooldown_ms),
        (0, 60_000)
    );
    for (field, bounds) in [
        (
            "total_timeout_ms: 0",
            "total_timeout_ms: \"0\" is not a whole number from 1 to 86400000",
        ),
        (
            "breaker_cooldown_ms: 0",
            "breaker_cooldown_ms: \"0\" is not a whole number from 1 to 86400000",
        ),
        (
            "breaker_failures: 10001",
            "breaker_failures: \"10001\" is not a whole number from 0 to 10000",
        ),
    ] {
        refuses(KEY, field, &format!("{AT}.{bounds}"));
    }
}

#[test]
fn all_attempts_have_time_for_the_most_patient_upstream() {
    let attempts_ms = |fields: &str, caps: &str| {
        let text = SMALL.replacen(KEY, fields, 1) + caps;
        parse(&text).expect("valid").caps.attempts_ms
    };
    assert_eq!(attempts_ms(KEY, ""), 900_000);
    assert_eq!(attempts_ms("response_timeout_ms: 1800000", ""), 1_800_000);
    let caps = "\ncaps: { attempts_ms: 1000 }\n";
    assert_eq!(attempts_ms("response_timeout_ms: 1800000", caps), 1_000);
}
