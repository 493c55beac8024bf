//! Putting a backup in the place of a store: looked at first, then swapped, so that at every moment
//! either the old store or the new one is there, whole.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};
use serde::Serialize;

use super::draft::{self, Draft};
use super::error::OpenError;
use super::holdings::Holdings;
use super::migrate::{self, STEPS, newest};
use super::open;
use super::{audit, schema};
use crate::clock::{Clock, UnixMs};
use crate::ledger::AuditReport;
use crate::ledger::disk::files::{self, beside};
use crate::ledger::disk::lock::StoreLock;
use crate::ledger::tally::Sum;

/// Why a backup cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup cannot be read.
    #[error("the backup {path} cannot be used: {source}", path = .path.display())]
    Backup {
        /// The backup.
        path: PathBuf,
        /// What is wrong with it.
        source: OpenError,
    },
    /// Nothing is there.
    #[error("there is no backup at {path}", path = .0.display())]
    NoBackup(PathBuf),
    /// The backup is damaged.
    #[error("the backup {path} is damaged", path = .path.display())]
    Damaged {
        /// The backup.
        path: PathBuf,
        /// Everything that was found.
        findings: Vec<String>,
    },
    /// A store restored from itself.
    #[error("{path} is the ledger itself, or one of its files: name a backup", path = .0.display())]
    Itself(PathBuf),
    /// The place of the store cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
}

/// A backup that was audited and copied beside the place it is to take. Dropped, it changes nothing.
pub struct Replacement {
    /// What the backup holds.
    pub backup: Holdings,
    /// What its audit found; empty.
    pub report: AuditReport,
    /// The store that is there now.
    pub present: Present,
    /// Unfinished copies beside it, of processes that were killed.
    pub left_over: Vec<PathBuf>,
    /// The store's place, by its real name.
    path: PathBuf,
    draft: Draft,
    /// Nobody opens the store meanwhile.
    _lock: StoreLock,
}

/// What is in the place of the store.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Present {
    /// Nothing.
    Nothing,
    /// A store, and what it has that the backup lacks.
    Store {
        /// What it holds.
        holdings: Holdings,
        /// What goes with it.
        lost: Lost,
    },
    /// A file that cannot be read, and why.
    Unreadable(String),
}

/// What the present store has beyond the backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// Requests that were charged.
    pub receipts: u64,
    /// What they were charged.
    pub charged: Sum,
    /// Credits.
    pub credits: u64,
    /// What these come to.
    pub credited: Sum,
    /// Keys that were made, changed or revoked.
    pub keys: u64,
}

impl Replacement {
    /// Takes the store's lock, audits the backup at `file`, and copies it beside `store`, whose directory
    /// is made where it is missing.
    ///
    /// # Errors
    /// Where a process has the store open, where the backup cannot be read, or where anything in it
    /// does not add up; see [`RestoreError`].
    pub fn prepare(file: &Path, store: &Path) -> Result<Replacement, RestoreError> {
        let unusable = |source: OpenError| RestoreError::Backup {
            path: file.to_owned(),
            source,
        };
        let real = match files::real_name(file).map_err(|error| unusable(error.into()))? {
            Some(real) => real,
            None => return Err(RestoreError::NoBackup(file.to_owned())),
        };
        let path = place(store)?;
        if files::own_files(&path).contains(&real) {
            return Err(RestoreError::Itself(file.to_owned()));
        }
        let lock = StoreLock::take(&path).map_err(OpenError::from)?;
        let source = open::connect_reader(&real).map_err(|error| unusable(error.into()))?;
        let draft = Draft::create(&path)?;
        draft.give_to_owner_of(&path)?;
        let (report, backup) = match copy_and_audit(&source, &draft) {
            Ok((report, backup)) if report.findings.is_empty() => (report, backup),
            Ok((report, _)) => return Err(damaged(file, report.findings)),
            Err(error) if is_corrupt(&error) => {
                return Err(damaged(file, audit::findings_of(&source)));
            }
            Err(error @ OpenError::Copy { .. }) => return Err(error.into()),
            Err(error) => return Err(unusable(error)),
        };
        drop(source);
        let present = Present::of(&path, draft.path(), &backup);
        Ok(Replacement {
            backup,
            report,
            present,
            left_over: draft::left_over(&path),
            path,
            draft,
            _lock: lock,
        })
    }

    /// Whether a file is at `store`, sound or not.
    ///
    /// # Errors
    /// Where no store can be there: at a device, or behind a link that leads nowhere.
    pub fn has_place_taken(store: &Path) -> Result<bool, OpenError> {
        Ok(files::real_name(store)?.is_some())
    }

    /// Where the store is, by its real name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the backup in the store's place. What was there is kept under another name, which is answered.
    ///
    /// # Errors
    /// Where the file system refuses: then the store that was there is still there.
    pub fn put(self) -> Result<Option<PathBuf>, OpenError> {
        let kept = match self.present {
            Present::Nothing => None,
            Present::Store { .. } => {
                settle(&self.path)?;
                Some(keep(&self.path)?)
            }
            Present::Unreadable(_) => Some(keep(&self.path)?),
        };
        self.draft.finish(&self.path)?;
        Ok(kept)
    }
}

