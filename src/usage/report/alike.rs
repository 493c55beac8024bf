//! A report that is skimmed says what serde reads in it.

use proptest::prelude::*;

use super::*;
use crate::usage::skim::tests::nearly_json;

const COUNTS: &[&str] = &[
    "prompt_tokens",
    "input_tokens",
    "completion_tokens",
    "output_tokens",
    "total_tokens",
    "cached_tokens",
    "prompt_cache_hit_tokens",
    "prompt_cache_miss_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "search_units",
    "other",
    "prompt\\u005ftokens",
];
const DETAILS: &[&str] = &[
    "prompt_tokens_details",
    "input_tokens_details",
    "input_token_details",
    "completion_tokens_details",
    "output_tokens_details",
    "cache_creation",
];
const DETAIL_COUNTS: &[&str] = &[
    "cached_tokens",
    "cache_write_tokens",
    "audio_tokens",
    "image_tokens",
    "reasoning_tokens",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
    "text_tokens",
];

fn member(
    names: &'static [&'static str],
    value: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    (prop::sample::select(names), value).prop_map(|(name, value)| format!("\"{name}\": {value}"))
}

fn count() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[0-9]{1,2}",
        2 => "-?[0-9]{1,14}(\\.0{1,2}|\\.5|e2)?",
        1 => nearly_json(),
    ]
}

fn object(member: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(" ,")))
}

fn report() -> impl Strategy<Value = String> {
    let details = prop_oneof![
        5 => object(member(DETAIL_COUNTS, count())),
        1 => Just("null".to_owned()),
        1 => nearly_json(),
    ];
    object(prop_oneof![3 => member(COUNTS, count()), 1 => member(DETAILS, details)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn whatever_is_skimmed_is_what_serde_reads(
        report in report(),
        edit in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut json = report.into_bytes();
        if let Some((at, byte)) = edit {
            let at = at.index(json.len());
            json[at] = byte;
        }
        if let Some(skimmed) = Skim::whole(&json, Fields::skim) {
            let slowly: Fields = lenient::read(&json).expect("what is skimmed is readable");
            prop_assert_eq!(reported(&skimmed), reported(&slowly));
            prop_assert_eq!(reported_input(&skimmed), reported_input(&slowly));
            let units = |fields: &Fields| fields.search_units.known("search_units");
            prop_assert_eq!(units(&skimmed), units(&slowly));
        }
    }
}

/// What most upstreams send does not take the slow way.
#[test]
fn usual_reports_are_skimmed() {
    for json in [
        r#"{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}"#,
        r#"{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},
            "completion_tokens_details":{"reasoning_tokens":3,"accepted_prediction_tokens":0}}"#,
        r#"{"input_tokens":4,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":0},"output_tokens":1}"#,
        r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":null,"service_tier":"default"}"#,
    ] {
        assert!(
            Skim::whole(json.as_bytes(), Fields::skim).is_some(),
            "{json}"
        );
    }
}
