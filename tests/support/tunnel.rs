//! An HTTP proxy that opens tunnels, and remembers who asked.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use super::DEADLINE;

/// A running proxy, ended on drop; its tunnels end with their two sides.
pub struct Tunnel {
    /// `host:port`
    pub address: String,
    heads: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What it asks of those who ask for a tunnel.
#[derive(Clone, Copy)]
enum Wants {
    Nothing,
    /// This value of `Proxy-Authorization`.
    Credential(&'static str),
    /// It refuses all.
    Peace,
}

impl Tunnel {
    /// Open to all.
    pub fn open() -> Tunnel {
        Tunnel::start(Wants::Nothing)
    }

    /// Open to those who send this `Proxy-Authorization`.
    pub fn for_credential(credential: &'static str) -> Tunnel {
        Tunnel::start(Wants::Credential(credential))
    }

    /// Open to nobody.
    pub fn refusing() -> Tunnel {
        Tunnel::start(Wants::Peace)
    }

    fn start(wants: Wants) -> Tunnel {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let (log, end) = (Arc::clone(&heads), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (stream, log) = (stream.expect("a connection"), Arc::clone(&log));
                std::thread::spawn(move || serve(stream, wants, &log));
            }
        });
        Tunnel {
            address,
            heads,
            ended,
            thread: Some(thread),
        }
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().clone()
    }
}

fn serve(mut client: TcpStream, wants: Wants, log: &Mutex<Vec<String>>) {
    client.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let Some(head) = read_head(&mut client) else {
        return;
    };
    log.lock().push(head.clone());
    let refusal = match wants {
        Wants::Nothing => None,
        Wants::Credential(wanted) => {
            let shown = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("proxy-authorization")
                    .then_some(value)
            });
            (shown != Some(wanted)).then_some("407 Proxy Authentication Required")
        }
        Wants::Peace => Some("403 Forbidden"),
    };
    let target = head
        .strip_prefix("CONNECT ")
        .and_then(|rest| rest.split(' ').next());
    let (answer, server) = match (refusal, target) {
        (Some(refusal), _) => (refusal, None),
        (None, None) => ("405 Method Not Allowed", None),
        (None, Some(target)) => match TcpStream::connect(target) {
            Ok(server) => ("200 OK", Some(server)),
            Err(_) => ("502 Bad Gateway", None),
        },
    };
    let end = if server.is_some() {
        ""
    } else {
        "content-length: 0\r\nconnection: close\r\n"
    };
    let answer = format!("HTTP/1.1 {answer}\r\n{end}\r\n");
    // Errors from here on mean that one side left, which is its right.
    client.write_all(answer.as_bytes()).unwrap_or_default();
    if let Some(server) = server {
        join(&client, &server);
    }
}

/// Carries bytes both ways until both sides have ended.
fn join(client: &TcpStream, server: &TcpStream) {
    let pass = |mut from: &TcpStream, mut to: &TcpStream| {
        copy(&mut from, &mut to).unwrap_or_default();
        to.shutdown(Shutdown::Write).unwrap_or_default();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| pass(client, server));
        pass(server, client);
    });
}

/// A head, byte by byte: what follows it is not for the proxy.
fn read_head(client: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match client.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