impl Present {
    /// `copy` is the backup, beside.
    fn of(path: &Path, copy: &Path, backup: &Holdings) -> Present {
        if !path.exists() {
            return Present::Nothing;
        }
        match compare(path, copy, backup) {
            Ok((holdings, lost)) => Present::Store { holdings, lost },
            Err(error) => Present::Unreadable(error.to_string()),
        }
    }
}

fn compare(path: &Path, copy: &Path, backup: &Holdings) -> Result<(Holdings, Lost), OpenError> {
    // One that is broken stays as it is: a connection that can write might throw its log away.
    schema::version(&open::connect_reader(path)?, newest(&STEPS))?;
    let connection = open::connect_plainly(path)?;
    let copy = copy.to_str();
    let copy = copy.ok_or_else(|| rusqlite::Error::InvalidPath(path.to_owned()))?;
    connection.execute("ATTACH ?1 AS backup", [copy])?;
    let tx = connection.unchecked_transaction()?;
    let version = migrate::preview(&tx)?;
    let present = Holdings::read(&tx, version)?;
    let same = present.store_id == backup.store_id;
    let keys = match same {
        true => changed_keys(&tx)?,
        false => present.keys,
    };
    // Of another store, all is lost.
    let beyond = |here: u64, there: u64| here.saturating_sub(if same { there } else { 0 });
    let more = |count: u64, here: Sum, there: Sum| match (count, same) {
        (0, _) => Sum::default(),
        (_, true) => Sum(here.0 - there.0),
        (_, false) => here,
    };
    let receipts = beyond(present.receipts, backup.receipts);
    let credits = beyond(present.credits, backup.credits);
    let lost = Lost {
        receipts,
        charged: more(receipts, present.charged, backup.charged),
        credits,
        credited: more(credits, present.credited, backup.credited),
        keys,
    };
    Ok((present, lost))
}

fn changed_keys(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row(
        "SELECT count(*) FROM main.keys AS here LEFT JOIN backup.keys AS there USING (id)
         WHERE there.record IS NOT here.record",
        [],
        |row| super::rows::count(row, 0),
    )
}

/// Gives the store another name beside its own, which it keeps until the backup takes it.
fn keep(path: &Path) -> Result<PathBuf, OpenError> {
    let now = Clock::system(UnixMs(0)).now().timestamp();
    let kept = beside(
        path,
        &format!(".before-restore-{}", now.strftime("%Y%m%dT%H%M%S%.3fZ")),
    );
    link(path, &kept)?;
    let logs = ["-wal", "-shm"].map(|end| (beside(path, end), beside(&kept, end)));
    let logs: Vec<_> = logs.iter().filter(|(log, _)| log.exists()).collect();
    for (log, kept) in &logs {
        link(log, kept)?;
    }
    files::sync_directory(files::parent(path))?;
    // SQLite would take them for logs of the new file.
    for (log, _) in &logs {
        std::fs::remove_file(log).map_err(OpenError::io("remove", log))?;
    }
    files::sync_directory(files::parent(path))?;
    Ok(kept)
}

/// Empties a store's log into its file, which then is the whole store.
fn settle(path: &Path) -> rusqlite::Result<()> {
    let connection = open::connect_plainly(path)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// A second name for a file; a copy where the file system has none.
fn link(file: &Path, name: &Path) -> Result<(), OpenError> {
    let linked = std::fs::hard_link(file, name).or_else(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return Err(error);
        }
        let mut copy = files::private().create_new(true).open(name)?;
        std::io::copy(&mut std::fs::File::open(file)?, &mut copy)?;
        copy.sync_all()?;
        files::give_owner(&copy, name, file).map_err(std::io::Error::other)
    });
    linked.map_err(OpenError::io("keep the present store as", name))
}

/// The real name of the store; its directory is made where it is missing.
fn place(store: &Path) -> Result<PathBuf, OpenError> {
    if let Some(real) = files::real_name(store)? {
        return Ok(real);
    }
    let folder = files::parent(store);
    files::make_directory(folder)?;
    let folder = folder
        .canonicalize()
        .map_err(OpenError::io("find the directory", folder))?;
    let name = store.file_name();
    let name = name
        .ok_or_else(|| OpenError::io("write to", store)(std::io::ErrorKind::IsADirectory.into()))?;
    Ok(folder.join(name))
}

/// Fills the draft, and makes it a store like any other.
fn copy_and_audit(
    source: &Connection,
    draft: &Draft,
) -> Result<(AuditReport, Holdings), OpenError> {
    schema::version(source, newest(&STEPS))?;
    draft.copy(source)?;
    let copy = draft.connect()?;
    let found = audit::examine(&copy)?;
    schema::forget_taken_at(&copy)?;
    Ok(found)
}

fn is_corrupt(error: &OpenError) -> bool {
    let (OpenError::Sqlite(error) | OpenError::Copy { source: error, .. }) = error else {
        return false;
    };
    error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

fn damaged(file: &Path, findings: Vec<String>) -> RestoreError {
    RestoreError::Damaged {
        path: file.to_owned(),
        findings,
    }
}
