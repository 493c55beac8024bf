//! The directory, compared with what the partitions keep: they are right. What it lacks is put there again, and
//! logged; what it says of another is a finding.

use std::collections::HashSet;

use super::super::Redis;
use super::super::accounts::entry_of;
use super::super::layout::{Partition, hex};
use super::super::reply::{self, malformed};
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

impl Redis {
    /// The credits of a wallet, and how many they are.
    pub(super) async fn credits_of(
        &self,
        wallet: &WalletId,
        faults: &mut Vec<String>,
    ) -> Result<(u64, Credits), LedgerError> {
        let key = self.layout.entries(Partition::of(wallet), wallet);
        let mut seen = HashSet::new();
        let mut credits = Credits::default();
        let mut cursor = Some("0".to_owned());
        while let Some(at) = cursor {
            let (texts, next) = self.fields(&key, &at).await?;
            let mut places = Vec::new();
            for pair in texts
                .chunks_exact(2)
                .filter(|pair| seen.insert(pair[0].clone()))
            {
                match entry_of(&pair[1]) {
                    Ok(entry) if entry.id.as_str() == pair[0] && entry.wallet == *wallet => {
                        let amount = i128::from(entry.amount.get());
                        credits.all += amount;
                        credits.down += amount.min(0);
                        places.push(Place {
                            key: self.layout.entry(&entry.id),
                            content: wallet.as_str().to_owned(),
                            otherwise: format!(
                                "credit {} is booked on another wallet too",
                                entry.id
                            ),
                        });
                    }
                    _ => faults.push(format!("its credit {} cannot be read", pair[0])),
                }
            }
            self.check_directory(places, faults).await?;
            cursor = next;
        }
        Ok((seen.len() as u64, credits))
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
