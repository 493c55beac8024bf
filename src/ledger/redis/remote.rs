//! The store as journals reach it: calls with their header, the marks that it keeps, and what it says to a number.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use redis::Value;

use super::error::LinkError;
use super::layout::{Layout, Partition, unhex};
use super::link::Link;
use super::reply::text;
use super::scripts::Script;
use crate::clock::Clock;
use crate::ledger::id::StoreId;
use crate::ledger::journal::{Lane, Nonce};

/// Finds the scripts that journals name.
pub type Named = Arc<dyn Fn(&str) -> Option<&'static Script> + Send + Sync>;

/// How journals reach the store.
#[derive(Clone)]
pub struct Remote {
    /// The way.
    pub link: Link,
    /// The names of keys.
    pub layout: Layout,
    /// The scripts that journals name.
    pub named: Named,
    /// Tells a partition that a journal has replayed what it lost.
    pub recovered: &'static Script,
    /// In place of the store's time, for tests.
    pub clock: Option<Clock>,
    /// How long nobody may call before leases stand still.
    pub gap_ms: Option<u64>,
}

/// What the store says to a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is at or below the mark now: carried out, or found to be impossible.
    Passed {
        /// Whether it is carried out, as far as the answer tells.
        well: bool,
    },
    /// Others must come first: the mark is this.
    Gap(u64),
}

impl Remote {
    /// What every call begins with; see the scripts' own header.
    pub(super) fn header(
        &self,
        nonce: &str,
        seq: Option<u64>,
        acked: u64,
        again: bool,
    ) -> Vec<Vec<u8>> {
        let now = self.clock.as_ref().map(|clock| clock.now().0.to_string());
        let number = |number: Option<u64>| number.map_or_else(Vec::new, digits);
        let mut args = Vec::with_capacity(32);
        args.push(now.unwrap_or_default().into_bytes());
        args.push(number(self.gap_ms));
        args.push(nonce.as_bytes().to_vec());
        args.push(number(seq));
        args.push(digits(acked));
        args.push(if again { b"1".to_vec() } else { Vec::new() });
        args
    }

    /// The marks of these lanes.
    pub(super) async fn marks(
        &self,
        lanes: &[(Lane, Nonce)],
    ) -> Result<HashMap<Lane, u64>, LinkError> {
        let ask = |(lane, nonce): &(Lane, Nonce)| {
            let mut command = redis::cmd("HGET");
            command.arg(self.meta(lane.partition));
            command.arg(format!("m:{nonce}"));
            command
        };
        let mut marks = HashMap::with_capacity(lanes.len());
        for some in lanes.chunks(1024) {
            let answers = self.link.batch(some.iter().map(ask).collect()).await?;
            for ((lane, _), answer) in some.iter().zip(&answers) {
                let mark = match answer {
                    Value::Nil => Some(0),
                    value => text(value).and_then(|text| text.parse().ok()),
                };
                let mark = mark.ok_or_else(|| odd("a mark", answer))?;
                marks.insert(*lane, mark);
            }
        }
        Ok(marks)
    }

    /// The id of the store; none where nothing was ever kept.
    pub(super) async fn store_id(&self) -> Result<Option<StoreId>, LinkError> {
        let mut command = redis::cmd("HGET");
        command.arg(self.layout.store()).arg("pepper");
        let answers = self.link.batch(vec![command]).await?;
        let pepper = answers.first().and_then(text).and_then(unhex::<32>);
        Ok(pepper.map(|pepper| StoreId::of(&pepper)))
    }

    /// How many entries are put aside in each partition.
    pub(super) async fn suspended(&self) -> Result<Vec<(Partition, u64)>, LinkError> {
        let ask = |partition| {
            let mut command = redis::cmd("LLEN");
            command.arg(self.layout.suspense(partition));
            command
        };
        let answers = self.link.batch(Partition::all().map(ask).collect()).await?;
        let counts = answers.iter().map(|answer| match answer {
            Value::Int(count) => count.unsigned_abs(),
            _ => 0,
        });
        let counts = Partition::all().zip(counts);
        Ok(counts.filter(|(_, count)| *count > 0).collect())
    }

    /// Lets the mark pass entries that are gone for good.
    pub(super) async fn skip(
        &self,
        partition: u16,
        nonce: Nonce,
        mark: u64,
        upto: u64,
    ) -> Result<(), LinkError> {
        static SKIP: LazyLock<Script> =
            LazyLock::new(|| Script::new("skip", include_str!("scripts/skip.lua").to_owned()));
        let suspense = self.layout.suspense(place(partition));
        let keys = vec![self.meta(partition), suspense];
        let args = vec![nonce.to_string().into_bytes(), digits(mark), digits(upto)];
        tracing::error!(
            partition,
            journal = %nonce,
            "the store lost the entries {} to {upto}, and the journal does not have them any more: \
             they cannot be done again. `tollgate journal status` lists such entries",
            mark.saturating_add(1)
        );
        self.link.call(&SKIP, keys, args).await.map(drop)
    }

    /// A partition's own hash.
    pub(super) fn meta(&self, partition: u16) -> Vec<u8> {
        self.layout.meta(place(partition))
    }
}

/// The partition of a number that came from one.
pub(super) fn place(number: u16) -> Partition {
    Partition::new(number % super::layout::PARTITIONS).expect("a remainder is below its divisor")
}

pub(super) fn digits(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// What an answer to a mutation means for its number.
pub(super) fn verdict(answer: &Value) -> Result<Verdict, LinkError> {
    let (word, rest) = match answer {
        Value::Array(values) => (values.first().and_then(text), values.get(1)),
        _ => (None, None),
    };
    match word {
        Some("gap") => {
            let mark = rest.and_then(text).and_then(|text| text.parse().ok());
            mark.map(Verdict::Gap).ok_or_else(|| odd("a gap", answer))
        }
        Some(word) => Ok(Verdict::Passed {
            well: matches!(word, "ok" | "done"),
        }),
        None => Err(odd("an answer", answer)),
    }
}

fn odd(what: &str, value: &Value) -> LinkError {
    LinkError::Refused(format!(
        "the store gave {what} that makes no sense: {value:?}"
    ))
}
