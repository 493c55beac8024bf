//! The ledger's contract, once for every store: each promise is a named test, and random schedules are
//! answered as the book answers them.

mod support;

#[path = "ledger/bench.rs"]
mod bench;
#[path = "ledger/contract.rs"]
mod contract;
#[path = "ledger/differential.rs"]
mod differential;
#[path = "ledger/kit.rs"]
mod kit;
#[path = "ledger/opened_anew.rs"]
mod opened_anew;
#[path = "ledger/proxies.rs"]
mod proxies;
#[path = "ledger/reference.rs"]
mod reference;
#[path = "ledger/stores.rs"]
mod stores;
