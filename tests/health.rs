//! `tollgate health`: what a container's health check is told of a server.

mod support;

use std::path::Path;

use support::command::{Ran, folder, run, tollgate};
use support::{Authority, RawUpstream};

/// Asks the server at this URL.
fn ask(url: &str) -> Ran {
    run(tollgate(&["health", "--url"]).arg(url))
}

/// Asks the server of a config with this text.
fn ask_by_config(test: &str, text: &str) -> Ran {
    let config = folder(test).join("config.yaml");
    std::fs::write(&config, text).expect("a config is written");
    run(tollgate(&["health", "--config"]).arg(config))
}

fn server(status: u16, body: &str) -> (RawUpstream, String) {
    let length = body.len();
    let server = RawUpstream::answering(format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n{body}"
    ));
    let url = format!("http://{}", server.address);
    (server, url)
}

#[test]
fn a_server_that_is_ready_exits_with_0() {
    let (_server, url) = server(200, "ok\n");
    let ran = ask(&url);
    let said = (ran.code, ran.out, ran.err);
    assert_eq!(said, (0, format!("{url} is ready\n"), String::new()));
    let ran = run(tollgate(&["--json", "health", "--url"]).arg(format!("{url}/")));
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(report, serde_json::json!({ "ready": url }));
}

#[test]
fn a_server_that_is_not_ready_exits_with_1_and_its_word_for_it() {
    let (_server, url) = server(503, "draining\n");
    let ran = ask(&url);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.err, format!("tollgate: {url} is not ready: draining\n"));
}

#[test]
fn what_cannot_be_reached_or_is_no_tollgate_exits_with_69() {
    // Not a port that was just free: another test may get it.
    let ran = ask("http://127.0.0.1:1");
    assert_eq!(ran.code, 69, "{}", ran.err);
    assert!(ran.err.contains("http://127.0.0.1:1"), "{}", ran.err);
    for status in [204, 302, 404, 500] {
        let (_server, url) = server(status, "");
        let ran = ask(&url);
        assert_eq!(ran.code, 69, "{status}: {}", ran.err);
        assert!(ran.err.contains("like Tollgate"), "{}", ran.err);
    }
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_long() {
    let server = RawUpstream::stalling("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n");
    let ran = ask(&format!("http://{}", server.address));
    assert_eq!(ran.code, 69);
    assert!(ran.err.contains("within 4 seconds"), "{}", ran.err);
}

/// A server asked by its address shows a certificate for its name.
#[test]
fn a_certificate_for_another_name_is_taken() {
    let tls = Authority::new().server("tollgate.example");
    let server = RawUpstream::secure(200, "{}", tls);
    let (address, url) = (&server.address, format!("https://{}", server.address));
    let ready = format!("{url} is ready\n");
    let ran = ask(&url);
    assert_eq!(ran.out, ready, "{}", ran.err);
    let files = "{ certificate: chain.pem, key: key.pem }";
    let config = format!("server: {{ listen: \"{address}\", tls: {files} }}");
    let ran = ask_by_config("health-tls", &config);
    assert_eq!(ran.out, ready, "{}", ran.err);
}

#[test]
fn a_url_that_is_none_exits_with_2() {
    for url in ["127.0.0.1:8080", "ftp://there", "http://", "a b"] {
        let ran = ask(url);
        assert_eq!(ran.code, 2, "{url}: {}", ran.err);
        assert!(ran.err.contains("--url"), "{url}: {}", ran.err);
    }
}

#[test]
fn the_config_tells_where_even_while_the_rest_of_it_is_being_edited() {
    let (server, _) = server(200, "ok\n");
    let port = server.address.rsplit_once(':').expect("a port").1;
    let listen = format!("server: {{ listen: \"0.0.0.0:{port}\" }}\nmodels: half a list\n");
    let ran = ask_by_config("health-config", &listen);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out, format!("http://127.0.0.1:{port} is ready\n"));
}

#[test]
fn a_config_that_does_not_tell_where_is_refused() {
    let ran = ask_by_config("health-any-port", "server: { listen: \"127.0.0.1:0\" }");
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("--url"), "{}", ran.err);
}

/// A server that runs is no worse for a config that is being edited.
#[test]
fn where_the_config_cannot_be_read_the_usual_address_is_asked_and_named() {
    let (server, url) = server(200, "ok\n");
    let folder = folder("health-wrong");
    for text in ["server: { listen: here }", "server: [", ""] {
        let config = folder.join("config.yaml");
        std::fs::write(&config, text).expect("a config is written");
        if text.is_empty() {
            std::fs::remove_file(&config).expect("it was there");
        }
        let mut command = tollgate(&["health", "--config"]);
        command.arg(&config).env("TOLLGATE_LISTEN", &server.address);
        let ran = run(&mut command);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(ran.out, format!("{url} is ready\n"));
        assert!(ran.err.contains("config.yaml"), "{}", ran.err);
        let instead = format!("tollgate: asking {url} instead");
        assert!(ran.err.contains(&instead), "{}", ran.err);
    }
}

/// As an image does, whose config is mounted over it.
#[test]
fn an_address_of_the_environment_goes_before_the_config() {
    let (_server, url) = server(200, "ok\n");
    let config = folder("health-env").join("config.yaml");
    std::fs::write(&config, "server: { listen: \"127.0.0.1:1\" }").expect("written");
    let mut command = tollgate(&["health", "--config"]);
    let ran = run(command.arg(&config).env("TOLLGATE_HEALTH_URL", &url));
    assert_eq!((ran.code, ran.out), (0, format!("{url} is ready\n")));
}

/// An image and a unit set these variables instead of shipping a config of their own.
#[test]
fn the_shipped_config_listens_where_the_environment_says() {
    let (server, _) = server(200, "ok\n");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.yaml");
    let ran = run(tollgate(&["health", "--config"])
        .arg(&shipped)
        .env("TOLLGATE_LISTEN", &server.address));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = run(tollgate(&["check", "--config"])
        .arg(&shipped)
        .env("TOLLGATE_ADMIN_LISTEN", "everywhere"));
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.err.contains("server.admin_listen"), "{}", ran.err);
}
