//! Schema versions: the steps that bring an older store up to date, each whole or not at all.
//!
//! A new step goes to the end of [`STEPS`], and the tables it leads to into `schema.rs`; a test
//! compares the two. Steps are never changed once they were released.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::draft::{self, Draft};
use super::error::OpenError;
use super::schema;
use crate::ledger::disk::files::beside;

/// Leads from one version to the next; runs inside a transaction.
pub(super) type Step = fn(&Connection) -> Result<(), OpenError>;

/// From version 1 to 2, from 2 to 3, and so on.
pub(super) const STEPS: [Step; 3] = [
    schema::add_store_id,
    schema::add_meters,
    schema::add_objects,
];

/// The version that `steps` lead to.
pub(super) const fn newest(steps: &[Step]) -> i64 {
    steps.len() as i64 + 1
}

/// Brings the store up to date. A store in a file is copied before, to a name beside it, so that
/// the program that wrote it can be gone back to.
///
/// # Errors
/// Where a step fails: the store then is as the last whole step left it.
pub(super) fn upgrade(
    connection: &Connection,
    file: Option<&Path>,
    steps: &[Step],
) -> Result<(), OpenError> {
    let to = newest(steps);
    let from = schema::version(connection, to)?;
    if from == to {
        return Ok(());
    }
    let copy = file.map(|file| keep(connection, file, from, to));
    let copy = copy.transpose()?;
    let copy = copy.as_deref().unwrap_or(Path::new("")).display();
    for version in from..to {
        let tx = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        step(&tx, steps, version)?;
        tx.commit()?;
    }
    tracing::info!(from, to, %copy, "the ledger's schema was brought up to date");
    Ok(())
}

/// Takes all steps inside the caller's transaction, which is not to be committed: how an older store
/// is read without changing it. Answers the version that the store has.
pub(super) fn preview(tx: &Transaction<'_>) -> Result<i64, OpenError> {
    let to = newest(&STEPS);
    let from = schema::version(tx, to)?;
    for version in from..to {
        step(tx, &STEPS, version)?;
    }
    Ok(from)
}

fn step(tx: &Transaction<'_>, steps: &[Step], from: i64) -> Result<(), OpenError> {
    let index = usize::try_from(from - 1).ok();
    let step = index.and_then(|index| steps.get(index));
    let step = step.ok_or(OpenError::Schema {
        found: from,
        known: newest(steps),
    })?;
    let to = from + 1;
    let done = step(tx).and_then(|()| Ok(schema::set_version(tx, to)?));
    done.map(drop).map_err(|error| OpenError::Migration {
        from,
        to,
        source: Box::new(error),
    })
}

/// Copies the store beside itself. The copy of an earlier try is replaced: the store was still of
/// that version.
fn keep(connection: &Connection, file: &Path, from: i64, to: i64) -> Result<PathBuf, OpenError> {
    let name = beside(file, &format!(".v{from}-before-v{to}"));
    for left in draft::left_over(&name) {
        tracing::warn!(path = %left.display(), "an unfinished copy was left behind: remove it");
    }
    let draft = Draft::create(&name)?;
    draft.give_to_owner_of(file)?;
    draft.copy(connection)?;
    draft.finish(&name)?;
    Ok(name)
}
