//! HTTP/1.1 by hand, so that tests see exact bytes and can break the rules.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::Value;

use super::DEADLINE;

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Call {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer, read to its end.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
    /// Whether it ended as HTTP says, and was not broken off.
    pub whole: bool,
}

/// Headers in the order they came, their names in lower case.
#[derive(Clone, Debug, Default)]
pub struct Headers(pub Vec<(String, String)>);

/// A connection, and what was read from it too far.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer whose head was read, and whose body is under way.
pub struct Exchange {
    pub status: u16,
    pub headers: Headers,
    connection: Connection,
    framing: Framing,
    body: Vec<u8>,
    trailers: Headers,
    whole: bool,
    taken: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    Close,
    Ended,
}

impl Call {
    pub fn new(method: &str, path: &str, body: impl Into<Vec<u8>>) -> Call {
        Call {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub fn get(path: &str) -> Call {
        Call::new("GET", path, "")
    }

    /// A POST of JSON; `body` is sent as it is.
    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Call {
        Call::new("POST", path, body).header("content-type", "application/json")
    }

    /// A POST of this value.
    pub fn json(path: &str, body: &Value) -> Call {
        Call::post(path, body.to_string())
    }

    pub fn header(mut self, name: &str, value: impl ToString) -> Call {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// With this bearer token.
    pub fn key(self, secret: &str) -> Call {
        self.header("authorization", format!("Bearer {secret}"))
    }

    /// The same for clients that are given a request.
    pub fn request(&self) -> http::Request<()> {
        let mut request = http::Request::builder()
            .method(self.method.as_str())
            .uri(format!("http://tollgate.test{}", self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(()).expect("a sound request")
    }

    /// The body.
    pub fn body(&self) -> bytes::Bytes {
        self.body.clone().into()
    }

    /// The exact bytes that are sent.
    pub fn bytes(&self) -> Vec<u8> {
        let (method, path) = (&self.method, &self.path);
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let mut line = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        let has = |name: &str| {
            self.headers
                .iter()
                .any(|(has, _)| has.eq_ignore_ascii_case(name))
        };
        if !has("host") {
            line("host", "tollgate.test");
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        if method != "GET" && !has("content-length") && !has("transfer-encoding") {
            line("content-length", &self.body.len().to_string());
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }

    /// Sends it over a connection of its own and reads the whole answer.
    pub fn send(&self, address: &str) -> Answer {
        self.open(address).finish()
    }

    /// Sends it over a connection of its own and reads the head of the answer.
    pub fn open(&self, address: &str) -> Exchange {
        let mut connection = Connection::open(address);
        connection.write(&self.bytes());
        connection.answer()
    }

    /// Sends it, and waits for nothing.
    pub fn start(&self, address: &str) -> Connection {
        let mut connection = Connection::open(address);
        connection.write(&self.bytes());
        connection
    }
}

impl Headers {
    /// The value of a header that may be there once.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(has, _)| has == name);
        let first = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        first
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(has, _)| has == name)
    }

    /// All names with this prefix, sorted, without it.
    pub fn names(&self, prefix: &str) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .0
            .iter()
            .filter_map(|(name, _)| name.strip_prefix(prefix))
            .collect();
        names.sort_unstable();
        names
    }
}

impl Answer {
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.get(name);
        found.unwrap_or_else(|| panic!("no header {name} in {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}: not JSON: {}", self.status, self.text()))
    }

    /// The events of a stream, each with its closing blank line.
    pub fn events(&self) -> Vec<String> {
        self.text()
            .split_inclusive("\n\n")
            .map(str::to_owned)
            .collect()
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} (whole: {})", self.status, self.whole)?;
        for (name, value) in &self.headers.0 {
            writeln!(f, "{name}: {value}")?;
        }
        writeln!(f, "\n{}\ntrailers: {:?}", self.text(), self.trailers.0)
    }
}

impl Connection {
    pub fn open(address: &str) -> Connection {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Connection {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Writes as much as the other side takes: it may refuse early and close.
    pub fn write(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes) {
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                ),
                "writing: {error}"
            );
        }
    }

    /// No more will be written.
    pub fn shut_write(&mut self) {
        self.stream
            .shutdown(Shutdown::Write)
            .expect("an open connection");
    }

    /// Reads the head of the next answer.
    #[track_caller]
    pub fn answer(self) -> Exchange {
        self.try_answer()
            .expect("an answer, but the connection was closed")
    }

    /// Reads the head of the next answer; `None` if the other side closed instead.
    pub fn try_answer(mut self) -> Option<Exchange> {
        loop {
            let end = loop {
                if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                    break at;
                }
                if !self.fill() {
                    assert!(self.buffer.is_empty(), "half a head: {:?}", self.buffer);
                    return None;
                }
            };
            let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
            let head = String::from_utf8(head).expect("a head in ASCII");
            let (first, lines) = head.split_once("\r\n").expect("a first line");
            let status: u16 = first[9..12].parse().expect("a status");
            if status >= 200 {
                return Some(Exchange::new(status, read_headers(lines), self));
            }
        }
    }

    /// Reads the next bytes that come, at least one.
    pub fn answer_bytes(&mut self) -> Vec<u8> {
        self.fill();
        std::mem::take(&mut self.buffer)
    }

    /// Reads until the other side closes.
    pub fn read_to_end(mut self) -> Vec<u8> {
        while self.fill() {}
        self.buffer
    }

