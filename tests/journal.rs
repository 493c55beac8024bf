//! The journal and the outbox against real Redis servers: whatever is lost on the way or by the store, every
//! mutation is carried out, and none twice.

mod support;

#[path = "journal/command.rs"]
mod command;
#[path = "journal/kit.rs"]
mod kit;
#[path = "journal/lost.rs"]
mod lost;
#[path = "journal/objects.rs"]
mod objects;
#[path = "journal/once.rs"]
mod once;
#[path = "journal/relay.rs"]
mod relay;
#[path = "journal/wallets.rs"]
mod wallets;
#[allow(dead_code, reason = "short words for the contract's tests too")]
#[path = "ledger/kit.rs"]
mod words;
