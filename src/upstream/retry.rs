//! What the outcome of one attempt means: answer the client, try elsewhere, or give up.
//!
//! A retry must never buy the same work twice, so it takes a sign that the upstream did not start:
//! it could not be reached, or it said so (429, 502, 503). A request that was sent and then met
//! silence may be running still.

use http::StatusCode;
use serde::Deserialize;

use super::error::{SendError, SendErrorKind};

/// The outcome of one attempt.
#[derive(Clone, Copy, Debug)]
pub enum Attempt<'a> {
    /// No head came.
    Failed(&'a SendError),
    /// A head came.
    Answered {
        /// The answer's status.
        status: StatusCode,
        /// The answer's whole body where [`needs_body`] says that it matters, else empty. An
        /// error larger than a few KiB may be left out: it is then about the request.
        body: &'a [u8],
    },
}

/// What to do after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The client gets this answer, be it an error.
    Answer,
    /// Another endpoint may serve this. Where none is left, a failure is [`Next::Fail`] and an
    /// answer is [`Next::Answer`].
    Retry,
    /// No endpoint can be tried safely: 502, or 504 after a timeout.
    Fail,
    /// The upstream refuses the operator's credential or account. The client cannot mend that: 502,
    /// not to be retried, logged loudly.
    OperatorFault,
    /// The operator's account there is empty, which another endpoint may not mind. Where none is left, it is
    /// [`Next::OperatorFault`].
    AccountEmpty,
}

/// Whether [`decide`] must see the body of an answer with this status.
pub fn needs_body(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
    )
}

/// What an attempt's outcome means, before the first byte to the client.
pub fn decide(attempt: Attempt<'_>) -> Next {
    match attempt {
        Attempt::Failed(error) if error.kind == SendErrorKind::Connect || !error.sent => {
            Next::Retry
        }
        Attempt::Failed(_) => Next::Fail,
        Attempt::Answered { status, body } => match status {
            StatusCode::TOO_MANY_REQUESTS if speaks_of(body, &EMPTY_SIGNS) => Next::AccountEmpty,
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE => Next::Retry,
            StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED => Next::OperatorFault,
            StatusCode::FORBIDDEN if speaks_of(body, &CREDENTIAL_SIGNS) => Next::OperatorFault,
            _ => Next::Answer,
        },
    }
}

/// What a 403 says of the credential or the account, rather than of the request (a moderated prompt, a
/// forbidden region).
const CREDENTIAL_SIGNS: [&str; 9] = [
    "key",
    "auth",
    "credential",
    "permission",
    "accessdenied",
    "quota",
    "balance",
    "billing",
    "arrear",
];

/// What a 429 says of an account that is empty, rather than of a rate that falls again by itself.
const EMPTY_SIGNS: [&str; 5] = [
    "insufficientquota",
    "exceededcurrentquota",
    "insufficientbalance",
    "billing",
    "arrear",
];

/// Whether an error's code or type has one of these words in it.
fn speaks_of(body: &[u8], signs: &[&str]) -> bool {
    let Ok(error) = serde_json::from_slice::<ErrorBody>(body) else {
        return false;
    };
    [error.error.code, error.error.kind, error.code, error.kind]
        .into_iter()
        .flatten()
        .filter_map(Word::letters)
        // Blocked keywords are the request's, not the credential's.
        .map(|word| word.replace("keyword", ""))
        .any(|word| signs.iter().any(|sign| word.contains(sign)))
}

/// The error of a vendor: under `error`, or at the top.
#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: ErrorFields,
    code: Option<Word>,
    #[serde(rename = "type")]
    kind: Option<Word>,
}

#[derive(Deserialize, Default)]
struct ErrorFields {
    code: Option<Word>,
    #[serde(rename = "type")]
    kind: Option<Word>,
}

