//! What operators do in a schedule: credits, credit lines, grants, keys; repeats and conflicts among them.

use tollgate::clock::UnixMs;
use tollgate::ledger::credit::{Entry, EntryKind};
use tollgate::ledger::key::Key;

use super::op::Op;
use super::schedule::{Scale, Schedule};
use crate::kit::{digest, entry, id, models, nano, signed, wallet};
use crate::reference::Reference;

impl Schedule {
    pub fn credit(&mut self, place: usize) -> Op {
        use EntryKind::{Adjustment, Opening, Refund, Topup};
        let wallet = self.wallets[place].to_string();
        if self.dice.percent(25)
            && let Some(known) = self.dice.pick(&self.entries).cloned()
        {
            // The same again, or with other content.
            return Op::Credit(match self.dice.below(4) {
                0 => Entry {
                    amount: nano(self.amount()),
                    ..known
                },
                1 => Entry {
                    wallet: id(&wallet),
                    ..known
                },
                2 => Entry {
                    actor: "someone else".to_owned(),
                    ..known
                },
                _ => known,
            });
        }
        self.next += 1;
        let wallet = if self.dice.percent(3) {
            format!("nobody{}", self.seed)
        } else {
            wallet
        };
        let kind = self.dice.one(&[Adjustment, Topup, Topup, Refund, Opening]);
        let amount = match kind {
            Adjustment => self.amount().saturating_neg(),
            _ => self.amount(),
        };
        let credit = entry(&format!("e{}", self.next), &wallet, kind, amount);
        self.entries.push(credit.clone());
        Op::Credit(credit)
    }

    fn amount(&mut self) -> i64 {
        match self.scale {
            Scale::Large if self.dice.percent(60) => self.dice.signed_edge(),
            _ if self.dice.percent(5) => -signed(self.dice.below(3)),
            _ => signed(self.dice.below(60)),
        }
    }

    pub fn credit_line(&mut self, book: &Reference, place: usize) -> Op {
        let view = book.view(&self.wallets[place]);
        let owed = view.map_or(0, |view| view.held.get().saturating_sub(view.balance.get()));
        let line = match self.dice.below(6) {
            0..3 => owed.saturating_add(signed(self.dice.below(3)) - 1),
            3 => -1,
            4 if self.scale == Scale::Large => self.dice.signed_edge(),
            _ => signed(self.dice.below(60)),
        };
        Op::CreditLine(self.wallets[place].clone(), nano(line))
    }

    pub fn open_again(&mut self, place: usize) -> Op {
        let name = self.wallets[place].to_string();
        let grants = [self.grant(0), self.grant(self.next % 7)];
        let opening = match self.dice.below(4) {
            0 => self.dice.pick(&self.entries).cloned(),
            1 => {
                self.next += 1;
                let amount = self.amount();
                Some(entry(
                    &format!("o{}", self.next),
                    &name,
                    EntryKind::Opening,
                    amount,
                ))
            }
            _ => None,
        };
        let line = if self.dice.percent(10) { -1 } else { 7 };
        Op::OpenWallet(wallet(&name, line, opening, &grants))
    }

    pub fn change_key(&mut self, place: usize) -> Op {
        let number = 2 * place + usize::try_from(self.dice.below(2)).expect("two");
        let (known, secret) = self.keys[number].clone();
        self.next += 1;
        let mut changed = Key {
            name: format!("name {}", self.next),
            models: models(self.dice.one(&[&["a"][..], &["b"], &[], &[]])),
            expires_at: None,
            created_at: UnixMs(7),
            ..known.clone()
        };
        match self.dice.below(12) {
            0 => Op::RevokeKey(known.id),
            1 => Op::RevokeKey(id(&format!("nokey{}", self.seed))),
            2 => Op::FindKey(secret),
            3 => Op::FindKey(digest(self.next)),
            4 => Op::PutKey(known, secret),
            5 => Op::PutKey(changed, digest(self.next)),
            6 => Op::PutKey(changed, self.keys[(number + 1) % 4].1),
            7 => {
                changed.wallet = self.wallets[1 - place].clone();
                match self.dice.percent(50) {
                    true => Op::PutKey(changed, secret),
                    false => Op::EditKey(changed),
                }
            }
            8 => {
                changed.revision += 1;
                Op::EditKey(changed)
            }
            9 => Op::PutKey(changed, secret),
            10 => {
                changed.id = id(&format!("nokey{}", self.seed));
                Op::EditKey(changed)
            }
            _ => Op::EditKey(changed),
        }
    }
}
