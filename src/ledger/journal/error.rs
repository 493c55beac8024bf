//! Why a journal cannot be opened.

use std::io;
use std::path::PathBuf;

use crate::ledger::disk::FileError;
use crate::ledger::id::StoreId;

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has it.
    #[error(
        "the journal {file} is in use by {holder}: each proxy needs a journal of its own (ledger.journal); \
         what waits in that one is at its proxy's /readyz and /metrics",
        file = .file.display()
    )]
    InUse {
        /// The journal.
        file: PathBuf,
        /// Who has it, in words: `process 4711`.
        holder: String,
    },
    /// The file cannot be had.
    #[error("{0} (ledger.journal)")]
    File(FileError),
    /// Nothing is there.
    #[error("there is no journal at {path}", path = .0.display())]
    Missing(PathBuf),
    /// What is in it belongs into another store.
    #[error(
        "the journal {file} is of the store {kept}, but the config leads to the store {asked}: \
         what waits in it would be charged to strangers. Set another ledger.journal, or lead to that store",
        file = .file.display()
    )]
    OtherStore {
        /// The journal.
        file: PathBuf,
        /// The store that it is bound to.
        kept: StoreId,
        /// The store that was connected to.
        asked: StoreId,
    },
    /// It was written by a newer version of the program.
    #[error(
        "the journal (ledger.journal) has schema version {found}, but this program knows {known}; \
         use the version of tollgate that wrote it, or a newer one"
    )]
    Schema {
        /// What the file has.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// The file is a database of something else.
    #[error("{0} is a database, but no journal; set another ledger.journal")]
    Foreign(PathBuf),
    /// The file system cannot carry a write-ahead log.
    #[error(
        "the journal's database stays in journal mode `{0}`: its file system cannot share memory \
         (a network share?); put ledger.journal on a local disk"
    )]
    NoWal(String),
    /// A row that the program cannot have written.
    #[error("the journal (ledger.journal) is damaged: {0}")]
    Damaged(String),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Randomness(String),
    /// The system gives no thread.
    #[error("cannot start the journal's thread: {0}")]
    Thread(io::Error),
    /// SQLite refused.
    #[error("the journal's database: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl JournalError {
    /// Whether nobody but an operator can mend it, so that trying again does not help.
    pub fn is_lasting(&self) -> bool {
        match self {
            JournalError::File(file) => file.is_lasting(),
            JournalError::OtherStore { .. }
            | JournalError::Schema { .. }
            | JournalError::Foreign(_)
            | JournalError::NoWal(_)
            | JournalError::Damaged(_) => true,
            JournalError::InUse { .. }
            | JournalError::Missing(_)
            | JournalError::Randomness(_)
            | JournalError::Thread(_)
            | JournalError::Sqlite(_) => false,
        }
    }
}

impl From<FileError> for JournalError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::InUse { file, holder } => JournalError::InUse { file, holder },
            other => JournalError::File(other),
        }
    }
}
