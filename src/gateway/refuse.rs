//! A ledger's refusal in the customer's words: which limit, how much is needed, what is left, when it ends.

mod advice;

use http::StatusCode;

use super::receipt;
use super::refusal::{Code, Refused, Retry};
use super::service::Service;
use crate::clock::UnixMs;
use crate::ledger::hold::Refusal;
use crate::ledger::limit::{CounterState, Limit, Measure, Per};
use crate::money::Nano;
use crate::plural::counted;
use crate::price::Segment;
use crate::usage::Unit;
use advice::{by_money, by_units, is_partly_free};

/// What the words are about.
pub struct Context<'a> {
    /// What was asked.
    pub service: Service,
    /// The worst case, as it was quoted.
    pub segments: &'a [Segment],
    /// The model, by canonical id.
    pub model: &'a str,
    /// The ledger's currency.
    pub currency: &'a str,
    /// The limits of the quote's counters, in their order.
    pub limits: &'a [Limit],
    /// The store's time.
    pub now: UnixMs,
    /// The status of a spent balance; 402 unless the operator chose another.
    pub no_funds: StatusCode,
}

/// How long to wait where only other requests are in the way.
const HELD_RETRY: Retry = Retry::AfterMs(1_000);

/// The refusal as a response.
pub fn refuse(refusal: Refusal, context: &Context<'_>) -> Refused {
    match refusal {
        Refusal::Key => Refused::invalid_key(),
        Refusal::Model => model_not_allowed(context.model),
        Refusal::TooLarge => too_large(context),
        Refusal::Funds {
            need,
            available,
            held_by_others,
        } => funds(need, available, held_by_others, context),
        Refusal::Limit {
            index,
            need,
            state,
            held_by_others,
            retry_after_ms,
        } => match context.limits.get(index) {
            Some(limit) => limited(limit, need, state, held_by_others, retry_after_ms, context),
            None => Refused::internal(),
        },
        Refusal::InFlight => Refused::new(
            StatusCode::CONFLICT,
            "invalid_request_error",
            Code::RequestInFlight,
            "A request with this Idempotency-Key is in flight. Wait for it to end.",
        )
        .retry(HELD_RETRY),
        Refusal::AlreadyCharged(charged) => {
            let mut refused = Refused::new(
                StatusCode::CONFLICT,
                "invalid_request_error",
                Code::AlreadyCharged,
                format!(
                    "A request with this Idempotency-Key was charged already: see the receipt {}. \
                     Answers are not stored.",
                    charged.request_id
                ),
            )
            .retry(Retry::Never);
            refused.receipt = Some(Box::new(receipt::object(&charged, context.currency)));
            refused
        }
        Refusal::OtherBody => Refused::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_request_error",
            Code::IdempotencyKeyReused,
            "This Idempotency-Key was sent with another body within 24 hours. Use a new one.",
        )
        .retry(Retry::Never),
        // The caller quotes again on these; where even that does not help, trying later does.
        Refusal::KeyChanged | Refusal::Period { .. } | Refusal::Ended => {
            Refused::ledger_unavailable()
        }
    }
}

fn model_not_allowed(model: &str) -> Refused {
    Refused::new(
        StatusCode::FORBIDDEN,
        "permission_error",
        Code::ModelNotAllowed,
        format!(
            "This key may not use the model `{model}`. `GET /v1/models` lists what it may use."
        ),
    )
    .param("model")
}

fn too_large(context: &Context<'_>) -> Refused {
    let problem = "The request's worst case is too expensive to be computed exactly";
    match by_money(context.service, context.segments, Nano::MAX) {
        Some(part) => Refused::bad_request(format!("{problem}: {}.", part.smaller.advice))
            .param(part.smaller.param),
        None => Refused::bad_request(format!("{problem}.")),
    }
}

fn funds(need: Nano, available: Nano, held_by_others: bool, context: &Context<'_>) -> Refused {
    let currency = context.currency;
    let or_less = by_money(context.service, context.segments, need).map(|part| {
        let (share, smaller) = (receipt::nano(part.share), part.smaller);
        let (advice, part) = (smaller.advice, smaller.part);
        format!(", or {advice}: of that cost, {share} {currency} is for the {part}")
    });
    let or_less = or_less.unwrap_or_default();
    if held_by_others {
        return Refused::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit_error",
            Code::BalanceHeld,
            format!(
                "This request reserves up to {need} {currency}; {available} {currency} is available \
                 and the rest of the balance is reserved by requests in flight. \
                 Try again when they end{or_less}."
            ),
        )
        .retry(HELD_RETRY);
    }
    let beyond = if is_partly_free(context.segments, need) {
        " beyond its free quotas"
    } else {
        ""
    };
    Refused::new(
        context.no_funds,
        "insufficient_quota",
        Code::InsufficientQuota,
        format!(
            "This request can cost up to {need} {currency}{beyond}, but only \
             {available} {currency} is available. Top up{or_less}."
        ),
    )
    .retry(Retry::Never)
}

