//! One connection through the relay: two pumps, and the cuts that end it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::pump::pump;
use super::{Cut, Direction, Shared};

/// Carries a connection to its end.
pub async fn carry(client: TcpStream, shared: Arc<Shared>) {
    let cuts = shared.cuts.subscribe();
    shared.open.fetch_add(1, Ordering::SeqCst);
    let target = *shared.target.lock();
    // Nobody listens at the server: the client is told by a reset.
    match TcpStream::connect(target).await {
        Ok(server) => join(client, server, &shared, cuts).await,
        Err(_) => reset(&client),
    }
    shared.open.fetch_sub(1, Ordering::SeqCst);
}

async fn join(
    client: TcpStream,
    server: TcpStream,
    shared: &Arc<Shared>,
    mut cuts: watch::Receiver<Option<Cut>>,
) {
    for side in [&client, &server] {
        // An error means that it has been closed, which its pump notices.
        side.set_nodelay(true).unwrap_or_default();
    }
    let (client, server) = (Arc::new(client), Arc::new(server));
    let mut pumps = JoinSet::new();
    for (from, to, direction) in [
        (&client, &server, Direction::Forth),
        (&server, &client, Direction::Back),
    ] {
        let (from, to, shared) = (Arc::clone(from), Arc::clone(to), Arc::clone(shared));
        pumps.spawn(async move { pump(&from, &to, direction, &shared).await });
    }
    let cut = tokio::select! {
        biased;
        changed = cuts.changed() => {
            changed.expect("the relay is there");
            *cuts.borrow_and_update()
        }
        () = whole(&mut pumps) => None,
    };
    // Ends the pumps in the middle of whatever they do, and their hold on the sockets.
    pumps.shutdown().await;
    let dead = match cut {
        None | Some(Cut::Finish) => return,
        Some(Cut::Reset) => {
            reset(&client);
            reset(&server);
            return;
        }
        Some(Cut::HalfOpenToClient) => {
            drop(server);
            client
        }
        Some(Cut::HalfOpenToServer) => {
            drop(client);
            server
        }
    };
    tokio::select! {
        () = swallow(&dead) => {}
        changed = cuts.changed() => changed.expect("the relay is there"),
    }
}

/// Until both directions have ended, or one of them broke.
async fn whole(pumps: &mut JoinSet<std::io::Result<()>>) {
    while let Some(Ok(Ok(()))) = pumps.join_next().await {}
}

/// Closing it sends RST.
fn reset(stream: &TcpStream) {
    // An error means that it has been closed already.
    stream.set_zero_linger().unwrap_or_default();
}

/// Reads until the other side has enough of it.
async fn swallow(stream: &TcpStream) {
    let mut lost = [0; 16_384];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut lost) {
            Ok(0) => return,
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}
