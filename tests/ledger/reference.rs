//! The specification as a ledger: the book in memory, with its receipts in a list.

#[path = "reference/objects.rs"]
mod objects;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tollgate::clock::{Clock, UnixMs};
use tollgate::ledger::book::{Book, Change};
use tollgate::ledger::credit::{Credited, Entry};
use tollgate::ledger::grant::GrantUnit;
use tollgate::ledger::hold::{Charge, Hold, HoldRef, Quote, Refusal, Settled};
use tollgate::ledger::id::{KeyDigest, KeyId, RequestId, WalletId};
use tollgate::ledger::key::{Freshness, Key};
use tollgate::ledger::object::{Object, ObjectQuery, ObjectRef};
use tollgate::ledger::receipt::{Receipt, ReceiptQuery, UsageRow};
use tollgate::ledger::wallet::{NewWallet, WalletView};
use tollgate::ledger::{Answer, AuditReport, Description, Ledger, LedgerError, Stats};
use tollgate::money::Nano;
use tollgate::usage::Usage;

use crate::kit::DAY_MS;
use objects::Objects;

/// A ledger that forgets nothing and is as slow as it is plain.
pub struct Reference {
    desk: Mutex<Desk>,
    clock: Clock,
}

#[derive(Default)]
struct Desk {
    book: Book,
    receipts: Vec<Arc<Receipt>>,
    /// What trimmed receipts come to, by wallet.
    folded: BTreeMap<WalletId, Sums>,
    prices: BTreeMap<String, String>,
    objects: Objects,
}

/// What receipts come to.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Sums {
    charged: i128,
    shortfall: i128,
    /// Tokens, images, requests, money.
    free: [i128; 4],
}

impl Reference {
    pub fn new(clock: Clock) -> Reference {
        Reference {
            desk: Mutex::default(),
            clock,
        }
    }

    /// One wallet as it stands.
    pub fn view(&self, wallet: &WalletId) -> Option<WalletView> {
        self.desk.lock().book.wallet(self.clock.now(), wallet)
    }

    fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Book, UnixMs, &mut Vec<Change>) -> Result<T, LedgerError>,
    ) -> Answer<'_, T> {
        let mut desk = self.desk.lock();
        let mut changes = Vec::new();
        let answer = change(&mut desk.book, self.clock.now(), &mut changes);
        for change in changes {
            if let Change::Receipt(receipt) = change {
                desk.objects.settled(&receipt.wallet, receipt.request_id);
                desk.receipts.push(receipt);
            }
        }
        said(answer)
    }

    fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&Desk, UnixMs) -> T) -> Answer<'_, T> {
        said(Ok(ask(&self.desk.lock(), self.clock.now())))
    }
}

fn said<T: Send + 'static>(answer: Result<T, LedgerError>) -> Answer<'static, T> {
    std::future::ready(answer).boxed()
}

impl Ledger for Reference {
    fn now(&self) -> UnixMs {
        self.clock.now()
    }

    fn ready(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    fn stats(&self) -> Stats {
        let desk = self.desk.lock();
        Stats {
            lapses: desk.book.lapses(),
            commits: 0,
            journal: None,
        }
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn digest(&self, secret: &str) -> KeyDigest {
        KeyDigest(Sha256::digest(secret).into())
    }

    fn key(&self, digest: KeyDigest, _: Freshness) -> Answer<'_, Option<Arc<Key>>> {
        self.ask(|desk, _| desk.book.key(&digest).cloned())
    }

    fn hold(&self, quote: Quote) -> Answer<'_, Result<Hold, Refusal>> {
        self.change(|book, now, _| Ok(book.hold(now, quote)))
    }

