//! An upstream that answers every request with the same bytes, until it is told others, and then closes, or falls
//! silent, for what the mock cannot say.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::DEADLINE;

/// A running upstream, ended on drop.
pub struct RawUpstream {
    /// `host:port`
    pub address: String,
    scheme: &'static str,
    answer: Arc<Mutex<Vec<u8>>>,
    seen: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RawUpstream {
    /// Answers with exactly these bytes; none closes the connection without an answer.
    pub fn answering(answer: impl Into<Vec<u8>>) -> RawUpstream {
        RawUpstream::start(answer.into(), false, None)
    }

    /// Answers with exactly these bytes, and then neither says more nor closes.
    pub fn stalling(answer: impl Into<Vec<u8>>) -> RawUpstream {
        RawUpstream::start(answer.into(), true, None)
    }

    /// Answers with a status and a JSON body, over TLS.
    pub fn secure(status: u16, body: &str, tls: Arc<ServerConfig>) -> RawUpstream {
        RawUpstream::start(json_answer(status, body).into(), false, Some(tls))
    }

    fn start(answer: Vec<u8>, stalls: bool, tls: Option<Arc<ServerConfig>>) -> RawUpstream {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let answer = Arc::new(Mutex::new(match stalls {
            true => answer,
            false => closing(answer),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (seen, ended) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(AtomicBool::new(false)),
        );
        let (log, end, says) = (Arc::clone(&seen), Arc::clone(&ended), Arc::clone(&answer));
        let thread = std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.expect("a connection");
                stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
                let mut stream: Box<dyn Stream> = match &tls {
                    None => Box::new(stream),
                    Some(config) => {
                        let connection = ServerConnection::new(Arc::clone(config));
                        Box::new(StreamOwned::new(
                            connection.expect("a sound config"),
                            stream,
                        ))
                    }
                };
                if serve(&mut *stream, &says, &log) && stalls {
                    open.push(stream);
                }
            }
        });
        RawUpstream {
            address,
            scheme,
            answer,
            seen,
            ended,
            thread: Some(thread),
        }
    }

    /// Answers with a status and a JSON body.
    pub fn json(status: u16, body: &str) -> RawUpstream {
        RawUpstream::answering(json_answer(status, body))
    }

    /// From now on, it answers with a status and a JSON body.
    pub fn turns_to(&self, status: u16, body: &str) {
        *self.answer.lock() = closing(json_answer(status, body).into());
    }

    /// Answers with a stream of events of this data, and `[DONE]`.
    pub fn events(data: &[&str]) -> RawUpstream {
        let mut body: String = data
            .iter()
            .map(|data| format!("data: {data}\n\n"))
            .collect();
        body.push_str("data: [DONE]\n\n");
        let length = body.len();
        RawUpstream::answering(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    }

    /// What a config calls `base_url`.
    pub fn base_url(&self) -> String {
        format!("{}://{}/v1", self.scheme, self.address)
    }

    /// Whole requests seen so far.
    pub fn seen(&self) -> usize {
        self.seen.lock().len()
    }

    /// The last request, head and body.
    pub fn last(&self) -> String {
        self.seen.lock().last().expect("a request").clone()
    }

    /// The JSON body of the last request.
    pub fn last_body(&self) -> serde_json::Value {
        let request = self.last();
        let (_, body) = request.split_once("\r\n\r\n").expect("a whole request");
        serde_json::from_str(body).expect("JSON")
    }

    /// A base URL where nobody listens. Not a port that was just free: another test may get it.
    pub fn nowhere() -> String {
        "http://127.0.0.1:1/v1".to_owned()
    }
}

/// A connection, plain or TLS.
trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// It closes after its answer, and says so: a request on a connection that closes unannounced cannot be told from
/// one that was begun.
fn closing(mut answer: Vec<u8>) -> Vec<u8> {
    if let Some(at) = answer.windows(2).position(|pair| pair == b"\r\n") {
        answer.splice(at..at, *b"\r\nconnection: close");
    }
    answer
}

fn json_answer(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Reads one request and answers it; whether one came.
fn serve(stream: &mut dyn Stream, answer: &Mutex<Vec<u8>>, seen: &Mutex<Vec<String>>) -> bool {
    let (mut read, mut chunk) = (Vec::new(), [0; 16_384]);
    while !is_whole(&read) {
        match stream.read(&mut chunk) {
            Ok(length) if length > 0 => read.extend_from_slice(&chunk[..length]),
            _ => return false,
        }
    }
    seen.lock()
        .push(String::from_utf8_lossy(&read).into_owned());
    // An error means that the proxy left, which is its right.
    let answer = answer.lock().clone();
    stream.write_all(&answer).unwrap_or_default();
    stream.flush().unwrap_or_default();
    true
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .split("\r\n")
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |length| length.trim().parse().expect("a length"));
    body.len() >= length
}

impl Drop for RawUpstream {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
