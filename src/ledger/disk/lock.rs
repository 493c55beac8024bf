//! One process at a time: an OS lock beside the store's file. It names its holder and vanishes with it.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;

use super::error::FileError;
use super::files::{beside, give_owner, private};

/// More than any process writes into its lock file.
const SIGNATURE_MAX: u64 = 20;

/// Held as long as the store is open; dropping it lets the next process in.
#[derive(Debug)]
pub(in crate::ledger) struct StoreLock {
    _file: File,
}

impl StoreLock {
    /// Takes the lock of the store at `store`, or says who has it.
    pub fn take(store: &Path) -> Result<StoreLock, FileError> {
        let path = beside(store, ".lock");
        // What is signed is emptied first: not what a link leads to, nor what merely has the name.
        let mine = |found: std::fs::Metadata| found.is_file() && found.len() <= SIGNATURE_MAX;
        if path.symlink_metadata().is_ok_and(|found| !mine(found)) {
            return Err(FileError::NoLock(path));
        }
        let mut file = match private().create_new(true).open(&path) {
            Ok(new) => given(new, &path, store)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => private()
                .open(&path)
                .map_err(FileError::io("open the lock file", &path))?,
            Err(error) => return Err(FileError::io("create the lock file", &path)(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(FileError::InUse {
                    file: store.to_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => {
                return Err(FileError::io("lock", &path)(error));
            }
        }
        sign(&mut file).map_err(FileError::io("write to the lock file", &path))?;
        Ok(StoreLock { _file: file })
    }
}

/// A new lock file that whoever opens the store can open. One that is not would keep the server out.
fn given(file: File, path: &Path, store: &Path) -> Result<File, FileError> {
    if let Err(error) = give_owner(&file, path, store) {
        std::fs::remove_file(path).map_err(FileError::io("remove", path))?;
        return Err(error);
    }
    Ok(file)
}

fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The words for whoever has the lock; it may not have signed yet, and the file is anyone's to damage.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(SIGNATURE_MAX).read_to_string(&mut text);
    match text.trim().parse::<u32>() {
        Ok(pid) if read.is_ok() => format!("process {pid}"),
        _ => "another process".to_owned(),
    }
}
