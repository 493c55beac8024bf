//! Steps of a random schedule that change what a wallet owns, and what its keys may.

use super::fixture::{digest, entry, id, key};
use super::schedule::{Outcome, Run, agree, signed};
use crate::ledger::credit::EntryKind;
use crate::ledger::wallet::NewWallet;
use crate::money::Nano;

impl Run {
    pub(super) fn credit(&mut self, place: usize) -> Outcome {
        let number = self.next;
        self.next += 1;
        let (kind, amount) = match self.dice.below(6) {
            0 => (EntryKind::Adjustment, -signed(self.dice.below(60))),
            1 => (EntryKind::Refund, signed(1 + self.dice.below(10))),
            _ => (EntryKind::Topup, signed(1 + self.dice.below(60))),
        };
        let entry = entry(&format!("e{number}"), &format!("w{place}"), kind, amount);
        self.models[place].credits.push(amount);
        for applied in [true, false] {
            let credited = self.book.credit(self.now, entry.clone(), &mut self.changes);
            let credited = credited.map_err(|error| error.to_string())?;
            agree!(credited.applied, applied, "applied");
            agree!(
                credited.balance.get(),
                self.models[place].balance(),
                "balance"
            );
        }
        Ok(())
    }

    pub(super) fn set_line(&mut self, place: usize) -> Outcome {
        let line = signed(self.dice.below(60));
        let model = &mut self.models[place];
        let owed = i64::try_from(model.held()).expect("small") - model.balance();
        let fits = line >= model.credit_line || line >= owed;
        if fits {
            model.credit_line = line;
        }
        let id = id(&format!("w{place}"));
        let set = self
            .book
            .set_credit_line(self.now, &id, Nano::new(line), &mut self.changes);
        agree!(set.is_ok(), fits, "credit line {line}, owed {owed}");
        Ok(())
    }

    pub(super) fn change_key(&mut self, place: usize) -> Outcome {
        let number = self.dice.below(2);
        let name = format!("k{place}{number}");
        let revoke = self.dice.percent(20);
        let known = self.models[place].keys.get_mut(&name).ok_or("no key")?;
        let kept = if revoke {
            known.revision += u64::from(known.enabled);
            known.enabled = false;
            self.book.revoke_key(&id(&name), &mut self.changes)
        } else {
            let mut record = key(&name, &format!("w{place}"));
            self.next += 1;
            record.name = self.next.to_string();
            known.revision += 1;
            known.only_model = None;
            known.expires_at = None;
            let number = u8::try_from(place * 2).expect("few") + u8::try_from(number).expect("few");
            if self.dice.percent(50) && known.enabled {
                record.revision = known.revision - 1;
                self.book.edit_key(record, &mut self.changes)
            } else {
                self.book.put_key(record, digest(number), &mut self.changes)
            }
        };
        let kept = kept.map_err(|error| error.to_string())?;
        agree!(
            (kept.enabled, kept.revision),
            (known.enabled, known.revision),
            "key"
        );
        Ok(())
    }

    /// Opens a wallet that is open: grants that are new are given, and nothing else.
    pub(super) fn give(&mut self, place: usize) -> Outcome {
        let given = [self.grant(0), self.grant(5)];
        for grant in &given {
            let known = &mut self.models[place].grants;
            if known.iter().all(|other| other.name != grant.name) {
                known.push(grant.clone());
            }
        }
        let wallet = format!("w{place}");
        let booked = self.models[place].credits[0] > 0;
        let opening = entry(
            &format!("config:{wallet}"),
            &wallet,
            EntryKind::Opening,
            999,
        );
        let new = NewWallet {
            id: id(&wallet),
            credit_line: Nano::new(7),
            opening: Some(opening).filter(|_| booked),
            grants: given.to_vec(),
        };
        let opened = self.book.open_wallet(self.now, new, &mut self.changes);
        agree!(opened.map_err(|error| error.to_string())?, false, "opened");
        Ok(())
    }
}
