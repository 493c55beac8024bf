//! Reloads under load: nothing fails, and everything is charged at a price that was in force.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::support::{Load, Mock, Proxy, Setup, nano, quick};
use crate::{TAKEN, dear, reload};

/// Planted bugs that it must catch: a listener that is closed and opened again for a reload; a
/// receipt that names the price version in use at its settle and not the one of its hold.
#[test]
fn reloads_under_load_fail_no_request_and_mix_no_prices() {
    let mock = Mock::start();
    let plain = || Setup::new(&mock);
    let proxy = Proxy::start(&plain());
    let (secret, _) = proxy.create_key(&json!({ "name": "storm", "balance": "100000" }));
    let requests = if quick() { 3_000 } else { 30_000 };
    let mut load = Load::plain(
        &proxy,
        &secret,
        "reload",
        &["--concurrency", "32", "--requests", &requests.to_string()],
    );
    let mut reloads = 0;
    while load.is_running() {
        let setup = if reloads % 2 == 0 {
            dear(plain())
        } else {
            plain()
        };
        proxy.configure(&setup);
        reload(&proxy, TAKEN);
        reloads += 1;
    }
    let (report, seen) = load.finish(Duration::from_secs(300));
    assert!(reloads >= 3, "only {reloads} reloads: {report}");
    assert_eq!(seen.len(), requests, "{report}");
    for one in &seen {
        assert!(one.status == 200 && one.seen_end, "{one:?}");
    }
    proxy.idle_wallet("storm");
    let mut by_version: BTreeMap<String, u64> = BTreeMap::new();
    for receipt in proxy.all_receipts("storm").into_values() {
        let tokens = |meter: &str| receipt["usage"][meter].as_i64().unwrap_or(0);
        let cheap = tokens("input") * 4_000 + tokens("output") * 16_000;
        let cost = nano(receipt["cost"].as_str().expect("an amount"));
        let version = receipt["price_version"].as_str().expect("a version");
        let factor = if cost == cheap { "cheap" } else { "dear" };
        assert!(cost == cheap || cost == 100 * cheap, "{receipt}");
        *by_version.entry(format!("{version} {factor}")).or_default() += 1;
    }
    assert_eq!(
        by_version.len(),
        2,
        "each version has one price: {by_version:?}"
    );
    assert_eq!(by_version.values().sum::<u64>(), requests as u64);
    proxy.audit();
}
