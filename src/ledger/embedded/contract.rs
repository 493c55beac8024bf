//! The contract, operation by operation.

use std::sync::Arc;

use futures_util::FutureExt;
use hmac::Mac;
use rusqlite::params;

use super::audit::{self, BookState, Stored};
use super::{
    ENDED_KEPT_MS, Embedded, RECEIPTS_PER_TRIM_MAX, Reader, SKEW_MS, TRIM_PAUSE, blocking, open,
    reads, restore, tally,
};
use crate::clock::UnixMs;
use crate::ledger::credit::{Credited, Entry};
use crate::ledger::hold::{Charge, Hold, HoldRef, Quote, Refusal, Settled};
use crate::ledger::id::{KeyDigest, KeyId, RequestId, WalletId};
use crate::ledger::key::{Freshness, Key};
use crate::ledger::object::{Object, ObjectQuery, ObjectRef};
use crate::ledger::receipt::{Receipt, ReceiptQuery, UsageRow};
use crate::ledger::wallet::{NewWallet, WalletView};
use crate::ledger::{Answer, AuditReport, Description, Ledger, LedgerError, Stats};
use crate::money::Nano;

impl Ledger for Embedded {
    fn now(&self) -> UnixMs {
        self.clock.now()
    }

    fn ready(&self) -> Result<(), LedgerError> {
        self.committer.admit()
    }

    fn stats(&self) -> Stats {
        Stats {
            lapses: self.desk.lock().book.lapses(),
            commits: self.commits(),
            journal: None,
        }
    }

    fn describe(&self) -> Description {
        let address = match &self.reader {
            Reader::Memory => "in memory".to_owned(),
            Reader::File { path, .. } => path.display().to_string(),
        };
        Description {
            kind: "embedded",
            address,
        }
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn digest(&self, secret: &str) -> KeyDigest {
        let mut digester = self.digester.clone();
        digester.update(secret.as_bytes());
        KeyDigest(digester.finalize().into_bytes().into())
    }

    /// Always fresh: the book is here.
    fn key(&self, digest: KeyDigest, _: Freshness) -> Answer<'_, Option<Arc<Key>>> {
        async move { self.ask(|book, _| book.key(&digest).cloned()) }.boxed()
    }

