//! A relay in front of a server that can be led elsewhere, that can swallow answers, and that can cut its connections.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The relay. It goes on until the process ends; a test has few of them.
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    target: parking_lot::Mutex<SocketAddr>,
    /// Requests pass, answers do not.
    swallows: AtomicBool,
    /// New connections are closed at once.
    refuses: AtomicBool,
    open: parking_lot::Mutex<Vec<TcpStream>>,
}

impl Relay {
    pub fn to(target: SocketAddr) -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            target: parking_lot::Mutex::new(target),
            swallows: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            open: parking_lot::Mutex::default(),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let target = *shared.target.lock();
                if shared.refuses.load(Ordering::SeqCst) {
                    continue;
                }
                if let Ok(server) = TcpStream::connect_timeout(&target, Duration::from_secs(1)) {
                    join(client, server, &shared);
                }
            }
        });
        Relay { address, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads to another server from now on, and cuts what led to the old one.
    pub fn lead_to(&self, target: SocketAddr) {
        *self.state.target.lock() = target;
        self.cut();
    }

    /// Lets requests pass and swallows their answers, or no longer.
    pub fn swallow(&self, swallows: bool) {
        self.state.swallows.store(swallows, Ordering::SeqCst);
    }

    /// Closes new connections at once, or no longer.
    pub fn refuse(&self, refuses: bool) {
        self.state.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        for stream in self.state.open.lock().drain(..) {
            // It may be gone already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

fn join(client: TcpStream, server: TcpStream, state: &Arc<State>) {
    let ends = [&client, &server].map(|end| {
        end.set_nodelay(true).expect("a socket");
        end.try_clone().expect("a socket")
    });
    state.open.lock().extend(ends);
    let (to_server, to_client) = (
        server.try_clone().expect("a socket"),
        client.try_clone().expect("a socket"),
    );
    let answers = state.clone();
    std::thread::spawn(move || pass(client, to_server, || true));
    std::thread::spawn(move || {
        pass(server, to_client, || {
            !answers.swallows.load(Ordering::SeqCst)
        });
    });
}

/// Passes bytes on, but for what is not allowed.
fn pass(mut from: TcpStream, mut to: TcpStream, allowed: impl Fn() -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if allowed() && to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}
