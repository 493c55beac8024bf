use super::*;
use proptest::prelude::*;

fn usage(json: &str) -> Usage {
    read(json.as_bytes()).unwrap().unwrap().usage
}

fn refused(json: &str) -> Unbelievable {
    read(json.as_bytes()).unwrap().unwrap_err()
}

fn contradiction(json: &str) -> bool {
    matches!(refused(json), Unbelievable::Contradiction { .. })
}

fn meters(cached: u64, write: u64, input: u64, reasoning: u64, output: u64) -> Usage {
    Usage::tokens(input, output)
        .with(Meter::CachedInput, cached)
        .with(Meter::CacheWrite, write)
        .with(Meter::Reasoning, reasoning)
}

#[test]
fn plain_counts_are_read_under_either_name() {
    let chat = r#"{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}"#;
    let responses = r#"{"input_tokens":9,"output_tokens":12,"total_tokens":21}"#;
    assert_eq!(usage(chat), Usage::tokens(9, 12));
    assert_eq!(usage(responses), Usage::tokens(9, 12));
}

/// Rivals: litellm #14849 #37407, new-api #5005 #7229: cached tokens were charged as input too.
#[test]
fn every_vendors_cache_is_taken_out_of_the_input_once() {
    for json in [
        r#"{"prompt_tokens":100,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":60}}"#,
        r#"{"input_tokens":100,"output_tokens":5,"input_tokens_details":{"cached_tokens":60}}"#,
        r#"{"prompt_tokens":100,"completion_tokens":5,"cached_tokens":60}"#,
        r#"{"prompt_tokens":100,"completion_tokens":5,"prompt_cache_hit_tokens":60,"prompt_cache_miss_tokens":40}"#,
        r#"{"prompt_cache_hit_tokens":60,"prompt_cache_miss_tokens":40,"completion_tokens":5}"#,
        r#"{"prompt_tokens":100,"completion_tokens":5,"cached_tokens":60,"prompt_tokens_details":{"cached_tokens":60}}"#,
        r#"{"prompt_tokens":100,"completion_tokens":5,"prompt_cache_hit_tokens":60,"prompt_tokens_details":{"cached_tokens":0}}"#,
        r#"{"prompt_tokens":100,"completion_tokens":5,"cache_read_input_tokens":60}"#,
        r#"{"input_tokens":40,"output_tokens":5,"cache_read_input_tokens":60,"cache_creation_input_tokens":0}"#,
    ] {
        assert_eq!(usage(json), meters(60, 0, 40, 0, 5), "{json}");
    }
    let write = r#"{"prompt_tokens":100,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30}}"#;
    assert_eq!(usage(write), meters(60, 30, 10, 0, 5));
}

#[test]
fn reasoning_is_taken_out_of_the_output() {
    let inside = r#"{"prompt_tokens":10,"completion_tokens":50,"total_tokens":60,"completion_tokens_details":{"reasoning_tokens":40}}"#;
    assert_eq!(usage(inside), meters(0, 0, 10, 40, 10));
}

#[test]
fn reasoning_beside_the_output_is_told_by_the_total() {
    let beside = r#"{"prompt_tokens":10,"completion_tokens":50,"total_tokens":260,"completion_tokens_details":{"reasoning_tokens":200}}"#;
    assert_eq!(usage(beside), meters(0, 0, 10, 200, 50));
}

#[test]
fn audio_has_its_own_meters() {
    let json = r#"{"prompt_tokens":30,"completion_tokens":20,"prompt_tokens_details":{"audio_tokens":10,"cached_tokens":25},"completion_tokens_details":{"audio_tokens":15,"reasoning_tokens":0}}"#;
    let expected = Usage::tokens(0, 5)
        .with(Meter::CachedInput, 25)
        .with(Meter::AudioInput, 5)
        .with(Meter::AudioOutput, 15);
    assert_eq!(usage(json), expected);
}

#[test]
fn details_that_are_null_or_of_another_type_are_passed_over() {
    for details in ["null", "[]", "{}", "7", "\"none\"", "false", "[1,{}]"] {
        let json = format!(
            r#"{{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{details},"completion_tokens_details":{details}}}"#
        );
        assert_eq!(usage(&json), Usage::tokens(3, 4));
    }
}

#[test]
fn the_spelling_that_a_gateway_fills_with_zero_does_not_win() {
    let json = r#"{"prompt_tokens":7,"completion_tokens":8,"total_tokens":15,"input_tokens":0,"output_tokens":0,"input_tokens_details":null}"#;
    assert_eq!(usage(json), Usage::tokens(7, 8));
}

/// Rivals: litellm #37992, new-api #1602: a usage of 0 was replaced by an estimate.
#[test]
fn zero_is_not_missing() {
    let zero = r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#;
    let reported = read(zero.as_bytes()).unwrap().unwrap();
    assert_eq!(reported.usage, Usage::NONE);
    assert!(reported.has_input && reported.has_output);
}

