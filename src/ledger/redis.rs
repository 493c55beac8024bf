//! The ledger in Redis or Valkey, shared by any number of processes.

pub mod checks;
pub mod error;
pub mod link;
pub mod meta;
pub mod options;
pub mod scripts;
