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
//! or `refused 502 code` where the client gets a refusal; `receipt afterwards` and `free afterwards` are of an answer that
//! is no stream, and flows before it is charged. A field of the receipt that is not named is not compared, but that there
//! are no flags is.
//!
//! Bodies have the marks of [`Template`]. The lines of a form (`multipart/...`) end as forms have it, with CRLF. An answer
//! with a `content-encoding` is written here as what it says, and sent in that coding.

use std::fs;
use std::path::{Path, PathBuf};

use super::outcome::{LATE, Outcome};
use super::template::Template;
use crate::support::codings::encoded;
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
    /// Whether it is no stream, and its headers leave before the charge all the same.
    pub is_late: bool,
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
        let request = match of(&headers, "content-type") {
            Some(kind) if kind.starts_with("multipart/") => {
                let lines = body.trim_end_matches('\n').replace('\n', "\r\n");
                Template::read(&format!("{lines}\r\n"))
            }
            _ => Template::read(body.trim_end_matches('\n')),
        };
        let (line, mut said, body) = message(answer, "answer ");
        let (status, framing) = line.split_once(' ').expect("status and framing");
        let body = Template::read(&format!("{body}\n"));
        let written = written(&body, of(&said, "content-encoding"));
        for (name, value) in OF_EVERY_UPSTREAM {
            said.push((name.to_owned(), value.to_owned()));
        }
        let script = Script {
            status: status.parse().expect("a status"),
            headers: said,
            body: written,
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
            is_late: outcome
                .lines()
                .next()
                .is_some_and(|line| line.ends_with(LATE)),
        }
    }

    /// The request, as the client sends it.
    pub fn call(&self) -> Call {
        let mut call = Call::new(&self.method, &self.path, self.request.sent.clone());
        for (name, value) in &self.headers {
            call = call.header(name, value);
        }
        if self.header("content-type").is_none() {
            call = call.header("content-type", "application/json");
        }
        call.header(crate::support::scripted::SCRIPT, &self.name)
    }

    /// A header of the request, as the exchange has it.
    pub fn header(&self, name: &str) -> Option<&str> {
        of(&self.headers, name)
    }

    /// Whether the answer is an event stream.
    pub fn is_stream(&self) -> bool {
        let kind = of(&self.script.headers, "content-type").unwrap_or_default();
        kind.to_ascii_lowercase().contains("event-stream")
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

/// The value of a header.
fn of<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    let mut headers = headers.iter();
    let found = headers.find(|(has, _)| has.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// The bytes that an upstream writes: in the coding that it declares, with a flush after each event.
fn written(body: &Template, coding: Option<&str>) -> Vec<u8> {
    let Some(coding) = coding else {
        return body.sent.clone();
    };
    assert!(body.pauses.is_empty(), "a pause is at a byte of the coding");
    let parts: Vec<&[u8]> = match std::str::from_utf8(&body.sent) {
        Ok(text) => text.split_inclusive("\n\n").map(str::as_bytes).collect(),
        Err(_) => vec![&body.sent],
    };
    let mut written = encoded(coding, &parts).concat();
    if body.ending.is_some_and(|ending| ending != Ending::Whole) {
        // Not even the end of the coding came.
        written.pop();
    }
    written
}
