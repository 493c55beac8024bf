//! The contract of a ledger: who owns what, what is reserved, what was charged.
//!
//! [`book`] is the specification, a pure state machine; [`embedded`] makes it durable. Every
//! operation names one wallet and is atomic. Every mutation is idempotent by its id.

pub mod audit;
pub mod book;
pub mod credit;
pub mod disk;
pub mod embedded;
pub mod grant;
pub mod hold;
pub mod id;
pub mod journal;
pub mod key;
pub mod limit;
pub mod object;
pub mod receipt;
pub mod redis;
pub mod retention;
pub mod tally;
pub mod wallet;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::clock::UnixMs;
use crate::money::Nano;
use credit::{Credited, Entry};
use hold::{Charge, Hold, HoldRef, Quote, Refusal, Settled};
use id::{KeyDigest, KeyId, RequestId, WalletId};
use key::{Freshness, Key};
use object::{Object, ObjectQuery, ObjectRef};
use receipt::{Receipt, ReceiptQuery, UsageRow};
use wallet::{NewWallet, WalletView};

/// Why a ledger gave no answer at all.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The store cannot be reached, or is recovering; the same call may succeed later.
    #[error("the ledger is not available: {0}")]
    Unavailable(String),
    /// The call contradicts what the ledger holds (an id used with other content, an unknown wallet).
    #[error("{0}")]
    Conflict(String),
    /// The thing named does not exist.
    #[error("{0}")]
    NotFound(String),
}

/// What a ledger call comes to, later.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, LedgerError>>;

/// Keeps wallets, keys, grants, limits, holds and receipts.
///
/// **Cancellation**: dropping a returned future does not undo the call; it may or may not have
/// happened, and the same call with the same id finds out. Everything that is acknowledged is as
/// durable as the store was configured to be, but holds, which may end with the process.
pub trait Ledger: Send + Sync {
    /// The store's time. It never runs back.
    fn now(&self) -> UnixMs;

    /// Whether it takes operations now.
    ///
    /// # Errors
    /// Why it does not.
    fn ready(&self) -> Result<(), LedgerError>;

    /// What it has done since the process started.
    fn stats(&self) -> Stats;

    /// Which store it is, for logs and health checks.
    fn describe(&self) -> Description;

    /// Whether other processes may use it at the same time.
    fn is_shared(&self) -> bool;

    /// The form in which the secret of a key is kept and found: a hash keyed with the store's own secret.
    fn digest(&self, secret: &str) -> KeyDigest;

    /// The key with this digest, if there is one; revoked and expired ones included.
    fn key(&self, digest: KeyDigest, freshness: Freshness) -> Answer<'_, Option<Arc<Key>>>;

    /// Reserves a worst case, all or nothing.
    ///
    /// The same request again is answered the same while it is live. One that has ended is refused as such: whether it
    /// was charged, its settle says. Holds may end with the process, and so may what is known of those that were
    /// voided; what was settled is known for good, as long as its receipt is kept, and for a day at least.
    fn hold(&self, quote: Quote) -> Answer<'_, Result<Hold, Refusal>>;

    /// Has a request known again that an earlier process held, as `held` and at `held_at`, where [`Ledger::hold`] refuses
    /// it now: as one whose lease ran out, so that its settle is a late one.
    ///
    /// Nothing changes where the request is known, nor in a store whose holds do not end with their process.
    fn adopt(&self, quote: Quote, held: Hold, held_at: UnixMs) -> Answer<'_, ()>;

    /// Replaces a hold by its real charge.
    ///
    /// The same call again gives the same answer. A hold that lapsed before is charged once, from what is there.
    /// An object that waits for this request is pending no more, in the same step.
    fn settle(&self, hold: HoldRef, charge: Charge) -> Answer<'_, Settled>;

    /// Releases a hold without a charge. Voiding an unknown id keeps a later hold of that id out.
    fn void(&self, hold: HoldRef) -> Answer<'_, ()>;

    /// Extends the leases of live holds by `lease_ms` from now; ended ones are passed over.
    fn renew(&self, holds: Vec<HoldRef>, lease_ms: u64) -> Answer<'_, ()>;

    /// Opens a wallet with its opening credit and grants; does nothing where it is already open.
    /// Answers whether it was opened now. Grants new to an open wallet are added, once per name.
    fn open_wallet(&self, wallet: NewWallet) -> Answer<'_, bool>;

    /// Changes how far below zero a wallet may go. A lower line than what the wallet owes and holds is a conflict.
    fn set_credit_line(&self, wallet: WalletId, line: Nano) -> Answer<'_, ()>;

    /// Adds a key, or replaces the record of the key with this id (its revision grows). The secret's
    /// digest never changes: another digest for the same id, or another id for the same digest, is a conflict.
    fn put_key(&self, key: Key, digest: KeyDigest) -> Answer<'_, Arc<Key>>;

    /// Replaces the record of a known key; its secret and wallet stay. Where `key.revision` is no longer the
    /// record's, or the key is revoked, it is a conflict.
    fn edit_key(&self, key: Key) -> Answer<'_, Arc<Key>>;

