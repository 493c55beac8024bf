//! What a schedule knows of the ledger it runs on, and which operation comes next.

use tollgate::clock::UnixMs;
use tollgate::ledger::credit::{Entry, EntryKind};
use tollgate::ledger::grant::{Grant, GrantUnit};
use tollgate::ledger::hold::{Hold, HoldRef, Quote};
use tollgate::ledger::id::{KeyDigest, RequestId, WalletId};
use tollgate::ledger::key::Key;
use tollgate::ledger::wallet::WalletView;

use super::dice::Dice;
use super::op::{Op, Said};
use crate::kit::{
    self, DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, digest, entry, grant, id, key, models,
};
use crate::kit::{request, signed, wallet};
use crate::reference::Reference;

/// How long every store answers repeats of an ended request just as it did.
const REMEMBERED_MS: u64 = 50 * SECOND_MS;
/// How long a settle may come after the end of the lease.
const AWAITED_MS: u64 = 23 * HOUR_MS;

/// How large the amounts are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    Small,
    /// At the edges of exact arithmetic.
    Large,
}

/// A request that was held, or kept out by a void.
#[derive(Clone, Debug)]
pub struct Past {
    pub quote: Quote,
    pub hold: Option<Hold>,
    ended_at: Option<UnixMs>,
    settled: bool,
}

/// Draws operations that make sense often enough.
pub struct Schedule {
    pub dice: Dice,
    pub scale: Scale,
    pub wallets: Vec<WalletId>,
    /// Their keys, as last answered, two each.
    pub keys: Vec<(Key, KeyDigest)>,
    pub requests: Vec<Past>,
    pub entries: Vec<Entry>,
    /// When something ends that was drawn: grants, keys, leases, claims, hours.
    pub instants: Vec<UnixMs>,
    pub seed: u64,
    pub next: u64,
    started: UnixMs,
}

impl Schedule {
    /// A schedule, and the operations it begins with.
    pub fn new(seed: u64, now: UnixMs) -> (Schedule, Vec<Op>) {
        let mut dice = Dice(seed);
        let scale = match dice.percent(35) {
            true => Scale::Large,
            false => Scale::Small,
        };
        let mut schedule = Schedule {
            dice,
            scale,
            wallets: (0..2).map(|n| id(&format!("w{seed}-{n}"))).collect(),
            keys: Vec::new(),
            requests: Vec::new(),
            entries: Vec::new(),
            instants: vec![now.plus(SECOND_MS), now.plus(HOUR_MS), now.plus(DAY_MS)],
            seed,
            next: seed << 32,
            started: now,
        };
        let mut first = Vec::new();
        for place in 0..2 {
            first.extend(schedule.found(place));
        }
        (schedule, first)
    }

    /// Opens a wallet and makes its keys.
    fn found(&mut self, place: usize) -> Vec<Op> {
        let name = self.wallets[place].to_string();
        let balance = match self.scale {
            Scale::Small => self.dice.below(150),
            Scale::Large => self.large_funds(),
        };
        let line = match self.scale {
            Scale::Small => self.dice.below(3) * 20,
            Scale::Large if self.dice.percent(50) => 0,
            Scale::Large => self.large_funds(),
        };
        let opening = entry(
            &format!("config:{name}"),
            &name,
            EntryKind::Opening,
            signed(balance),
        );
        self.entries.push(opening.clone());
        let grants: Vec<Grant> = (0..self.dice.below(5)).map(|n| self.grant(n)).collect();
        let opening = Some(opening).filter(|_| balance > 0);
        let mut first = vec![Op::OpenWallet(wallet(
            &name,
            signed(line),
            opening,
            &grants,
        ))];
        for number in 0..2 {
            let mut record = key(&format!("{name}.k{number}"), &name);
            let only = self.dice.percent(15);
            record.models = models(if only { &["a"] } else { &[] });
            let soon = self.started.plus(self.dice.below(2_000));
            record.expires_at = self.dice.percent(10).then_some(soon);
            self.instants.extend(record.expires_at);
            let digest = digest(self.next);
            self.next += 1;
            self.keys.push((record.clone(), digest));
            first.push(Op::PutKey(record, digest));
        }
        first
    }

