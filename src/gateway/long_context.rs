//! A header that has an upstream take more input than its model's row allows for.
//!
//! No more input is held than the row's `context_tokens`. A beta of Anthropic's API (`context-1m-2025-08-07`) raises what
//! the upstream reads in one request, so the charge could pass the hold, at the operator's expense.

use http::header::{HeaderMap, HeaderName};

use super::refusal::Refused;
use super::service::{Counts, Service};
use crate::price::Model;

/// Where betas are asked for: of Anthropic's API, and of gateways before it.
static BETAS: [HeaderName; 2] = [
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("x-anthropic-beta"),
];

/// How much of a client's value is repeated to it.
const QUOTED_CHARS_MAX: usize = 64;

/// Refuses a request whose headers ask for a larger context than the model's row has, where its input may fill that:
/// `input_tokens` is the most that is held for it.
pub fn refuse(
    headers: &HeaderMap,
    service: Service,
    model: &Model,
    input_tokens: u64,
) -> Result<(), Refused> {
    let (id, limit) = (&model.id, model.bounds.context_tokens);
    // However much is read, some services cost the same.
    let is_flat = matches!(service.counts(), Counts::Nothing | Counts::Requests);
    if is_flat || input_tokens < limit {
        return Ok(());
    }
    let Some((name, value)) = beyond(headers, limit) else {
        return Ok(());
    };
    let value = String::from_utf8_lossy(value);
    let value: String = value.chars().take(QUOTED_CHARS_MAX).collect();
    Err(Refused::bad_request(format!(
        "The header {name} asks for `{value}`, a larger context than the {limit} tokens (`context_tokens`) that `{id}` has here: \
         leave that value out, send less, or have the operator raise the model's `context_tokens`."
    )))
}

/// The first beta that asks for more than `limit` tokens, and its header.
fn beyond(headers: &HeaderMap, limit: u64) -> Option<(&'static HeaderName, &[u8])> {
    BETAS.iter().find_map(|name| {
        let mut betas = betas(headers, name);
        let value = betas.find(|beta| asked_tokens(beta).is_some_and(|tokens| tokens > limit))?;
        Some((name, value))
    })
}

/// Every value of a header that may come several times, each time as a list. They are looked at as bytes, so that one which
/// is no text hides none of the others.
fn betas<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let lists = headers.get_all(name).into_iter();
    lists
        .flat_map(|list| list.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

/// The context that a beta names: 1,000,000 tokens of `context-1m-2025-08-07`.
fn asked_tokens(beta: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"context-";
    let (name, rest) = beta.split_at_checked(NAME.len())?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !name.eq_ignore_ascii_case(NAME) || digits == 0 {
        return None;
    }
    let (digits, rest) = rest.split_at(digits);
    let unit: u64 = match rest.first()?.to_ascii_lowercase() {
        b'k' => 1_000,
        b'm' => 1_000_000,
        _ => return None,
    };
    let count = digits.iter().fold(0_u64, |count, digit| {
        let digit = u64::from(digit - b'0');
        count.saturating_mul(10).saturating_add(digit)
    });
    Some(count.saturating_mul(unit))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_beta_names_its_context() {
        for (beta, tokens) in [
            ("context-1m-2025-08-07", 1_000_000),
            ("context-1m", 1_000_000),
            ("Context-2M-2027-01-01", 2_000_000),
            ("context-500k-2026-02-03", 500_000),
            ("context-99999999999999999999m", u64::MAX),
        ] {
            assert_eq!(asked_tokens(beta.as_bytes()), Some(tokens), "{beta}");
        }
        for beta in [
            "",
            "context-",
            "context-1",
            "context-m",
            "context-1g",
            "context-management-2025-06-27",
            "interleaved-thinking-2025-05-14",
            "no-context-1m",
        ] {
            assert_eq!(asked_tokens(beta.as_bytes()), None, "{beta}");
        }
    }
    #[test]
    fn a_larger_context_is_found_wherever_it_is_asked_for() {
        let asked = |lists: &[(&'static str, &'static [u8])], limit| {
            let mut headers = HeaderMap::new();
            for (name, list) in lists {
                let list = HeaderValue::from_bytes(list).expect("a header's value");
                headers.append(*name, list);
            }
            beyond(&headers, limit).map(|(name, _)| name.as_str())
        };
        for lists in [
            &[("anthropic-beta", &b"context-1m-2025-08-07"[..])][..],
            &[(
                "anthropic-beta",
                b"tools-2024-04-04,\tcontext-1m-2025-08-07 ,a",
            )],
            &[
                ("anthropic-beta", b"tools-2024-04-04"),
                ("anthropic-beta", b"context-300k, context-1m"),
            ],
            &[("anthropic-beta", b"\xff, context-1m")],
        ] {
            assert_eq!(asked(lists, 999_999), Some("anthropic-beta"), "{lists:?}");
            assert_eq!(asked(lists, 1_000_000), None, "{lists:?}");
        }
        let gateway: &[(_, &[u8])] = &[("x-anthropic-beta", b"context-1m")];
        assert_eq!(asked(gateway, 200_000), Some("x-anthropic-beta"));
        let other: &[(_, &[u8])] = &[("openai-beta", b"context-1m")];
        assert_eq!(asked(other, 200_000), None);
    }
}
