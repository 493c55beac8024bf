//! Why a store cannot be opened, copied or replaced.

use std::io;
use std::path::{Path, PathBuf};

use crate::ledger::disk::FileError;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the ledger {store} is in use by {holder}: stop that process, or set another ledger.path; \
         commands on keys and wallets reach a running server through its admin address",
        store = .store.display()
    )]
    InUse {
        /// The store's file.
        store: PathBuf,
        /// Who has it, in words: `process 4711`.
        holder: String,
    },
    /// A file of it cannot be had.
    #[error(transparent)]
    File(FileError),
    /// Nothing is there.
    #[error("there is no ledger at {path}", path = .0.display())]
    Missing(PathBuf),
    /// The store keeps another currency.
    #[error(
        "the ledger keeps {kept}, but the config says currency: {asked}; \
         set currency: {kept}, or another ledger.path for a new ledger"
    )]
    Currency {
        /// What the store was made with.
        kept: String,
        /// What was asked for.
        asked: String,
    },
    /// The store was written by another version of the program.
    #[error(
        "the ledger has schema version {found}, but this program knows {known}; \
         use the version of tollgate that wrote it, or a newer one"
    )]
    Schema {
        /// What the store has.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// A store of an older version could not be brought up to date.
    #[error(
        "the ledger cannot be brought from schema version {from} to {to}, and stays at {from}, \
         which the version of tollgate that wrote it can use: {source}"
    )]
    Migration {
        /// What the store has.
        from: i64,
        /// Where the step was to lead.
        to: i64,
        /// What went wrong.
        source: Box<OpenError>,
    },
    /// A copy of the store could not be written.
    #[error("cannot copy the ledger to {to}: {source}", to = .to.display())]
    Copy {
        /// The copy.
        to: PathBuf,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
    /// The file is a database of something else.
    #[error("the file is a database, but no Tollgate ledger; set another ledger.path")]
    Foreign,
    /// The file system cannot carry a write-ahead log.
    #[error(
        "the ledger's database stays in journal mode `{0}`: its file system cannot share memory \
         (a network share?); put ledger.path on a local disk"
    )]
    NoWal(String),
    /// A fact that every store has is not there.
    #[error("the ledger is damaged: `{0}` is missing from its table `meta`")]
    MetaMissing(&'static str),
    /// A row that the program cannot have written.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Randomness(String),
    /// The system gives no thread.
    #[error("cannot start the ledger's thread: {0}")]
    Thread(io::Error),
    /// SQLite refused.
    #[error("the ledger's database: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl OpenError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
        let error = FileError::io(what, path);
        move |source| error(source).into()
    }
}

impl From<FileError> for OpenError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::InUse { file, holder } => OpenError::InUse {
                store: file,
                holder,
            },
            other => OpenError::File(other),
        }
    }
}