    /// An amount of money at an edge that a wallet may own.
    fn large_funds(&mut self) -> u64 {
        let edge = self.dice.one(&[1 << 52, 1 << 53, 1 << 60, 1 << 61]);
        self.dice.around(edge).min(1 << 61)
    }

    pub fn grant(&mut self, number: u64) -> Grant {
        use GrantUnit::{Images, Money, Requests, Tokens};
        let unit = self.dice.one(&[Tokens, Tokens, Images, Money, Requests]);
        let amount = match (unit, self.scale) {
            (Requests, _) => self.dice.below(3),
            (_, Scale::Large) if self.dice.percent(60) => self.dice.edge(),
            _ => self.dice.below(40),
        };
        let mut given = grant(&format!("g{number}"), unit, amount);
        given.models = models(self.dice.one(&[&["a"][..], &["a", "b"], &[]]));
        let soon = self.started.plus(self.dice.below(1_500));
        let later = self.started.plus(self.dice.below(2 * DAY_MS));
        given.expires_at = match self.dice.below(4) {
            0 => Some(soon),
            1 => Some(later),
            _ => None,
        };
        self.instants.extend(given.expires_at);
        given
    }

    /// The next operation, given how the ledger stands.
    pub fn draw(&mut self, book: &Reference, now: UnixMs) -> Op {
        let place = usize::try_from(self.dice.below(2)).expect("two");
        match self.dice.below(116) {
            100.. => self.object(now),
            0..42 => self.hold(book, now, place),
            42..64 => self.settle(now),
            64..71 => self.void(now, place),
            71..75 => self.renew(),
            75..87 => self.wait(now),
            87..91 => self.credit(place),
            91..93 => self.change_key(place),
            93..95 => self.credit_line(book, place),
            95 => self.open_again(place),
            _ => Op::Look(self.wallets[place].clone()),
        }
    }

    /// Learns from an answer.
    pub fn heard(&mut self, op: &Op, said: &Said, now: UnixMs) {
        match (op, said) {
            (Op::Hold(quote), Said::Held(Ok(Ok(hold)))) if self.find(quote.request).is_none() => {
                self.instants.push(hold.lease_until);
                self.remember(quote.clone(), Some(hold.clone()));
            }
            (Op::Settle(hold, _), Said::Settled(Ok(_))) => self.ended(hold.request, true, now),
            (Op::Void(hold), Said::Done(Ok(()))) => self.ended(hold.request, false, now),
            (_, Said::Key(Ok(kept))) => {
                for (known, _) in &mut self.keys {
                    if known.id == kept.id {
                        *known = Key::clone(kept);
                    }
                }
            }
            _ => {}
        }
    }

    pub fn remember(&mut self, quote: Quote, hold: Option<Hold>) {
        self.requests.push(Past {
            quote,
            hold,
            ended_at: None,
            settled: false,
        });
    }

    fn find(&self, request: RequestId) -> Option<usize> {
        let mut requests = self.requests.iter();
        requests.position(|past| past.quote.request == request)
    }

    fn ended(&mut self, request: RequestId, settled: bool, now: UnixMs) {
        if let Some(place) = self.find(request) {
            let past = &mut self.requests[place];
            if past.ended_at.is_none() && past.quote.idempotency.is_some() {
                self.instants.push(now.plus(DAY_MS));
            }
            past.ended_at = past.ended_at.or(Some(now));
            past.settled |= settled;
        }
    }

    /// A request that was made before and that every store still knows, preferably one that has not ended.
    pub fn known(&mut self, now: UnixMs) -> Option<Past> {
        let from = |keep: &dyn Fn(&Past) -> bool| -> Vec<usize> {
            let all = self.requests.iter().enumerate();
            let kept = all.filter(|(_, past)| past.is_known(now) && keep(past));
            kept.map(|(place, _)| place).collect()
        };
        let (open, all) = (from(&|past| past.ended_at.is_none()), from(&|_| true));
        let from = if self.dice.percent(75) && !open.is_empty() {
            open
        } else {
            all
        };
        let place = *self.dice.pick(&from)?;
        Some(self.requests[place].clone())
    }