/// Vendors' codes are strings, or numbers that say no more than the status.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl Word {
    /// The word's letters, so that `AccessDenied` and `access_denied` are one.
    fn letters(self) -> Option<String> {
        match self {
            Word::Text(text) => Some(
                text.chars()
                    .filter(char::is_ascii_alphabetic)
                    .map(|letter| letter.to_ascii_lowercase())
                    .collect(),
            ),
            Word::Other(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn answered(status: u16, body: &str) -> Next {
        decide(Attempt::Answered {
            status: StatusCode::from_u16(status).expect("a status"),
            body: body.as_bytes(),
        })
    }

    #[test]
    fn only_answers_that_say_nothing_was_started_are_tried_elsewhere() {
        for status in [429, 502, 503] {
            assert_eq!(answered(status, ""), Next::Retry, "{status}");
        }
        for status in [
            200, 202, 301, 307, 400, 404, 408, 409, 413, 422, 500, 501, 504,
        ] {
            assert_eq!(answered(status, ""), Next::Answer, "{status}");
        }
    }

    #[test]
    fn failures_are_tried_elsewhere_only_if_nothing_was_sent() {
        let name: Arc<str> = "up".into();
        for (kind, sent, next) in [
            (SendErrorKind::Connect, false, Next::Retry),
            (SendErrorKind::Closed, false, Next::Retry),
            (SendErrorKind::Closed, true, Next::Fail),
            (SendErrorKind::Protocol, true, Next::Fail),
        ] {
            let error = SendError::new(&name, kind, sent, "why");
            assert_eq!(decide(Attempt::Failed(&error)), next, "{error:?}");
        }
        let timeout = SendError::timeout(&name, Duration::from_secs(1));
        assert_eq!(decide(Attempt::Failed(&timeout)), Next::Fail);
    }

    #[test]
    fn a_refused_credential_is_the_operators_fault() {
        assert_eq!(answered(401, ""), Next::OperatorFault);
        assert_eq!(answered(402, "{}"), Next::OperatorFault);
        for body in [
            r#"{"error":{"message":"m","type":"permission_error","param":null,"code":null}}"#,
            r#"{"error":{"message":"m","type":"forbidden","code":"invalid_api_key"}}"#,
            r#"{"error":{"code":"insufficient_quota"}}"#,
            r#"{"code":"AccessDenied","message":"m"}"#,
            r#"{"error":{"code":"model_access_denied"}}"#,
            r#"{"error":{"code":"AllocationQuota.FreeTierOnly"}}"#,
        ] {
            assert_eq!(answered(403, body), Next::OperatorFault, "{body}");
        }
    }

    #[test]
    fn a_429_of_an_empty_account_is_no_rate_limit() {
        for body in [
            r#"{"error":{"message":"m","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            r#"{"error":{"message":"m","type":"exceeded_current_quota_error"}}"#,
            r#"{"error":{"code":"insufficient_balance"}}"#,
            r#"{"error":{"code":"billing_hard_limit_reached"}}"#,
            r#"{"code":"Arrearage","message":"m"}"#,
        ] {
            assert_eq!(answered(429, body), Next::AccountEmpty, "{body}");
        }
        for body in [
            r#"{"error":{"message":"m","type":"requests","code":"rate_limit_exceeded"}}"#,
            r#"{"error":{"message":"insufficient_quota","code":"429"}}"#,
            r#"{"error":{"code":"balance_held"}}"#,
            r#"{"code":"Throttling.AllocationQuota","message":"m"}"#,
            "<html>",
        ] {
            assert_eq!(answered(429, body), Next::Retry, "{body}");
        }
    }

    #[test]
    fn any_other_403_is_an_answer_about_the_request() {
        for body in [
            "",
            "<html>",
            r#"{"error":{"message":"your api key","type":"content_policy","code":"moderated"}}"#,
            r#"{"error":{"code":403,"type":null}}"#,
            r#"{"error":{"code":"sensitive_keyword"}}"#,
            r#"{"error":"key"}"#,
            r#"{"detail":"key"}"#,
        ] {
            assert_eq!(answered(403, body), Next::Answer, "{body}");
        }
    }
}
