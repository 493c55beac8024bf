//! Texts and numbers out of answers.

use redis::Value;

/// The text of an answer.
pub(in super::super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        Value::Okay => Some("OK".to_owned()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The whole number of an answer.
pub(in super::super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        value => text(value)?.parse().ok(),
    }
}

/// The items of an answer; none where it is no list.
pub(in super::super) fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        _ => Vec::new(),
    }
}

/// A line `name:value` of a report such as `INFO` or `CLUSTER INFO`.
pub(in super::super) fn line<'a>(report: &'a str, name: &str) -> Option<&'a str> {
    let lines = report.lines().map(str::trim_end);
    let mut pairs = lines.filter_map(|line| line.split_once(':'));
    pairs
        .find(|(each, _)| *each == name)
        .map(|(_, value)| value)
}
