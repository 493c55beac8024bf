//! The audit of a store that is in use: one partition after the other, each wallet as it stood at one moment, with
//! the receipts that there were at that moment. Nothing is folded in a partition while its receipts are read.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use super::super::Redis;
use super::super::hold::{Args, Call, request_of};
use super::super::layout::{Partition, request_hex};
use super::super::record::Record;
use super::super::reply::{self, malformed};
use super::account::{CREDITS_MAX, Standing};
use super::directory::Booked;
use super::pages::{Kept, PAGE_MAX, Pages, Place, Span};
use crate::clock::UnixMs;
use crate::ledger::audit::{Account, Findings, check_account, check_receipt};
use crate::ledger::book::Credits;
use crate::ledger::hold::HoldRef;
use crate::ledger::id::{RequestId, WalletId};
use crate::ledger::tally::{Sum, Tally};
use crate::ledger::{AuditReport, LedgerError};

/// How many wallets are read at a time.
const WALLETS_AT_ONCE: usize = 16;
/// For how long nothing is folded, and when this is asked again.
const STILL_MS: u64 = 30_000;
const STILL_AGAIN: Duration = Duration::from_secs(5);
/// How often a partition is read anew because something was folded all the same, or a wallet because it was credited.
const TRIES: usize = 5;

impl Redis {
    /// Checks everything that can be summed anew, and repairs the directory.
    pub(in super::super) async fn check(&self) -> Result<AuditReport, LedgerError> {
        let mut report = AuditReport::default();
        let mut findings = Findings::default();
        let mut leases = HashSet::new();
        for partition in Partition::all() {
            let part = self.check_partition(partition).await?;
            report.wallets += part.wallets;
            report.receipts += part.receipts;
            report.credits += part.credits;
            report.live_holds += part.leases.len() as u64;
            leases.extend(part.leases);
            part.findings
                .into_iter()
                .for_each(|finding| findings.add(finding));
        }
        for finding in self.strays(&leases).await? {
            findings.add(finding);
        }
        report.findings = findings.list();
        Ok(report)
    }

    async fn check_partition(&self, partition: Partition) -> Result<Part, LedgerError> {
        for _ in 0..TRIES {
            let found = self.try_partition(partition).await;
            self.still(partition, 0).await?;
            if let Some(part) = found? {
                return Ok(part);
            }
        }
        Err(LedgerError::Unavailable(format!(
            "the receipts of partition {} are being folded all the time: try again",
            partition.number()
        )))
    }

    /// One try; `None` where something was folded meanwhile.
    async fn try_partition(&self, partition: Partition) -> Result<Option<Part>, LedgerError> {
        let began = self.still(partition, STILL_MS).await?;
        let mut part = Part::default();
        let number = partition.number();
        for suspended in &began.suspended {
            part.findings.push(format!(
                "partition {number}: a journalled change could not be carried out: {suspended}"
            ));
        }
        if began.wallets.is_empty() && began.last == Place::default() {
            return Ok(Some(part));
        }
        let mut accounts = BTreeMap::new();
        let mut asked = Instant::now();
        for some in began.wallets.chunks(WALLETS_AT_ONCE) {
            let read = some.iter().map(|wallet| self.account(partition, wallet));
            for (wallet, standing) in some.iter().zip(try_join_all(read).await?) {
                accounts.insert(wallet.as_str().to_owned(), standing);
            }
            self.still_again(partition, &mut asked).await?;
        }
        let span = Span {
            phases: true,
            ..Span::default()
        };
        let until = accounts.values().map(|(standing, _)| standing.last);
        let until = until.max().unwrap_or(began.last).max(began.last);
        let mut pages = Pages::new(self, partition, span, PAGE_MAX);
        while let Some(page) = pages.next().await? {
            for kept in &page {
                part.take(kept, began.last, &mut accounts);
            }
            if page.last().is_some_and(|kept| kept.place >= until) {
                break;
            }
            self.still_again(partition, &mut asked).await?;
        }
        if self.still(partition, STILL_MS).await?.folds != began.folds {
            return Ok(None);
        }
        for (wallet, (standing, credits)) in accounts {
            part.close(&wallet, standing, &credits);
        }
        Ok(Some(part))
    }