    fn hold(&self, quote: Quote) -> Answer<'_, Result<Hold, Refusal>> {
        async move {
            self.committer.admit()?;
            if self.was_settled_before(&quote).await? {
                // It renews nothing, but as every operation of a wallet it ends the holds that are overdue.
                let mut locked = self.desk()?;
                let now = locked.now;
                let id = HoldRef {
                    wallet: quote.wallet,
                    request: quote.request,
                };
                locked.desk.book.renew(now, &id, 0);
                return Ok(Err(Refusal::Ended));
            }
            let (answer, durable) = {
                let mut locked = self.desk()?;
                let now = locked.now;
                let answer = locked.desk.book.hold(now, quote);
                // A hold is not durable. But a receipt that it shows has to be.
                let shows_receipt = matches!(answer, Err(Refusal::AlreadyCharged(_)));
                let durable = shows_receipt.then(|| self.committer.commit(now, Vec::new()));
                (answer, durable)
            };
            if let Some(durable) = durable {
                durable.await?;
            }
            Ok(answer)
        }
        .boxed()
    }

    fn adopt(&self, quote: Quote, held: Hold, held_at: UnixMs) -> Answer<'_, ()> {
        async move {
            let mut locked = self.desk()?;
            let now = locked.now;
            locked.desk.book.adopt(now, &quote, held, held_at);
            Ok(())
        }
        .boxed()
    }

    fn settle(&self, hold: HoldRef, charge: Charge) -> Answer<'_, Settled> {
        async move {
            let id = hold.clone();
            let settled = self
                .change(move |book, now, changes| book.settle(now, &id, charge, changes))
                .await;
            match settled {
                Err(LedgerError::NotFound(words)) => match self.settled_long_ago(&hold).await? {
                    Some(settled) => Ok(settled),
                    None => Err(LedgerError::NotFound(words)),
                },
                answer => answer,
            }
        }
        .boxed()
    }

    fn void(&self, hold: HoldRef) -> Answer<'_, ()> {
        async move {
            let mut locked = self.desk()?;
            let now = locked.now;
            locked.desk.book.void(now, &hold)
        }
        .boxed()
    }

    fn renew(&self, holds: Vec<HoldRef>, lease_ms: u64) -> Answer<'_, ()> {
        async move {
            let mut locked = self.desk()?;
            let now = locked.now;
            for hold in &holds {
                locked.desk.book.renew(now, hold, lease_ms);
            }
            Ok(())
        }
        .boxed()
    }

    fn open_wallet(&self, wallet: NewWallet) -> Answer<'_, bool> {
        self.change(|book, now, changes| book.open_wallet(now, wallet, changes))
            .boxed()
    }

    fn set_credit_line(&self, wallet: WalletId, line: Nano) -> Answer<'_, ()> {
        self.change(move |book, now, changes| book.set_credit_line(now, &wallet, line, changes))
            .boxed()
    }

    fn put_key(&self, key: Key, digest: KeyDigest) -> Answer<'_, Arc<Key>> {
        self.change(move |book, _, changes| book.put_key(key, digest, changes))
            .boxed()
    }

    fn edit_key(&self, key: Key) -> Answer<'_, Arc<Key>> {
        self.change(move |book, _, changes| book.edit_key(key, changes))
            .boxed()
    }

    fn revoke_key(&self, key: KeyId) -> Answer<'_, Arc<Key>> {
        self.change(move |book, _, changes| book.revoke_key(&key, changes))
            .boxed()
    }

    fn key_of(&self, _: WalletId, key: KeyId) -> Answer<'_, Option<Arc<Key>>> {
        async move { self.ask(|book, _| book.key_of(&key).cloned()) }.boxed()
    }

    fn keys(&self) -> Answer<'_, Vec<Arc<Key>>> {
        async move { self.ask(|book, _| book.keys()) }.boxed()
    }

    fn credit(&self, entry: Entry) -> Answer<'_, Credited> {
        self.change(|book, now, changes| book.credit(now, entry, changes))
            .boxed()
    }

    fn wallet(&self, wallet: WalletId) -> Answer<'_, Option<WalletView>> {
        async move { self.ask(|book, now| book.wallet(now, &wallet)) }.boxed()
    }

    fn wallets(&self) -> Answer<'_, Vec<WalletId>> {
        async move { self.ask(|book, _| book.wallets()) }.boxed()
    }

    fn receipt(
        &self,
        request: RequestId,
        wallet: Option<WalletId>,
    ) -> Answer<'_, Option<Arc<Receipt>>> {
        async move {
            let found = self.read(move |connection| reads::receipt(connection, request));
            let of_wallet =
                |receipt: &Receipt| wallet.is_none_or(|wallet| receipt.wallet == wallet);
            Ok(found.await?.filter(of_wallet).map(Arc::new))
        }
        .boxed()
    }

    fn receipts(&self, query: ReceiptQuery) -> Answer<'_, Vec<Arc<Receipt>>> {
        async move {
            let found = self.read(move |connection| reads::receipts(connection, &query));
            Ok(found.await?.into_iter().map(Arc::new).collect())
        }
        .boxed()
    }

    fn usage(&self, query: ReceiptQuery) -> Answer<'_, Vec<UsageRow>> {
        self.read(move |connection| reads::usage(connection, &query))
            .boxed()
    }

    fn put_object(&self, object: Object, at_most: u32) -> Answer<'_, ()> {
        self.keep_object(object, at_most).boxed()
    }

    fn object(&self, name: ObjectRef) -> Answer<'_, Option<Object>> {
        self.find_object(name).boxed()
    }

    fn drop_object(&self, name: ObjectRef) -> Answer<'_, ()> {
        self.forget_object(name).boxed()
    }

    fn objects(&self, query: ObjectQuery) -> Answer<'_, Vec<Object>> {
        self.list_objects(query).boxed()
    }

    fn pending_objects(&self, after: Option<ObjectRef>, limit: u32) -> Answer<'_, Vec<Object>> {
        self.list_pending(after, limit).boxed()
    }

    fn keep_prices(&self, version: String, content: String) -> Answer<'_, ()> {
        async move {
            let now = self.clock.now();
            self.committer
                .run(move |connection| {
                    connection.execute(
                        "INSERT INTO prices (hash, content, first_seen) VALUES (?1, ?2, ?3)
                         ON CONFLICT (hash) DO NOTHING",
                        params![version, content, now.0],
                    )
                })
                .await?;
            Ok(())
        }
        .boxed()
    }

    fn trim_receipts(&self, before: UnixMs) -> Answer<'_, u64> {
        async move {
            let claims_since = restore::claims_since(self.clock.now());
            let mut trimmed = 0;
            loop {
                let moved = self
                    .committer
                    .run(move |connection| {
                        tally::fold(connection, before, claims_since, RECEIPTS_PER_TRIM_MAX)
                    })
                    .await?;
                trimmed += moved;
                if moved == 0 {
                    return Ok(trimmed);
                }
                // Charges wait for one piece at most, and the next leaves them most of the time.
                tokio::time::sleep(TRIM_PAUSE).await;
            }
        }
        .boxed()
    }

    fn audit(&self) -> Answer<'_, AuditReport> {
        async move {
            let (book, stored) = match &self.reader {
                Reader::Memory => {
                    let (book, stored) = {
                        let locked = self.desk()?;
                        let book = BookState::of(&locked.desk.book, locked.now);
                        (
                            book,
                            self.committer
                                .run(|connection| Ok(Stored::read(connection))),
                        )
                    };
                    (book, stored.await?)
                }
                Reader::File { path, .. } => {
                    let path = path.clone();
                    let (book, snapshot) = {
                        let locked = self.desk()?;
                        let book = BookState::of(&locked.desk.book, locked.now);
                        // Taken when all that the book has done so far is committed, and nothing later.
                        (book, self.committer.run(move |_| open::snapshot(&path)))
                    };
                    let snapshot = snapshot.await?;
                    let stored = blocking(move || Stored::read(&snapshot)).await?;
                    (book, stored)
                }
            };
            Ok(audit::compare(stored, book))
        }
        .boxed()
    }

    fn close(&self) -> Answer<'_, ()> {
        async move {
            if let Reader::File { connection, .. } = &self.reader {
                let connection = connection.clone();
                blocking(move || drop(connection.lock().take())).await?;
            }
            self.committer.close().await
        }
        .boxed()
    }
}

