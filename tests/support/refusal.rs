//! What every refusal must look like, checked in one place.

use serde_json::Value;

use super::Answer;

/// What a refusal says of trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The status says that it is pointless.
    ByStatus,
    /// `x-should-retry: false`, and no `Retry-After`.
    Never,
    /// With `Retry-After`.
    Later,
}

/// Checks a refusal's status, code, advice and shape; its message.
#[track_caller]
pub fn refusal(answer: &Answer, status: u16, code: &str, retry: Retry) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.whole, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    let error = body["error"].as_object().expect("an error");
    for name in ["message", "type", "param", "code"] {
        assert!(error.contains_key(name), "no {name}: {body}");
    }
    assert_eq!(error["code"], code, "{body}");
    assert!(error["type"].is_string(), "{body}");
    assert!(
        error["param"].is_string() || error["param"].is_null(),
        "{body}"
    );
    assert_eq!(
        body.as_object().map(serde_json::Map::len),
        Some(1),
        "{body}"
    );
    let advice = (
        answer.headers.get("x-should-retry"),
        answer.headers.get("retry-after").map(seconds),
    );
    match (retry, advice) {
        (Retry::ByStatus, (None, None)) | (Retry::Never, (Some("false"), None)) => {}
        (Retry::Later, (None | Some("true"), Some(seconds))) => assert!(seconds >= 1),
        _ => panic!("{retry:?}: {advice:?}"),
    }
    let id = answer.header("x-request-id");
    assert_eq!(answer.header("x-tollgate-request-id"), id);
    match &error["message"] {
        Value::String(message) if !message.is_empty() => message.clone(),
        other => panic!("no message: {other}"),
    }
}

fn seconds(text: &str) -> u64 {
    text.parse().expect("whole seconds")
}

/// Checks that a message names all of this.
#[track_caller]
pub fn names(message: &str, all: &[&str]) {
    for word in all {
        assert!(message.contains(word), "{word} is not in: {message}");
    }
}
