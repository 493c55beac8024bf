//! Holds: a quote as the arguments of a call, and its answer as a hold or a refusal.

use std::str::FromStr;

use super::cache::Grants;
use super::fields::{counter, counter_field, grant_state};
use super::layout::{Layout, Partition, hex, request_hex};
use super::record::{Fixed, Record};
use super::reply::{Reply, malformed};
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::book::WalletRow;
use crate::ledger::book::snapshot::{Snapshot, is_exact};
use crate::ledger::grant::Grant;
use crate::ledger::hold::{HoldRef, Quote, Refusal};
use crate::ledger::id::RequestId;
use crate::ledger::limit::{Ask, Window};
use crate::money::Nano;
use crate::usage::Unit;

/// A call's keys and its arguments after the header.
pub struct Call {
    /// The partition's own hash comes first.
    pub keys: Vec<Vec<u8>>,
    /// Texts.
    pub args: Vec<Vec<u8>>,
}

/// What a hold's call came to.
pub enum Outcome {
    /// The request is admitted.
    Held(Box<Record>),
    /// It is not.
    Refused(Refusal),
    /// It is not: this request was charged under the same idempotency key.
    Charged(RequestId),
    /// The wallet has grants that the call did not know of.
    GrantsChanged,
    /// The partition has lost writes, and waits for them to be replayed.
    Recovering,
}

/// A quote on its way.
pub struct Holding<'a> {
    quote: &'a Quote,
    grants: Vec<&'a Grant>,
    fields: Vec<String>,
}

impl<'a> Holding<'a> {
    /// The quote, with the grants of the wallet that the model may take from.
    pub fn new(quote: &'a Quote, grants: &'a Grants) -> Holding<'a> {
        let serving = grants
            .list
            .iter()
            .filter(|grant| quote.is_in(&grant.models));
        let field = |ask: &crate::ledger::limit::CounterAsk| counter_field(&ask.key, ask.window);
        Holding {
            quote,
            grants: serving.collect(),
            fields: quote.counters.iter().map(field).collect(),
        }
    }

    /// The call. `may_use`: whether the key's record, of the quote's revision, allows the model.
    pub fn call(&self, layout: &Layout, version: &str, may_use: bool) -> Result<Call, LedgerError> {
        let quote = self.quote;
        let partition = Partition::of(&quote.wallet);
        let mut keys = wallet_keys(layout, partition, &self.id());
        let mut args = Args::default();
        args.text(&request_hex(quote.request));
        args.text(&format!("k:{}", quote.key));
        args.number(quote.key_revision);
        args.flag(may_use);
        args.text(version);
        args.number(quote.lease_ms);
        match &quote.idempotency {
            Some(claim) => {
                keys.push(layout.claim(partition, &quote.wallet, &quote.key, &claim.token));
                args.text(&hex(&claim.body));
            }
            None => args.text(""),
        }
        args.flag(!is_exact(quote));
        args.json(&Fixed::of(quote))?;
        args.number(quote.segments.len());
        for segment in &quote.segments {
            args.number(segment.count);
            args.number(segment.count_min);
            args.number(segment.unit_price.get());
            args.text(match segment.meter.unit() {
                Unit::Tokens => "t",
                Unit::Images => "i",
                _ => "",
            });
        }
        args.number(self.grants.len());
        for grant in &self.grants {
            args.text(grant.name.as_str());
        }
        args.number(quote.counters.len());
        for (ask, field) in quote.counters.iter().zip(&self.fields) {
            args.text(field);
            match ask.window {
                Window::Period { start, end } => {
                    args.number(start.0);
                    args.number(end.0);
                }
                _ => {
                    args.text("");
                    args.text("");
                }
            }
            match ask.ask {
                Ask::Money => args.text("m"),
                Ask::Fixed(amount) => args.number(amount),
            }
            args.number(ask.cap);
        }
        Ok(Call { keys, args: args.0 })
    }

    /// The answer.
    pub fn outcome(&self, reply: &Reply) -> Result<Outcome, LedgerError> {
        let refused = |refusal| Ok(Outcome::Refused(refusal));
        match reply.word() {
            "ok" => {
                let until = UnixMs(reply.number(2)?);
                let text = reply.text(3)?.to_owned();
                let record = Record::read(self.id(), text, until).ok_or_else(malformed)?;
                Ok(Outcome::Held(Box::new(record)))
            }
            "recovering" => Ok(Outcome::Recovering),
            "grants" => Ok(Outcome::GrantsChanged),
            "key" => refused(Refusal::Key),
            "key changed" => refused(Refusal::KeyChanged),
            "model" => refused(Refusal::Model),
            "too large" => refused(Refusal::TooLarge),
            "ended" => refused(Refusal::Ended),
            "in flight" => refused(Refusal::InFlight),
            "other body" => refused(Refusal::OtherBody),
            "charged" => request_of(reply.text(2)?).map(Outcome::Charged),
            "period" => refused(Refusal::Period {
                now: UnixMs(reply.number(2)?),
            }),
            "short" => {
                let now = UnixMs(reply.number(2)?);
                let snapshot = self.snapshot(&reply.texts(3)?)?;
                // The same rules, on what the store found: they say what is short of what.
                let refusal = snapshot.refusal(now, self.quote).ok_or_else(disagreement)?;
                refused(refusal)
            }
            _ => Err(malformed()),
        }
    }

    /// The hold's name.
    pub fn id(&self) -> HoldRef {
        HoldRef {
            wallet: self.quote.wallet.clone(),
            request: self.quote.request,
        }
    }

    /// The wallet as far as the call read it: balance, line, held, two that do not matter here, then grants and counters.
    fn snapshot(&self, found: &[&str]) -> Result<Snapshot, LedgerError> {
        let [balance, line, held, _, _, rest @ ..] = found else {
            return Err(malformed());
        };
        let (grants, counters) = rest
            .split_at_checked(self.grants.len())
            .ok_or_else(malformed)?;
        let states = self.grants.iter().zip(grants);
        let states = states.map(|(grant, content)| grant_state(grant, content));
        let standing = self.fields.iter().zip(counters);
        let standing = standing
            .filter(|(_, content)| !content.is_empty())
            .map(|(field, content)| counter(field, content));
        Ok(Snapshot {
            row: WalletRow {
                id: self.quote.wallet.clone(),
                balance: nano(balance)?,
                credit_line: nano(line)?,
                credited: Nano::ZERO,
                charged: Nano::ZERO,
                shortfall: Nano::ZERO,
            },
            held: nano(held)?,
            grants: states.collect::<Option<_>>().ok_or_else(malformed)?,
            counters: standing.collect::<Option<_>>().ok_or_else(malformed)?,
            live: 0,
        })
    }
}

