//! One wallet as an audit reads it, at one moment: what can be read is summed, what cannot is told.

use std::collections::BTreeSet;

use super::super::Redis;
use super::super::fields::expiry;
use super::super::hold::{Args, Call, from_json, request_of};
use super::super::layout::{Partition, unhex};
use super::super::reads::snapshot_of;
use super::super::record::Record;
use super::super::reply::{Reply, malformed};
use super::pages::Place;
use super::totals::tally_of;
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::audit::Account;
use crate::ledger::book::Credits;
use crate::ledger::book::snapshot::{LiveHold, Snapshot};
use crate::ledger::grant::Grant;
use crate::ledger::hold::HoldRef;
use crate::ledger::id::{KeyDigest, KeyId, RequestId, WalletId};
use crate::ledger::key::Key;
use crate::ledger::tally::Tally;

/// How many totals of one wallet are compared at most: more would keep the store from its work.
const TOTALS_MAX: u32 = 10_000;

/// The same of its credits; more are read page by page.
pub const CREDITS_MAX: u64 = 1_000;

/// All of a wallet but its receipts and credits.
#[derive(Debug, Default)]
pub struct Standing {
    /// Its row, its grants, and what was folded.
    pub account: Account,
    /// The last receipt of the partition at that moment.
    pub last: Place,
    /// The partition's time at that moment.
    pub now: UnixMs,
    /// How many credits there were.
    pub credits: u64,
    /// The credits, names and contents in turn, if they are no more than [`CREDITS_MAX`].
    pub entries: Vec<String>,
    /// What is wrong with it already.
    pub faults: Vec<String>,
    /// Its keys and their secrets.
    pub keys: Vec<(KeyId, KeyDigest)>,
    /// Requests that have a lease.
    pub leases: Vec<RequestId>,
    /// What its totals sum to, if they are to be compared.
    pub totals: Option<Tally>,
    snapshot: Option<(Snapshot, Vec<LiveHold>)>,
}

impl Standing {
    /// What does not fit with its live holds. `down`: what credits took away, in nano units.
    pub fn held_faults(&self, credits: &Credits) -> Vec<String> {
        let snapshot = self.snapshot.as_ref();
        snapshot.map_or_else(Vec::new, |(snapshot, live)| snapshot.faults(live, credits))
    }
}

impl Redis {
    /// Reads a wallet.
    pub(super) async fn standing(
        &self,
        partition: Partition,
        wallet: &WalletId,
    ) -> Result<Standing, LedgerError> {
        let layout = &self.layout;
        let mut args = Args::default();
        args.number(TOTALS_MAX);
        args.number(CREDITS_MAX);
        let call = Call {
            keys: vec![
                layout.wallet(partition, wallet),
                layout.leases(partition, wallet),
                layout.grants(partition, wallet),
                layout.entries(partition, wallet),
                layout.keys(partition, wallet),
                layout.totals(partition, wallet),
                layout.receipts(partition),
                layout.meta(partition),
            ],
            args: args.0,
        };
        let reply = self.call(partition, &self.scripts.account, call).await?;
        read(wallet, &reply)
    }
}

fn read(wallet: &WalletId, reply: &Reply) -> Result<Standing, LedgerError> {
    let fields = reply.texts(2)?;
    let mut standing = Standing {
        last: Place::read(reply.text(1)?).ok_or_else(malformed)?,
        now: UnixMs(reply.number(10)?),
        credits: reply.number(5)?,
        entries: reply.texts(6)?.into_iter().map(str::to_owned).collect(),
        ..Standing::default()
    };
    if fields.is_empty() {
        return Ok(standing);
    }
    let live = standing.live(wallet, &reply.texts(3)?);
    standing.grants(wallet, &fields, &reply.texts(4)?, live);
    standing.keys(wallet, &fields, &reply.texts(7)?);
    let folded = field(&fields, "folded");
    match folded.map_or(Some(Tally::default()), checkpoint) {
        Some(tally) => standing.account.tally = tally,
        None => standing.fault("its checkpoint cannot be read"),
    }
    // Totals outlive receipts, but not for ever.
    if folded.is_none() && reply.number::<u32>(8)? <= TOTALS_MAX {
        let mut sum = Tally::default();
        for content in reply.texts(9)? {
            match tally_of(content) {
                Some(tally) => sum.join(&tally),
                None => standing.fault("a total of its usage cannot be read"),
            }
        }
        standing.totals = Some(sum);
    }
    Ok(standing)
}

impl Standing {
    fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    /// Its live holds from leases and records, in turn.
    fn live(&mut self, wallet: &WalletId, pairs: &[&str]) -> Vec<LiveHold> {
        let mut live = Vec::new();
        for pair in pairs.chunks_exact(2) {
            let Ok(request) = request_of(pair[0]) else {
                self.fault(format!("{:?} has a lease and is no request", pair[0]));
                continue;
            };
            self.leases.push(request);
            if !pair[1].starts_with('L') {
                self.fault(format!("{request} has a lease and is not live"));
                continue;
            }
            let wallet = wallet.clone();
            let record = Record::read(HoldRef { wallet, request }, pair[1].to_owned(), UnixMs(0));
            match record.and_then(|record| record.live()) {
                Some(hold) => live.push(hold),
                None => self.fault(format!("the record of {request} cannot be read")),
            }
        }
        live
    }

