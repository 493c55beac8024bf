//! A store read from end to end, and summed by wallet.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Row};

use crate::ledger::audit::{Account, Findings, check_receipt};
use crate::ledger::embedded::rows;
use crate::ledger::embedded::tally;
use crate::ledger::grant::Grant;

/// What the store says at one moment, by wallet.
#[derive(Default)]
pub(in crate::ledger::embedded) struct Stored {
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) receipts: u64,
    pub(super) credits: u64,
    pub(super) findings: Findings,
    terms: HashMap<i64, Grant>,
}

impl Stored {
    /// Reads everything. Where others write, in a transaction that was begun before.
    pub fn read(connection: &Connection) -> Stored {
        let mut stored = Stored::default();
        stored.integrity(connection);
        stored.each(connection, "wallets", rows::WALLET, |stored, row| {
            let wallet = rows::wallet(row)?;
            let account = stored.account(wallet.id.as_str());
            account.row = Some(wallet);
            Ok(())
        });
        stored.each(connection, "entries", "wallet, amount", |stored, row| {
            let (wallet, amount): (String, i64) = (row.get(0)?, row.get(1)?);
            stored.credits += 1;
            stored.account(&wallet).credited += i128::from(amount);
            Ok(())
        });
        stored.each(connection, rows::GRANTS, rows::GRANT, |stored, row| {
            let (wallet, state) = rows::grant(row, &mut stored.terms)?;
            let name = state.grant.name.as_str().to_owned();
            stored.account(wallet.as_str()).grants.insert(name, state);
            Ok(())
        });
        stored.each(
            connection,
            "checkpoints",
            tally::CHECKPOINT,
            |stored, row| {
                let wallet: String = row.get(8)?;
                stored.account(&wallet).tally = tally::checkpoint(row)?;
                Ok(())
            },
        );
        stored.each(connection, "receipts", rows::RECEIPT, |stored, row| {
            let receipt = rows::receipt(row)?;
            stored.receipts += 1;
            check_receipt(&receipt, &mut stored.findings);
            stored.account(receipt.wallet.as_str()).tally.add(&receipt);
            Ok(())
        });
        stored
    }

    fn account(&mut self, wallet: &str) -> &mut Account {
        self.accounts.entry(wallet.to_owned()).or_default()
    }

    fn integrity(&mut self, connection: &Connection) {
        self.all(
            connection,
            "file",
            "PRAGMA integrity_check",
            |stored, row| {
                let line: String = row.get(0)?;
                if line != "ok" {
                    stored.findings.add(format!("the database file: {line}"));
                }
                Ok(())
            },
        );
    }

    fn each(&mut self, connection: &Connection, tables: &str, columns: &str, take: Take) {
        let table = tables.split(' ').next().unwrap_or(tables);
        let sql = format!("SELECT {columns} FROM {tables}");
        self.all(connection, &format!("table `{table}`"), &sql, take);
    }

    /// Takes every row. What cannot be read is a finding.
    fn all(&mut self, connection: &Connection, what: &str, sql: &str, take: Take) {
        let mut read = || {
            let mut statement = connection.prepare(sql)?;
            let mut found = statement.query([])?;
            while let Some(row) = found.next()? {
                if let Err(error) = take(self, row) {
                    let finding = format!("a row of the {what} cannot be read: {error}");
                    self.findings.add(finding);
                }
            }
            Ok::<(), rusqlite::Error>(())
        };
        if let Err(error) = read() {
            let finding = format!("the {what} cannot be read to its end: {error}");
            self.findings.add(finding);
        }
    }
}

type Take = fn(&mut Stored, &Row<'_>) -> rusqlite::Result<()>;