/// The keys that every call about a request begins with: partition, wallet, leases, request.
pub fn wallet_keys(layout: &Layout, partition: Partition, id: &HoldRef) -> Vec<Vec<u8>> {
    vec![
        layout.meta(partition),
        layout.wallet(partition, &id.wallet),
        layout.leases(partition, &id.wallet),
        layout.request(partition, id.request),
    ]
}

/// The request of 32 hexadecimal digits.
pub fn request_of(digits: &str) -> Result<RequestId, LedgerError> {
    RequestId::from_str(&format!("req_{digits}")).map_err(|_| malformed())
}

/// An amount from its digits.
pub fn nano(text: &str) -> Result<Nano, LedgerError> {
    text.parse().map(Nano::new).map_err(|_| malformed())
}

fn disagreement() -> LedgerError {
    tracing::error!("the store refused a hold that the rules admit: this is a bug");
    LedgerError::Unavailable("the store refused a hold for no reason that is known".to_owned())
}

/// Arguments, one after the other.
#[derive(Default)]
pub struct Args(pub Vec<Vec<u8>>);

impl Args {
    /// A text.
    pub fn text(&mut self, text: &str) {
        self.0.push(text.as_bytes().to_vec());
    }

    /// A number, by its digits.
    pub fn number(&mut self, number: impl ToString) {
        self.0.push(number.to_string().into_bytes());
    }

    /// Yes or no.
    pub fn flag(&mut self, yes: bool) {
        self.text(if yes { "1" } else { "0" });
    }

    /// A value as JSON.
    ///
    /// # Errors
    /// As good as never: where it has none.
    pub fn json(&mut self, value: &impl serde::Serialize) -> Result<(), LedgerError> {
        let bytes = serde_json::to_vec(value);
        self.0
            .push(bytes.map_err(|error| LedgerError::Conflict(error.to_string()))?);
        Ok(())
    }
}

/// A value from its JSON.
pub fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, LedgerError> {
    serde_json::from_str(text).map_err(|error| {
        tracing::error!(%error, "the store keeps a record that cannot be read");
        malformed()
    })
}