    /// Its grants as given, names and records in turn, and how they stand.
    fn grants(&mut self, wallet: &WalletId, fields: &[&str], pairs: &[&str], live: Vec<LiveHold>) {
        let mut given = Vec::new();
        for pair in pairs.chunks_exact(2) {
            match from_json::<Grant>(pair[1]) {
                Ok(grant) => given.push(grant),
                Err(_) => self.fault(format!("its grant {} cannot be read", pair[0])),
            }
        }
        let names: BTreeSet<&str> = given.iter().map(|grant| grant.name.as_str()).collect();
        let standing = fields
            .iter()
            .step_by(2)
            .filter_map(|field| field.strip_prefix("g:"));
        let standing: BTreeSet<&str> = standing.collect();
        for name in names.symmetric_difference(&standing) {
            self.fault(format!("its grant {name} is given or stands, but not both"));
        }
        match snapshot_of(wallet, fields, &given, live.len() as u64) {
            Ok(snapshot) => {
                self.account.row = Some(snapshot.row.clone());
                let states = snapshot.grants.iter().cloned();
                let named = states.map(|state| (state.grant.name.as_str().to_owned(), state));
                self.account.grants = named.collect();
                self.snapshot = Some((snapshot, live));
            }
            Err(_) => self.fault("its record cannot be read"),
        }
    }

    /// Its keys: records and, marked by `#`, digests; and their heads, which holds read.
    fn keys(&mut self, wallet: &WalletId, fields: &[&str], pairs: &[&str]) {
        let heads = fields
            .iter()
            .step_by(2)
            .filter_map(|field| field.strip_prefix("k:"));
        for id in heads.filter(|id| field(pairs, id).is_none()) {
            self.faults.push(format!("key {id}: it has no record"));
        }
        for pair in pairs
            .chunks_exact(2)
            .filter(|pair| !pair[0].starts_with('#'))
        {
            let Ok(key) = from_json::<Key>(pair[1]) else {
                self.fault(format!("key {}: its record cannot be read", pair[0]));
                continue;
            };
            let enabled = u8::from(key.enabled);
            let head = format!("{} {enabled} {}", key.revision, expiry(key.expires_at));
            if field(fields, &format!("k:{}", pair[0])) != Some(&head) {
                self.fault(format!(
                    "key {}: what holds read of it is not its record",
                    pair[0]
                ));
            }
            if key.wallet != *wallet || key.id.as_str() != pair[0] {
                self.fault(format!(
                    "key {}: its record is of another key or wallet",
                    pair[0]
                ));
            }
            let digest = field(pairs, &format!("#{}", pair[0])).and_then(unhex);
            match digest {
                Some(digest) => self.keys.push((key.id, KeyDigest(digest))),
                None => self.fault(format!("key {}: its secret is not known", pair[0])),
            }
        }
    }
}

/// The content of a field, of names and contents in turn.
fn field<'a>(pairs: &[&'a str], name: &str) -> Option<&'a str> {
    let mut pairs = pairs.chunks_exact(2);
    pairs.find(|pair| pair[0] == name).map(|pair| pair[1])
}

/// A checkpoint: receipts, charged, shortfall, free money, tokens, images and requests, and when the last was settled.
fn checkpoint(text: &str) -> Option<Tally> {
    let words: Vec<&str> = text.split(' ').collect();
    let [receipts, sums @ .., _until] = words.as_slice() else {
        return None;
    };
    let sums = sums.iter().map(|sum| sum.parse().ok());
    let sums: Vec<i128> = sums.collect::<Option<_>>()?;
    let [
        charged,
        shortfall,
        free_money,
        free_tokens,
        free_images,
        free_requests,
    ] = sums[..]
    else {
        return None;
    };
    Some(Tally {
        receipts: receipts.parse().ok()?,
        charged,
        shortfall,
        free_money,
        free_tokens,
        free_images,
        free_requests,
        ..Tally::default()
    })
}

#[cfg(test)]
mod tests {
    use ::redis::Value;

    use super::*;

    #[test]
    fn a_checkpoint_is_read_and_anything_else_is_not() {
        let beyond = "36893488147419103230";
        let tally = checkpoint(&format!("3 70 5 0 {beyond} 0 1 1767571200000")).unwrap();
        assert_eq!((tally.receipts, tally.charged, tally.shortfall), (3, 70, 5));
        assert_eq!(tally.free_tokens, 2 * i128::from(u64::MAX));
        assert_eq!(tally.free_requests, 1);
        for wrong in [
            "",
            "3",
            "3 70 5 0 1 0 1",
            "3 70 5 0 1 0 x 1",
            "3 70 5 0 1 0 1 1 1",
        ] {
            assert_eq!(checkpoint(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_read_of_a_wallet_is_told() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let list = |texts: &[&str]| Value::Array(texts.iter().map(|t| text(t)).collect());
        let money = ["balance", "5", "line", "0", "held", "0", "credited", "5"];
        let more = [
            "charged",
            "0",
            "shortfall",
            "0",
            "g:gift",
            "t 5 - 0 0",
            "k:a",
            "1 1 -",
        ];
        let reply = Reply::new(Value::Array(vec![
            text("ok"),
            text("7-0"),
            list(&[&money[..], &more[..], &["folded", "x"]].concat()),
            list(&["00", "", "000102030405060708090a0b0c0d0e0f", "S 7-0"]),
            list(&["other", "{}"]),
            Value::Int(1),
            list(&["entry", "5 {}"]),
            list(&["b", "{}"]),
            Value::Int(0),
            list(&[]),
            text("1767571200000"),
        ]));
        let standing = read(&"w".parse().unwrap(), &reply.unwrap()).unwrap();
        let expected = [
            "\"00\" has a lease and is no request",
            "req_000102030405060708090a0b0c0d0e0f has a lease and is not live",
            "its grant other cannot be read",
            "its grant gift is given or stands, but not both",
            "key a: it has no record",
            "key b: its record cannot be read",
            "its checkpoint cannot be read",
        ];
        assert_eq!(standing.faults, expected);
        assert_eq!((standing.credits, standing.last.at), (1, 7));
        assert!(standing.totals.is_none());
    }
}
