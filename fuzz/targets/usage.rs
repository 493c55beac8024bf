//! A report, alone and in an answer: read alike wherever it stands, and its meters sum up to what was told.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use tollgate_fuzz::usage::answer::read_answer;
use tollgate_fuzz::usage::report::{self, Reported, Unbelievable};
use tollgate_fuzz::usage::{Meter, Usage};

type Read = Option<Result<Reported, Unbelievable>>;

fuzz_target!(|data: &[u8]| {
    if let Ok(facts) = read_answer(data) {
        let _text = facts.transcript();
        let _input = facts.input_usage();
        let _units = facts.search_units();
        sums(facts.usage);
    }
    let read = report::read(data);
    sums(read);
    sums(report::read_input(data));
    let Ok(Value::Object(fields)) = serde_json::from_slice(data) else {
        return;
    };
    told(read, &fields);
    in_answers(read, data);
    if !matches!(read, Some(Err(_))) {
        // Order, blanks, and what no reader of JSON can see, do not matter.
        let printed = Value::Object(fields).to_string();
        assert_eq!(report::read(printed.as_bytes()), read, "{printed}");
    }
});

/// Meters are of the side that was reported, and of a size that can be priced.
fn sums(read: Read) {
    let Some(Ok(reported)) = read else { return };
    let (input, output) = sides(&reported.usage);
    assert!(reported.has_input || input == 0, "{reported:?}");
    assert!(reported.has_output || output == 0, "{reported:?}");
    assert!(
        input <= 4 * report::COUNT_MAX && output <= 4 * report::COUNT_MAX,
        "{reported:?}"
    );
}

/// The tokens of both sides. The meters are disjoint, so each side's sum is the whole.
fn sides(usage: &Usage) -> (u64, u64) {
    let tokens = usage.iter().filter(|(meter, _)| {
        !matches!(
            meter,
            Meter::Images | Meter::Seconds | Meter::Characters | Meter::Requests
        )
    });
    let (output, input): (Vec<_>, Vec<_>) = tokens.partition(|(meter, _)| meter.is_output());
    let sum = |side: Vec<(Meter, u64)>| side.iter().map(|(_, count)| count).sum();
    (sum(input), sum(output))
}

/// Where a whole was told in one spelling, the meters of its side come to it.
fn told(read: Read, fields: &Map<String, Value>) {
    let Some(Ok(reported)) = read else { return };
    let (input, output) = sides(&reported.usage);
    let only = |name: &str, other: &str| match fields.get(other) {
        None => fields.get(name).and_then(Value::as_u64),
        Some(_) => None,
    };
    let prompt = only("prompt_tokens", "input_tokens");
    // With these names the cache is beside the input.
    let beside = ["cache_read_input_tokens", "cache_creation_input_tokens"];
    let beside = beside.iter().any(|name| fields.contains_key(*name));
    let prompt = prompt.or(only("input_tokens", "prompt_tokens").filter(|_| !beside));
    assert!(prompt.is_none_or(|whole| input == whole), "{fields:?}");
    let completion = only("completion_tokens", "output_tokens");
    if let Some(whole) = completion.or(only("output_tokens", "completion_tokens")) {
        // Some report reasoning beside the output, and count it in the total.
        let reasoning = reported.usage.get(Meter::Reasoning);
        let total = fields.get("total_tokens").and_then(whole_number);
        let beside = total == Some(input + whole + reasoning);
        assert!(
            output == whole || beside && output == whole + reasoning,
            "{fields:?}"
        );
    }
}

/// A count, also where it is written as `50.0`.
fn whole_number(value: &Value) -> Option<u64> {
    let float = value
        .as_f64()
        .filter(|float| float.fract() == 0.0 && *float < 1e15);
    value.as_u64().or(float.map(|float| float as u64))
}

/// The same report at the places of an answer where reports are.
fn in_answers(read: Read, data: &[u8]) {
    for (before, after) in [
        (r#"{"choices":[],"usage":"#, "}"),
        (r#"{"usage":null,"choices":[{"usage":"#, "}]}"),
    ] {
        let answer = [before.as_bytes(), data, after.as_bytes()].concat();
        // One level deeper may be too deep.
        if let Ok(facts) = read_answer(&answer) {
            assert_eq!(facts.usage, read, "{}", String::from_utf8_lossy(&answer));
        }
    }
}
