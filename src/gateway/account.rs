//! The customer's own view: balance, usage, receipts, and the billing pages that chat front ends read.

use http::StatusCode;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::Gateway;
use super::models::grant_amount;
use super::receipt;
use super::refusal::{Code, Refused};
use super::window::Counter;
use crate::clock::UnixMs;
use crate::ledger::LedgerError;
use crate::ledger::id::RequestId;
use crate::ledger::key::Key;
use crate::ledger::limit::Measure;
use crate::ledger::receipt::{ReceiptQuery, UsageRow};
use crate::ledger::wallet::WalletView;
use crate::money::Nano;

/// How many days before its end usage is told where the client does not say from when on.
const USAGE_DAYS: i64 = 30;

/// The wallet of a key.
pub async fn wallet(gateway: &Gateway, key: &Key) -> Result<WalletView, Refused> {
    gateway
        .ledger
        .wallet(key.wallet.clone())
        .await
        .map_err(unavailable)?
        .ok_or_else(Refused::invalid_key)
}

/// `GET /v1/balance`.
pub async fn balance(gateway: &Gateway, key: &Key) -> Result<Value, Refused> {
    let wallet = wallet(gateway, key).await?;
    let grants: Vec<Value> = wallet
        .grants
        .iter()
        .map(|state| {
            let grant = &state.grant;
            json!({
                "name": grant.name,
                "unit": grant.unit,
                "amount": grant_amount(grant.unit, grant.amount),
                "used": grant_amount(grant.unit, state.used),
                "held": grant_amount(grant.unit, state.held),
                "remaining": grant_amount(grant.unit, state.remaining()),
                "expires_at": grant.expires_at.map(|end| end.to_string()),
            })
        })
        .collect();
    Ok(json!({
        "object": "balance",
        "currency": &*gateway.currency,
        "balance": wallet.balance,
        "held": wallet.held,
        "available": wallet.available,
        "grants": grants,
        "limits": limits(gateway, key, &wallet),
    }))
}

fn limits(gateway: &Gateway, key: &Key, wallet: &WalletView) -> Vec<Value> {
    let now = gateway.ledger.now();
    key.limits
        .iter()
        .map(|limit| {
            let name = Counter::at(&key.id, limit, now, &gateway.zone).name;
            let counter = wallet.counters.iter().find(|counter| counter.key == *name);
            let (used, held) = counter.map_or((0, 0), |counter| (counter.used, counter.held));
            let amount = |count: u64| match limit.measure {
                Measure::Spend => json!(receipt::nano(count)),
                _ => json!(count),
            };
            json!({
                "name": limit.name,
                "measure": limit.measure,
                "per": limit.per,
                "cap": amount(limit.cap),
                "used": amount(used),
                "held": amount(held),
                "remaining": amount(limit.cap.saturating_sub(used).saturating_sub(held)),
            })
        })
        .collect()
}

/// `GET /v1/receipts/{id}`. Another wallet's receipt is as unknown as none.
pub async fn receipt(gateway: &Gateway, key: &Key, id: &str) -> Result<Value, Refused> {
    let kept = gateway.retention.as_ref().map_or(String::new(), |kept| {
        format!(" Receipts are kept for {} days.", kept.days)
    });
    let unknown = || {
        Refused::new(
            StatusCode::NOT_FOUND,
            "invalid_request_error",
            Code::ReceiptNotFound,
            format!(
                "No receipt has this id. It is in the header x-tollgate-request-id of a charged request.{kept}"
            ),
        )
    };
    let request: RequestId = id.parse().map_err(|_| unknown())?;
    let wallet = Some(key.wallet.clone());
    let receipt = gateway.ledger.receipt(request, wallet).await;
    receipt
        .map_err(unavailable)?
        .map(|receipt| receipt::object(&receipt, &gateway.currency))
        .ok_or_else(unknown)
}

/// `GET /v1/usage?from&to&group_by=day|model`, the dates inclusive and local. `kept_from` is the
/// first day that is still told; null where all are.
pub async fn usage(gateway: &Gateway, key: &Key, query: &str) -> Result<Value, Refused> {
    let query = Query::read(query);
    let group_by = query
        .one_of("group_by", &["day", "model"])?
        .unwrap_or("day");
    let rows = rows(gateway, key, &query, "from", "to").await?;
    let mut groups: Vec<(String, Totals)> = Vec::new();
    for row in &rows {
        let name = if group_by == "day" {
            row.day.as_str()
        } else {
            &row.model
        };
        let at = match groups.iter().position(|(group, _)| group == name) {
            Some(at) => at,
            None => {
                groups.push((name.to_owned(), Totals::default()));
                groups.len() - 1
            }
        };
        groups[at].1.add(row)?;
    }
    let data: Vec<Value> = groups
        .into_iter()
        .map(|(name, totals)| totals.object(group_by, &name))
        .collect();
    let retention = gateway.retention.as_ref();
    let kept_from = retention.map(|kept| kept.first_day(gateway.ledger.now()));
    Ok(json!({
        "object": "usage",
        "currency": &*gateway.currency,
        "group_by": group_by,
        "kept_from": kept_from.map(|day| day.to_string()),
        "data": data,
    }))
}