fn limited(
    limit: &Limit,
    need: u64,
    state: CounterState,
    held_by_others: bool,
    retry_after_ms: Option<u64>,
    context: &Context<'_>,
) -> Refused {
    let amount = |count: u64| match limit.measure {
        Measure::Spend => format!("{} {}", receipt::nano(count), context.currency),
        Measure::Tokens => counted(count, "token"),
        Measure::Images => counted(count, "image"),
        Measure::Requests | Measure::Concurrent => counted(count, "request"),
    };
    let facts = format!(
        "The limit `{}` of {}{} has {} left; this request needs up to {}.",
        limit.name,
        amount(state.cap),
        period(limit),
        amount(state.remaining),
        amount(need),
    );
    let mut refused = match (limit.measure, limit.per) {
        (Measure::Concurrent, _) => rate(facts, "Wait for a request in flight to end.", 1_000),
        (_, Per::Minute) => {
            let wait = retry_after_ms.unwrap_or(1_000);
            rate(
                facts,
                &format!(
                    "It refills; try again in {} s.",
                    wait.div_ceil(1_000).max(1)
                ),
                wait,
            )
        }
        _ if held_by_others => Refused::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit_error",
            Code::LimitHeld,
            format!("{facts} The rest is reserved by requests in flight. Try again when they end."),
        )
        .retry(HELD_RETRY),
        _ if need > state.cap => never(&facts, limit, need, state, context),
        _ => spent(&facts, limit, state),
    };
    let mut map = http::HeaderMap::new();
    receipt::put_limits(
        &mut map,
        std::slice::from_ref(limit),
        std::slice::from_ref(&state),
        context.now,
    );
    refused.headers = Some(Box::new(map));
    refused
}

fn rate(facts: String, advice: &str, wait_ms: u64) -> Refused {
    Refused::new(
        StatusCode::TOO_MANY_REQUESTS,
        "rate_limit_error",
        Code::RateLimitExceeded,
        format!("{facts} {advice}"),
    )
    .retry(Retry::AfterMs(wait_ms))
}

fn spent(facts: &str, limit: &Limit, state: CounterState) -> Refused {
    final_word(limit, format!("{facts} {}", end(state)))
}

fn end(state: CounterState) -> String {
    match state.reset_at {
        Some(at) => format!("It resets at {at}."),
        None => "It does not reset; ask the operator to raise it.".to_owned(),
    }
}

/// What the whole limit would not admit.
fn never(
    facts: &str,
    limit: &Limit,
    need: u64,
    state: CounterState,
    context: &Context<'_>,
) -> Refused {
    let (service, segments) = (context.service, context.segments);
    let part = match limit.measure {
        Measure::Spend => by_money(service, segments, receipt::nano(need)),
        Measure::Tokens => by_units(service, segments, need, Unit::Tokens),
        Measure::Images => by_units(service, segments, need, Unit::Images),
        Measure::Requests | Measure::Concurrent => None,
    };
    let advice = part.map_or("ask the operator to raise it", |part| part.smaller.advice);
    let problem = "The whole limit is less than this request needs";
    final_word(
        limit,
        format!("{facts} {} {problem}: {advice}.", end(state)),
    )
}

/// A limit that waiting does not help with, for now.
fn final_word(limit: &Limit, message: String) -> Refused {
    let code = match limit.measure {
        Measure::Spend => Code::SpendLimitExceeded,
        _ => Code::QuotaLimitExceeded,
    };
    let status = StatusCode::TOO_MANY_REQUESTS;
    Refused::new(status, "insufficient_quota", code, message).retry(Retry::Never)
}

fn period(limit: &Limit) -> &'static str {
    match (limit.measure, limit.per) {
        (Measure::Concurrent, _) => " at once",
        (_, Per::Total) => " in all",
        (_, Per::Minute) => " per minute",
        (_, Per::Hour) => " per hour",
        (_, Per::Day) => " per day",
        (_, Per::Week) => " per week",
        (_, Per::Month) => " per month",
    }
}
