//! An upstream that answers by heart: a request's `x-script` names what it answers, byte by byte, and `x-cuts` where
//! the body is cut into writes. It keeps connections open, and serves many at once.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::DEADLINE;

/// The header that names a script.
pub const SCRIPT: &str = "x-script";
/// The header that says where its body is cut: offsets, or `all`.
pub const CUTS: &str = "x-cuts";

/// One answer.
#[derive(Clone, Debug)]
pub struct Script {
    pub status: u16,
    /// Its headers, but for those that frame the body.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Where it waits before it goes on, and for how long.
    pub pauses: Vec<(usize, Duration)>,
    pub framing: Framing,
    pub ending: Ending,
}

/// What it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

/// How the end of a body is told. Each write is a chunk of its own where there are chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Chunked,
    Length,
    Close,
}

/// What comes after the body's last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The end that its framing announced.
    Whole,
    /// The end of the connection, though more was announced.
    Cut,
    /// Nothing, for as long as the other side stays.
    Silent,
}

/// A running upstream, ended on drop.
pub struct Scripted {
    /// `host:port`
    pub address: String,
    seen: Arc<Mutex<HashMap<String, Asked>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Scripted {
    /// Answers each request with the script that it names.
    pub fn start(scripts: HashMap<String, Script>) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let (log, end) = (Arc::clone(&seen), Arc::clone(&ended));
        let scripts = Arc::new(scripts);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (scripts, log) = (Arc::clone(&scripts), Arc::clone(&log));
                let stream = stream.expect("a connection");
                std::thread::spawn(move || serve(stream, &scripts, &log));
            }
        });
        Scripted {
            address,
            seen,
            ended,
            thread: Some(thread),
        }
    }

    /// What a config calls `base_url`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The last request that named this script.
    pub fn last(&self, script: &str) -> Asked {
        let seen = self.seen.lock();
        seen.get(script).expect("a request of this script").clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Serves one connection until either side is done with it.
fn serve(
    mut stream: TcpStream,
    scripts: &HashMap<String, Script>,
    seen: &Mutex<HashMap<String, Asked>>,
) {
    stream.set_nodelay(true).expect("no delay");
    let mut buffer = Vec::new();
    while let Some((head, body)) = request(&mut stream, &mut buffer) {
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(':'));
            let found = lines.find(|(has, _)| has.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim().to_owned())
        };
        let name = header(SCRIPT).expect("a request that names its script");
        let script = scripts.get(&name).expect("a known script");
        let content_type = header("content-type");
        seen.lock().insert(name, Asked { content_type, body });
        let cuts = cuts(header(CUTS).as_deref(), script.body.len());
        // An error means that the other side left, which is its right.
        let goes_on = script.play(&mut stream, &cuts).unwrap_or(false);
        if !goes_on {
            return;
        }
    }
}

/// The next request, `None` where there is none.
fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let mut fill = |buffer: &mut Vec<u8>| {
        let mut chunk = [0; 16_384];
        let length = stream.read(&mut chunk).ok().filter(|length| *length > 0)?;
        buffer.extend_from_slice(&chunk[..length]);
        Some(())
    };
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        fill(buffer)?;
    };
    let head: Vec<u8> = buffer.drain(..head_end).collect();
    let head = String::from_utf8(head).expect("a head in ASCII");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().expect("a length"))
    });
    let length = length.unwrap_or(0);
    while buffer.len() < length {
        fill(buffer)?;
    }
    Some((head, buffer.drain(..length).collect()))
}

/// Where the body is cut, in order, without its two ends.
fn cuts(header: Option<&str>, length: usize) -> Vec<usize> {
    match header {
        None => Vec::new(),
        Some("all") => (1..length).collect(),
        Some(list) => {
            let offset = |text: &str| text.parse().expect("an offset");
            list.split(',').map(offset).collect()
        }
    }
}

impl Script {
    /// Writes the answer; whether another request may follow on the connection.
    fn play(&self, stream: &mut TcpStream, cuts: &[usize]) -> std::io::Result<bool> {
        let mut head = format!("HTTP/1.1 {} Status\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        // A whole body that is cut short must announce more than comes.
        let missing = usize::from(self.ending != Ending::Whole) * 100;
        head.push_str(&match self.framing {
            Framing::Chunked => "transfer-encoding: chunked\r\n\r\n".to_owned(),
            Framing::Length => format!("content-length: {}\r\n\r\n", self.body.len() + missing),
            Framing::Close => "connection: close\r\n\r\n".to_owned(),
        });
        stream.write_all(head.as_bytes())?;
        let mut at = 0;
        let pauses = self.pauses.iter().map(|(offset, _)| *offset);
        let mut ends: Vec<usize> = cuts.iter().copied().chain(pauses).collect();
        ends.push(self.body.len());
        ends.sort_unstable();
        ends.dedup();
        for end in ends {
            self.write(stream, at, end)?;
            at = end;
            if let Some((_, time)) = self.pauses.iter().find(|(offset, _)| *offset == at) {
                std::thread::sleep(*time);
            }
        }
        match self.ending {
            Ending::Whole => {
                if self.framing == Framing::Chunked {
                    stream.write_all(b"0\r\n\r\n")?;
                }
                Ok(self.framing != Framing::Close)
            }
            Ending::Cut => Ok(false),
            Ending::Silent => {
                stream.set_read_timeout(Some(DEADLINE))?;
                // Until the other side closes.
                stream.read(&mut [0; 1]).map(|_| false)
            }
        }
    }

    fn write(&self, stream: &mut TcpStream, start: usize, end: usize) -> std::io::Result<()> {
        if start == end {
            return Ok(());
        }
        let bytes = &self.body[start..end];
        match self.framing {
            Framing::Chunked => {
                let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
                chunk.extend_from_slice(bytes);
                chunk.extend_from_slice(b"\r\n");
                stream.write_all(&chunk)
            }
            Framing::Length | Framing::Close => stream.write_all(bytes),
        }
    }
}