    /// Disables a key at once and for good; its wallet is left as it is.
    fn revoke_key(&self, key: KeyId) -> Answer<'_, Arc<Key>>;

    /// The key of a wallet with this id, if there is one; revoked and expired ones included.
    fn key_of(&self, wallet: WalletId, key: KeyId) -> Answer<'_, Option<Arc<Key>>>;

    /// All keys, by id.
    fn keys(&self) -> Answer<'_, Vec<Arc<Key>>>;

    /// Books a credit, once per id: the same id with the same content gives the same answer, with other content a conflict.
    fn credit(&self, entry: Entry) -> Answer<'_, Credited>;

    /// One wallet as it stands.
    fn wallet(&self, wallet: WalletId) -> Answer<'_, Option<WalletView>>;

    /// The ids of all wallets, in order.
    fn wallets(&self) -> Answer<'_, Vec<WalletId>>;

    /// The receipt of one request. With a wallet, only if it is that wallet's: a store of many
    /// partitions finds it sooner so.
    fn receipt(
        &self,
        request: RequestId,
        wallet: Option<WalletId>,
    ) -> Answer<'_, Option<Arc<Receipt>>>;

    /// Receipts, newest first.
    fn receipts(&self, query: ReceiptQuery) -> Answer<'_, Vec<Arc<Receipt>>>;

    /// Totals by UTC-offset day and model of one wallet, oldest day first.
    fn usage(&self, query: ReceiptQuery) -> Answer<'_, Vec<UsageRow>>;

    /// Keeps whose an object of an upstream is, or replaces what is known of it.
    ///
    /// Where the wallet has `at_most` of that kind already, the one that would end soonest goes, by id among
    /// several; one that is pending never does. One whose request has been settled is not pending, whatever `object`
    /// says. A value beyond its bounds, another kind than before, a request that another object waits for, and
    /// `at_most` pending ones are a conflict.
    fn put_object(&self, object: Object, at_most: u32) -> Answer<'_, ()>;

    /// An object of a wallet, if there is one. One that has ended is not there.
    fn object(&self, name: ObjectRef) -> Answer<'_, Option<Object>>;

    /// Forgets an object, pending or not. What is not there is passed over.
    fn drop_object(&self, name: ObjectRef) -> Answer<'_, ()>;

    /// Objects of a wallet, newest first, by id from the last among those of one time.
    fn objects(&self, query: ObjectQuery) -> Answer<'_, Vec<Object>>;

    /// Objects of all wallets that wait for the settle of a request, by wallet and id, after one: up to `limit`,
    /// and never more than [`object::OBJECTS_PAGE_MAX`].
    fn pending_objects(&self, after: Option<ObjectRef>, limit: u32) -> Answer<'_, Vec<Object>>;

    /// Keeps the content of a price book version before it is first used. Idempotent by hash.
    fn keep_prices(&self, version: String, content: String) -> Answer<'_, ()>;

    /// Folds receipts settled before `before` into their wallets' checkpoints and removes them, in one step.
    /// Answers how many. Credits are never removed.
    fn trim_receipts(&self, before: UnixMs) -> Answer<'_, u64>;

    /// Checks that everything adds up.
    fn audit(&self) -> Answer<'_, AuditReport>;

    /// Makes everything acknowledged as durable as it can be, and lets go of the store and of its files.
    /// Every later call is refused. Dropping the future leaves the closing under way.
    ///
    /// Where it was closed before, or has failed, that is an error.
    fn close(&self) -> Answer<'_, ()>;
}

/// Which store a ledger keeps its books in. Never a secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Description {
    /// Its kind, as `ledger.kind` of the config names it.
    pub kind: &'static str,
    /// Where it is: a file, or hosts and ports.
    pub address: String,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind, self.address)
    }
}

/// What a ledger has done since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Holds that ended because their lease ran out.
    pub lapses: u64,
    /// Transactions of its store that wrote something.
    pub commits: u64,
    /// Its journal; `None` where it needs none.
    pub journal: Option<JournalStats>,
}

/// What stands between a shared store and the journal of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct JournalStats {
    /// Acknowledged changes that the store has not applied yet.
    pub waiting: u64,
    /// How long the oldest of them has waited, in milliseconds; 0 where none waits.
    pub oldest_waiting_ms: u64,
    /// Changes of this journal that could not be applied: the audit lists them.
    pub suspended: u64,
    /// Changes that were sent to the store again, since the process started.
    pub replayed: u64,
    /// Partitions that admit nothing until what they lost is replayed.
    pub recovering: u64,
    /// Requests that were admitted within offline allowances, since the process started.
    pub offline: u64,
}

/// What an audit found.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct AuditReport {
    /// Wallets looked at.
    pub wallets: u64,
    /// Receipts summed.
    pub receipts: u64,
    /// Credits summed.
    pub credits: u64,
    /// Holds that are live now.
    pub live_holds: u64,
    /// Everything that does not add up, a sentence each; empty when all is well.
    pub findings: Vec<String>,
}
