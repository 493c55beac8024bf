//! A copy of a store in the making: under a name of its own until it is whole and on disk.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::error::OpenError;
use super::files::{beside, parent, private, sync_directory};

/// A file that only its owner can read. It is removed when dropped, and appears under its real name
/// with [`Draft::finish`].
pub(super) struct Draft {
    path: PathBuf,
    /// Locked: nobody else writes a copy to the same place meanwhile.
    file: File,
    finished: bool,
}

impl Draft {
    /// An empty draft of what is to be `name`, beside it. What a killed process left there is reused.
    pub fn create(name: &Path) -> Result<Draft, OpenError> {
        let folder = parent(name);
        let folder = folder
            .canonicalize()
            .map_err(OpenError::io("find the directory", folder))?;
        let file_name = name.file_name().ok_or_else(|| {
            OpenError::io("write to", name)(std::io::ErrorKind::IsADirectory.into())
        })?;
        let path = beside(&folder.join(file_name), ".partial");
        loop {
            let file = private()
                .open(&path)
                .map_err(OpenError::io("create the file", &path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(OpenError::DraftInUse(path)),
                Err(TryLockError::Error(error)) => {
                    return Err(OpenError::io("lock", &path)(error));
                }
            }
            // Whoever had the lock before may have given this file its real name: then it is theirs.
            if is_at(&file, &path) {
                empty(&file).map_err(OpenError::io("empty the file", &path))?;
                return Ok(Draft {
                    path,
                    file,
                    finished: false,
                });
            }
        }
    }

    /// Copies a store as it is at one moment, whatever is written to it meanwhile. Free pages stay behind.
    pub fn copy(&self, source: &Connection) -> Result<(), OpenError> {
        let failed = |source| OpenError::Copy {
            to: self.path.clone(),
            source,
        };
        let path = self.path.to_str();
        let path = path.ok_or_else(|| failed(rusqlite::Error::InvalidPath(self.path.clone())))?;
        source.execute("VACUUM INTO ?1", [path]).map_err(failed)?;
        Ok(())
    }

    /// A connection to the draft. What it writes is safe once the draft is finished, not before.
    pub fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        // A journal in a file could outlive this process and be taken for the next draft's.
        connection.pragma_update_and_check(None, "journal_mode", "memory", |_| Ok(()))?;
        Ok(connection)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    pub fn size(&self) -> Result<u64, OpenError> {
        let metadata = self.file.metadata();
        let metadata = metadata.map_err(OpenError::io("look at", &self.path))?;
        Ok(metadata.len())
    }

    /// Makes it durable, then gives it its name, in place of any file that has it.
    pub fn finish(mut self, name: &Path) -> Result<(), OpenError> {
        self.file
            .sync_all()
            .map_err(OpenError::io("sync the file", &self.path))?;
        std::fs::rename(&self.path, name).map_err(OpenError::io("write to", name))?;
        self.finished = true;
        sync_directory(parent(name))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "an unfinished copy is left behind");
        }
    }
}

/// What somebody left there may be readable by others.
fn empty(file: &File) -> std::io::Result<()> {
    file.set_len(0)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(())
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let name = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let (here, there) = (file.metadata(), std::fs::metadata(path));
    here.ok().map(name) == there.ok().map(name)
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}
