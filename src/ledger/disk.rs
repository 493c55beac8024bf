//! What every file of a ledger needs of the file system: private files, one process at a time, room to go on.

pub(in crate::ledger) mod error;
pub(in crate::ledger) mod files;
pub(in crate::ledger) mod lock;
pub(in crate::ledger) mod space;
pub(in crate::ledger) mod wal;

pub use self::error::FileError;
