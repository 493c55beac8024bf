//! The big comparison: a mixture of everything, and two accounts of it that share no code.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::account::{Account, by_id, every_planted_bug_is_found};
use crate::support::dice::{rounds, seed};
use crate::support::prices::setup;
use crate::support::{Load, Mock, Proxy, decimal, nano};

const WALLET: &str = "mix";
const OPENING: &str = "100000";
const PATIENCE: Duration = Duration::from_secs(900);

/// Planted bugs that it must catch: a request that is charged double, or not at all, when its client leaves; a cut stream
/// that is not charged; an error that is; a usage chunk that is stripped but not read; a charge that is rounded down.
#[test]
fn the_upstreams_account_of_a_mixture_equals_the_ledgers() {
    let seed = seed("mix");
    let mock = Mock::start();
    let proxy = Proxy::start_quiet(&setup(&mock));
    let (secret, _) = proxy.create_key(&json!({ "name": WALLET, "balance": OPENING }));
    let requests = rounds(5_000, 100_000);
    let started = Instant::now();
    let load = Load::start(
        &proxy,
        &secret,
        "mix",
        seed,
        &["--concurrency", "64", "--requests", &requests.to_string()],
    );
    let (report, seen) = load.finish(PATIENCE);
    let seconds = started.elapsed().as_secs();
    assert_eq!(seen.len() as u64, requests, "seed {seed}: {report}");
    // The answers of clients that left are still being read to their end.
    let wallet = proxy.idle_wallet(WALLET);
    let totals = mock.totals();
    assert_eq!(totals["records_dropped"], 0, "seed {seed}: {totals}");

    let account = Account {
        seen,
        sent: by_id(mock.requests()).expect("each is sent once"),
        booked: proxy.all_receipts(WALLET),
    };
    let joined = account.join(&|_, _| false);
    let joined = joined.unwrap_or_else(|finding| panic!("seed {seed}: {finding}"));
    assert_eq!(joined.shortfall, 0, "seed {seed}");
    let compared = account
        .equals(&totals)
        .and_then(|()| account.settles(&wallet, nano(OPENING), &joined));
    compared.unwrap_or_else(|finding| panic!("seed {seed}: {finding}"));
    every_planted_bug_is_found(&account, &|_, _| false);
    let audit = proxy.audit();
    assert_eq!(audit["live_holds"], 0, "seed {seed}: {audit}");
    let sum = decimal(joined.charged);
    eprintln!("mix: {requests} requests in {seconds} s, charged {sum} in all\nupstream {totals}");
    for (kind, (requests, charges, nano)) in joined.kinds {
        let sum = decimal(nano);
        eprintln!("{kind:>16}: {requests:>6} requests, {charges:>6} charges, {sum}");
    }
}
