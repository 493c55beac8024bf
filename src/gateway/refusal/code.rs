//! Every `error.code` that a client can meet, in one list: logs, metrics and tests go by it.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])+ $code:ident = $word:literal)+) => {
        /// Why a request is not served; the word on the wire is `error.code`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])+ $code,)+
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Code] = &[$(Code::$code),+];

            /// The word on the wire, in logs and in metrics.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Code::$code => $word,)+
                }
            }
        }
    };
}

codes! {
    /// No key, or one that is unknown, revoked or expired.
    InvalidApiKey = "invalid_api_key"
    /// The key may not use this model.
    ModelNotAllowed = "model_not_allowed"
    /// The key may not be used from this address.
    IpNotAllowed = "ip_not_allowed"
    /// The model is unknown, or has no price in force.
    ModelNotFound = "model_not_found"
    /// The path is not served.
    UnknownUrl = "unknown_url"
    /// The key has no such receipt.
    ReceiptNotFound = "receipt_not_found"
    /// The wallet has no such stored object.
    ObjectNotFound = "object_not_found"
    /// The request is wrong in itself, or too large.
    InvalidRequestError = "invalid_request_error"
    /// The body paused for too long.
    RequestTimeout = "request_timeout"
    /// Balance and grants are spent.
    InsufficientQuota = "insufficient_quota"
    /// Enough is there, but requests in flight hold it.
    BalanceHeld = "balance_held"
    /// A limit on money is reached.
    SpendLimitExceeded = "spend_limit_exceeded"
    /// A limit on anything else is reached.
    QuotaLimitExceeded = "quota_limit_exceeded"
    /// A limit has room, but requests in flight hold it.
    LimitHeld = "limit_held"
    /// A limit per minute, or on requests at once.
    RateLimitExceeded = "rate_limit_exceeded"
    /// A request with this Idempotency-Key is in flight.
    RequestInFlight = "request_in_flight"
    /// A request with this Idempotency-Key was charged.
    AlreadyCharged = "already_charged"
    /// This Idempotency-Key came with another body before.
    IdempotencyKeyReused = "idempotency_key_reused"
    /// The ledger gives no answer.
    LedgerUnavailable = "ledger_unavailable"
    /// Memory is full.
    Overloaded = "overloaded"
    /// No upstream gave an answer, or it broke off.
    UpstreamUnavailable = "upstream_unavailable"
    /// The process ends, and did not wait for the answer any longer.
    ShuttingDown = "shutting_down"
    /// The client went before its answer came.
    ClientGone = "client_gone"
    /// A bug, caught.
    InternalError = "internal_error"
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
