//! Receipts: the itemised result of one request, and totals over many.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::id::{BodyHash, KeyId, RequestId, WalletId};
use crate::clock::UnixMs;
use crate::money::Nano;
use crate::price::{Applied, FreeUnits};
use crate::usage::{Counted, Usage};

/// A client's wish that a request be charged at most once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdempotencyClaim {
    /// The header's value; scoped to the key.
    pub token: Arc<str>,
    /// What it was sent with.
    pub body: BodyHash,
}

/// The result of one request. The field names are the same in the API, in headers, trailers and streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The request.
    pub request_id: RequestId,
    /// Who paid.
    pub wallet: WalletId,
    /// By which key.
    pub key: KeyId,
    /// The model that was asked for, by canonical id.
    pub model: Arc<str>,
    /// The price book version.
    pub price_version: Arc<str>,
    /// What was consumed.
    pub usage: Usage,
    /// By whose count.
    pub counted: Counted,
    /// The exact value of what units of grants did not cover.
    pub priced: Nano,
    /// Units of grants burned.
    pub free: FreeUnits,
    /// Money taken from grants of money.
    pub free_money: Nano,
    /// Money taken from the balance: the cost.
    pub charged: Nano,
    /// `priced - free_money - charged`: what the operator bears.
    pub shortfall: Nano,
    /// Money that was reserved.
    pub held: Nano,
    /// Whether the hold had lapsed before this came.
    pub late: bool,
    /// When the hold was made.
    pub held_at: UnixMs,
    /// When it was settled.
    pub settled_at: UnixMs,
    /// The client's idempotency claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<IdempotencyClaim>,
    /// What happened on the wire.
    pub detail: Detail,
}

/// What a ledger keeps but does not understand.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Detail {
    /// The path that was called, without `/v1`.
    pub endpoint: Arc<str>,
    /// Which upstream answered.
    pub upstream: Arc<str>,
    /// Its HTTP status.
    pub status: u16,
    /// Whether the answer was a stream.
    pub streamed: bool,
    /// Upstream attempts, the successful one included.
    pub attempts: u32,
    /// These attempts in their order, where there was more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<Try>,
    /// Words on what was odd: `upstream_cut`, `client_gone`, `usage_missing`, `usage_unbelievable`, `input_unseen`
    /// (a part of the input is kept at the upstream, and was not counted), `over_bound`, `price_fallback`, `unpriced_meter`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Arc<str>>,
    /// Which of several prices it went by.
    #[serde(default, skip_serializing_if = "Applied::is_plain")]
    pub pricing: Applied,
}

/// One attempt at an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// Which upstream.
    pub upstream: Arc<str>,
    /// What came of it.
    pub outcome: TryOutcome,
}

/// What came of an attempt: a number, or a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TryOutcome {
    /// An answer with this HTTP status.
    Status(u16),
    /// No answer.
    Failed(TryFailure),
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TryFailure {
    /// There was no connection.
    Connect,
    /// It took too long.
    Timeout,
    /// The connection broke, or what came was no HTTP.
    Closed,
}

/// Which receipts.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ReceiptQuery {
    /// Of this wallet only.
    pub wallet: Option<WalletId>,
    /// Of this key only.
    pub key: Option<KeyId>,
    /// Settled at or after.
    pub from: Option<UnixMs>,
    /// Settled before.
    pub to: Option<UnixMs>,
    /// At most this many (newest first).
    pub limit: Option<u32>,
    /// For totals by day: minutes that local days are ahead of UTC.
    pub utc_offset_minutes: i32,
}

/// Totals of one day and model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// The local day, `YYYY-MM-DD`.
    pub day: String,
    /// The model.
    pub model: Arc<str>,
    /// Requests.
    pub requests: u64,
    /// What was consumed.
    pub usage: Usage,
    /// Units of grants burned.
    pub free: FreeUnits,
    /// Money charged.
    #[serde(rename = "cost")]
    pub charged: Nano,
    /// What the operator bore.
    pub shortfall: Nano,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_an_upstream_and_a_status_or_a_word_each_and_older_receipts_have_none() {
        const OLD: &str = r#"{"endpoint":"/embeddings","upstream":"b","status":200,"streamed":false,"attempts":2}"#;
        let mut detail: Detail = serde_json::from_str(OLD).expect("an old receipt");
        assert_eq!(detail.tries, []);
        assert_eq!(serde_json::to_string(&detail).expect("JSON"), OLD);
        let tried = |upstream: &str, outcome| Try {
            upstream: upstream.into(),
            outcome,
        };
        detail.tries = vec![
            tried("a", TryOutcome::Failed(TryFailure::Connect)),
            tried("b", TryOutcome::Status(200)),
        ];
        let json = serde_json::to_string(&detail).expect("JSON");
        let tries =
            r#","tries":[{"upstream":"a","outcome":"connect"},{"upstream":"b","outcome":200}]}"#;
        assert!(json.ends_with(tries), "{json}");
        assert_eq!(serde_json::from_str::<Detail>(&json).expect("JSON"), detail);
    }
}
