//! `/admin/receipts` and `/admin/usage`: what was charged, and for what.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use super::Admin;
use super::error::ApiError;
use super::extract::{Id, Params, id, instant};
use super::view::List;
use crate::gateway::receipt;
use crate::ledger::id::RequestId;
use crate::ledger::receipt::{Receipt, ReceiptQuery, UsageRow};

const RECEIPTS_DEFAULT: u32 = 100;
const RECEIPTS_MAX: u32 = 1_000;

/// Which receipts; all as text, so that each is refused by its name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    wallet: Option<String>,
    key: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<String>,
}

/// `GET /admin/receipts?wallet=&key=&from=&to=&limit=`: newest first.
pub(super) async fn list(
    State(admin): State<Admin>,
    Params(filter): Params<Filter>,
) -> Result<Json<List<Value>>, ApiError> {
    let limit = match &filter.limit {
        Some(text) => text.parse().ok(),
        None => Some(RECEIPTS_DEFAULT),
    };
    let limit = limit.filter(|limit| (1..=RECEIPTS_MAX).contains(limit));
    let limit = limit.ok_or_else(|| {
        let allowed = format!("must be a whole number from 1 to {RECEIPTS_MAX}");
        ApiError::invalid("limit", allowed)
    })?;
    let query = ReceiptQuery {
        limit: Some(limit),
        ..query(&admin, filter)?
    };
    let receipts = admin.ledger.receipts(query).await?;
    let objects = receipts.iter().map(|receipt| admin.receipt(receipt));
    Ok(Json(List::of(objects.collect())))
}

/// `GET /admin/receipts/{id}`
pub(super) async fn show(
    State(admin): State<Admin>,
    Id(id): Id<RequestId>,
) -> Result<Json<Value>, ApiError> {
    let receipt = admin.ledger.receipt(id, None).await?;
    let object = receipt.map(|receipt| Json(admin.receipt(&receipt)));
    object.ok_or_else(|| {
        let kept = admin.catalog().config.ledger.keep_receipts_days;
        let old = kept.map_or(String::new(), |days| {
            format!(", or it is older than ledger.keep_receipts_days: {days}")
        });
        ApiError::not_found(format!(
            "no receipt `{id}`: the request is unknown, unfinished, or was not charged{old}"
        ))
    })
}

/// `GET /admin/usage?wallet=&key=&from=&to=`: totals by day (in the server's time zone) and model.
pub(super) async fn usage(
    State(admin): State<Admin>,
    Params(filter): Params<Filter>,
) -> Result<Json<List<UsageRow>>, ApiError> {
    if filter.limit.is_some() {
        return Err(ApiError::invalid(
            "limit",
            "totals have no limit: narrow them with `from` and `to`",
        ));
    }
    let query = query(&admin, filter)?;
    Ok(Json(List::of(admin.ledger.usage(query).await?)))
}

impl Admin {
    /// A receipt as its customer sees it: the same fields, under the same names.
    fn receipt(&self, receipt: &Receipt) -> Value {
        receipt::object(receipt, &self.currency)
    }
}

fn query(admin: &Admin, filter: Filter) -> Result<ReceiptQuery, ApiError> {
    let instant = |param: &str, text: Option<String>| match text {
        Some(text) => instant(param, &text, &admin.zone).map(Some),
        None => Ok(None),
    };
    let from = instant("from", filter.from)?;
    let to = instant("to", filter.to)?;
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        return Err(ApiError::invalid("to", "is before `from`"));
    }
    let day = from.or(to).unwrap_or_else(|| admin.ledger.now());
    Ok(ReceiptQuery {
        wallet: id("wallet", filter.wallet)?,
        key: id("key", filter.key)?,
        from,
        to,
        limit: None,
        utc_offset_minutes: admin.zone.to_offset(day.timestamp()).seconds() / 60,
    })
}
