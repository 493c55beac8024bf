//! A small HTTP server that does what a script says, byte by byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long a connection rests before it is closed.
pub(super) const LATER: Duration = Duration::from_millis(100);

/// What the server does once it has read a request.
#[derive(Clone, Copy)]
pub(super) enum Reply {
    /// Writes this, keeps the connection.
    Keep(&'static str),
    /// Writes this, closes the connection.
    Close(&'static str),
    /// Writes this, closes the connection after [`LATER`].
    Later(&'static str),
    /// Says nothing.
    Hang,
}

/// A server that answers its requests by a script, over again from its last line.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    /// Every request, head and body, after the number of its connection.
    seen: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Origin {
    pub(super) async fn start(script: &'static [Reply]) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        tokio::spawn(async move {
            for connection in 0.. {
                let (socket, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(socket, connection, script, log.clone()));
            }
        });
        Origin { address, seen }
    }

    /// Every request so far.
    pub(super) fn requests(&self) -> Vec<(usize, String)> {
        self.seen.lock().clone()
    }
}

async fn serve(
    mut socket: TcpStream,
    connection: usize,
    script: &'static [Reply],
    seen: Arc<Mutex<Vec<(usize, String)>>>,
) {
    while let Some(request) = read_request(&mut socket).await {
        let turn = {
            let mut seen = seen.lock();
            seen.push((connection, request));
            seen.len() - 1
        };
        let (text, keep) = match script[turn.min(script.len() - 1)] {
            Reply::Keep(text) => (text, true),
            Reply::Close(text) | Reply::Later(text) => (text, false),
            Reply::Hang => std::future::pending().await,
        };
        socket.write_all(text.as_bytes()).await.expect("written");
        if matches!(script[turn.min(script.len() - 1)], Reply::Later(_)) {
            tokio::time::sleep(LATER).await;
        }
        if !keep {
            return;
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().expect("a length"));
            if body.len() >= length {
                return Some(text);
            }
        }
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => text.push_str(std::str::from_utf8(&buffer[..read]).expect("ASCII")),
        }
    }
}
