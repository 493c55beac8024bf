//! History in Redis, on real servers: receipts, totals, folding, and an audit that finds what was tampered with.

mod support;

#[allow(dead_code, reason = "short words for the contract's tests too")]
#[path = "ledger/kit.rs"]
mod kit;

#[path = "redis_history/auditing.rs"]
mod auditing;
#[path = "redis_history/folding.rs"]
mod folding;
#[path = "redis_history/reading.rs"]
mod reading;
#[path = "redis_history/store.rs"]
mod store;
