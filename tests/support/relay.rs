//! A TCP relay that misbehaves on demand: it stands before a server and delays, swallows, throttles or cuts what passes,
//! each direction by itself, switched while connections are open.

mod line;
mod pump;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{oneshot, watch};

use super::until;

/// A running relay, ended on drop with all its connections.
pub struct Relay {
    /// `host:port` to connect to.
    pub address: String,
    shared: Arc<Shared>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Which bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Forth,
    /// To the client.
    Back,
}

/// What happens to the bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Pass,
    /// Each byte arrives this much later; as many may be under way as like.
    Delay(Duration),
    /// Nothing arrives; what was sent meanwhile arrives afterwards, as TCP does it where packets were lost.
    Stall,
    /// Nothing arrives, and a connection that lost a byte stays dead in this direction for good.
    Swallow,
    /// So many bytes a second.
    Throttle(u64),
    /// So many bytes more over all connections; with the last of them all connections are reset. Then it passes again.
    CutAfter(u64),
}

/// How those who connect are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Open,
    /// Nobody listens.
    Refuse,
    /// Connections are accepted, and closed at once.
    Close,
}

/// How the open connections end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// With RST on both sides.
    Reset,
    /// With FIN on both sides.
    Finish,
    /// The server is told, the client is not: it writes into the void and hears nothing.
    HalfOpenToClient,
    /// The client is told, the server is not.
    HalfOpenToServer,
}

/// What the relay's tasks and its owner share.
struct Shared {
    target: Mutex<SocketAddr>,
    forth: watch::Sender<Way>,
    back: watch::Sender<Way>,
    door: watch::Sender<Door>,
    /// The door as it is, which follows the wish a moment later.
    door_is: Mutex<Door>,
    cuts: watch::Sender<Option<Cut>>,
    forth_bytes: AtomicU64,
    back_bytes: AtomicU64,
    accepted: AtomicU64,
    open: AtomicUsize,
}

impl Relay {
    /// A relay on a free port before this `host:port`.
    pub fn before(target: &str) -> Relay {
        let target = target.parse().expect("an address");
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            forth: watch::Sender::new(Way::Pass),
            back: watch::Sender::new(Way::Pass),
            door: watch::Sender::new(Door::Open),
            door_is: Mutex::new(Door::Open),
            cuts: watch::Sender::new(None),
            forth_bytes: AtomicU64::new(0),
            back_bytes: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            open: AtomicUsize::new(0),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (end, ended) = oneshot::channel();
        let (send_address, address) = std::sync::mpsc::channel();
        let inside = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let free = "127.0.0.1:0".parse().expect("an address");
                // Bound and never listening: it keeps the port while nobody listens there.
                let place = socket(free);
                let address = place.local_addr().expect("bound");
                let listener = listen(address);
                send_address.send(address).expect("somebody waits");
                tokio::select! {
                    () = receive(&inside, address, listener) => {}
                    // An error means that the owner is gone, which says the same.
                    _ = ended => {}
                }
            });
        });
        Relay {
            address: address.recv().expect("the relay listens").to_string(),
            shared,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// New connections go there from now on.
    pub fn retarget(&self, target: &str) {
        *self.shared.target.lock() = target.parse().expect("an address");
    }

    /// Treats the bytes of one direction so from now on.
    pub fn set(&self, direction: Direction, way: Way) {
        self.shared.way(direction).send_replace(way);
    }

    /// Treats the bytes of both directions so from now on.
    pub fn set_both(&self, way: Way) {
        self.set(Direction::Forth, way);
        self.set(Direction::Back, way);
    }

    /// Receives new connections so; returns once it does.
    pub fn door(&self, door: Door) {
        self.shared.door.send_replace(door);
        until("the relay's door", || {
            (*self.shared.door_is.lock() == door).then_some(())
        });
    }

    /// Ends all connections that are open now.
    pub fn cut(&self, cut: Cut) {
        self.shared.cuts.send_replace(Some(cut));
    }

    /// Passes everything, and receives everybody. What a fault has ended or swallowed stays so.
    pub fn heal(&self) {
        self.set_both(Way::Pass);
        self.door(Door::Open);
    }

    /// How many bytes arrived in this direction.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.shared.count(direction).load(Ordering::SeqCst)
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many connections are open, dead ones among them.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn way(&self, direction: Direction) -> &watch::Sender<Way> {
        match direction {
            Direction::Forth => &self.forth,
            Direction::Back => &self.back,
        }
    }

    fn count(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::Forth => &self.forth_bytes,
            Direction::Back => &self.back_bytes,
        }
    }
}

fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.set_reuseport(true).expect("an option");
    socket.bind(address).expect("a port");
    socket
}

fn listen(address: SocketAddr) -> TcpListener {
    socket(address).listen(1024).expect("a listener")
}

/// Receives whoever connects, as the door says.
async fn receive(shared: &Arc<Shared>, address: SocketAddr, listener: TcpListener) {
    let mut wishes = shared.door.subscribe();
    let mut listener = Some(listener);
    loop {
        let door = *wishes.borrow_and_update();
        match door {
            Door::Refuse => listener = None,
            Door::Open | Door::Close if listener.is_none() => listener = Some(listen(address)),
            Door::Open | Door::Close => {}
        }
        *shared.door_is.lock() = door;
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            changed = wishes.changed() => changed.expect("the owner is there"),
            accepted = accept => {
                let Ok((client, _)) = accepted else { continue };
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                if door == Door::Open {
                    tokio::spawn(line::carry(client, Arc::clone(shared)));
                }
            }
        }
    }
}
