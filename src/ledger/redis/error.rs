//! Why Redis did not do what it was asked.

use std::fmt;

use crate::ledger::LedgerError;
use crate::ledger::journal::JournalError;

/// Why a call to Redis came to nothing, in words that name the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It may or may not have happened: the connection broke, or Redis is late; or none can be made. The same call may
    /// succeed later.
    #[error("{0}")]
    Away(String),
    /// It did not happen: there was no connection to send it by, or Redis says that it did not do it now (loading, no
    /// master, moving data, too few replicas). The same call may succeed later.
    #[error("{0}")]
    NotNow(String),
    /// Redis answered with an error that repeating does not heal.
    #[error("{0}")]
    Refused(String),
}

/// Why a ledger in Redis cannot be opened, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Redis cannot be reached now; it may be later.
    #[error("the ledger's Redis cannot be used now: {0}")]
    Away(String),
    /// Redis, or what the config says of it, must be changed first.
    #[error("the ledger's Redis cannot be used: {0}")]
    Unfit(String),
    /// The store keeps another currency.
    #[error(
        "the ledger in Redis ({place}) keeps {kept}, but the config says currency: {asked}; \
         set currency: {kept}, or another ledger.prefix for a new ledger"
    )]
    Currency {
        /// Where it is.
        place: String,
        /// What the store was made with.
        kept: String,
        /// What was asked for.
        asked: String,
    },
    /// The store was written by a newer version of the program.
    #[error(
        "the ledger in Redis ({place}) has schema version {found}, but this program knows {known}; \
         use the version of tollgate that wrote it, or a newer one"
    )]
    Schema {
        /// Where it is.
        place: String,
        /// What the store has.
        found: String,
        /// What this program knows.
        known: u32,
    },
    /// The journal beside the store cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Randomness(String),
}

impl From<LinkError> for OpenError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Away(why) | LinkError::NotNow(why) => OpenError::Away(why),
            LinkError::Refused(why) => OpenError::Unfit(why),
        }
    }
}

/// Whether Redis can be used now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Every server that is needed is connected and answers.
    Up,
    /// Why not.
    Away(String),
}

impl LinkError {
    pub(super) fn away(what: impl fmt::Display) -> Self {
        LinkError::Away(what.to_string())
    }

    pub(super) fn not_now(what: impl fmt::Display) -> Self {
        LinkError::NotNow(what.to_string())
    }

    pub(super) fn refused(what: impl fmt::Display) -> Self {
        LinkError::Refused(what.to_string())
    }
}

impl From<LinkError> for LedgerError {
    fn from(error: LinkError) -> Self {
        LedgerError::Unavailable(error.to_string())
    }
}
