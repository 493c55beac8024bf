//! TLS: what is spoken inside, what is refused outside, and certificates that are exchanged.

use std::fs;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::binary::{TOLLGATE, isolated};
use crate::support::curl::{Fetched, curl};
use crate::support::setup::ALICE;
use crate::support::tls::Issued;
use crate::support::{
    Authority, Call, Connection, DEADLINE, Mock, Proxy, Setup, TempDir, chat, stream, until,
};

/// curl's exit code where it does not trust a certificate.
const NOT_TRUSTED: i32 = 60;

struct Secure {
    _mock: Mock,
    proxy: Proxy,
    folder: TempDir,
    authority: Authority,
    issued: Issued,
}

impl Secure {
    fn start(change: impl FnOnce(Setup) -> Setup) -> Secure {
        let folder = TempDir::new();
        let authority = Authority::new();
        let issued = authority.issue(folder.path());
        let mock = Mock::start();
        let setup = change(Setup::new(&mock)).set("server", "tls", issued.config());
        let proxy = Proxy::start(&setup);
        assert!(proxy.tls, "it says https");
        Secure {
            _mock: mock,
            proxy,
            folder,
            authority,
            issued,
        }
    }

    fn curl(&self, arguments: &[&str], call: &Call) -> Result<Fetched, i32> {
        self.curl_trusting(&self.authority, arguments, call)
    }

    fn curl_trusting(
        &self,
        authority: &Authority,
        arguments: &[&str],
        call: &Call,
    ) -> Result<Fetched, i32> {
        let file = self.folder.path().join("authority.pem");
        fs::write(&file, authority.pem()).expect("a file");
        let file = file.to_str().expect("UTF-8");
        let arguments = [&["--cacert", file], arguments].concat();
        curl(&arguments, &format!("https://{}", self.proxy.address), call)
    }
}

#[test]
fn alpn_chooses_the_version_and_answers_are_metered_in_both() {
    let secure = Secure::start(|setup| setup);
    for (arguments, version) in [
        (&["--http2"][..], "2"),
        (&["--http1.1"], "1.1"),
        (&["--no-alpn"], "1.1"),
        (&["--http2", "--tls-max", "1.2"], "2"),
        (&["--http2", "--tlsv1.3"], "2"),
    ] {
        for call in [chat(json!({})), stream(json!({}))] {
            let fetched = secure.curl(arguments, &call.key(ALICE)).expect("an answer");
            assert_eq!(fetched.version, version, "{arguments:?}");
            assert_eq!(fetched.answer.status, 200);
            assert!(fetched.answer.headers.has("x-tollgate-hold"));
        }
    }
    assert_eq!(secure.proxy.receipts("alice").len(), 10);
    secure.proxy.audit();
}

#[test]
fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let secure = Secure::start(|setup| setup.cap("request_body_bytes", 10_000));
    for arguments in [&["--http2"], &["--http1.1"]] {
        let large = Call::post("/v1/chat/completions", vec![b'a'; 4 << 20]).key(ALICE);
        let fetched = secure.curl(arguments, &large).expect("an answer");
        assert_eq!(fetched.answer.status, 413);
    }
}

#[test]
fn with_a_certificate_the_port_speaks_nothing_else_and_garbage_harms_nobody() {
    let secure = Secure::start(|setup| setup.cap("header_timeout_ms", 500).cap("connections", 8));
    let plain = chat(json!({})).key(ALICE).bytes();
    // A client of plain HTTP, garbage, half a handshake, and nothing: all are turned away in time,
    // and give their place back.
    let begun = Instant::now();
    for _ in 0..3 {
        let half = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01];
        for beginning in [&plain[..], &[0xff; 300], &half, b""] {
            let mut connection = Connection::open(&secure.proxy.address);
            connection.write(beginning);
            let said = connection.read_to_end();
            assert!(!said.starts_with(b"HTTP/"), "an answer in the clear");
        }
    }
    assert!(begun.elapsed() < DEADLINE);
    let slow: Vec<Connection> = (0..7)
        .map(|_| Connection::open(&secure.proxy.address))
        .collect();
    let fetched = secure.curl(&["--http2"], &chat(json!({})).key(ALICE));
    assert_eq!(fetched.expect("an answer").answer.status, 200);
    drop(slow);
}

#[test]
fn a_new_certificate_is_shown_without_a_restart_and_open_streams_go_on() {
    let secure = Secure::start(|setup| setup);
    let call = chat(json!({})).key(ALICE);
    let slow = stream(json!({}))
        .header("x-mock-completion", 200)
        .header("x-mock-chunk-ms", 20)
        .key(ALICE);
    let other = Authority::new();
    let trusting = |authority| secure.curl_trusting(authority, &["--http2"], &call);
    assert_eq!(trusting(&other).err(), Some(NOT_TRUSTED));
    std::thread::scope(|scope| {
        let streaming = scope.spawn(|| secure.curl(&["--http2"], &slow).expect("an answer"));
        until("the stream to begin", || {
            (secure.proxy.wallet("alice")["holds"] == 1).then_some(())
        });
        // Also where the config could not be read again.
        fs::write(secure.proxy.config_path(), "currency: [").expect("a file");
        other.issue(secure.folder.path());
        until("the new certificate", || trusting(&other).ok());
        assert_eq!(trusting(&secure.authority).err(), Some(NOT_TRUSTED));
        let streamed = streaming.join().expect("no panic").answer;
        assert!(streamed.text().ends_with("data: [DONE]\n\n"));
    });
    secure.proxy.logged("the TLS certificate was exchanged");
}

#[test]
fn a_bad_certificate_is_told_of_and_the_old_one_stays() {
    let secure = Secure::start(|setup| setup);
    let call = chat(json!({})).key(ALICE);
    let good = fs::read(&secure.issued.certificate).expect("a file");
    fs::write(&secure.issued.certificate, "no certificate").expect("a file");
    secure.proxy.logged("holds no certificate");
    assert_eq!(
        secure
            .curl(&["--http2"], &call)
            .expect("an answer")
            .answer
            .status,
        200
    );
    fs::write(&secure.issued.certificate, good).expect("a file");
    assert_eq!(
        secure
            .curl(&["--http2"], &call)
            .expect("an answer")
            .answer
            .status,
        200
    );
}

#[test]
fn check_and_serve_name_the_field_and_the_file() {
    let folder = TempDir::new();
    let authority = Authority::new();
    let issued = authority.issue(folder.path());
    let mock = Mock::start();
    let config = |tls: Value| {
        let mut setup = Setup::new(&mock).set("server", "tls", tls).0;
        setup["ledger"]["path"] = json!(folder.path().join("unused.db"));
        let path = folder.path().join("config.yaml");
        fs::write(&path, setup.to_string()).expect("a file");
        path
    };
    let run = |tls: Value, command: &str| {
        let path = config(tls);
        let output = isolated(TOLLGATE)
            .args(["--config", path.to_str().expect("UTF-8"), command])
            .output()
            .expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.code(), said)
    };
    let wrong = json!({ "certificate": issued.certificate, "key": issued.certificate });
    for (command, wanted) in [("check", 1), ("serve", 78)] {
        let (code, said) = run(wrong.clone(), command);
        assert_eq!(code, Some(wanted), "{said}");
        let problem = format!(
            "server.tls.key: {} holds no private key",
            issued.certificate.display()
        );
        assert!(said.contains(&problem), "{said}");
    }
    let (code, said) = run(issued.config(), "check");
    assert_ne!(code, Some(1), "{said}");
    assert!(said.contains("the config is sound"), "{said}");
}