    /// A wallet with its credits, both of the same moment.
    async fn account(
        &self,
        partition: Partition,
        wallet: &WalletId,
    ) -> Result<(Standing, Credits), LedgerError> {
        for _ in 0..TRIES {
            let mut standing = self.standing(partition, wallet).await?;
            let mut faults = Vec::new();
            let mut booked = Booked::default();
            if standing.credits <= CREDITS_MAX {
                self.check_credits(wallet, &standing.entries, &mut booked, &mut faults)
                    .await?;
            } else {
                booked = self.all_credits(wallet, &mut faults).await?;
            }
            let Some(credits) = booked.first(standing.credits, standing.now) else {
                continue;
            };
            self.check_keys(wallet, &standing.keys, &mut faults).await?;
            standing.faults.extend(faults);
            standing.account.credited = credits.all;
            return Ok((standing, credits));
        }
        Err(LedgerError::Unavailable(format!(
            "wallet {wallet} is being credited all the time: try again"
        )))
    }

    async fn still_again(
        &self,
        partition: Partition,
        asked: &mut Instant,
    ) -> Result<(), LedgerError> {
        if asked.elapsed() >= STILL_AGAIN {
            self.still(partition, STILL_MS).await?;
            *asked = Instant::now();
        }
        Ok(())
    }

    /// Keeps folding out of a partition for so long; 0 lets it in again.
    async fn still(&self, partition: Partition, for_ms: u64) -> Result<Still, LedgerError> {
        let layout = &self.layout;
        let mut args = Args::default();
        args.number(for_ms);
        let call = Call {
            keys: vec![
                layout.meta(partition),
                layout.receipts(partition),
                layout.wallets(partition),
                layout.suspense(partition),
            ],
            args: args.0,
        };
        let reply = self.call(partition, &self.scripts.still, call).await?;
        let wallets = reply
            .texts(3)?
            .into_iter()
            .map(|id| id.parse().map_err(|_| malformed()));
        Ok(Still {
            folds: reply.number(1)?,
            last: Place::read(reply.text(2)?).ok_or_else(malformed)?,
            wallets: wallets.collect::<Result<_, _>>()?,
            suspended: reply.texts(4)?.into_iter().map(str::to_owned).collect(),
        })
    }

    /// Requests that are live, and of which no lease is known: nothing would ever release them.
    async fn strays(&self, leases: &HashSet<RequestId>) -> Result<Vec<String>, LedgerError> {
        let (before, after) = self.layout.all_requests();
        let mut suspects = Vec::new();
        for mut scan in self.link.scans(&format!("{before}*{after}*")) {
            while let Some(keys) = scan.next().await? {
                let answers = self.ask(first_letters(&keys)).await?;
                for (key, answer) in keys.into_iter().zip(&answers) {
                    let request = key.rsplit(':').next().and_then(|hex| request_of(hex).ok());
                    let is_live = reply::text(answer) == Some("L");
                    if is_live && request.is_none_or(|request| !leases.contains(&request)) {
                        suspects.push((key, request));
                    }
                }
            }
        }
        let mut findings = Vec::new();
        for (key, request) in suspects {
            findings.extend(self.stray(&key, request).await?);
        }
        Ok(findings)
    }

