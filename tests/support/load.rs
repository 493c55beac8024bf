//! The load generator, a separate program, and what its clients could swear to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Proxy, nano};

/// A running load generator, ended on drop.
pub struct Load {
    child: Child,
    receipts: PathBuf,
}

/// What a client saw of one request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The mock's id of the request.
    pub id: String,
    pub kind: String,
    pub status: u64,
    /// How the exchange ended: `complete`, `truncated`, `timeout`...
    pub outcome: String,
    /// `error.code` of a refusal.
    pub code: Option<String>,
    pub seen_end: bool,
    /// From the request to its end.
    pub latency: Duration,
    pub request_id: Option<String>,
    /// In nano units: from the headers, the trailers, or the comment in the stream.
    pub cost: Option<i64>,
}

impl Load {
    /// Starts a mixture of requests, made from `seed`.
    pub fn start(proxy: &Proxy, secret: &str, run: &str, seed: u64, more: &[&str]) -> Load {
        let seed = seed.to_string();
        let mix = ["--mix", "--image-model", "image", "--seed", &seed];
        Load::plain(proxy, secret, run, &[&mix, more].concat())
    }

    /// Starts requests of one kind: chats, unless `more` says otherwise.
    pub fn plain(proxy: &Proxy, secret: &str, run: &str, more: &[&str]) -> Load {
        let program = Path::new(env!("CARGO_BIN_EXE_tollgate")).with_file_name("loadgen");
        assert!(
            program.exists(),
            "{} is missing: run `cargo build --workspace --bins` first",
            program.display()
        );
        let receipts = proxy.dir.path().join(format!("{run}.jsonl"));
        let child = Command::new(program)
            .args(["--json", "--model", "chat"])
            .args(["--url", &format!("http://{}", proxy.address)])
            .args(["--run-id", run])
            .arg("--receipts")
            .arg(&receipts)
            .args(more)
            .env("LOADGEN_KEY", secret)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("loadgen starts");
        Load { child, receipts }
    }

    /// Whether it is still sending.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits for its end, within the time; its report.
    pub fn finish(mut self, patience: Duration) -> (Value, Vec<Seen>) {
        let end = Instant::now() + patience;
        while self.is_running() {
            assert!(Instant::now() < end, "loadgen takes too long");
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut text = String::new();
        let mut stdout = self.child.stdout.take().expect("its output");
        std::io::Read::read_to_string(&mut stdout, &mut text).expect("its report");
        let report = serde_json::from_str(&text).expect("a report in JSON");
        (report, self.seen())
    }

    /// Sends nothing new; what is in flight goes on to its end.
    pub fn end(&self) {
        super::signal("TERM", self.child.id());
    }

    /// Ends it once its clients have written down all that reached them; what they saw.
    pub fn stop(mut self) -> Vec<Seen> {
        let (mut length, mut still) = (self.bytes(), 0);
        while still < 10 {
            std::thread::sleep(Duration::from_millis(10));
            let now = self.bytes();
            still = if now == length { still + 1 } else { 0 };
            length = now;
        }
        self.child.kill().expect("a signal");
        self.child.wait().expect("its end");
        self.seen()
    }

    /// How much was written down so far.
    pub fn bytes(&self) -> u64 {
        fs::metadata(&self.receipts).map_or(0, |file| file.len())
    }

    fn seen(&self) -> Vec<Seen> {
        let text = fs::read_to_string(&self.receipts).expect("the receipts");
        text.lines().map(Seen::read).collect()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // An error means that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Seen {
    fn read(line: &str) -> Seen {
        let line: Value = serde_json::from_str(line).expect("a JSON line");
        let text = |field: &str| line[field].as_str().map(str::to_owned);
        let comment = line["comments"][0].as_str().map(|comment| {
            let json = comment.strip_prefix(": tollgate ").expect("a receipt");
            serde_json::from_str::<Value>(json).expect("JSON in the comment")
        });
        let told = comment
            .as_ref()
            .and_then(|comment| comment["cost"].as_str());
        let last = line["cost"].as_str();
        if let (Some(told), Some(last)) = (told, last) {
            assert_eq!(told, last, "comment and trailers differ: {line}");
        }
        Seen {
            id: text("id").expect("an id"),
            kind: text("kind").expect("a kind"),
            status: line["status"].as_u64().expect("a status"),
            outcome: text("outcome").expect("an outcome"),
            code: text("code"),
            seen_end: line["seen_end"] == true,
            latency: Duration::from_micros(line["latency_us"].as_u64().expect("a latency")),
            request_id: text("request_id"),
            cost: told.or(last).map(nano),
        }
    }
}
