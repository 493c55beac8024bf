//! The directory, compared with what the partitions keep: they are right. What it lacks is put there again, and
//! logged; what it says of another is a finding.

use std::collections::HashSet;

use super::super::Redis;
use super::super::accounts::entry_of;
use super::super::layout::{Partition, hex};
use super::super::reply::{self, malformed};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::book::Credits;
use crate::ledger::id::{KeyDigest, KeyId, WalletId};

/// What the directory has to say of something.
struct Place {
    key: Vec<u8>,
    content: String,
    /// What is wrong where it says something else.
    otherwise: String,
}

/// Credits: when each was booked, and how much.
#[derive(Debug, Default)]
pub struct Booked {
    credits: Vec<(UnixMs, i64)>,
}

impl Booked {
    /// What the first `count` of them sum to, which were all that there were at `now`; `None` where others of the same
    /// millisecond cannot be told from them.
    pub fn first(&self, count: u64, now: UnixMs) -> Option<Credits> {
        let sum = |until: UnixMs| {
            let (mut number, mut sums) = (0_u64, Credits::default());
            for (_, amount) in self.credits.iter().filter(|(at, _)| *at <= until) {
                let amount = i128::from(*amount);
                sums.all += amount;
                sums.down += amount.min(0);
                number += 1;
            }
            (number, sums)
        };
        let (number, sums) = sum(now);
        if number <= count {
            return Some(sums);
        }
        let (number, sums) = sum(UnixMs(now.0.saturating_sub(1)));
        (number == count).then_some(sums)
    }
}

impl Redis {
    /// The credits of a wallet, page by page. Their names are taken, or are taken now.
    pub(super) async fn all_credits(
        &self,
        wallet: &WalletId,
        faults: &mut Vec<String>,
    ) -> Result<Booked, LedgerError> {
        let key = self.layout.entries(Partition::of(wallet), wallet);
        let mut seen = HashSet::new();
        let mut booked = Booked::default();
        let mut cursor = Some("0".to_owned());
        while let Some(at) = cursor {
            let (page, next) = self.fields(&key, &at).await?;
            let fresh = page.chunks_exact(2);
            let fresh = fresh.filter(|pair| seen.insert(pair[0].clone()));
            let fresh: Vec<String> = fresh.flatten().cloned().collect();
            self.check_credits(wallet, &fresh, &mut booked, faults)
                .await?;
            cursor = next;
        }
        Ok(booked)
    }

    /// The same of credits that were read, names and contents in turn.
    pub(super) async fn check_credits(
        &self,
        wallet: &WalletId,
        pairs: &[String],
        booked: &mut Booked,
        faults: &mut Vec<String>,
    ) -> Result<(), LedgerError> {
        let mut places = Vec::new();
        for pair in pairs.chunks_exact(2) {
            match entry_of(&pair[1]) {
                Ok(entry) if entry.id.as_str() == pair[0] && entry.wallet == *wallet => {
                    booked.credits.push((entry.at, entry.amount.get()));
                    places.push(Place {
                        key: self.layout.entry(&entry.id),
                        content: wallet.as_str().to_owned(),
                        otherwise: format!("credit {} is booked on another wallet too", entry.id),
                    });
                }
                _ => {
                    booked.credits.push((UnixMs(i64::MIN), 0));
                    faults.push(format!("its credit {} cannot be read", pair[0]));
                }
            }
        }
        self.check_directory(places, faults).await
    }

    /// Checks that keys and their secrets are found.
    pub(super) async fn check_keys(
        &self,
        wallet: &WalletId,
        keys: &[(KeyId, KeyDigest)],
        faults: &mut Vec<String>,
    ) -> Result<(), LedgerError> {
        let mut places = Vec::new();
        for (id, digest) in keys {
            places.push(Place {
                key: self.layout.key(id),
                content: format!("{wallet} {}", hex(&digest.0)),
                otherwise: format!("key {id}: the directory has another wallet or secret of it"),
            });
            places.push(Place {
                key: self.layout.digest(digest),
                content: format!("{wallet} {id}"),
                otherwise: format!("key {id}: its secret finds another record"),
            });
        }
        self.check_directory(places, faults).await
    }

    async fn check_directory(
        &self,
        places: Vec<Place>,
        faults: &mut Vec<String>,
    ) -> Result<(), LedgerError> {
        let asked = places.iter().map(|place| {
            // Set where there is nothing; what was there is answered.
            let mut set = ::redis::cmd("SET");
            set.arg(&place.key).arg(&place.content).arg("NX").arg("GET");
            set
        });
        let answers = self.ask(asked.collect()).await?;
        for (place, answer) in places.iter().zip(&answers) {
            if matches!(answer, ::redis::Value::Nil) {
                let key = String::from_utf8_lossy(&place.key);
                tracing::warn!(%key, content = place.content, "the directory had lost this; it was put there again");
            } else if reply::text(answer).ok_or_else(malformed)? != place.content {
                faults.push(place.otherwise.clone());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_that_came_later_are_told_from_those_of_before() {
        let booked = Booked {
            credits: vec![
                (UnixMs(5), 10),
                (UnixMs(7), -3),
                (UnixMs(7), 4),
                (UnixMs(9), 100),
            ],
        };
        let first = |count, now| {
            let sums = booked.first(count, UnixMs(now));
            sums.map(|sums| (sums.all, sums.down))
        };
        assert_eq!(first(4, 9), Some((111, -3)));
        assert_eq!(first(3, 8), Some((11, -3)));
        assert_eq!(first(3, 7), Some((11, -3)));
        assert_eq!(first(2, 7), None);
        assert_eq!(first(1, 7), Some((10, 0)));
        assert_eq!(first(5, 9), Some((111, -3)), "one has gone: sums tell");
    }
}
