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

/// Where a whole was told in the one usual spelling, the meters of its side come to it.
fn told(read: Read, fields: &Map<String, Value>) {
    let Some(Ok(reported)) = read else { return };
    let (input, output) = sides(&reported.usage);
    let number = |name: &str| fields.get(name).and_then(Value::as_u64);
    if let (Some(whole), None) = (number("prompt_tokens"), fields.get("input_tokens")) {
        assert_eq!(input, whole, "{fields:?}");
    }
    if let (Some(whole), None) = (number("completion_tokens"), fields.get("output_tokens")) {
        // Some report reasoning beside the output, and count it in the total.
        let reasoning = reported.usage.get(Meter::Reasoning);
        let beside = number("total_tokens") == Some(input + whole + reasoning);
        assert!(
            output == whole || beside && output == whole + reasoning,
            "{fields:?}"
        );
    }
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
