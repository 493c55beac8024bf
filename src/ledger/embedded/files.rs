//! The file system, as stores need it: private files, directories that survive power loss.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::OpenError;

/// Options for a file that nobody else may read: digests and their pepper lie in it. Whether it may be
/// there already is for the caller to say.
pub(super) fn private() -> std::fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The real name of the file at `path`; none where nothing is.
pub(super) fn real_name(path: &Path) -> Result<Option<PathBuf>, OpenError> {
    match path.canonicalize() {
        Ok(real) if real.is_file() => Ok(Some(real)),
        Ok(real) => Err(OpenError::NotAFile(real)),
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(OpenError::io("find the file", path)(error))
        }
        Err(_) if path.is_symlink() => Err(OpenError::Dangling(path.to_owned())),
        Err(_) => Ok(None),
    }
}

/// The real name of the store at `path`, which is there.
pub(super) fn existing(path: &Path) -> Result<PathBuf, OpenError> {
    real_name(path)?.ok_or_else(|| OpenError::Missing(path.to_owned()))
}

/// The directory that a file is in.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a directory and those above it, so that they survive power loss.
pub(super) fn make_directory(path: &Path) -> Result<(), OpenError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent(path);
    make_directory(parent)?;
    std::fs::create_dir(path).map_err(OpenError::io("create the directory", path))?;
    let made = File::open(path).map_err(OpenError::io("open the directory", path))?;
    give_owner(&made, path, parent)?;
    sync_directory(parent)
}

/// Makes durable which files a directory has, and their names.
pub(super) fn sync_directory(path: &Path) -> Result<(), OpenError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(OpenError::io("sync the directory", path))
}

/// Gives a new file or directory, which has or will have the name `path`, the owner and group of `like`, or of
/// its directory where it is not there: who opens the one has to be able to open the other, also where root
/// made it. Where no file says whose it is, only root gives: others can open what they made themselves.
///
/// # Errors
/// Where the owner is another user and this process may not give files away. A group that cannot be
/// given is no error: only the owner may read such files.
#[cfg(unix)]
pub(super) fn give_owner(file: &File, path: &Path, like: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let like = if like.exists() { like } else { parent(like) };
    let is = file.metadata().map_err(OpenError::io("look at", path))?;
    let should = std::fs::metadata(like).map_err(OpenError::io("look at", like))?;
    let (uid, gid) = (should.uid(), should.gid());
    if (is.uid(), is.gid()) == (uid, gid) || (should.is_dir() && is.uid() != 0) {
        return Ok(());
    }
    match fchown(file, Some(uid), Some(gid)) {
        Err(source) if is.uid() != uid => Err(OpenError::Owner {
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
pub(super) fn give_owner(_: &File, _: &Path, _: &Path) -> Result<(), OpenError> {
    Ok(())
}

/// `path` with `end` at the end of its name.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// The files of a store while it is open, by its real name: what must not be taken for a copy of it.
pub(super) fn own_files(store: &Path) -> [PathBuf; 4] {
    ["", "-wal", "-shm", ".lock"].map(|end| beside(store, end))
}