impl Embedded {
    /// Whether a request has a receipt that the book need not know of: it was settled by an earlier process, or more
    /// than a minute ago. One that began since, as its id tells by the system's clock, cannot have been; so ordinary
    /// requests read nothing.
    async fn was_settled_before(&self, quote: &Quote) -> Result<bool, LedgerError> {
        let now = self.clock.now();
        let kept = ENDED_KEPT_MS - 2 * SKEW_MS;
        let known_since =
            UnixMs(now.0.saturating_sub_unsigned(kept)).max(self.opened.plus(SKEW_MS));
        let is_new = |began: UnixMs| known_since < began && began <= now.plus(SKEW_MS);
        if quote.request.began().is_some_and(is_new) {
            return Ok(false);
        }
        let receipt = self.receipt(quote.request, Some(quote.wallet.clone()));
        Ok(receipt.await?.is_some())
    }

    /// The answer to a settle that the book has forgotten, or that an earlier process made. Counters
    /// and grants are left out: as they stood then is known no more.
    async fn settled_long_ago(&self, hold: &HoldRef) -> Result<Option<Settled>, LedgerError> {
        let wallet = Some(hold.wallet.clone());
        let Some(receipt) = self.receipt(hold.request, wallet).await? else {
            return Ok(None);
        };
        let wallet = self.wallet(hold.wallet.clone()).await?;
        Ok(wallet.map(|wallet| Settled {
            receipt,
            balance: wallet.balance,
            counters: Vec::new(),
            grants: Vec::new(),
        }))
    }
}
