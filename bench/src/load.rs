//! A closed-loop HTTP/1.1 load generator: each worker has one connection and one request in flight on it.
//!
//! One thread drives all workers; on a machine shared with what is measured, the generator's own share must be small
//! and is reported.

mod connection;
mod exchange;
mod options;
mod plan;
mod receipt;
mod report;
mod sse;
mod tally;
mod worker;

pub use options::Options;
pub use report::Report;

use std::rc::Rc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use worker::Shared;

/// Runs all workers to the end of the work or of the time, or until SIGTERM, and sums up what they saw.
pub async fn run(options: &Options) -> Result<Report, String> {
    let shared = Rc::new(Shared::new(options)?);
    let before = report::Clocks::read(&options.watched);
    let mut term = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let local = LocalSet::new();
    let told = Rc::clone(&shared);
    local.spawn_local(async move {
        term.recv().await;
        told.end();
    });
    let workers: Vec<_> = (0..options.concurrency)
        .map(|_| local.spawn_local(worker::work(Rc::clone(&shared))))
        .collect();
    let tallies = local
        .run_until(async {
            let mut tallies = Vec::with_capacity(workers.len());
            for worker in workers {
                tallies.push(
                    worker
                        .await
                        .map_err(|error| format!("a worker failed: {error}"))?,
                );
            }
            Ok::<_, String>(tallies)
        })
        .await?;
    Ok(Report::new(
        shared.plans.run_id(),
        tallies,
        &before,
        &report::Clocks::read(&options.watched),
    ))
}
