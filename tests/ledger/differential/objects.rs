//! What gateways do with the objects of upstreams in a schedule: a few names, put, found, dropped and listed.

use tollgate::clock::UnixMs;
use tollgate::ledger::id::{RequestId, WalletId};
use tollgate::ledger::object::{
    OBJECTS_MAX, Object, ObjectId, ObjectKind, ObjectQuery, ObjectRef, Pending,
};

use super::op::Op;
use super::schedule::{Past, Schedule};
use crate::kit::{HOUR_MS, id, object};

/// The kinds that schedules put.
pub const KINDS: [ObjectKind; 2] = [ObjectKind::Response, ObjectKind::File];
/// Fewer than go at once when another comes: more than that no two stores have to agree on.
const NAMES: u64 = 7;

/// All objects of one kind.
pub fn listing(wallet: WalletId, kind: ObjectKind) -> ObjectQuery {
    ObjectQuery {
        wallet,
        kind,
        after: None,
        limit: 100,
    }
}

impl Schedule {
    pub fn object(&mut self, now: UnixMs) -> Op {
        // Mostly the same wallet and kind, so that there are many.
        let place = usize::from(self.dice.percent(15));
        let wallet = self.wallets[place].clone();
        let name = self.object_name();
        let known = ObjectRef {
            wallet: wallet.clone(),
            id: name.clone(),
        };
        match self.dice.below(20) {
            0..11 => self.put_object(now, wallet, name),
            11..15 => Op::FindObject(known),
            15 | 16 => Op::DropObject(known),
            17 => Op::Pending(known, u32::try_from(self.dice.below(5)).expect("few")),
            _ => Op::ListObjects(ObjectQuery {
                after: self.dice.percent(60).then_some(name),
                limit: u32::try_from(self.dice.below(6)).expect("few"),
                ..listing(wallet, self.dice.one(&KINDS))
            }),
        }
    }

    fn object_name(&mut self) -> ObjectId {
        id(&format!("o|{}", self.dice.below(NAMES)))
    }

    fn put_object(&mut self, now: UnixMs, wallet: WalletId, name: ObjectId) -> Op {
        // Most names tell the kind, as those of upstreams do.
        let is_odd = name.as_str().ends_with('1') != self.dice.percent(7);
        let made = object(name.as_str(), wallet.as_str());
        let ends = match self.dice.below(4) {
            0 => now.plus(self.dice.below(3)),
            1 => now.plus(self.dice.below(100)),
            _ => now.plus(self.dice.below(HOUR_MS)),
        };
        self.instants.push(ends);
        let waits = self.dice.percent(35).then(|| self.awaited(&wallet));
        let pending = waits.flatten().map(|request| Pending {
            request,
            state: self.next.to_string(),
        });
        let nowhere = self.dice.percent(3);
        let put = Object {
            wallet: match nowhere {
                true => id(&format!("nobody{}", self.seed)),
                false => wallet,
            },
            kind: KINDS[usize::from(is_odd)],
            created_at: now.plus(self.dice.below(4)),
            expires_at: ends,
            pending,
            ..made
        };
        let at_most = self.dice.one(&[1, 2, 2, 3, 3, OBJECTS_MAX]);
        Op::PutObject(put, at_most)
    }

    /// A request of the wallet, preferably one that was made.
    fn awaited(&mut self, wallet: &WalletId) -> Option<RequestId> {
        let of = |past: &&Past| past.quote.wallet == *wallet;
        let made: Vec<RequestId> = self
            .requests
            .iter()
            .filter(of)
            .map(|past| past.quote.request)
            .collect();
        let latest = made.len().saturating_sub(4);
        self.dice.pick(&made[latest..]).copied()
    }
}
