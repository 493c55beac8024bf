//! Limits on the command line: `spend=5.00/day` to a limit, and back.

use std::str::FromStr;

use crate::admin::terms::NewLimit;
use crate::admin::view::{CapJson, LimitJson};
use crate::config::Words as _;
use crate::ledger::limit::Per;
use crate::money::Nano;

/// A limit as it would be written.
pub(super) fn text(limit: &LimitJson) -> String {
    let models = limit
        .models
        .as_ref()
        .map(|models| format!("({})", models.join(",")))
        .unwrap_or_default();
    match limit.cap {
        CapJson::Concurrent(_) => format!("{}{models}", limit.cap),
        _ => format!("{}/{}{models}", limit.cap, limit.per.name()),
    }
}

/// Reads `spend=5.00/day`, `requests=60/minute`, `concurrent=4`.
pub(super) fn parse(text: &str) -> Result<NewLimit, String> {
    let shape = "write it as spend=5.00/day, requests=60/minute or concurrent=4";
    let (measure, rest) = text.split_once('=').ok_or(shape)?;
    let (cap, per) = match rest.split_once('/') {
        Some((cap, per)) => (cap, Some(parse_per(per)?)),
        None => (rest, None),
    };
    let count = || {
        cap.parse::<u64>()
            .map_err(|_| format!("`{cap}` is no whole number; {shape}"))
    };
    let mut limit = NewLimit {
        per,
        ..NewLimit::default()
    };
    match measure {
        "spend" => limit.spend = Some(Nano::from_str(cap).map_err(|error| error.to_string())?),
        "tokens" => limit.tokens = Some(count()?),
        "images" => limit.images = Some(count()?),
        "requests" => limit.requests = Some(count()?),
        "concurrent" => limit.concurrent = Some(count()?),
        other => return Err(format!("no such measure `{other}`; {shape}")),
    }
    match (measure, per) {
        ("concurrent", Some(_)) => {
            Err("concurrent counts requests at once and takes no period".to_owned())
        }
        ("concurrent", None) | (_, Some(_)) => Ok(limit),
        (_, None) => Err(format!("over what time? {shape}")),
    }
}

fn parse_per(text: &str) -> Result<Per, String> {
    Per::of(text).ok_or_else(|| {
        format!("no such period `{text}`: one of total, minute, hour, day, week, month")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_documented() {
        let spend = parse("spend=5.00/day").expect("a limit");
        assert_eq!(spend.spend, Some(Nano::new(5_000_000_000)));
        assert_eq!(spend.per, Some(Per::Day));
        let requests = parse("requests=60/minute").expect("a limit");
        assert_eq!(
            (requests.requests, requests.per),
            (Some(60), Some(Per::Minute))
        );
        assert_eq!(parse("concurrent=4").expect("a limit").concurrent, Some(4));
    }

    #[test]
    fn malformed_limits_say_what_to_write() {
        for text in [
            "",
            "spend",
            "spend=5",
            "spend=x/day",
            "requests=1.5/day",
            "cows=1/day",
            "concurrent=1/day",
            "tokens=1/year",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
