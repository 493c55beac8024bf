//! Usage in the shapes that vendors send it, or not at all.

use serde_json::{Value, json};

use crate::cost;
use crate::support::setup::ALICE;
use crate::support::{Answer, Proxy, chat, nano, start, stream};

const PROMPT: u64 = 23;
const COMPLETION: u64 = 9;

fn receipt_of(proxy: &Proxy, answer: &Answer) -> Value {
    let id = answer.header("x-tollgate-request-id");
    proxy.view(ALICE, &format!("/v1/receipts/{id}"))
}

fn ask(proxy: &Proxy, fault: &str, streamed: bool) -> (Answer, Value) {
    let call = match streamed {
        true => stream(json!({})),
        false => chat(json!({})),
    };
    let call = call
        .header("x-mock-prompt", PROMPT)
        .header("x-mock-completion", COMPLETION)
        .header("x-mock-fault", fault);
    let answer = proxy.send(ALICE, call);
    assert!(answer.status == 200 && answer.whole, "{fault}: {answer:?}");
    let receipt = receipt_of(proxy, &answer);
    (answer, receipt)
}

fn is_exact(receipt: &Value, what: &str) {
    let usage = json!({ "input": PROMPT, "output": COMPLETION });
    assert_eq!(receipt["usage"], usage, "{what}");
    assert_eq!(receipt["counted"], "exact", "{what}");
    assert_eq!(receipt["cost"], cost(PROMPT, COMPLETION), "{what}");
}

#[test]
fn usage_is_found_wherever_a_stream_carries_it() {
    let (_mock, proxy) = start();
    for fault in [
        "none",
        "usage-in-every-chunk",
        "usage-in-choice",
        "finish-usage",
        "late-usage",
    ] {
        let (_, receipt) = ask(&proxy, fault, true);
        is_exact(&receipt, fault);
    }
}

#[test]
fn usage_is_found_wherever_an_answer_carries_it() {
    let (_mock, proxy) = start();
    for fault in ["none", "usage-in-choice"] {
        let (_, receipt) = ask(&proxy, fault, false);
        is_exact(&receipt, fault);
    }
}

#[test]
fn events_that_carry_usage_beside_content_reach_the_client() {
    let (mock, proxy) = start();
    for fault in ["usage-in-every-chunk", "finish-usage", "usage-in-choice"] {
        let call = stream(json!({ "stream_options": { "include_usage": true } }))
            .header("x-mock-prompt", PROMPT)
            .header("x-mock-fault", fault);
        let direct = call.send(&mock.address);
        let through = proxy.send(ALICE, call);
        let mut events = through.events();
        let comment = events.remove(events.len() - 2);
        assert!(comment.starts_with(": tollgate "), "{fault}: {comment}");
        assert_eq!(events.concat(), direct.text(), "{fault}");
    }
}

#[test]
fn what_is_not_reported_or_not_believable_is_counted_here() {
    let (_mock, proxy) = start();
    for (fault, flag) in [
        ("no-usage", "usage_missing"),
        ("negative-usage", "usage_unbelievable"),
        ("absurd-usage", "usage_unbelievable"),
    ] {
        for streamed in [true, false] {
            let (_, receipt) = ask(&proxy, fault, streamed);
            let what = format!("{fault}, streamed: {streamed}: {receipt}");
            assert_eq!(receipt["counted"], "estimated", "{what}");
            assert_eq!(receipt["flags"], json!([flag]), "{what}");
            // The mock's words are one token each.
            assert_eq!(receipt["usage"]["output"], COMPLETION, "{what}");
            let input = receipt["usage"]["input"].as_u64().expect("a count");
            assert!((3..40).contains(&input), "{what}");
            let amount = |field: &str| nano(receipt[field].as_str().expect("money"));
            assert!(amount("cost") <= amount("hold"), "{what}");
            assert_eq!(receipt["shortfall"], "0", "{what}");
        }
    }
}

/// Rivals: octopus #243, sub2api #6066: a report of billions of tokens ruined the key.
#[test]
fn a_report_above_the_bound_is_charged_up_to_the_hold() {
    let (_mock, proxy) = start();
    let call = chat(json!({ "max_tokens": 10 }))
        .header("x-mock-prompt", 20)
        .header("x-mock-completion", 5_000);
    let answer = proxy.send(ALICE, call);
    let receipt = receipt_of(&proxy, &answer);
    assert_eq!(receipt["usage"], json!({ "input": 20, "output": 5_000 }));
    assert_eq!(receipt["cost"], receipt["hold"]);
    assert_eq!(receipt["priced"], cost(20, 5_000));
    let amount = |field: &str| nano(receipt[field].as_str().expect("money"));
    assert_eq!(amount("priced") - amount("cost"), amount("shortfall"));
    assert_eq!(receipt["flags"], json!(["over_bound"]));
    proxy.audit();
}

#[test]
fn a_mixture_is_charged_as_the_upstream_counted_it() {
    let (mock, proxy) = start();
    let mut expected = 0;
    for (prompt, completion) in [(1, 1), (100, 3), (7, 250), (130, 4_000), (0, 5)] {
        for call in [stream(json!({})), chat(json!({}))] {
            let call = call
                .header("x-mock-prompt", prompt)
                .header("x-mock-completion", completion);
            let answer = proxy.send(ALICE, call);
            let receipt = receipt_of(&proxy, &answer);
            assert_eq!(receipt["cost"], cost(prompt, completion));
            expected += nano(&cost(prompt, completion));
        }
    }
    let totals = mock.totals();
    assert_eq!(totals["complete"], 10);
    let counted = |field: &str| totals[field].as_u64().expect("a count");
    let told = cost(counted("prompt_tokens"), counted("completion_tokens"));
    assert_eq!(nano(&told), expected);
    assert_eq!(proxy.idle_wallet("alice")["charged"], told);
    proxy.audit();
}
