//! A backup: a copy of a store as it is at one moment, taken beside a running server, and audited.

use std::path::{Path, PathBuf};

use super::draft::{self, Draft};
use super::error::OpenError;
use super::holdings::Holdings;
use super::migrate::{STEPS, newest};
use super::open;
use super::{audit, restore, schema};
use crate::clock::Clock;
use crate::ledger::AuditReport;
use crate::ledger::disk::files::{beside, own_files, parent};

/// A backup that was taken.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The file. Where the audit found something it ends with `.suspect`, and a number if there was one already.
    pub file: PathBuf,
    /// Unfinished copies beside it, of processes that were killed.
    pub left_over: Vec<PathBuf>,
    /// Its size in bytes.
    pub bytes: u64,
    /// What it holds.
    pub holdings: Holdings,
    /// What its audit found.
    pub report: AuditReport,
}

/// Why no backup was taken.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something has that name.
    #[error("{path} is there already: choose another name, or replace it with --force", path = .0.display())]
    Exists(PathBuf),
    /// A backup onto the store itself.
    #[error("{path} is the ledger itself, or one of its files: choose another name", path = .0.display())]
    Itself(PathBuf),
    /// A folder is no file.
    #[error("{path} is a directory: name a file in it", path = .0.display())]
    Directory(PathBuf),
    /// A link, a device or the like.
    #[error("{path} is no regular file, and is not replaced: choose another name", path = .0.display())]
    NotAFile(PathBuf),
    /// The store cannot be read, or the copy not written.
    #[error(transparent)]
    Store(#[from] OpenError),
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        BackupError::Store(error.into())
    }
}

/// Copies the store at `store` to `out`, as it is at one moment. Other processes may have it open:
/// they are not waited for, and do not wait. `out` appears once it was audited and is on disk, or
/// not at all; a backup whose audit found something is kept beside it as `out.suspect`,
/// which replaces nothing.
///
/// # Errors
/// Where there is no such store, or `out` cannot be written; see [`BackupError`].
pub fn backup(store: &Path, out: &Path, overwrite: bool) -> Result<Backup, BackupError> {
    let store = open::existing(store)?;
    vacant(&store, out, overwrite)?;
    let source = open::connect_reader(&store)?;
    schema::version(&source, newest(&STEPS))?;
    let mut draft = Draft::create(out)?;
    let taken_at = Clock::system(restore::latest(&source)?).now();
    draft.copy(&source)?;
    drop(source);
    let copy = draft.connect()?;
    schema::set_taken_at(&copy, taken_at)?;
    let (report, holdings) = audit::examine(&copy)?;
    drop(copy);
    let bytes = draft.size()?;
    let file = if !report.findings.is_empty() {
        set_aside(&mut draft, out)?
    } else if overwrite {
        // Again: reading a large store takes a while.
        vacant(&store, out, overwrite)?;
        draft.finish(out)?;
        out.to_owned()
    } else if draft.finish_new(out)? {
        out.to_owned()
    } else {
        return Err(BackupError::Exists(out.to_owned()));
    };
    Ok(Backup {
        file,
        left_over: draft::left_over(out),
        bytes,
        holdings,
        report,
    })
}

/// Gives a backup that does not add up the first free name of those that say so.
fn set_aside(draft: &mut Draft, out: &Path) -> Result<PathBuf, OpenError> {
    let first = beside(out, ".suspect");
    let more = (2_u64..).map(|number| beside(&first, &format!("-{number}")));
    for name in std::iter::once(first.clone()).chain(more) {
        if draft.finish_new(&name)? {
            return Ok(name);
        }
    }
    Err(OpenError::io("write to", &first)(
        std::io::ErrorKind::AlreadyExists.into(),
    ))
}

/// Refuses a name that a backup may not take.
fn vacant(store: &Path, out: &Path, overwrite: bool) -> Result<(), BackupError> {
    if out.is_dir() {
        return Err(BackupError::Directory(out.to_owned()));
    }
    // By its real name, were it there: a new file has one through its directory.
    let real = out.canonicalize().ok().or_else(|| {
        let folder = parent(out).canonicalize().ok()?;
        Some(folder.join(out.file_name()?))
    });
    if real.is_some_and(|real| own_files(store).contains(&real)) {
        return Err(BackupError::Itself(out.to_owned()));
    }
    match out.symlink_metadata() {
        // Of a link it would be unclear what is replaced: it, or what it leads to.
        Ok(found) if !found.is_file() => Err(BackupError::NotAFile(out.to_owned())),
        Ok(_) if !overwrite => Err(BackupError::Exists(out.to_owned())),
        _ => Ok(()),
    }
}
