//! The relay itself: what it promises to the fault tests that stand on it.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use support::{Cut, DEADLINE, Direction, Door, Relay, Way, until};

/// Long enough that what has not come by then will not come.
const SILENCE: Duration = Duration::from_millis(150);

/// A server that sends back what it gets, and tells what it saw of each connection.
struct Echo {
    address: String,
    seen: std::sync::mpsc::Receiver<Seen>,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Bytes(usize),
    End,
    Reset,
}

impl Echo {
    fn start() -> Echo {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (tell, seen) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let tell = tell.clone();
                std::thread::spawn(move || echo(stream, &tell));
            }
        });
        Echo { address, seen }
    }

    fn next(&self) -> Seen {
        self.seen.recv_timeout(DEADLINE).expect("the server saw it")
    }

    fn saw_nothing(&self) -> bool {
        self.seen.recv_timeout(SILENCE).is_err()
    }
}

fn echo(mut stream: TcpStream, tell: &std::sync::mpsc::Sender<Seen>) {
    let mut chunk = [0; 4_096];
    loop {
        let seen = match stream.read(&mut chunk) {
            Ok(0) => Seen::End,
            Ok(length) => Seen::Bytes(length),
            Err(_) => Seen::Reset,
        };
        let length = match seen {
            Seen::Bytes(length) => length,
            _ => 0,
        };
        // The test may have ended, or the client gone: both are fine.
        tell.send(seen).unwrap_or_default();
        if length == 0 || stream.write_all(&chunk[..length]).is_err() {
            return;
        }
    }
}

fn start() -> (Echo, Relay) {
    let echo = Echo::start();
    let relay = Relay::before(&echo.address);
    (echo, relay)
}

fn connect(relay: &Relay) -> TcpStream {
    let stream = TcpStream::connect(&relay.address).expect("a connection");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// Sends these bytes and reads them back.
fn exchange(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).expect("it takes them");
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).expect("they come back");
    assert_eq!(back, text);
}

/// Whether nothing comes for a while, not even an end.
fn is_silent(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(SILENCE)).expect("a timeout");
    let read = stream.read(&mut [0; 16]);
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn kind(stream: &mut TcpStream) -> Result<usize, ErrorKind> {
    stream.read(&mut [0; 16]).map_err(|error| error.kind())
}

#[test]
fn it_passes_and_counts_bytes_and_connections() {
    let (_echo, relay) = start();
    let (mut one, mut two) = (connect(&relay), connect(&relay));
    exchange(&mut one, b"hello");
    exchange(&mut two, &[7; 100_000]);
    assert_eq!(relay.bytes(Direction::Forth), 100_005);
    assert_eq!(relay.bytes(Direction::Back), 100_005);
    assert_eq!((relay.accepted(), relay.open()), (2, 2));
    drop((one, two));
    until("both to be closed", || (relay.open() == 0).then_some(()));
}

#[test]
fn an_end_of_one_direction_passes_and_leaves_the_other_open() {
    let (echo, relay) = start();
    let mut stream = connect(&relay);
    stream.write_all(b"last words").expect("it takes them");
    stream
        .shutdown(Shutdown::Write)
        .expect("an open connection");
    let mut back = String::new();
    stream
        .read_to_string(&mut back)
        .expect("the echo, and its end");
    assert_eq!(back, "last words");
    assert_eq!((echo.next(), echo.next()), (Seen::Bytes(10), Seen::End));
}

#[test]
fn a_delay_is_one_of_the_line_and_of_each_direction() {
    let (_echo, relay) = start();
    let delay = Duration::from_millis(100);
    relay.set(Direction::Back, Way::Delay(delay));
    let mut stream = connect(&relay);
    let started = Instant::now();
    exchange(&mut stream, b"slow");
    assert!(started.elapsed() >= delay);
    relay.set_both(Way::Delay(delay));
    let started = Instant::now();
    exchange(&mut stream, b"slower");
    assert!(started.elapsed() >= 2 * delay);
    relay.heal();
    exchange(&mut stream, b"again");
}

#[test]
fn what_is_stalled_arrives_afterwards() {
    let (echo, relay) = start();
    let mut stream = connect(&relay);
    exchange(&mut stream, b"before");
    assert_eq!(echo.next(), Seen::Bytes(6));
    relay.set(Direction::Forth, Way::Stall);
    stream.write_all(b"during").expect("it takes them");
    assert!(echo.saw_nothing());
    relay.heal();
    let mut back = [0; 6];
    stream.read_exact(&mut back).expect("it comes");
    assert_eq!(&back, b"during");
}

#[test]
fn what_is_swallowed_is_lost_and_its_connection_stays_dead() {
    let (echo, relay) = start();
    let mut stream = connect(&relay);
    relay.set(Direction::Forth, Way::Swallow);
    stream.write_all(b"lost").expect("it takes them");
    assert!(echo.saw_nothing());
    relay.heal();
    stream.write_all(b"lost too").expect("it takes them");
    assert!(echo.saw_nothing());
    assert!(is_silent(&mut stream));
    exchange(&mut connect(&relay), b"a new one lives");
}