/// `GET /v1/dashboard/billing/...`, in the shapes that chat front ends read. These are the only
/// amounts that are JSON numbers, as those clients expect: they are for show, to a double's 15 digits.
pub async fn billing(
    gateway: &Gateway,
    key: &Key,
    page: &str,
    query: &str,
) -> Result<Option<Value>, Refused> {
    let wallet = wallet(gateway, key).await?;
    let number = |amount: Nano| decimal_number(&amount.to_string());
    Ok(Some(match page {
        "subscription" => {
            let limit = add(wallet.credited, wallet.credit_line)?;
            json!({
                "object": "billing_subscription",
                "has_payment_method": true,
                "soft_limit_usd": number(limit),
                "hard_limit_usd": number(limit),
                "system_hard_limit_usd": number(limit),
                "access_until": key.expires_at.map_or(0, |end| end.0 / 1_000),
                "currency": &*gateway.currency,
            })
        }
        "usage" => {
            let query = Query::read(query);
            let rows = rows(gateway, key, &query, "start_date", "end_date").await?;
            let mut total = Nano::ZERO;
            for row in &rows {
                total = add(total, row.charged)?;
            }
            // In hundredths of the currency, as OpenAI's page had it.
            let cents = total.checked_mul(100).ok_or_else(Refused::internal)?;
            json!({
                "object": "list",
                "total_usage": number(cents),
                "currency": &*gateway.currency,
            })
        }
        "credit_grants" => json!({
            "object": "credit_summary",
            "total_granted": number(wallet.credited),
            "total_used": number(wallet.charged),
            "total_available": number(wallet.available),
            "currency": &*gateway.currency,
        }),
        _ => return Ok(None),
    }))
}

fn decimal_number(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn add(a: Nano, b: Nano) -> Result<Nano, Refused> {
    a.checked_add(b).ok_or_else(Refused::internal)
}

async fn rows(
    gateway: &Gateway,
    key: &Key,
    query: &Query<'_>,
    from: &str,
    to: &str,
) -> Result<Vec<UsageRow>, Refused> {
    let now = gateway.ledger.now();
    let local = now.timestamp().to_zoned(gateway.zone.clone());
    let to_day = query.date(to)?.unwrap_or(local.date());
    let from_day = match query.date(from)? {
        Some(day) => day,
        None => to_day
            .checked_sub(jiff::Span::new().days(USAGE_DAYS))
            .unwrap_or(to_day),
    };
    if to_day < from_day {
        return Err(Refused::bad_request(format!("`{to}` is before `{from}`.")).param(to));
    }
    let midnight = |day: Date| {
        let start = day.to_zoned(gateway.zone.clone()).ok()?;
        Some(UnixMs(start.timestamp().as_millisecond()))
    };
    let after = to_day.tomorrow().unwrap_or(to_day);
    gateway
        .ledger
        .usage(ReceiptQuery {
            wallet: Some(key.wallet.clone()),
            key: None,
            from: midnight(from_day),
            to: midnight(after),
            limit: None,
            utc_offset_minutes: local.offset().seconds() / 60,
        })
        .await
        .map_err(unavailable)
}

fn unavailable(error: LedgerError) -> Refused {
    tracing::error!(%error, "the ledger does not answer");
    Refused::ledger_unavailable()
}

/// Sums of rows.
#[derive(Default)]
struct Totals {
    requests: u64,
    usage: crate::usage::Usage,
    free: crate::price::FreeUnits,
    charged: Nano,
    shortfall: Nano,
}

impl Totals {
    fn add(&mut self, row: &UsageRow) -> Result<(), Refused> {
        self.requests = self.requests.saturating_add(row.requests);
        for (meter, count) in row.usage.iter() {
            let sum = self.usage.get(meter).saturating_add(count);
            self.usage = self.usage.with(meter, sum);
        }
        self.free.tokens = self.free.tokens.saturating_add(row.free.tokens);
        self.free.images = self.free.images.saturating_add(row.free.images);
        self.free.requests = self.free.requests.saturating_add(row.free.requests);
        self.charged = add(self.charged, row.charged)?;
        self.shortfall = add(self.shortfall, row.shortfall)?;
        Ok(())
    }

    fn object(self, group_by: &str, name: &str) -> Value {
        let mut object = Map::new();
        object.insert(group_by.to_owned(), json!(name));
        let fields = json!({
            "requests": self.requests,
            "usage": self.usage,
            "free": self.free,
            "cost": self.charged,
            "shortfall": self.shortfall,
        });
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        Value::Object(object)
    }
}

/// A query string's plain parameters.
struct Query<'q>(Vec<(&'q str, &'q str)>);

impl<'q> Query<'q> {
    fn read(text: &'q str) -> Self {
        Query(
            text.split('&')
                .filter_map(|pair| pair.split_once('='))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&'q str> {
        let found = self.0.iter().find(|(key, _)| *key == name)?;
        Some(found.1).filter(|value| !value.is_empty())
    }

    fn one_of(&self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Refused> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        words
            .iter()
            .find(|word| **word == value)
            .copied()
            .map(Some)
            .ok_or_else(|| {
                Refused::bad_request(format!("`{name}` must be one of: {}.", words.join(", ")))
                    .param(name)
            })
    }

    fn date(&self, name: &str) -> Result<Option<Date>, Refused> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value.parse::<Date>().map(Some).map_err(|_| {
            Refused::bad_request(format!("`{name}` must be a date such as 2026-01-31.")).param(name)
        })
    }
}
