//! One direction of a connection: bytes in, held back or lost or counted as its [`Way`] says, bytes out.

use std::io::{self, ErrorKind};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Cut, Direction, Shared, Way};

/// A throttled direction writes this often.
const TICK: Duration = Duration::from_millis(10);

/// Bytes under way; empty at the end of the stream.
struct Parcel {
    due: Instant,
    bytes: Vec<u8>,
}

/// Carries bytes until the sender has ended, or the receiver is gone.
pub async fn pump(
    from: &TcpStream,
    to: &TcpStream,
    direction: Direction,
    shared: &Shared,
) -> io::Result<()> {
    // Reading goes on while bytes wait, so that a delay is one of the line and not of each reply.
    let (queue, parcels) = mpsc::unbounded_channel();
    let (read, written) = tokio::join!(
        collect(from, shared.way(direction), queue),
        deliver(to, direction, shared, parcels)
    );
    read.and(written)
}

async fn collect(
    from: &TcpStream,
    way: &watch::Sender<Way>,
    queue: mpsc::UnboundedSender<Parcel>,
) -> io::Result<()> {
    let mut is_dead = false;
    loop {
        let bytes = read(from).await?;
        let due = match *way.borrow() {
            Way::Delay(delay) => Instant::now() + delay,
            Way::Swallow => {
                is_dead = true;
                continue_or_end(&bytes)?;
                continue;
            }
            _ => Instant::now(),
        };
        if is_dead {
            continue_or_end(&bytes)?;
            continue;
        }
        let ended = bytes.is_empty();
        // An error means that the receiver is gone: `deliver` says how.
        if queue.send(Parcel { due, bytes }).is_err() || ended {
            return Ok(());
        }
    }
}

/// A dead direction swallows to the end, and then the connection has ended on this side for good.
fn continue_or_end(bytes: &[u8]) -> io::Result<()> {
    match bytes.is_empty() {
        true => Err(ErrorKind::UnexpectedEof.into()),
        false => Ok(()),
    }
}

/// The next bytes; none at the end.
async fn read(from: &TcpStream) -> io::Result<Vec<u8>> {
    let mut chunk = vec![0; 16_384];
    loop {
        from.readable().await?;
        match from.try_read(&mut chunk) {
            Ok(length) => {
                chunk.truncate(length);
                return Ok(chunk);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn deliver(
    to: &TcpStream,
    direction: Direction,
    shared: &Shared,
    mut parcels: mpsc::UnboundedReceiver<Parcel>,
) -> io::Result<()> {
    let mut ways = shared.way(direction).subscribe();
    while let Some(parcel) = parcels.recv().await {
        // A timer would hold up by a millisecond what is due at once.
        if parcel.due > Instant::now() {
            sleep_until(parcel.due).await;
        }
        if parcel.bytes.is_empty() {
            passable(&mut ways).await;
            return shut_write(to);
        }
        let mut rest = &parcel.bytes[..];
        while !rest.is_empty() {
            let way = passable(&mut ways).await;
            let length = portion(way, rest.len(), direction, shared);
            let (now, later) = rest.split_at(length);
            // Before they leave: who has received them finds them counted.
            let count = shared.count(direction);
            count.fetch_add(length as u64, Ordering::SeqCst);
            write(to, now).await?;
            rest = later;
            match way {
                Way::Throttle(_) => sleep(TICK).await,
                // `portion` has taken the last bytes that were allowed.
                Way::CutAfter(_) if *shared.way(direction).borrow() == Way::Pass => {
                    shared.cuts.send_replace(Some(Cut::Reset));
                    std::future::pending::<()>().await;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Waits while the direction is stalled.
async fn passable(ways: &mut watch::Receiver<Way>) -> Way {
    let way = ways.wait_for(|way| *way != Way::Stall).await;
    *way.expect("the relay is there")
}

/// How many bytes may go now.
fn portion(way: Way, length: usize, direction: Direction, shared: &Shared) -> usize {
    match way {
        Way::Throttle(per_second) => {
            let most = u128::from(per_second) * TICK.as_millis() / 1_000;
            length.min(most.max(1) as usize)
        }
        Way::CutAfter(_) => {
            let mut taken = length;
            shared.way(direction).send_modify(|way| {
                if let Way::CutAfter(left) = *way {
                    taken = length.min(left as usize);
                    *way = match left - taken as u64 {
                        0 => Way::Pass,
                        left => Way::CutAfter(left),
                    };
                }
            });
            taken
        }
        _ => length,
    }
}

async fn write(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// FIN, as the sender has sent it.
fn shut_write(to: &TcpStream) -> io::Result<()> {
    rustix::net::shutdown(to, rustix::net::Shutdown::Write)?;
    Ok(())
}
