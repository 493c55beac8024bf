//! What the journal of a shared ledger adds to the page. Where there is none, nothing.

use std::fmt;

use super::writer::Writer;
use crate::ledger::JournalStats;

/// The names of all of it, as Prometheus reads them.
pub const JOURNAL: [&str; 6] = [
    "tollgate_ledger_journal_waiting",
    "tollgate_ledger_journal_oldest_waiting_seconds",
    "tollgate_ledger_journal_suspended",
    "tollgate_ledger_journal_replayed_total",
    "tollgate_ledger_recovering_partitions",
    "tollgate_ledger_offline_holds_total",
];

/// Writes it.
pub fn journal(stats: &JournalStats, page: &mut Writer<'_>) -> fmt::Result {
    page.gauge(
        "ledger_journal_waiting",
        "Acknowledged changes that the ledger's store has not applied yet",
        stats.waiting,
    )?;
    page.gauge_ms(
        "ledger_journal_oldest_waiting_seconds",
        "How long the oldest of them has waited; 0 where none waits",
        stats.oldest_waiting_ms,
    )?;
    page.gauge(
        "ledger_journal_suspended",
        "Changes of this journal that could not be applied; the audit lists them",
        stats.suspended,
    )?;
    page.counter(
        "ledger_journal_replayed",
        "Changes that were sent to the store again",
        stats.replayed,
    )?;
    page.gauge(
        "ledger_recovering_partitions",
        "Partitions that admit nothing until what they lost is replayed",
        stats.recovering,
    )?;
    page.counter(
        "ledger_offline_holds",
        "Requests admitted within offline allowances while the ledger was away",
        stats.offline,
    )
}
