//! A copy of a store in the making: under a name of its own until it is whole and on disk.

use std::fs::{DirEntry, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::error::OpenError;
use crate::ledger::disk::files::{give_owner, parent, private, sync_directory};

/// The end of the names of drafts; before it come the name that the copy is to get, and something random.
const END: &str = ".partial";
/// What SQLite adds for the journal of a copy that is being written.
const JOURNAL: &str = "-journal";
/// Digits of what is random in a name.
const RANDOM_DIGITS: usize = 16;

/// A file that only its owner can read. It is removed when dropped, and appears under its real name
/// with [`Draft::finish`] or [`Draft::finish_new`].
pub(super) struct Draft {
    path: PathBuf,
    /// Locked as long as somebody works on it.
    file: File,
    renamed: bool,
}

impl Draft {
    /// An empty draft of what is to be `name`, beside it, under a name that nothing had.
    pub fn create(name: &Path) -> Result<Draft, OpenError> {
        let (folder, file_name) = split(name)?;
        let random = getrandom::u64().map_err(|error| OpenError::Randomness(error.to_string()))?;
        let path = folder.join(format!(
            "{}{random:0RANDOM_DIGITS$x}{END}",
            prefix(&file_name)
        ));
        // Never a file or a link that somebody else put there.
        let file = private()
            .create_new(true)
            .open(&path)
            .map_err(OpenError::io("create the file", &path))?;
        let draft = Draft {
            path,
            file,
            renamed: false,
        };
        // Nobody has it longer than a look takes: see `left_over`.
        let locked = draft.file.lock();
        locked.map_err(OpenError::io("lock", &draft.path))?;
        Ok(draft)
    }

    /// Makes it a file of whoever owns `like`, or its directory where that is not there.
    pub fn give_to_owner_of(&self, like: &Path) -> Result<(), OpenError> {
        Ok(give_owner(&self.file, &self.path, like)?)
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
        // A journal in a file would be left behind by a process that is killed.
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
        self.sync()?;
        self.rename(name)
    }

    /// Makes it durable, then gives it its name. Answers false, and may be asked for another name,
    /// where something has that one.
    pub fn finish_new(&mut self, name: &Path) -> Result<bool, OpenError> {
        self.sync()?;
        match std::fs::hard_link(&self.path, name) {
            // The first name goes with the draft.
            Ok(()) => Ok(sync_directory(parent(name)).map(|()| true)?),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            // A file system without second names: it cannot look and rename in one step.
            Err(_) if name.symlink_metadata().is_ok() => Ok(false),
            Err(_) => self.rename(name).map(|()| true),
        }
    }

    fn sync(&self) -> Result<(), OpenError> {
        self.file
            .sync_all()
            .map_err(OpenError::io("sync the file", &self.path))
    }

    fn rename(&mut self, name: &Path) -> Result<(), OpenError> {
        std::fs::rename(&self.path, name).map_err(OpenError::io("write to", name))?;
        self.renamed = true;
        Ok(sync_directory(parent(name))?)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.renamed
            && is_at(&self.file, &self.path)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "an unfinished copy is left behind");
        }
    }
}

/// What killed processes left of their drafts of `name`. It is told of and not removed: a name alone
/// does not prove whose a file is.
pub(super) fn left_over(name: &Path) -> Vec<PathBuf> {
    let Ok((folder, file_name)) = split(name) else {
        return Vec::new();
    };
    // A folder that may be written to but not listed tells nothing.
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Vec::new();
    };
    let prefix = prefix(&file_name);
    let draft_of = |name: &str| {
        let name = name.strip_suffix(JOURNAL).unwrap_or(name);
        let random = name.strip_prefix(&prefix)?.strip_suffix(END)?;
        let is_random = |it: &str| it.bytes().all(|byte| byte.is_ascii_hexdigit());
        (random.len() == RANDOM_DIGITS && is_random(random)).then(|| folder.join(name))
    };
    let is_nobodys = |entry: &DirEntry| {
        let draft = entry.file_name().to_str().and_then(draft_of);
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        is_file
            && draft.is_some_and(|draft| match File::open(draft) {
                Ok(file) => file.try_lock_shared().is_ok(),
                Err(error) => error.kind() == ErrorKind::NotFound,
            })
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(is_nobodys)
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// The real name of the folder that `name` is in, and the name there.
fn split(name: &Path) -> Result<(PathBuf, String), OpenError> {
    let folder = parent(name);
    let folder = folder
        .canonicalize()
        .map_err(OpenError::io("find the directory", folder))?;
    let file_name = name
        .file_name()
        .ok_or_else(|| OpenError::io("write to", name)(ErrorKind::IsADirectory.into()))?;
    Ok((folder, file_name.to_string_lossy().into_owned()))
}

fn prefix(file_name: &str) -> String {
    format!(".{file_name}.")
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let name = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
    let (here, there) = (file.metadata(), path.symlink_metadata());
    matches!((here, there), (Ok(here), Ok(there)) if name(&here) == name(&there))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}