    /// What is wrong with a live request without a lease, if it still is one.
    async fn stray(
        &self,
        key: &str,
        request: Option<RequestId>,
    ) -> Result<Option<String>, LedgerError> {
        let get = || {
            let mut get = ::redis::cmd("GET");
            get.arg(key);
            get
        };
        let Some(request) = request else {
            return Ok(Some(format!("{key} is live and is no request")));
        };
        let Some(text) = self
            .ask_text(get())
            .await?
            .filter(|text| text.starts_with('L'))
        else {
            return Ok(None);
        };
        // The record says by which key, and the directory whose key that is.
        let nobody: WalletId = "-".parse().map_err(|_| malformed())?;
        let id = HoldRef {
            wallet: nobody,
            request,
        };
        let Some(record) = Record::read(id, text, UnixMs(0)) else {
            return Ok(Some(format!("the record of {request} cannot be read")));
        };
        let Some(wallet) = self.owner(&record.request.key).await? else {
            return Ok(Some(format!(
                "{request} is live, and its key is of no wallet"
            )));
        };
        let mut lease = ::redis::cmd("ZSCORE");
        lease.arg(self.layout.leases(Partition::of(&wallet), &wallet));
        lease.arg(request_hex(request));
        if self.ask_text(lease).await?.is_some() {
            return Ok(None);
        }
        // It got its lease when it became live, and loses it when it ends: live before and after, it had none.
        let still = self
            .ask_text(get())
            .await?
            .is_some_and(|text| text.starts_with('L'));
        Ok(still.then(|| format!("wallet {wallet}: {request} is live without a lease")))
    }
}

fn first_letters(keys: &[String]) -> Vec<::redis::Cmd> {
    let first = |key| {
        let mut get = ::redis::cmd("GETRANGE");
        get.arg(key).arg(0).arg(0);
        get
    };
    keys.iter().map(first).collect()
}

/// A partition as a fold cannot change it.
struct Still {
    folds: u64,
    last: Place,
    wallets: Vec<WalletId>,
    suspended: Vec<String>,
}

/// What was found in one partition.
#[derive(Default)]
struct Part {
    wallets: u64,
    receipts: u64,
    credits: u64,
    leases: Vec<RequestId>,
    findings: Vec<String>,
    seen: HashSet<RequestId>,
}

impl Part {
    /// Adds a receipt to its wallet, if it was there when the wallet was read. `last`: the last one that there
    /// was when wallets were listed.
    fn take(
        &mut self,
        kept: &Kept,
        last: Place,
        accounts: &mut BTreeMap<String, (Standing, Credits)>,
    ) {
        let known = accounts.get_mut(&kept.wallet);
        let until = known.as_ref().map_or(last, |(standing, _)| standing.last);
        if kept.place > until {
            return;
        }
        self.receipts += 1;
        let (wallet, place) = (&kept.wallet, kept.place);
        let Ok(receipt) = kept.receipt() else {
            let finding = format!("wallet {wallet}: its receipt at {place} cannot be read");
            return self.findings.push(finding);
        };
        let mut findings = Findings::default();
        check_receipt(&receipt, &mut findings);
        self.findings.extend(findings.list());
        let id = receipt.request_id;
        if !self.seen.insert(id) {
            self.findings
                .push(format!("wallet {wallet}: {id} was charged twice"));
        }
        let also = match &*kept.phase {
            "" | "S" => None,
            "V" => Some("voided"),
            "P" => Some("lapsed"),
            _ => Some("live"),
        };
        if let Some(also) = also {
            self.findings.push(format!(
                "wallet {wallet}: {id} was charged, and is {also} as well"
            ));
        }
        match known {
            Some((standing, _)) => standing.account.tally.add(&receipt),
            None => {
                accounts.entry(kept.wallet.clone()).or_default();
            }
        }
    }

    /// Compares what was read of a wallet.
    fn close(&mut self, wallet: &str, standing: Standing, credits: &Credits) {
        let mut findings = Findings::default();
        let account = &standing.account;
        self.wallets += 1;
        self.credits += standing.credits;
        for fault in standing
            .faults
            .iter()
            .cloned()
            .chain(standing.held_faults(credits))
        {
            findings.add(format!("wallet {wallet}: {fault}"));
        }
        check_account(wallet, account, &mut findings);
        if let Some(totals) = &standing.totals
            && *totals != account.tally
        {
            findings.add(totals_differ(wallet, totals, account));
        }
        self.findings.extend(findings.list());
        self.leases.extend(standing.leases);
    }
}

fn totals_differ(wallet: &str, totals: &Tally, account: &Account) -> String {
    let receipts = &account.tally;
    format!(
        "wallet {wallet}: its totals by day come to {} requests charged {}, but its receipts to {} charged {}",
        totals.receipts,
        Sum(totals.charged),
        receipts.receipts,
        Sum(receipts.charged),
    )
}
