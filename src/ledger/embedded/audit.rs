//! The audit: everything that a store keeps, summed anew and compared with what it says.

mod stored;

use std::path::Path;

use rusqlite::Connection;

use super::error::OpenError;
use super::holdings::Holdings;
use super::migrate;
use super::open;
use crate::clock::UnixMs;
use crate::ledger::AuditReport;
use crate::ledger::audit::{Account, Findings, check_account};
use crate::ledger::book::Book;
use crate::ledger::disk::lock::StoreLock;
use crate::ledger::wallet::WalletView;

pub(super) use self::stored::Stored;

/// Audits the store in a file that no process has open.
///
/// # Errors
/// Where the store cannot be opened at all; everything else is a finding.
pub fn audit_file(path: &Path) -> Result<AuditReport, OpenError> {
    let path = open::existing(path)?;
    let _lock = StoreLock::take(&path)?;
    let connection = open::connect_plainly(&path)?;
    let tx = connection.unchecked_transaction()?;
    migrate::preview(&tx)?;
    Ok(report(&tx))
}

/// Audits a store that nobody writes to, and says what it holds. One of an older version is read as
/// it would be once brought up to date, and stays as it is.
pub(super) fn examine(connection: &Connection) -> Result<(AuditReport, Holdings), OpenError> {
    let tx = connection.unchecked_transaction()?;
    let schema_version = migrate::preview(&tx)?;
    let report = report(&tx);
    Ok((report, Holdings::read(&tx, schema_version)?))
}

fn report(connection: &Connection) -> AuditReport {
    let book = match open::book(connection, None) {
        Ok((book, clock)) => BookState::of(&book, clock.now()),
        Err(error) => BookState::unreadable(&error),
    };
    compare(Stored::read(connection), book)
}

/// What can be found wrong with a file that cannot be copied.
pub(super) fn findings_of(connection: &Connection) -> Vec<String> {
    Stored::read(connection).findings.list()
}

/// What the book says at one moment.
pub(super) struct BookState {
    wallets: Vec<WalletView>,
    live_holds: u64,
    findings: Vec<String>,
}

impl BookState {
    fn unreadable(error: &OpenError) -> BookState {
        BookState {
            wallets: Vec::new(),
            live_holds: 0,
            findings: vec![error.to_string()],
        }
    }

    pub fn of(book: &Book, now: UnixMs) -> BookState {
        let ids = book.wallets();
        BookState {
            wallets: ids
                .into_iter()
                .filter_map(|id| book.wallet(now, &id))
                .collect(),
            live_holds: book.live_holds(),
            findings: book.check(),
        }
    }
}

/// Checks the store against itself and against the book, both as of the same operation.
pub(super) fn compare(stored: Stored, book: BookState) -> AuditReport {
    let Stored {
        accounts,
        receipts,
        credits,
        mut findings,
        ..
    } = stored;
    for (wallet, account) in &accounts {
        check_account(wallet, account, &mut findings);
    }
    for view in &book.wallets {
        match accounts.get(view.id.as_str()) {
            Some(account) => check_view(view, account, &mut findings),
            None => findings.add(format!("wallet {}: it is not in the store", view.id)),
        }
    }
    for finding in book.findings {
        findings.add(finding);
    }
    AuditReport {
        wallets: accounts.len() as u64,
        receipts,
        credits,
        live_holds: book.live_holds,
        findings: findings.list(),
    }
}

fn check_view(view: &WalletView, account: &Account, findings: &mut Findings) {
    let wallet = &view.id;
    if let Some(row) = &account.row {
        let money = [
            ("balance", view.balance, row.balance),
            ("credit line", view.credit_line, row.credit_line),
            ("credited total", view.credited, row.credited),
            ("charged total", view.charged, row.charged),
            ("shortfall total", view.shortfall, row.shortfall),
        ];
        for (what, here, there) in money {
            if here != there {
                findings.add(format!(
                    "wallet {wallet}: its {what} is {here} in memory, but {there} in the store"
                ));
            }
        }
    }
    for state in &view.grants {
        let name = &state.grant.name;
        let stored = account.grants.get(name.as_str()).map(|stored| stored.used);
        if stored != Some(state.used) {
            let stored = stored.map_or("nothing".to_owned(), |used| used.to_string());
            findings.add(format!(
                "wallet {wallet}: its grant {name} has {} used in memory, but {stored} in the store",
                state.used
            ));
        }
    }
}