#[test]
fn replies_can_be_lost_where_requests_arrive() {
    let (echo, relay) = start();
    let mut stream = connect(&relay);
    exchange(&mut stream, b"before");
    assert_eq!(echo.next(), Seen::Bytes(6));
    relay.set(Direction::Back, Way::Swallow);
    stream
        .write_all(b"done, but untold")
        .expect("it takes them");
    assert_eq!(echo.next(), Seen::Bytes(16));
    assert!(is_silent(&mut stream));
}

#[test]
fn throttled_bytes_trickle() {
    let (_echo, relay) = start();
    relay.set(Direction::Back, Way::Throttle(10_000));
    let mut stream = connect(&relay);
    let started = Instant::now();
    exchange(&mut stream, &[1; 3_000]);
    assert!(started.elapsed() >= Duration::from_millis(250));
}

#[test]
fn a_cut_after_n_bytes_lets_exactly_n_pass() {
    let (_echo, relay) = start();
    let mut stream = connect(&relay);
    exchange(&mut stream, b"before");
    relay.set(Direction::Back, Way::CutAfter(4));
    stream.write_all(b"middle").expect("it takes them");
    let (mut back, mut chunk) = (Vec::new(), [0; 16]);
    let end = loop {
        match stream.read(&mut chunk) {
            Ok(0) => panic!("an end, and no cut"),
            Ok(length) => back.extend_from_slice(&chunk[..length]),
            Err(error) => break error.kind(),
        }
    };
    assert_eq!((&back[..], end), (&b"midd"[..], ErrorKind::ConnectionReset));
    exchange(&mut connect(&relay), b"once only");
}

#[test]
fn a_reset_is_seen_on_both_sides() {
    let (echo, relay) = start();
    let mut stream = connect(&relay);
    exchange(&mut stream, b"before");
    relay.cut(Cut::Reset);
    assert_eq!(kind(&mut stream), Err(ErrorKind::ConnectionReset));
    assert_eq!((echo.next(), echo.next()), (Seen::Bytes(6), Seen::Reset));
    exchange(&mut connect(&relay), b"after");
}

#[test]
fn a_finish_is_seen_on_both_sides() {
    let (echo, relay) = start();
    let mut stream = connect(&relay);
    exchange(&mut stream, b"before");
    relay.cut(Cut::Finish);
    assert_eq!(kind(&mut stream), Ok(0));
    assert_eq!((echo.next(), echo.next()), (Seen::Bytes(6), Seen::End));
}

#[test]
fn a_half_open_connection_is_told_to_one_side_only() {
    let (echo, relay) = start();
    let mut stream = connect(&relay);
    exchange(&mut stream, b"before");
    relay.cut(Cut::HalfOpenToClient);
    assert_eq!((echo.next(), echo.next()), (Seen::Bytes(6), Seen::End));
    stream.write_all(b"hello?").expect("it takes them");
    assert!(is_silent(&mut stream));
    assert_eq!(relay.open(), 1);

    let mut other = connect(&relay);
    exchange(&mut other, b"before");
    assert_eq!(echo.next(), Seen::Bytes(6));
    relay.cut(Cut::HalfOpenToServer);
    assert_eq!(kind(&mut other), Ok(0));
    assert!(echo.saw_nothing());
}

#[test]
fn a_refusing_relay_keeps_its_port_and_its_connections() {
    let (_echo, relay) = start();
    let mut stream = connect(&relay);
    exchange(&mut stream, b"before");
    relay.door(Door::Refuse);
    for _ in 0..3 {
        let refused = TcpStream::connect(&relay.address).expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    exchange(&mut stream, b"still here");
    relay.door(Door::Close);
    let closed = kind(&mut connect(&relay));
    assert!(
        closed == Ok(0) || closed == Err(ErrorKind::ConnectionReset),
        "{closed:?}"
    );
    relay.heal();
    exchange(&mut connect(&relay), b"open again");
}

#[test]
fn new_connections_follow_the_target() {
    let (_echo, relay) = start();
    let mut stream = connect(&relay);
    exchange(&mut stream, b"the first");
    let other = Echo::start();
    relay.retarget(&other.address);
    exchange(&mut stream, b"where it was");
    exchange(&mut connect(&relay), b"the other");
    assert_eq!(other.next(), Seen::Bytes(9));
    relay.retarget("127.0.0.1:1");
    assert_eq!(
        kind(&mut connect(&relay)),
        Err(ErrorKind::ConnectionReset),
        "nobody listens at the target"
    );
}

#[test]
fn a_dropped_relay_ends_its_connections() {
    let (_echo, relay) = start();
    let mut stream = connect(&relay);
    exchange(&mut stream, b"before");
    let address = relay.address.clone();
    drop(relay);
    let end = kind(&mut stream);
    assert!(
        end == Ok(0) || end == Err(ErrorKind::ConnectionReset),
        "{end:?}"
    );
    TcpStream::connect(address).expect_err("nobody listens");
}
