//! What a ledger costs by itself, without the proxy: hold and settle on the ledger in Redis (a server of its own on
//! the loopback, an AOF written every second, a journal on disk) and on the embedded one, and the room that they take.
//!
//! `cargo bench --bench ledger` prints it all. Rounds are interleaved over the stores, numbers are medians over the
//! rounds, and no number is printed unless the ledger holds every request, and its audit finds nothing.

#[path = "../tests/support/mod.rs"]
mod support;

#[path = "ledger/process.rs"]
mod process;
#[path = "ledger/room.rs"]
mod room;
#[path = "ledger/store.rs"]
mod store;
#[path = "ledger/work.rs"]
mod work;

use std::time::Duration;

use clap::Parser;

use store::Store;
use work::{Sample, Wallets};

/// How a hold and a settle do on each store, and what they leave behind.
#[derive(Parser)]
struct Options {
    /// How long a round is, in milliseconds
    #[arg(long, default_value_t = 1_500)]
    round_ms: u64,
    /// How many rounds the medians are of
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only stores whose name holds this word
    #[arg(long, default_value = "")]
    store: String,
    /// How many are under way at once
    #[arg(long, value_delimiter = ',', default_value = "1,64,512")]
    concurrency: Vec<usize>,
    /// Leave out what wallets, receipts and entries of the journal take
    #[arg(long)]
    no_room: bool,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// One line of the table.
struct Line {
    store: usize,
    wallets: Wallets,
    at_once: usize,
    samples: Vec<Sample>,
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    if !options.bench {
        // `cargo test --benches` asks only whether it starts.
        return;
    }
    let mut stores = Vec::new();
    for name in ["redis", "embedded process", "embedded disk"] {
        if name.contains(&options.store) {
            let store = Store::open(name).await;
            work::furnish(&store).await;
            stores.push(store);
        }
    }
    let mut lines = Vec::new();
    for wallets in [Wallets::Many, Wallets::One] {
        for &at_once in &options.concurrency {
            for store in 0..stores.len() {
                let samples = Vec::new();
                lines.push(Line {
                    store,
                    wallets,
                    at_once,
                    samples,
                });
            }
        }
    }
    // Not counted: connections, caches and scripts are warm after it.
    for store in &mut stores {
        work::round(store, Wallets::Many, 64, Duration::from_millis(300)).await;
    }
    let length = Duration::from_millis(options.round_ms);
    for _ in 0..options.rounds {
        for line in &mut lines {
            let store = &mut stores[line.store];
            let sample = work::round(store, line.wallets, line.at_once, length).await;
            line.samples.push(sample);
        }
    }
    for store in &stores {
        store.verify().await;
    }
    table(&stores, &mut lines, &options);
    for store in stores {
        store.close().await;
    }
    if !options.no_room && "redis".contains(&options.store) {
        room::report().await;
    }
}

fn table(stores: &[Store], lines: &mut [Line], options: &Options) {
    println!(
        "hold + settle, 4 limits; medians of {} interleaved rounds of {} ms; CPU in us for both together\n",
        options.rounds, options.round_ms
    );
    println!(
        "| wallets | at once | store            | per second |  p50 us |  p99 us | CPU here | CPU of Redis |"
    );
    println!(
        "| ------- | ------: | ---------------- | ---------: | ------: | ------: | -------: | -----------: |"
    );
    for line in lines {
        let middle = |of: fn(&Sample) -> u64| {
            let mut values: Vec<u64> = line.samples.iter().map(of).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        let tenths = |value: u64| format!("{}.{}", value / 10, value % 10);
        let redis = match stores[line.store].redis_pid() {
            Some(_) => tenths(middle(|sample| sample.redis_tenths)),
            None => String::new(),
        };
        println!(
            "| {:7} | {:7} | {:16} | {:10} | {:7} | {:7} | {:>8} | {:>12} |",
            line.wallets.word(),
            line.at_once,
            stores[line.store].name,
            middle(|sample| sample.per_second),
            middle(|sample| sample.p50_us),
            middle(|sample| sample.p99_us),
            tenths(middle(|sample| sample.own_tenths)),
            redis,
        );
    }
    println!();
}