    /// Whether the other side closed without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill()
    }

    /// Whether the other side has neither closed nor reset so far; reads what it said.
    pub fn is_open(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("a socket");
        let open = loop {
            match self.stream.read(&mut [0; 16_384]) {
                Ok(0) => break false,
                Ok(_) => {}
                Err(error) => break error.kind() == ErrorKind::WouldBlock,
            }
        };
        self.stream.set_nonblocking(false).expect("a socket");
        open
    }

    /// Reads some more; false at the end.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 16_384];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(length) => {
                self.buffer.extend_from_slice(&chunk[..length]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            // A signal came in between.
            Err(error) if error.kind() == ErrorKind::Interrupted => self.fill(),
            Err(error) => panic!("reading, with {:?} read: {error}", self.buffer),
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Some(String::from_utf8(line).expect("a line in ASCII"));
            }
            if !self.fill() {
                return None;
            }
        }
    }
}

impl Exchange {
    fn new(status: u16, headers: Headers, connection: Connection) -> Exchange {
        let length = headers.get("content-length").map(|length| {
            let length: usize = length.parse().expect("a length");
            Framing::Length(length)
        });
        let framing = match headers.get("transfer-encoding") {
            Some("chunked") => {
                assert!(length.is_none(), "two framings: {headers:?}");
                Framing::Chunked
            }
            Some(other) => panic!("transfer-encoding: {other}"),
            None if status == 204 || status == 304 => Framing::Ended,
            None => length.unwrap_or(Framing::Close),
        };
        Exchange {
            status,
            headers,
            connection,
            framing,
            body: Vec::new(),
            trailers: Headers::default(),
            whole: framing == Framing::Ended,
            taken: 0,
        }
    }

    /// Reads some more of the body; false at its end.
    pub fn more(&mut self) -> bool {
        let connection = &mut self.connection;
        match self.framing {
            Framing::Ended => return false,
            Framing::Length(left) => {
                if left == 0 {
                    self.whole = true;
                } else if !connection.buffer.is_empty() || connection.fill() {
                    let length = left.min(connection.buffer.len());
                    self.body.extend(connection.buffer.drain(..length));
                    self.framing = Framing::Length(left - length);
                    return true;
                }
            }
            Framing::Close => {
                if !connection.buffer.is_empty() || connection.fill() {
                    self.body.append(&mut connection.buffer);
                    return true;
                }
                self.whole = true;
            }
            Framing::Chunked => match chunk(connection, &mut self.body) {
                Some(0) => {
                    let trailers = read_trailers(connection);
                    self.whole = trailers.is_some();
                    self.trailers = trailers.unwrap_or_default();
                }
                Some(_) => return true,
                None => {}
            },
        }
        self.framing = Framing::Ended;
        false
    }

    /// The next event with its closing blank line; what is left at the end; then `None`.
    pub fn event(&mut self) -> Option<String> {
        loop {
            let rest = &self.body[self.taken..];
            let length = find(rest, b"\n\n").map(|at| at + 2);
            if let Some(length) = length {
                let event = String::from_utf8(rest[..length].to_vec()).expect("UTF-8");
                self.taken += length;
                return Some(event);
            }
            if !self.more() {
                let rest = String::from_utf8_lossy(&self.body[self.taken..]).into_owned();
                self.taken = self.body.len();
                return Some(rest).filter(|rest| !rest.is_empty());
            }
        }
    }

    /// What was read of the body so far.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Reads the rest.
    pub fn finish(self) -> Answer {
        self.finish_and_keep().0
    }

    /// Reads the rest, and keeps the connection for another request.
    pub fn finish_and_keep(mut self) -> (Answer, Connection) {
        while self.more() {}
        let answer = Answer {
            status: self.status,
            headers: self.headers,
            body: self.body,
            trailers: self.trailers,
            whole: self.whole,
        };
        (answer, self.connection)
    }

    /// Reads `events` events, then closes the connection.
    pub fn leave_after(mut self, events: usize) -> Vec<String> {
        (0..events)
            .map(|_| self.event().expect("another event"))
            .collect()
    }
}

/// Reads one chunk into `body`, and answers its length; `None` if it was broken off.
fn chunk(connection: &mut Connection, body: &mut Vec<u8>) -> Option<usize> {
    let line = connection.line()?;
    let length = usize::from_str_radix(line.trim_end(), 16).expect("a chunk's length");
    if length == 0 {
        return Some(0);
    }
    while connection.buffer.len() < length + 2 {
        if !connection.fill() {
            let rest = length.min(connection.buffer.len());
            body.extend(connection.buffer.drain(..rest));
            return None;
        }
    }
    body.extend(connection.buffer.drain(..length));
    let end: Vec<u8> = connection.buffer.drain(..2).collect();
    assert_eq!(end, b"\r\n", "the end of a chunk");
    Some(length)
}

fn read_trailers(connection: &mut Connection) -> Option<Headers> {
    let mut lines = String::new();
    loop {
        let line = connection.line()?;
        if line == "\r\n" {
            return Some(read_headers(&lines));
        }
        lines.push_str(&line);
    }
}

pub(super) fn read_headers(lines: &str) -> Headers {
    let header = |line: &str| {
        let (name, value) = line.split_once(':').expect("a header");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    Headers(
        lines
            .split("\r\n")
            .filter(|line| !line.is_empty())
            .map(header)
            .collect(),
    )
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