#[test]
fn a_total_of_nothing_is_not_believed() {
    let json = r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":5000}"#;
    assert!(contradiction(json));
    let reasoned =
        r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":7,"reasoning_tokens":7}"#;
    assert_eq!(usage(reasoned), meters(0, 0, 0, 7, 0));
}

#[test]
fn what_writes_nothing_has_read_the_larger_of_its_input_and_its_total() {
    for (json, input) in [
        (r#"{"prompt_tokens":0,"total_tokens":5000}"#, 5_000),
        (
            r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":5000}"#,
            5_000,
        ),
        (r#"{"prompt_tokens":7,"total_tokens":7}"#, 7),
        (r#"{"prompt_tokens":7}"#, 7),
        (r#"{"prompt_tokens":0,"total_tokens":0}"#, 0),
    ] {
        let reported = read_input(json.as_bytes()).unwrap().unwrap();
        assert_eq!(reported.usage, Usage::tokens(input, 0), "{json}");
    }
}

#[test]
fn null_and_irrelevant_fields_are_missing_and_not_zero() {
    for json in [
        "",
        "null",
        " null ",
        "{}",
        "[]",
        r#"{"prompt_tokens":null,"completion_tokens":null}"#,
        r#"{"input_tokens_details":{}}"#,
        r#"{"total_tokens":12}"#,
        r#"{"cost":0.1,"generated_images":2}"#,
    ] {
        assert_eq!(read(json.as_bytes()), None, "{json}");
    }
}

#[test]
fn a_missing_side_follows_from_the_total_and_is_else_unknown() {
    let embeddings = r#"{"prompt_tokens":8,"total_tokens":8}"#;
    assert_eq!(usage(embeddings), Usage::tokens(8, 0));
    assert_eq!(
        usage(r#"{"completion_tokens":8,"total_tokens":10}"#),
        Usage::tokens(2, 8)
    );
    let half = read(br#"{"prompt_tokens":8}"#).unwrap().unwrap();
    assert!(half.has_input && !half.has_output);
}

#[test]
fn counts_that_are_no_counts_are_not_believed() {
    let with = |count: &str| format!(r#"{{"prompt_tokens":{count},"completion_tokens":1}}"#);
    let field = "prompt_tokens";
    for negative in ["-1", "-9223372036854775809", "-0", "-5.0"] {
        assert_eq!(refused(&with(negative)), Unbelievable::Negative(field));
    }
    for odd in ["1.5", "\"12\"", "true", "[1]", "{}", "1e3"] {
        assert_eq!(refused(&with(odd)), Unbelievable::NotInteger(field));
    }
    for large in ["1099511627777", "99999999999999999999999999"] {
        assert_eq!(refused(&with(large)), Unbelievable::TooLarge(field));
    }
    assert_eq!(usage(&with("1099511627776")), Usage::tokens(COUNT_MAX, 1));
    assert_eq!(usage(&with("12.0")), Usage::tokens(12, 1));
}

/// Rivals: litellm #14849 #37407, new-api #5005 #7229: more cached than input made a negative charge.
#[test]
fn parts_larger_than_their_whole_are_not_believed() {
    for json in [
        r#"{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":11}}"#,
        r#"{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":6,"cache_write_tokens":5}}"#,
        r#"{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"audio_tokens":11}}"#,
        r#"{"prompt_tokens":10,"completion_tokens":1,"completion_tokens_details":{"reasoning_tokens":2}}"#,
        r#"{"prompt_tokens":10,"completion_tokens":1,"completion_tokens_details":{"audio_tokens":2}}"#,
        r#"{"prompt_tokens":10,"completion_tokens":1,"total_tokens":9}"#,
        r#"{"prompt_tokens":1,"completion_tokens":10,"total_tokens":9}"#,
        r#"{"prompt_tokens":10,"total_tokens":9}"#,
        r#"{"prompt_tokens":10,"completion_tokens":1,"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":6}"#,
    ] {
        assert!(contradiction(json), "{json}");
    }
    // A total that is merely odd contradicts nothing that is charged.
    let odd = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":14}"#;
    assert_eq!(usage(odd), Usage::tokens(10, 5));
}

#[test]
fn what_is_no_object_or_names_a_field_twice_is_not_believed() {
    for json in [
        "7",
        "\"12\"",
        "{",
        r#"{"prompt_tokens":1,"prompt_tokens":2,"completion_tokens":1}"#,
    ] {
        assert_eq!(refused(json), Unbelievable::Malformed, "{json}");
    }
}

proptest! {
    #[test]
    fn disjoint_meters_sum_to_the_wholes(
        input in 0..COUNT_MAX, output in 0..COUNT_MAX, cached in 0..COUNT_MAX, write in 0..COUNT_MAX,
        audio in 0..COUNT_MAX, reasoning in 0..COUNT_MAX,
    ) {
        let json = format!(
            r#"{{"prompt_tokens":{input},"completion_tokens":{output},"prompt_tokens_details":{{"cached_tokens":{cached},
            "cache_write_tokens":{write},"audio_tokens":{audio}}},"completion_tokens_details":{{"reasoning_tokens":{reasoning}}}}}"#
        );
        let fits = cached + write <= input && audio <= input && reasoning <= output;
        match read(json.as_bytes()).unwrap() {
            Ok(reported) => {
                prop_assert!(fits);
                prop_assert_eq!(reported.usage.total(crate::usage::Unit::Tokens), input + output);
            }
            Err(_) => prop_assert!(!fits),
        }
    }

    #[test]
    fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes);
    }
}

#[test]
fn of_a_service_that_writes_nothing_all_is_input() {
    let input = |json: &str| read_input(json.as_bytes()).unwrap().unwrap();
    for json in [
        r#"{"prompt_tokens":9,"total_tokens":9}"#,
        r#"{"prompt_tokens":9,"completion_tokens":0,"total_tokens":9}"#,
        r#"{"input_tokens":9}"#,
        r#"{"total_tokens":9}"#,
        r#"{"prompt_tokens":8,"total_tokens":9}"#,
    ] {
        let reported = input(json);
        assert_eq!(reported.usage, Usage::tokens(9, 0), "{json}");
        assert!(reported.has_input && reported.has_output, "{json}");
    }
    let zero = input(r#"{"prompt_tokens":0,"total_tokens":0}"#);
    assert!(zero.usage == Usage::NONE && zero.has_input);
    let cached = input(
        r#"{"prompt_tokens":9,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":4}}"#,
    );
    assert_eq!(cached.usage, meters(4, 0, 5, 0, 0));
    for missing in ["null", "{}", r#"{"cost":1}"#] {
        assert_eq!(read_input(missing.as_bytes()), None, "{missing}");
    }
    for absurd in [
        r#"{"prompt_tokens":-9,"total_tokens":9}"#,
        r#"{"total_tokens":-1}"#,
        r#"{"prompt_tokens":9,"total_tokens":3}"#,
    ] {
        assert!(read_input(absurd.as_bytes()).unwrap().is_err(), "{absurd}");
    }
}

#[test]
fn tokens_of_images_are_told_apart_and_overlap_neither_audio_nor_the_cache() {
    let usage = usage(
        r#"{"input_tokens":100,"input_tokens_details":{"text_tokens":10,"image_tokens":90,"cached_tokens":40},
            "output_tokens":500,"output_tokens_details":{"image_tokens":480,"text_tokens":20}}"#,
    );
    assert_eq!(usage.get(Meter::CachedInput), 40);
    assert_eq!(usage.get(Meter::ImageInput), 60);
    assert_eq!(usage.get(Meter::Input), 0);
    assert_eq!(usage.get(Meter::ImageOutput), 480);
    assert_eq!(usage.get(Meter::Output), 20);
}

#[test]
fn what_is_cached_for_an_hour_is_told_apart() {
    let usage = usage(
        r#"{"input_tokens":3,"cache_read_input_tokens":20,"cache_creation_input_tokens":100,
            "cache_creation":{"ephemeral_5m_input_tokens":60,"ephemeral_1h_input_tokens":40},"output_tokens":7}"#,
    );
    let count = |meter| usage.get(meter);
    assert_eq!(
        [
            count(Meter::Input),
            count(Meter::CachedInput),
            count(Meter::CacheWrite),
            count(Meter::CacheWriteHour),
            count(Meter::Output)
        ],
        [3, 20, 60, 40, 7]
    );
    let more = read(
        br#"{"input_tokens":3,"cache_creation_input_tokens":50,"cache_creation":{"ephemeral_1h_input_tokens":60},"output_tokens":7}"#,
    );
    assert!(matches!(
        more,
        Some(Err(Unbelievable::Contradiction { .. }))
    ));
}

#[test]
fn a_later_report_keeps_what_it_leaves_out() {
    let report = |json: &str| read(json.as_bytes()).unwrap().unwrap();
    let start = report(
        r#"{"input_tokens":25,"cache_read_input_tokens":5,"cache_creation_input_tokens":0,"output_tokens":1}"#,
    );
    for (later, input, output) in [
        (r#"{"output_tokens":15}"#, 25, 15),
        (r#"{"input_tokens":0,"output_tokens":15}"#, 25, 15),
        (
            r#"{"input_tokens":30,"cache_read_input_tokens":5,"output_tokens":15}"#,
            30,
            15,
        ),
    ] {
        let joined = report(later).after(start);
        assert!(joined.has_input && joined.has_output);
        assert_eq!(joined.usage.get(Meter::Input), input, "{later}");
        assert_eq!(joined.usage.get(Meter::CachedInput), 5, "{later}");
        assert_eq!(joined.usage.get(Meter::Output), output, "{later}");
    }
}

#[test]
fn reasoning_that_is_in_the_total_alone_is_charged() {
    let usage = usage(r#"{"prompt_tokens":10,"completion_tokens":20,"total_tokens":530}"#);
    assert_eq!(usage, meters(0, 0, 10, 500, 20));
}