    fn settle(&mut self, now: UnixMs) -> Op {
        let old = self.dice.percent(8).then(|| self.settled_long_ago(now));
        if let Some(past) = old.flatten() {
            let charge = self.charge(&past);
            return Op::SettleLate(past.name(), charge);
        }
        match self.known(now) {
            _ if self.dice.percent(3) => {
                self.next += 1;
                let request = request(self.next);
                let wallet = match self.dice.percent(30) {
                    true => id(&format!("nobody{}", self.seed)),
                    false => self.wallets[0].clone(),
                };
                Op::Settle(HoldRef { wallet, request }, kit::charge(1))
            }
            Some(past) => {
                let charge = self.charge(&past);
                Op::Settle(past.name(), charge)
            }
            None => self.wait(now),
        }
    }

    fn settled_long_ago(&mut self, now: UnixMs) -> Option<Past> {
        let requests = self.requests.iter();
        let old: Vec<Past> = requests
            .filter(|past| past.settled && !past.is_known(now))
            .cloned()
            .collect();
        self.dice.pick(&old).cloned()
    }

    fn void(&mut self, now: UnixMs, place: usize) -> Op {
        let known = self.known(now).filter(|_| self.dice.percent(85));
        if let Some(past) = known {
            return Op::Void(past.name());
        }
        // A void that overtakes its hold, and one on a wallet that is not there.
        self.next += 1;
        let nowhere = self.dice.percent(10);
        let wallet = match nowhere {
            true => id(&format!("nobody{}", self.seed)),
            false => self.wallets[place].clone(),
        };
        let request = request(self.next);
        if !nowhere {
            let quote = self.blank(place, request);
            self.remember(quote, None);
        }
        Op::Void(HoldRef { wallet, request })
    }

    fn renew(&mut self) -> Op {
        let count = 1 + self.dice.below(3);
        let mut holds: Vec<HoldRef> = Vec::new();
        for _ in 0..count {
            holds.extend(self.dice.pick(&self.requests).map(Past::name));
        }
        self.next += 1;
        holds.push(HoldRef {
            wallet: self.wallets[0].clone(),
            request: request(self.next),
        });
        Op::Renew(holds, self.lease_ms())
    }

    pub fn lease_ms(&mut self) -> u64 {
        match self.dice.below(10) {
            0..6 => 5 + self.dice.below(300),
            6..9 => self.dice.below(MINUTE_MS),
            _ => self.dice.below(2 * DAY_MS),
        }
    }

    fn wait(&mut self, now: UnixMs) -> Op {
        let ahead: Vec<u64> = self
            .instants
            .iter()
            .filter(|at| **at > now)
            .map(|at| at.since(now))
            .collect();
        if self.dice.percent(30)
            && let Some(ms) = self.dice.pick(&ahead).copied()
        {
            // To the very instant, or a millisecond before.
            return Op::Wait(ms - self.dice.below(2));
        }
        Op::Wait(match self.dice.below(40) {
            0 => DAY_MS + self.dice.below(1_000),
            1 => self.dice.below(9 * DAY_MS),
            2..4 => self.dice.below(HOUR_MS),
            4..8 => self.dice.below(MINUTE_MS),
            8..16 => self.dice.below(SECOND_MS),
            _ => 1 + self.dice.below(40),
        })
    }

    /// The wallet as the specification has it.
    pub fn view(&self, book: &Reference, place: usize) -> WalletView {
        let view = book.view(&self.wallets[place]);
        view.expect("every schedule opens its wallets first")
    }
}

impl Past {
    pub fn name(&self) -> HoldRef {
        HoldRef {
            wallet: self.quote.wallet.clone(),
            request: self.quote.request,
        }
    }

    /// Whether every store tells it from a request that never was.
    fn is_known(&self, now: UnixMs) -> bool {
        let lease = self.hold.as_ref().map(|hold| hold.lease_until);
        match self.ended_at {
            Some(at) => now.since(at) < REMEMBERED_MS,
            None => lease.is_some_and(|until| now.since(until) < AWAITED_MS),
        }
    }
}
