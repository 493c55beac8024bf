//! One exchange: a request, the upstream's answer, and what is to come of it. Read from a file of three sections:
//!
//! ```text
//! # What it shows.
//! == request POST /v1/chat/completions
//! a-header: of the client
//!
//! its body
//! == answer 200 chunked
//! content-type: text/event-stream
//!
//! its body
//! == receipt
//! usage: input=4, output=2
//! counted: exact
//! cost: 0.000048
//! flags: over_bound
//! ```
//!
//! An answer is framed by `chunked`, `length` or `close`. In the place of `receipt` stands `free` where nothing is charged,
//! or `refused 502 code` where the client gets a refusal. A field of the receipt that is not named is not compared, but
//! that there are no flags is. Bodies have the marks of [`Template`].

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::template::Template;
use crate::support::{Call, Ending, Framing, Script};

/// What every upstream says, beside what the exchange has it say.
const OF_EVERY_UPSTREAM: [(&str, &str); 10] = [
    ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("server", "scripted"),
    ("x-request-id", "req-of-the-upstream"),
    ("x-ratelimit-limit-requests", "500"),
    ("x-ratelimit-remaining-tokens", "149984"),
    ("set-cookie", "__cf_bm=of-the-operator; path=/"),
    ("openai-organization", "org-of-the-operator"),
    ("openai-processing-ms", "321"),
    ("openai-version", "2020-10-01"),
    ("x-of-the-vendor", "kept as it is"),
];

/// One exchange.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Folder and file without their endings: `chat/deepseek_cache`.
    pub name: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    /// The request's body.
    pub request: Template,
    /// The answer, and what the client gets of it.
    pub answer: Template,
    pub script: Script,
    pub outcome: Outcome,
}

/// What comes of it.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A charge, and these fields of its receipt.
    Receipt(Vec<(String, String)>),
    /// The answer passes, and nothing is charged.
    Free,
    /// The client gets a refusal with this status and code, and nothing is charged.
    Refused(u16, String),
}

/// Every exchange of the corpus, by name.
pub fn all() -> Vec<Exchange> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/exchanges");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of exchanges") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(read(&root, &path)),
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Those that are event streams.
pub fn streams() -> Vec<Exchange> {
    let all = all().into_iter();
    all.filter(Exchange::is_stream).collect()
}

fn read(root: &Path, path: &PathBuf) -> Exchange {
    let text = fs::read_to_string(path).expect("an exchange");
    let name = path.strip_prefix(root).expect("below the root");
    let name = name.with_extension("").to_string_lossy().into_owned();
    let read = std::panic::catch_unwind(|| Exchange::read(&name, &text));
    read.unwrap_or_else(|_| panic!("{} is not understood", path.display()))
}

impl Exchange {
    fn read(name: &str, text: &str) -> Exchange {
        let mut sections = format!("\n{text}");
        assert!(text.starts_with("# "), "it says what it shows");
        sections.push_str("\n== ");
        let sections: Vec<&str> = sections.split("\n== ").collect();
        let [_, request, answer, outcome, _] = sections[..] else {
            panic!("three sections");
        };
        let (line, headers, body) = message(request, "request ");
        let (method, path) = line.split_once(' ').expect("method and path");
        let request = Template::read(body.trim_end_matches('\n'));
        let (line, mut said, body) = message(answer, "answer ");
        let (status, framing) = line.split_once(' ').expect("status and framing");
        let body = Template::read(&format!("{body}\n"));
        for (name, value) in OF_EVERY_UPSTREAM {
            said.push((name.to_owned(), value.to_owned()));
        }
        let script = Script {
            status: status.parse().expect("a status"),
            headers: said,
            body: body.sent.clone(),
            pauses: body.pauses.clone(),
            framing: match framing {
                "chunked" => Framing::Chunked,
                "length" => Framing::Length,
                "close" => Framing::Close,
                other => panic!("no framing: {other}"),
            },
            ending: body.ending.unwrap_or(Ending::Whole),
        };
        Exchange {
            name: name.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            request,
            answer: body,
            script,
            outcome: Outcome::read(outcome),
        }
    }

