//! The file system, as stores need it: private files, directories that survive power loss.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::FileError;

/// Options for a file that nobody else may read: digests and their pepper lie in it. Whether it may be
/// there already is for the caller to say.
pub(in crate::ledger) fn private() -> std::fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The real name of the file at `path`; none where nothing is.
pub(in crate::ledger) fn real_name(path: &Path) -> Result<Option<PathBuf>, FileError> {
    match path.canonicalize() {
        Ok(real) if real.is_file() => Ok(Some(real)),
        Ok(real) => Err(FileError::NotAFile(real)),
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(FileError::io("find the file", path)(error))
        }
        Err(_) if path.is_symlink() => Err(FileError::Dangling(path.to_owned())),
        Err(_) => Ok(None),
    }
}

/// Makes the file and its directories where they are missing, so that they survive power loss; answers its real name.
pub(in crate::ledger) fn make_file(path: &Path) -> Result<PathBuf, FileError> {
    if let Some(there) = real_name(path)? {
        return Ok(there);
    }
    make_directory(parent(path))?;
    private()
        .create(true)
        .open(path)
        .map_err(FileError::io("create the file", path))?;
    sync_directory(parent(path))?;
    real_name(path)?.ok_or_else(|| FileError::io("find the file", path)(ErrorKind::NotFound.into()))
}

/// The directory that a file is in.
pub(in crate::ledger) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a directory and those above it, so that they survive power loss.
pub(in crate::ledger) fn make_directory(path: &Path) -> Result<(), FileError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent(path);
    make_directory(parent)?;
    std::fs::create_dir(path).map_err(FileError::io("create the directory", path))?;
    let made = File::open(path).map_err(FileError::io("open the directory", path))?;
    give_owner(&made, path, parent)?;
    sync_directory(parent)
}

/// Makes durable which files a directory has, and their names.
pub(in crate::ledger) fn sync_directory(path: &Path) -> Result<(), FileError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(FileError::io("sync the directory", path))
}

/// Gives a new file or directory, which has or will have the name `path`, the owner and group of `like`, or of
/// its directory where it is not there: who opens the one has to be able to open the other, also where root
/// made it. Where no file says whose it is, only root gives: others can open what they made themselves.
///
/// # Errors
/// Where the owner is another user and this process may not give files away. A group that cannot be
/// given is no error: only the owner may read such files.
#[cfg(unix)]
pub(in crate::ledger) fn give_owner(
    file: &File,
    path: &Path,
    like: &Path,
) -> Result<(), FileError> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let like = if like.exists() { like } else { parent(like) };
    let is = file.metadata().map_err(FileError::io("look at", path))?;
    let should = std::fs::metadata(like).map_err(FileError::io("look at", like))?;
    let (uid, gid) = (should.uid(), should.gid());
    if (is.uid(), is.gid()) == (uid, gid) || (should.is_dir() && is.uid() != 0) {
        return Ok(());
    }
    match fchown(file, Some(uid), Some(gid)) {
        Err(source) if is.uid() != uid => Err(FileError::Owner {
            path: path.to_owned(),
            uid,
            gid,
            source,
        }),
        _ => Ok(()),
    }
}

/// Elsewhere the directory says who may open a file.
#[cfg(not(unix))]
pub(in crate::ledger) fn give_owner(_: &File, _: &Path, _: &Path) -> Result<(), FileError> {
    Ok(())
}

/// `path` with `end` at the end of its name.
pub(in crate::ledger) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// The files of a store while it is open, by its real name: what must not be taken for a copy of it.
pub(in crate::ledger) fn own_files(store: &Path) -> [PathBuf; 4] {
    ["", "-wal", "-shm", ".lock"].map(|end| beside(store, end))
}