    fn adopt(&self, quote: Quote, held: Hold, held_at: UnixMs) -> Answer<'_, ()> {
        self.change(|book, now, _| {
            book.adopt(now, &quote, held, held_at);
            Ok(())
        })
    }

    fn settle(&self, hold: HoldRef, charge: Charge) -> Answer<'_, Settled> {
        self.change(|book, now, changes| book.settle(now, &hold, charge, changes))
    }

    fn void(&self, hold: HoldRef) -> Answer<'_, ()> {
        self.change(|book, now, _| book.void(now, &hold))
    }

    fn renew(&self, holds: Vec<HoldRef>, lease_ms: u64) -> Answer<'_, ()> {
        self.change(|book, now, _| {
            holds
                .iter()
                .for_each(|hold| book.renew(now, hold, lease_ms));
            Ok(())
        })
    }

    fn open_wallet(&self, wallet: NewWallet) -> Answer<'_, bool> {
        self.change(|book, now, changes| book.open_wallet(now, wallet, changes))
    }

    fn set_credit_line(&self, wallet: WalletId, line: Nano) -> Answer<'_, ()> {
        self.change(|book, now, changes| book.set_credit_line(now, &wallet, line, changes))
    }

    fn put_key(&self, key: Key, digest: KeyDigest) -> Answer<'_, Arc<Key>> {
        self.change(|book, _, changes| book.put_key(key, digest, changes))
    }

    fn edit_key(&self, key: Key) -> Answer<'_, Arc<Key>> {
        self.change(|book, _, changes| book.edit_key(key, changes))
    }

    fn revoke_key(&self, key: KeyId) -> Answer<'_, Arc<Key>> {
        self.change(|book, _, changes| book.revoke_key(&key, changes))
    }

    fn key_of(&self, _: WalletId, key: KeyId) -> Answer<'_, Option<Arc<Key>>> {
        self.ask(|desk, _| desk.book.key_of(&key).cloned())
    }

    fn keys(&self) -> Answer<'_, Vec<Arc<Key>>> {
        self.ask(|desk, _| desk.book.keys())
    }

    fn credit(&self, entry: Entry) -> Answer<'_, Credited> {
        self.change(|book, now, changes| book.credit(now, entry, changes))
    }

    fn wallet(&self, wallet: WalletId) -> Answer<'_, Option<WalletView>> {
        self.ask(|desk, now| desk.book.wallet(now, &wallet))
    }

    fn wallets(&self) -> Answer<'_, Vec<WalletId>> {
        self.ask(|desk, _| desk.book.wallets())
    }

    fn receipt(
        &self,
        request: RequestId,
        wallet: Option<WalletId>,
    ) -> Answer<'_, Option<Arc<Receipt>>> {
        self.ask(|desk, _| {
            let mut receipts = desk.receipts.iter();
            receipts
                .find(|receipt| receipt.request_id == request)
                .filter(|receipt| wallet.is_none_or(|wallet| wallet == receipt.wallet))
                .cloned()
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        async { Ok(()) }.boxed()
    }

    fn describe(&self) -> Description {
        Description {
            kind: "book",
            address: "memory".to_owned(),
        }
    }

    fn receipts(&self, query: ReceiptQuery) -> Answer<'_, Vec<Arc<Receipt>>> {
        self.ask(|desk, _| {
            let mut found = desk.matching(&query);
            found
                .sort_by_key(|receipt| std::cmp::Reverse((receipt.settled_at, receipt.request_id)));
            let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
            found.truncate(limit);
            found
        })
    }

    fn usage(&self, query: ReceiptQuery) -> Answer<'_, Vec<UsageRow>> {
        self.ask(|desk, _| usage_rows(&desk.matching(&query), query.utc_offset_minutes))
    }

    fn put_object(&self, object: Object, at_most: u32) -> Answer<'_, ()> {
        let mut desk = self.desk.lock();
        let now = self.clock.now();
        if let Err(error) = object.check() {
            return said(Err(error));
        }
        if desk.book.wallet(now, &object.wallet).is_none() {
            return said(Err(LedgerError::NotFound("no such wallet".to_owned())));
        }
        let request = object.pending.as_ref().map(|pending| pending.request);
        let settled = desk
            .receipts
            .iter()
            .any(|it| Some(it.request_id) == request && it.wallet == object.wallet);
        said(desk.objects.put(now, object, at_most, settled))
    }

    fn object(&self, name: ObjectRef) -> Answer<'_, Option<Object>> {
        self.ask(|desk, now| desk.objects.get(now, &name))
    }

    fn drop_object(&self, name: ObjectRef) -> Answer<'_, ()> {
        self.desk.lock().objects.drop(&name);
        said(Ok(()))
    }

    fn objects(&self, query: ObjectQuery) -> Answer<'_, Vec<Object>> {
        said(self.desk.lock().objects.list(self.clock.now(), &query))
    }

    fn pending_objects(&self, after: Option<ObjectRef>, limit: u32) -> Answer<'_, Vec<Object>> {
        self.ask(|desk, _| desk.objects.pending(after.as_ref(), limit))
    }

    fn keep_prices(&self, version: String, content: String) -> Answer<'_, ()> {
        self.desk.lock().prices.entry(version).or_insert(content);
        said(Ok(()))
    }

    fn trim_receipts(&self, before: UnixMs) -> Answer<'_, u64> {
        let mut desk = self.desk.lock();
        // Those that answer a repeated idempotency key stay.
        let claims_since = UnixMs(self.clock.now().0.saturating_sub_unsigned(DAY_MS));
        let goes = |receipt: &Arc<Receipt>| {
            receipt.settled_at < before
                && (receipt.idempotency.is_none() || receipt.settled_at < claims_since)
        };
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut desk.receipts)
            .into_iter()
            .partition(goes);
        desk.receipts = kept;
        for receipt in &gone {
            let wallet = receipt.wallet.clone();
            desk.folded.entry(wallet).or_default().add(receipt);
        }
        said(Ok(gone.len() as u64))
    }

    fn audit(&self) -> Answer<'_, AuditReport> {
        self.ask(|desk, now| AuditReport {
            wallets: desk.book.wallets().len() as u64,
            receipts: desk.receipts.len() as u64,
            credits: desk.book.entries().count() as u64,
            live_holds: desk.book.live_holds(),
            findings: desk.findings(now),
        })
    }
}

