//! The two programs, run against each other as they are run around Tollgate: what the client saw and what the
//! upstream counted must be one story, request by request.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

const REQUESTS: u64 = 600;

/// A running mock, killed with the test.
struct Mock {
    child: Child,
    authority: String,
}

impl Mock {
    fn start() -> Mock {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mock-upstream"))
            .args(["--listen", "127.0.0.1:0", "--quiet", "--seconds-max", "120"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the mock starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("its first line");
        let authority = line
            .trim()
            .strip_prefix("listening on ")
            .expect("an address")
            .to_owned();
        Mock { child, authority }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.authority).expect("a connection");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n\r\n"
        )
        .expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
    }

    /// The totals, once nothing is in flight: the mock learns of a client that left a moment later.
    fn totals(&self) -> Value {
        for _ in 0..100 {
            let totals: Value = serde_json::from_str(&self.get("/totals")).expect("totals");
            if totals["in_flight"] == 0 {
                return totals;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("requests still in flight after 5 s");
    }

    fn load(&self, more: &[&str]) -> Value {
        let url = format!("http://{}", self.authority);
        let output = Command::new(env!("CARGO_BIN_EXE_loadgen"))
            .args(["--url", &url, "--run-id", "t", "--json"])
            .args(more)
            .output()
            .expect("loadgen runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("a report")
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.child.kill().expect("the mock dies");
        self.child.wait().expect("the mock is dead");
    }
}

fn by_id(lines: &str) -> BTreeMap<String, Value> {
    let parse = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a JSON line");
        (line["id"].as_str().expect("an id").to_owned(), line)
    };
    lines.lines().map(parse).collect()
}

fn number(value: &Value, field: &str) -> u64 {
    value[field]
        .as_u64()
        .unwrap_or_else(|| panic!("{field} of {value}"))
}

fn sum(records: &BTreeMap<String, Value>, field: &str, outcome: &str) -> u64 {
    records
        .values()
        .filter(|record| record["outcome"] == outcome)
        .map(|record| number(record, field))
        .sum()
}

/// What must hold between one receipt and the record of the same request.
fn agree(receipt: &Value, record: &Value) {
    let context = format!("{receipt}\n{record}");
    let sent = number(record, "completion_tokens_sent");
    let kind = receipt["kind"].as_str().expect("a kind");
    let (seen, counted) = match kind {
        "stream_cut" => ("truncated", "cut"),
        "refused" => ("complete", "error"),
        "chat_abandoned" => ("abandoned", "client_gone"),
        // A client that waits for the last chunk may leave when the mock has finished.
        "stream_left" => (
            "disconnected",
            record["outcome"].as_str().expect("an outcome"),
        ),
        _ => ("complete", "complete"),
    };
    assert_eq!(
        (&receipt["outcome"], &record["outcome"]),
        (&seen.into(), &counted.into()),
        "{context}"
    );
    let chunks = number(receipt, "chunks");
    match kind {
        "stream_left" => assert!(
            chunks <= sent && ["client_gone", "complete"].contains(&counted),
            "{context}"
        ),
        "stream" | "stream_cut" | "stream_no_usage" => assert_eq!(chunks, sent, "{context}"),
        "chat_abandoned" => assert_eq!(sent, 0, "{context}"),
        "refused" => assert_eq!(receipt["code"], "mock_fault", "{context}"),
        _ => {}
    }
    if receipt["seen_end"] == true && record["had_usage"] == true {
        for field in ["prompt_tokens", "completion_tokens"] {
            assert_eq!(receipt["usage"][field], record[field], "{context}");
        }
    }
}

#[test]
fn both_sides_tell_the_same_of_a_mixture() {
    let mock = Mock::start();
    let receipts = format!(
        "{}/agree-{}.jsonl",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    let requests = REQUESTS.to_string();
    let report = mock.load(&[
        "--mix",
        "--seed",
        "11",
        "--requests",
        &requests,
        "--receipts",
        &receipts,
    ]);
    let totals = mock.totals();
    let records = by_id(&mock.get("/requests"));
    let receipts_seen = by_id(&std::fs::read_to_string(&receipts).expect("the receipts"));
    std::fs::remove_file(&receipts).expect("the receipts are gone");

    assert_eq!(number(&report, "requests"), REQUESTS);
    assert_eq!(number(&report, "connection_errors"), 0);
    assert_eq!(number(&totals, "requests"), REQUESTS);
    assert_eq!(receipts_seen.len() as u64, REQUESTS);
    assert!(records.keys().eq(receipts_seen.keys()));
    for (id, receipt) in &receipts_seen {
        agree(receipt, &records[id]);
    }
    assert_eq!(
        number(&totals, "prompt_tokens"),
        sum(&records, "prompt_tokens", "complete")
    );
    assert_eq!(
        number(&totals, "completion_tokens"),
        sum(&records, "completion_tokens_sent", "complete")
    );
    assert_eq!(
        number(&totals, "images_delivered"),
        sum(&records, "images", "complete")
    );
    let partial: u64 = ["cut", "error", "client_gone"]
        .map(|outcome| sum(&records, "completion_tokens_sent", outcome))
        .iter()
        .sum();
    assert_eq!(number(&totals, "partial_completion_tokens"), partial);
    let gone = |outcome: &str| {
        receipts_seen
            .values()
            .filter(|receipt| receipt["outcome"] == outcome)
            .count()
    };
    assert!(
        gone("disconnected") > 20 && gone("abandoned") > 5 && gone("truncated") > 10,
        "the mixture is thin"
    );
}

#[test]
fn a_steady_stream_is_counted_chunk_by_chunk() {
    let mock = Mock::start();
    let report = mock.load(&[
        "--stream",
        "--chunks",
        "50",
        "--burst",
        "50",
        "--requests",
        "40",
        "--concurrency",
        "4",
    ]);
    let totals = mock.totals();
    assert_eq!(
        (number(&report, "ok"), number(&report, "chunks")),
        (40, 2_000)
    );
    assert_eq!(
        (
            number(&totals, "complete"),
            number(&totals, "completion_tokens")
        ),
        (40, 2_000)
    );
}

#[test]
fn sigterm_ends_the_mock_cleanly() {
    let mut mock = Mock::start();
    let open = TcpStream::connect(&mock.authority).expect("an idle connection");
    let pid = mock.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .expect("kill runs")
            .success()
    );
    assert!(mock.child.wait().expect("the mock ends").success());
    drop(open);
}
