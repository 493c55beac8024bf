//! An upstream that answers as its requests' `x-mock-*` headers direct, and counts what it truly sent.
//!
//! One thread serves everything, so the count needs no locks and costs little: on a busy machine the mock must not
//! be what a benchmark measures.

mod answer;
mod bodies;
mod body;
mod book;
mod control;
mod directive;
mod exchange;
mod record;
mod request;
mod script;
mod texts;
mod wire;

use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{LocalSet, spawn_local};

use answer::Mock;
use wire::{CountedIo, Wire};

/// How the mock runs; what it answers is each request's own business.
#[derive(Debug, clap::Parser)]
#[command(name = "mock-upstream", about, version)]
pub struct Options {
    /// Where to listen; port 0 takes a free one, printed as the first line
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Print no line per request
    #[arg(long)]
    pub quiet: bool,
    /// Keep the records of the last N requests (totals count all)
    #[arg(long, default_value_t = 300_000)]
    pub keep: usize,
    /// Stop by itself after this long, so that a forgotten mock ends
    #[arg(long, default_value_t = 14_400)]
    pub seconds_max: u64,
}

/// Serves until SIGTERM, SIGINT or the time limit; open connections end with the process.
pub async fn run(options: Options) -> std::io::Result<()> {
    let listener = TcpListener::bind(options.listen).await?;
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    // Last: whoever reads the address may send a signal at once.
    announce(listener.local_addr()?)?;
    let mock = Mock::new(options.keep, !options.quiet);
    let local = LocalSet::new();
    local
        .run_until(async {
            tokio::select! {
                () = accept(&listener, &mock) => {}
                _ = term.recv() => {}
                _ = int.recv() => {}
                () = tokio::time::sleep(Duration::from_secs(options.seconds_max)) => {}
            }
        })
        .await;
    Ok(())
}

/// Tests and scripts read this line to learn the port.
fn announce(address: SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {address}")?;
    out.flush()
}

async fn accept(listener: &TcpListener, mock: &Rc<Mock>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                spawn_local(serve(stream, Rc::clone(mock)));
            }
            // Out of files, most likely: give the open connections time to end.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve(stream: TcpStream, mock: Rc<Mock>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let wire = Rc::new(Wire::default());
    let io = TokioIo::new(CountedIo::new(stream, Rc::clone(&wire)));
    let service = service_fn(move |request| Rc::clone(&mock).answer(Rc::clone(&wire), request));
    // A connection that ends badly was cut by its client or by a fault asked of us; the book has it either way.
    let ended: Result<(), hyper::Error> = http1::Builder::new().serve_connection(io, service).await;
    drop(ended);
}