    /// The request, as the client sends it.
    pub fn call(&self) -> Call {
        let mut call = Call::new(&self.method, &self.path, self.request.sent.clone());
        for (name, value) in &self.headers {
            call = call.header(name, value);
        }
        if !self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            call = call.header("content-type", "application/json");
        }
        call.header(crate::support::scripted::SCRIPT, &self.name)
    }

    /// Whether the answer is an event stream.
    pub fn is_stream(&self) -> bool {
        let mut headers = self.script.headers.iter();
        headers.any(|(name, value)| {
            name == "content-type" && value.to_ascii_lowercase().contains("event-stream")
        })
    }

    /// Whether one run of it takes long, because somebody waits.
    pub fn is_slow(&self) -> bool {
        self.script.ending == Ending::Silent || !self.script.pauses.is_empty()
    }

    /// The cost that its receipt tells.
    pub fn cost(&self) -> &str {
        match &self.outcome {
            Outcome::Receipt(fields) => {
                let cost = fields.iter().find(|(name, _)| name == "cost");
                &cost.expect("a receipt has a cost").1
            }
            _ => "0",
        }
    }
}

/// The rest of a section's first line, its headers and its body.
fn message<'t>(section: &'t str, kind: &str) -> (&'t str, Vec<(String, String)>, &'t str) {
    let section = section.strip_prefix(kind).expect("sections in order");
    let (line, rest) = section.split_once('\n').expect("more than a line");
    let (head, body) = match rest.strip_prefix('\n') {
        Some(body) => ("", body),
        None => rest.split_once("\n\n").unwrap_or((rest, "")),
    };
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").expect("a header");
        (name.to_owned(), value.to_owned())
    };
    (line, head.lines().map(header).collect(), body)
}

impl Outcome {
    fn read(section: &str) -> Outcome {
        let (line, fields) = section.split_once('\n').unwrap_or((section, ""));
        let field = |line: &str| {
            let (name, value) = line.split_once(':').expect("a field");
            (name.to_owned(), value.trim().to_owned())
        };
        match line.split_once(' ') {
            None if line == "receipt" => {
                let fields = fields.lines().filter(|line| !line.is_empty());
                Outcome::Receipt(fields.map(field).collect())
            }
            None if line == "free" => Outcome::Free,
            Some(("refused", rest)) => {
                let (status, code) = rest.split_once(' ').expect("status and code");
                Outcome::Refused(status.parse().expect("a status"), code.trim().to_owned())
            }
            _ => panic!("no outcome: {line}"),
        }
    }

    /// What differs between these fields and a receipt's.
    pub fn compare(&self, receipt: &Value) -> Result<(), String> {
        let Outcome::Receipt(fields) = self else {
            return Err(format!("nothing was to be charged: {receipt}"));
        };
        let no_flags = ("flags".to_owned(), String::new());
        let has_flags = fields.iter().any(|(name, _)| name == "flags");
        for (name, expected) in fields.iter().chain((!has_flags).then_some(&no_flags)) {
            let found = &receipt[name.as_str()];
            let found = match found {
                Value::String(text) => text.clone(),
                Value::Array(items) => {
                    let items = items.iter().filter_map(Value::as_str);
                    items.collect::<Vec<_>>().join(", ")
                }
                Value::Object(counts) => {
                    let counts = counts
                        .iter()
                        .map(|(meter, count)| format!("{meter}={count}"));
                    sorted(counts)
                }
                other => other.to_string(),
            };
            let expected = match name.as_str() {
                "usage" => sorted(expected.split(", ").map(str::to_owned)),
                _ => expected.clone(),
            };
            if found != expected {
                return Err(format!("{name} is {found}, not {expected}: {receipt}"));
            }
        }
        Ok(())
    }
}

fn sorted(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.filter(|item| !item.is_empty()).collect();
    items.sort_unstable();
    items.join(", ")
}
