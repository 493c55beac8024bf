//! One wallet as a store that keeps it elsewhere has read it: the book's own rules say what it looks like,
//! why a request does not fit, and what a live hold's settle comes to.

use std::sync::Arc;

use super::counter::Counter;
use super::funds::check_range;
use super::quota::Quota;
use super::wallet::{Money, Part, Record, Request, Wallet};
use super::{Credits, Tally, WalletRow};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::grant::GrantState;
use crate::ledger::hold::{Charge, Hold, Quote, Refusal};
use crate::ledger::id::KeyId;
use crate::ledger::limit::{CounterState, Window};
use crate::ledger::receipt::{IdempotencyClaim, Receipt};
use crate::ledger::wallet::WalletView;
use crate::money::Nano;

/// Whether a quote is within the range of exact arithmetic: if not, it is [`Refusal::TooLarge`].
pub fn is_exact(quote: &Quote) -> bool {
    let windows = quote.counters.iter().all(|ask| ask.window.is_exact());
    windows && check_range(&quote.segments).is_ok()
}

/// A counter as it was read, with what live holds occupy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingCounter {
    /// Its name.
    pub key: Arc<str>,
    /// How its time runs.
    pub window: Window,
    /// The most there may be, as last asked.
    pub cap: u64,
    /// What live holds occupy.
    pub held: u64,
    /// What it counted; of a bucket, its level with holds taken off.
    pub tally: Tally,
}

impl StandingCounter {
    /// The counter for the wire, as it stands now.
    pub fn state(&self, now: UnixMs) -> CounterState {
        self.counter().at(now).state()
    }

    /// How it stood when it was read.
    pub fn state_as_read(&self) -> CounterState {
        self.counter().state()
    }

    fn counter(&self) -> Counter {
        Counter::standing(self.window, self.cap, self.held, self.tally)
    }
}

/// A wallet, or as much of it as was read.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its money.
    pub row: WalletRow,
    /// Money in live holds.
    pub held: Nano,
    /// Its grants.
    pub grants: Vec<GrantState>,
    /// Its counters.
    pub counters: Vec<StandingCounter>,
    /// How many holds are live.
    pub live: u64,
}

impl Snapshot {
    /// The wallet for people.
    pub fn view(&self, now: UnixMs) -> WalletView {
        let view = self.wallet().view(&self.row.id, now);
        WalletView {
            holds: self.live,
            ..view
        }
    }

    /// Why this wallet does not admit a request; `None` where it does.
    pub fn refusal(&self, now: UnixMs, quote: &Quote) -> Option<Refusal> {
        self.wallet().refusal(now, quote)
    }

    /// What does not fit with these, all of the wallet's live holds: a sentence for each thing.
    pub fn faults(&self, live: &[LiveHold], credits: &Credits) -> Vec<String> {
        let mut wallet = self.wallet();
        let activity = wallet.activity.get_or_insert_default();
        for hold in live {
            let id = hold.request.hold.id.request;
            activity.leases.insert((hold.request.hold.lease_until, id));
            let part = |(counter, held): &((Arc<str>, Window), u64)| Part {
                counter: counter.clone(),
                money: false,
                held: *held,
            };
            let parts = hold.parts.iter().map(part).collect();
            let record = Box::new(hold.request.record(parts));
            activity.requests.insert(id, Request::Live(record));
        }
        let missing = live.iter().flat_map(|hold| &hold.parts);
        // One that holds nothing of a period long over does not keep its counter.
        let missing =
            missing.filter(|(counter, held)| *held > 0 && !wallet.counters.contains_key(counter));
        let mut faults: Vec<String> = missing
            .map(|((key, _), _)| {
                format!("counter {key}: a live hold occupies it, and it is not there")
            })
            .collect();
        faults.extend(wallet.held_faults(credits));
        faults
    }

    fn wallet(&self) -> Wallet {
        let mut wallet = Wallet {
            money: Money {
                balance: self.row.balance,
                credit_line: self.row.credit_line,
                held: self.held,
                credited: self.row.credited,
                charged: self.row.charged,
                shortfall: self.row.shortfall,
            },
            ..Wallet::default()
        };
        for state in &self.grants {
            wallet.quotas.put(Quota {
                grant: Arc::new(state.grant.clone()),
                used: state.used,
                held: state.held,
            });
        }
        for known in &self.counters {
            let key = (known.key.clone(), known.window);
            wallet.counters.insert(key, known.counter());
        }
        wallet
    }
}

/// A hold and what was known of its request, apart from its wallet.
#[derive(Clone, Debug)]
pub struct HeldRequest {
    /// The hold.
    pub hold: Hold,
    /// By which key.
    pub key: KeyId,
    /// The model.
    pub model: Arc<str>,
    /// The price book version.
    pub price_version: Arc<str>,
    /// When it was held.
    pub held_at: UnixMs,
    /// The client's idempotency claim.
    pub idempotency: Option<IdempotencyClaim>,
}

/// A live hold with what it occupies of counters.
#[derive(Clone, Debug)]
pub struct LiveHold {
    /// The hold, with the end of its lease.
    pub request: HeldRequest,
    /// Counters by key and window, and how much of each.
    pub parts: Vec<((Arc<str>, Window), u64)>,
}

impl HeldRequest {
    /// The receipt of a settle in time: it needs nothing but what was held.
    ///
    /// # Errors
    /// `Conflict` for a negative price.
    pub fn receipt(&self, now: UnixMs, charge: Charge) -> Result<Receipt, LedgerError> {
        let record = self.record(Vec::new());
        let bill = Wallet::default().bill(now, &record, &charge, false)?;
        Ok(bill.receipt(now, &record, charge))
    }

    fn record(&self, parts: Vec<Part>) -> Record {
        Record {
            hold: self.hold.clone(),
            key: self.key.clone(),
            model: self.model.clone(),
            price_version: self.price_version.clone(),
            held_at: self.held_at,
            parts,
            idempotency: self.idempotency.clone(),
        }
    }
}
