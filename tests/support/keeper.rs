//! An upstream that keeps what it made: stored responses, written at once or in the background, and files.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};

/// A running upstream, ended on drop.
pub struct Keeper {
    /// `host:port`
    pub address: String,
    kept: Arc<Mutex<Kept>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Kept {
    responses: BTreeMap<String, Value>,
    files: BTreeMap<String, Value>,
    /// Each request's method and path.
    log: Vec<String>,
    /// Whether streams of the background come to their end.
    streams_complete: bool,
    /// Whether streams go on, though nothing more comes.
    streams_stay: bool,
    /// How long an upload takes.
    upload: Duration,
}

/// A request, read.
struct Request {
    method: String,
    path: String,
    body: Vec<u8>,
}

impl Keeper {
    pub fn start() -> Keeper {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let ended = Arc::new(AtomicBool::new(false));
        let (shared, end) = (Arc::clone(&kept), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                let stream = stream.expect("a connection");
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Keeper {
            address,
            kept,
            ended,
            thread: Some(thread),
        }
    }

    /// What a config calls `base_url`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Ends a response that is written in the background.
    pub fn finish(&self, id: &str, status: &str, usage: Value) {
        let mut kept = self.kept.lock();
        let response = kept.responses.get_mut(id).expect("a response");
        response["status"] = status.into();
        response["usage"] = usage;
        response["output"] = json!([{ "type": "message", "content": [
            { "type": "output_text", "text": "Done." },
        ]}]);
    }

    /// What is to be seen of a response that is still being written.
    pub fn write(&self, id: &str, status: &str, text: &str) {
        let mut kept = self.kept.lock();
        let response = kept.responses.get_mut(id).expect("a response");
        response["status"] = status.into();
        response["output"] = match text {
            "" => json!([]),
            _ => {
                json!([{ "type": "message", "content": [{ "type": "output_text", "text": text }] }])
            }
        };
    }

    /// Forgets a response.
    pub fn lose(&self, id: &str) {
        self.kept.lock().responses.remove(id);
    }

    /// Streams of the background stay open from now on.
    pub fn keep_streams(&self) {
        self.kept.lock().streams_stay = true;
    }

    /// Streams of the background come to their end from now on.
    pub fn complete_streams(&self) {
        self.kept.lock().streams_complete = true;
    }

    /// Uploads take so long from now on.
    pub fn delay_uploads(&self, delay: Duration) {
        self.kept.lock().upload = delay;
    }

    /// How many requests had this method and path.
    pub fn count(&self, line: &str) -> usize {
        let kept = self.kept.lock();
        kept.log.iter().filter(|each| *each == line).count()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(mut stream: TcpStream, kept: &Mutex<Kept>) {
    stream.set_nodelay(true).expect("no delay");
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer) {
        let (status, kind, body) = answer(&request, kept);
        let delay = match request.path.ends_with("/files") {
            true => kept.lock().upload,
            false => Duration::ZERO,
        };
        std::thread::sleep(delay);
        let stays = kind == EVENTS && kept.lock().streams_stay;
        let length = body.len() + usize::from(stays);
        let head = format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        );
        let sent = stream.write_all(head.as_bytes());
        if sent
            .and_then(|()| stream.write_all(body.as_bytes()))
            .is_err()
        {
            return;
        }
    }
}

fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
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
    let mut words = head.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().expect("a length"))
    });
    let length = length.unwrap_or(0);
    while buffer.len() < length {
        fill(buffer)?;
    }
    let body = buffer.drain(..length).collect();
    Some(Request { method, path, body })
}

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

fn answer(request: &Request, kept: &Mutex<Kept>) -> (u16, &'static str, String) {
    let mut kept = kept.lock();
    let path = request.path.strip_prefix("/v1").expect("below the base");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    kept.log.push(format!("{} {path}", request.method));
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("POST", ["responses"]) => write(&mut kept, &request.body),
        ("POST", ["files"]) => {
            let id = format!("file-{}", kept.files.len() + 1);
            let file = json!({
                "id": id, "object": "file", "bytes": request.body.len(), "purpose": "user_data",
                "content": String::from_utf8_lossy(&request.body),
            });
            kept.files.insert(id, file.clone());
            (200, JSON, file.to_string())
        }
        ("GET", ["responses", id]) => found(kept.responses.get(*id), query),
        ("GET", ["responses", _, "input_items"]) => (200, JSON, json!({ "data": [] }).to_string()),
        ("POST", ["responses", id, "cancel"]) => {
            let response = kept.responses.get_mut(*id);
            if let Some(response) = response {
                response["status"] = "cancelled".into();
            }
            found(kept.responses.get(*id), query)
        }
        ("DELETE", ["responses", id]) => gone(kept.responses.remove(*id).is_some(), id),
        ("GET", ["files", id]) => found(kept.files.get(*id), query),
        ("GET", ["files", id, "content"]) => {
            let content = kept.files.get(*id).map(|file| file["content"].to_string());
            (200, "application/octet-stream", content.unwrap_or_default())
        }
        ("POST", ["videos"]) => {
            let text = String::from_utf8_lossy(&request.body).into_owned();
            (200, JSON, json!({ "made_of": text }).to_string())
        }
        ("POST", ["videos", "stream"]) => (200, EVENTS, "data: 1\n\n".to_owned()),
        ("DELETE", ["files", id]) => gone(kept.files.remove(*id).is_some(), id),
        _ => missing(),
    }
}

fn write(kept: &mut Kept, body: &[u8]) -> (u16, &'static str, String) {
    let asked: Value = serde_json::from_slice(body).expect("JSON");
    let id = format!("resp_{}", kept.responses.len() + 1);
    let later = asked["background"] == true;
    let later = later && !(kept.streams_complete && asked["stream"] == true);
    let usage = json!({ "input_tokens": 20, "output_tokens": 5, "total_tokens": 25 });
    let response = json!({
        "id": id, "object": "response", "status": if later { "queued" } else { "completed" },
        "model": asked["model"], "output": [], "usage": if later { Value::Null } else { usage },
    });
    kept.responses.insert(id.clone(), response.clone());
    if asked["stream"] != true {
        return (200, JSON, response.to_string());
    }
    let mut first = response.clone();
    (first["status"], first["usage"]) = ("in_progress".into(), Value::Null);
    let mut events = String::new();
    let mut add = |event: Value| {
        let name = event["type"].as_str().expect("a type");
        events.push_str(&format!("event: {name}\ndata: {event}\n\n"));
    };
    add(json!({ "type": "response.created", "sequence_number": 0, "response": first }));
    add(json!({ "type": "response.output_text.delta", "sequence_number": 1, "delta": "Hi" }));
    if !later {
        add(json!({ "type": "response.completed", "sequence_number": 2, "response": response }));
    }
    (200, EVENTS, events)
}

fn found(object: Option<&Value>, query: &str) -> (u16, &'static str, String) {
    assert!(
        !query.contains("secret"),
        "a query of the operator's: {query}"
    );
    match object {
        Some(object) => (200, JSON, object.to_string()),
        None => missing(),
    }
}

fn gone(there: bool, id: &str) -> (u16, &'static str, String) {
    match there {
        true => (200, JSON, json!({ "id": id, "deleted": true }).to_string()),
        false => missing(),
    }
}

fn missing() -> (u16, &'static str, String) {
    let error = json!({ "error": { "message": "none", "type": "invalid_request_error", "param": null, "code": null } });
    (404, JSON, error.to_string())
}
