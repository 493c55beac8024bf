//! The operations of a schedule, and what a ledger says to them.

use std::sync::Arc;

use tollgate::clock::Clock;
use tollgate::ledger::credit::{Credited, Entry};
use tollgate::ledger::hold::{Charge, Hold, HoldRef, Quote, Refusal, Settled};
use tollgate::ledger::id::{KeyDigest, KeyId, WalletId};
use tollgate::ledger::key::{Freshness, Key};
use tollgate::ledger::object::{Object, ObjectQuery, ObjectRef};
use tollgate::ledger::receipt::Receipt;
use tollgate::ledger::wallet::{NewWallet, WalletView};
use tollgate::ledger::{Ledger, LedgerError};
use tollgate::money::Nano;

/// One operation.
#[derive(Clone, Debug)]
pub enum Op {
    OpenWallet(NewWallet),
    CreditLine(WalletId, Nano),
    PutKey(Key, KeyDigest),
    EditKey(Key),
    RevokeKey(KeyId),
    FindKey(KeyDigest),
    Credit(Entry),
    Hold(Quote),
    Settle(HoldRef, Charge),
    /// A settle of a request that was settled long ago: what was answered beside the receipt is known no more.
    SettleLate(HoldRef, Charge),
    Void(HoldRef),
    Renew(Vec<HoldRef>, u64),
    PutObject(Object, u32),
    FindObject(ObjectRef),
    DropObject(ObjectRef),
    ListObjects(ObjectQuery),
    /// The pending objects after one, as far as they are of that wallet: others share the store.
    Pending(ObjectRef, u32),
    Look(WalletId),
    Wait(u64),
}

/// What it was answered with.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Done(Result<(), Failed>),
    Opened(Result<bool, Failed>),
    Key(Result<Arc<Key>, Failed>),
    Found(Result<Option<Arc<Key>>, Failed>),
    Credited(Result<Credited, Failed>),
    Held(Result<Result<Hold, Refusal>, Failed>),
    Settled(Result<Settled, Failed>),
    SettledLate(Result<(Arc<Receipt>, Nano), Failed>),
    Object(Result<Option<Object>, Failed>),
    Objects(Result<Vec<Object>, Failed>),
    View(Result<Option<WalletView>, Failed>),
}

/// An error without its words.
#[derive(Clone, Debug, PartialEq)]
pub enum Failed {
    Conflict,
    NotFound,
    Unavailable(String),
}

impl From<LedgerError> for Failed {
    fn from(error: LedgerError) -> Failed {
        match error {
            LedgerError::Conflict(_) => Failed::Conflict,
            LedgerError::NotFound(_) => Failed::NotFound,
            LedgerError::Unavailable(words) => Failed::Unavailable(words),
        }
    }
}

/// Does one operation.
pub async fn perform(ledger: &dyn Ledger, clock: &Clock, op: Op) -> Said {
    match op {
        Op::OpenWallet(wallet) => Said::Opened(plain(ledger.open_wallet(wallet).await)),
        Op::CreditLine(wallet, line) => {
            Said::Done(plain(ledger.set_credit_line(wallet, line).await))
        }
        Op::PutKey(key, digest) => Said::Key(plain(ledger.put_key(key, digest).await)),
        Op::EditKey(key) => Said::Key(plain(ledger.edit_key(key).await)),
        Op::RevokeKey(key) => Said::Key(plain(ledger.revoke_key(key).await)),
        Op::FindKey(digest) => Said::Found(plain(ledger.key(digest, Freshness::Shown).await)),
        Op::Credit(entry) => Said::Credited(plain(ledger.credit(entry).await)),
        Op::Hold(quote) => Said::Held(plain(ledger.hold(quote).await)),
        Op::Settle(hold, charge) => Said::Settled(plain(ledger.settle(hold, charge).await)),
        Op::SettleLate(hold, charge) => {
            let settled = plain(ledger.settle(hold, charge).await);
            Said::SettledLate(settled.map(|settled| (settled.receipt, settled.balance)))
        }
        Op::Void(hold) => Said::Done(plain(ledger.void(hold).await)),
        Op::Renew(holds, lease_ms) => Said::Done(plain(ledger.renew(holds, lease_ms).await)),
        Op::PutObject(object, at_most) => {
            Said::Done(plain(ledger.put_object(object, at_most).await))
        }
        Op::FindObject(name) => Said::Object(plain(ledger.object(name).await)),
        Op::DropObject(name) => Said::Done(plain(ledger.drop_object(name).await)),
        Op::ListObjects(query) => Said::Objects(plain(ledger.objects(query).await)),
        Op::Pending(after, limit) => {
            let wallet = after.wallet.clone();
            let mut told = plain(ledger.pending_objects(Some(after), limit).await);
            if let Ok(told) = &mut told {
                told.retain(|object| object.wallet == wallet);
            }
            Said::Objects(told)
        }
        Op::Look(wallet) => Said::View(plain(ledger.wallet(wallet).await.map(in_order))),
        Op::Wait(ms) => {
            clock.advance(ms);
            Said::Done(Ok(()))
        }
    }
}

fn plain<T>(answer: Result<T, LedgerError>) -> Result<T, Failed> {
    answer.map_err(Failed::from)
}

/// A view whose counters of one name, told apart by windows that it does not show, are in one order.
pub fn in_order(view: Option<WalletView>) -> Option<WalletView> {
    view.map(|mut view| {
        let order = |counter: &tollgate::ledger::wallet::CounterView| {
            (counter.key.clone(), counter.used, counter.held)
        };
        view.counters.sort_by_key(order);
        view
    })
}
