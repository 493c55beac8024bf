//! The ledger in Redis or Valkey, shared by any number of processes.

pub mod error;
pub mod layout;
pub mod link;
pub mod options;
pub mod outbox;
mod recovery;
pub mod remote;
pub mod scripts;