impl Desk {
    fn matching(&self, query: &ReceiptQuery) -> Vec<Arc<Receipt>> {
        let matches = |receipt: &&Arc<Receipt>| {
            query.wallet.as_ref().is_none_or(|id| receipt.wallet == *id)
                && query.key.as_ref().is_none_or(|id| receipt.key == *id)
                && query.from.is_none_or(|from| receipt.settled_at >= from)
                && query.to.is_none_or(|to| receipt.settled_at < to)
        };
        self.receipts.iter().filter(matches).cloned().collect()
    }

    /// The book's own check, and whether receipts come to what wallets and grants say.
    fn findings(&self, now: UnixMs) -> Vec<String> {
        let mut findings = self.book.check();
        let mut sums = self.folded.clone();
        for receipt in &self.receipts {
            sums.entry(receipt.wallet.clone()).or_default().add(receipt);
        }
        for id in self.book.wallets() {
            let Some(view) = self.book.wallet(now, &id) else {
                continue;
            };
            let summed = sums.remove(&id).unwrap_or_default();
            let kept = Sums::of(&view);
            if kept != summed {
                findings.push(format!("wallet {id}: {kept:?} are kept, {summed:?} summed"));
            }
        }
        findings
    }
}

impl Sums {
    fn of(view: &WalletView) -> Sums {
        let mut free = [0; 4];
        for state in &view.grants {
            free[place(state.grant.unit)] += i128::from(state.used);
        }
        Sums {
            charged: i128::from(view.charged.get()),
            shortfall: i128::from(view.shortfall.get()),
            free,
        }
    }

    fn add(&mut self, receipt: &Receipt) {
        self.charged += i128::from(receipt.charged.get());
        self.shortfall += i128::from(receipt.shortfall.get());
        for (unit, units) in [
            (GrantUnit::Tokens, receipt.free.tokens),
            (GrantUnit::Images, receipt.free.images),
            (GrantUnit::Requests, receipt.free.requests),
        ] {
            self.free[place(unit)] += i128::from(units);
        }
        self.free[place(GrantUnit::Money)] += i128::from(receipt.free_money.get());
    }
}

fn place(unit: GrantUnit) -> usize {
    match unit {
        GrantUnit::Tokens => 0,
        GrantUnit::Images => 1,
        GrantUnit::Requests => 2,
        GrantUnit::Money => 3,
    }
}

fn usage_rows(receipts: &[Arc<Receipt>], utc_offset_minutes: i32) -> Vec<UsageRow> {
    let mut rows: BTreeMap<(i64, Arc<str>), UsageRow> = BTreeMap::new();
    let day_ms = i64::try_from(DAY_MS).expect("a day");
    for receipt in receipts {
        let local = receipt.settled_at.0 + i64::from(utc_offset_minutes) * 60_000;
        let day = local.div_euclid(day_ms);
        let row = rows
            .entry((day, receipt.model.clone()))
            .or_insert_with(|| UsageRow {
                day: UnixMs(day * day_ms).to_string()[..10].to_owned(),
                model: receipt.model.clone(),
                requests: 0,
                usage: Usage::NONE,
                free: Default::default(),
                charged: Nano::ZERO,
                shortfall: Nano::ZERO,
            });
        row.requests += 1;
        for (meter, count) in receipt.usage.iter() {
            let sum = row.usage.get(meter).saturating_add(count);
            row.usage = row.usage.with(meter, sum);
        }
        row.free.tokens = row.free.tokens.saturating_add(receipt.free.tokens);
        row.free.images = row.free.images.saturating_add(receipt.free.images);
        row.free.requests = row.free.requests.saturating_add(receipt.free.requests);
        row.charged = sum(row.charged, receipt.charged);
        row.shortfall = sum(row.shortfall, receipt.shortfall);
    }
    rows.into_values().collect()
}

fn sum(left: Nano, right: Nano) -> Nano {
    left.checked_add(right).unwrap_or(Nano::MAX)
}
