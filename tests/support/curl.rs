//! The real curl, for what it makes of HTTP/2 and TLS. It must be there.

use std::io::Write;
use std::process::{Command, Stdio};

use super::http::{Headers, read_headers};
use super::{Answer, Call};

/// What curl got, and the protocol that it spoke: `2` or `1.1`.
pub struct Fetched {
    pub answer: Answer,
    pub version: String,
}

/// Runs curl with these arguments on `url`; its exit code where it failed.
pub fn curl(arguments: &[&str], url: &str, call: &Call) -> Result<Fetched, i32> {
    let request = call.request();
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "60",
            "--dump-header",
            "/dev/stderr",
        ])
        .args([
            "--write-out",
            "\n%{http_version}",
            "--request",
            request.method().as_str(),
        ])
        .args(arguments);
    for (name, value) in request.headers() {
        let value = value.to_str().expect("text");
        command.args(["--header", &format!("{name}: {value}")]);
    }
    let body = call.body();
    if !body.is_empty() {
        command.args(["--data-binary", "@-"]);
    }
    let path = request.uri().path_and_query().expect("a path");
    let mut child = command
        .arg(format!("{url}{path}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("curl is installed");
    let mut input = child.stdin.take().expect("its input");
    let writing = std::thread::spawn(move || {
        // An error means that curl ended without reading all of it.
        input.write_all(&body).unwrap_or_default();
    });
    let output = child.wait_with_output().expect("curl runs");
    writing.join().expect("no panic");
    if !output.status.success() {
        return Err(output.status.code().expect("it ended by itself"));
    }
    Ok(read(&output.stdout, &output.stderr))
}

fn read(out: &[u8], heads: &[u8]) -> Fetched {
    let at = out
        .iter()
        .rposition(|byte| *byte == b'\n')
        .expect("a last line");
    let version = String::from_utf8_lossy(&out[at + 1..]).into_owned();
    let heads = String::from_utf8_lossy(heads);
    // Interim answers come first, trailers last.
    let mut blocks = heads
        .split("\r\n\r\n")
        .filter(|block| !block.trim().is_empty());
    let head = blocks
        .by_ref()
        .filter(|block| !block.contains(" 100 "))
        .find(|block| block.starts_with("HTTP/"))
        .unwrap_or_else(|| panic!("no head: {heads}"));
    let (first, lines) = head.split_once("\r\n").expect("a first line");
    let status = first
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let answer = Answer {
        status: status.unwrap_or_else(|| panic!("no status: {first}")),
        headers: read_headers(lines),
        body: out[..at].to_vec(),
        trailers: blocks
            .next()
            .map(read_headers)
            .unwrap_or_else(Headers::default),
        whole: true,
    };
    Fetched { answer, version }
}
