//! The mock upstream: a program of its own that does what `x-mock-*` headers tell it, and counts what it sent.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{Call, until};

/// A running mock, ended on drop.
pub struct Mock {
    /// `host:port`
    pub address: String,
    child: Child,
}

impl Mock {
    pub fn start() -> Mock {
        Mock::at("127.0.0.1:0")
    }

    /// A mock on this address.
    pub fn at(listen: &str) -> Mock {
        let program = Path::new(env!("CARGO_BIN_EXE_tollgate")).with_file_name("mock-upstream");
        assert!(
            program.exists(),
            "{} is missing: run `cargo build --workspace --bins` first",
            program.display()
        );
        let mut child = Command::new(&program)
            .args(["--quiet", "--seconds-max", "3600", "--listen", listen])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the mock starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("its first line");
        let address = line.trim().strip_prefix("listening on ");
        Mock {
            address: address.expect("an address").to_owned(),
            child,
        }
    }

    /// What a config calls `base_url`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Its sums, as they are now.
    pub fn totals_now(&self) -> Value {
        Call::get("/totals").send(&self.address).json()
    }

    /// Its sums, once nothing is in flight: it learns a moment later of who left.
    pub fn totals(&self) -> Value {
        until("the mock to be idle", || {
            Some(self.totals_now()).filter(|totals| totals["in_flight"] == 0)
        })
    }

    /// How many requests arrived so far.
    pub fn arrived(&self) -> u64 {
        self.totals_now()["requests"].as_u64().expect("a count")
    }

    /// A record of each request that ended.
    pub fn requests(&self) -> Vec<Value> {
        let text = Call::get("/requests").send(&self.address).text();
        let record = |line: &str| serde_json::from_str(line).expect("a record");
        text.lines().map(record).collect()
    }

    /// The headers of the last request: a string, or a list where there were several.
    pub fn headers(&self) -> Value {
        Call::get("/headers").send(&self.address).json()
    }

    /// The body of the last request.
    pub fn last_body(&self) -> Vec<u8> {
        Call::get("/body").send(&self.address).body
    }

    /// Forgets everything that it counted.
    pub fn reset(&self) {
        Call::post("/reset", "").send(&self.address);
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        // An error means that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
