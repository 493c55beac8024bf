//! Random schedules of operations that make sense often enough.

use std::sync::Arc;

use super::support::{charge, claim, digest, entry, hold_ref, new_key, new_wallet, quote};
use crate::clock::{Clock, UnixMs};
use crate::ledger::credit::{Credited, Entry};
use crate::ledger::embedded::Embedded;
use crate::ledger::hold::{Charge, Hold, HoldRef, Quote, Refusal, Settled};
use crate::ledger::id::KeyDigest;
use crate::ledger::key::Key;
use crate::ledger::wallet::NewWallet;
use crate::ledger::{Ledger, LedgerError};
use crate::money::Nano;

/// Small, seeded, good enough (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// One operation of a random schedule.
#[derive(Clone, Debug)]
pub enum Op {
    OpenWallet(NewWallet),
    PutKey(Key, KeyDigest),
    RevokeKey(u64),
    Credit(Entry),
    CreditLine(u64, i64),
    Hold(Quote),
    Settle(HoldRef, Charge),
    Void(HoldRef),
    Renew(HoldRef),
    Advance(u64),
}

/// What an operation answered. Errors are compared by their words.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Done(Result<(), String>),
    Opened(Result<bool, String>),
    Key(Result<Arc<Key>, String>),
    Credited(Result<Credited, String>),
    Held(Result<Hold, Refusal>),
    Settled(Result<Settled, String>),
}

/// Draws operations that make sense often enough.
pub struct Schedule {
    pub random: Random,
    /// Holds that were admitted and may be settled, again and again.
    pub admitted: Vec<Hold>,
    next: u64,
    wallets: u64,
}

impl Schedule {
    pub fn new(seed: u64, wallets: u64) -> Schedule {
        Schedule {
            random: Random(seed),
            admitted: Vec::new(),
            next: 1,
            wallets,
        }
    }

    pub fn draw(&mut self, now: UnixMs) -> Op {
        let wallet = self.random.below(self.wallets);
        match self.random.below(100) {
            0..4 => Op::OpenWallet(new_wallet(wallet)),
            4..8 => Op::PutKey(new_key(wallet), digest(wallet)),
            98 => Op::CreditLine(wallet, i64::try_from(self.random.below(3_000_000)).unwrap()),
            8 => match self.random.below(20) {
                0 => Op::RevokeKey(wallet),
                _ => Op::PutKey(new_key(wallet), digest(wallet + 1)),
            },
            9..14 => {
                let id = format!("topup:{}", self.random.below(40));
                let amount = 1_000 * (1 + self.random.below(300));
                Op::Credit(entry(&id, wallet, i64::try_from(amount).unwrap()))
            }
            14..55 => {
                self.next += 1;
                let mut quote = quote(self.next, wallet, &new_key(wallet), now);
                quote.lease_ms = 200 + self.random.below(5_000);
                let caps = [4_000_000, 60, 3_000, 6];
                for (counter, cap) in quote.counters.iter_mut().zip(caps) {
                    counter.cap = cap;
                }
                if self.random.below(4) == 0 {
                    quote.idempotency = claim(&format!("claim-{}", self.random.below(10)));
                }
                Op::Hold(quote)
            }
            55..85 => match self.some_hold() {
                Some(hold) => {
                    let charge = charge(&hold, self.random.below(60));
                    Op::Settle(hold.id, charge)
                }
                None => Op::Advance(1),
            },
            85..91 => match self.some_hold() {
                Some(hold) => Op::Void(hold.id),
                None => Op::Void(hold_ref(self.next + 1, wallet)),
            },
            91..95 => match self.some_hold() {
                Some(hold) => Op::Renew(hold.id),
                None => Op::Advance(1),
            },
            _ => Op::Advance(self.random.below(700)),
        }
    }

    /// Remembers what was admitted.
    pub fn heard(&mut self, said: &Said) {
        if let Said::Held(Ok(hold)) = said {
            self.admitted.push(hold.clone());
        }
    }

    fn some_hold(&mut self) -> Option<Hold> {
        let count = self.admitted.len() as u64;
        let back = 1 + self.random.below(count.clamp(1, 12));
        let index = count.checked_sub(back)?;
        self.admitted.get(usize::try_from(index).unwrap()).cloned()
    }
}

/// Does one operation on a ledger.
pub async fn perform(ledger: &Embedded, clock: &Clock, op: Op) -> Said {
    let words = |error: LedgerError| error.to_string();
    match op {
        Op::OpenWallet(wallet) => Said::Opened(ledger.open_wallet(wallet).await.map_err(words)),
        Op::PutKey(key, digest) => Said::Key(ledger.put_key(key, digest).await.map_err(words)),
        Op::RevokeKey(n) => Said::Key(ledger.revoke_key(new_key(n).id).await.map_err(words)),
        Op::Credit(entry) => Said::Credited(ledger.credit(entry).await.map_err(words)),
        Op::CreditLine(n, line) => {
            let set = ledger.set_credit_line(new_wallet(n).id, Nano::new(line));
            Said::Done(set.await.map_err(words))
        }
        Op::Hold(quote) => Said::Held(ledger.hold(quote).await.unwrap()),
        Op::Settle(hold, charge) => Said::Settled(ledger.settle(hold, charge).await.map_err(words)),
        Op::Void(hold) => Said::Done(ledger.void(hold).await.map_err(words)),
        Op::Renew(hold) => Said::Done(ledger.renew(vec![hold], 3_000).await.map_err(words)),
        Op::Advance(ms) => {
            clock.advance(ms);
            Said::Done(Ok(()))
        }
    }
}
