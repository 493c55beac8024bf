//! Why a file cannot be had: the same for a ledger and for a journal.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Another process has it.
    #[error("{file} is in use by {holder}: stop that process first", file = .file.display())]
    InUse {
        /// The file.
        file: PathBuf,
        /// Who has it, in words: `process 4711`.
        holder: String,
    },
    /// The file system refused.
    #[error("cannot {what} {path}: {source}", path = .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A link that leads nowhere: to a disk that is not mounted, maybe.
    #[error(
        "{path} is a link to something that is not there: mend or remove it, or name another file",
        path = .0.display()
    )]
    Dangling(PathBuf),
    /// A directory, a device or the like.
    #[error("{path} is no regular file", path = .0.display())]
    NotAFile(PathBuf),
    /// A new file cannot be made the one of whoever runs the server.
    #[error(
        "cannot give {path} to its user (uid {uid}, gid {gid}), who could not open it then: {source}; \
         run this as that user, or as root",
        path = .path.display()
    )]
    Owner {
        /// The file, or what is to get its name.
        path: PathBuf,
        /// The user it belongs to.
        uid: u32,
        /// And the group.
        gid: u32,
        /// The system's answer.
        source: io::Error,
    },
    /// Something that the program did not put there has the name of the lock file.
    #[error(
        "{path} should be a lock file, but is something else: move it away, or name another file",
        path = .0.display()
    )]
    NoLock(PathBuf),
}

impl FileError {
    /// The error of what was tried on a file.
    pub(in crate::ledger) fn io(
        what: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> FileError {
        let path = path.to_owned();
        move |source| FileError::Io { what, path, source }
    }

    /// Whether nobody but an operator can mend it, so that trying again does not help.
    pub fn is_lasting(&self) -> bool {
        match self {
            FileError::NotAFile(_) | FileError::NoLock(_) | FileError::Owner { .. } => true,
            FileError::InUse { .. } | FileError::Io { .. } | FileError::Dangling(_) => false,
        }
    }
}

/// Whether SQLite could not bring what it wrote to the disk: what the disk has is unknown then.
pub(in crate::ledger) fn is_sync_failure(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code.is_some_and(|code| [SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC].contains(&code))
}
