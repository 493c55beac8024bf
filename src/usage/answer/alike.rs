//! An answer that is skimmed says what serde reads in it.

use proptest::prelude::*;

use super::*;
use crate::usage::skim::tests::nearly_json;

fn skimmed(json: &[u8]) -> Option<AnswerFacts<'_>> {
    Answer::skim(json).map(|answer| super::facts(answer, json))
}

fn read_slowly(json: &[u8]) -> Option<AnswerFacts<'_>> {
    let answer: Answer<'_> = read(json).ok()?;
    Some(super::facts(answer, json))
}

const USAGE: &[&str] = &[
    r#"{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}"#,
    r#"{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":4,"x":[]},"completion_tokens":3,"completion_tokens_details":null}"#,
    r#"{"input_tokens":1,"input_tokens":2}"#,
    r#"{"input_tokens":-1,"search_units":2.0}"#,
    r#"{"seconds":4.5}"#,
    r#"{"output_tokens":"5","cache_creation":{"ephemeral_5m_input_tokens":3}}"#,
    "{}",
    "null",
    "[1,2]",
    "1e999",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        nearly_json(),
        prop::sample::select(USAGE).prop_map(str::to_owned),
        "\"[a-z0-9x\u{e9}]{0,9}\"",
        "-?[0-9]{1,3}(\\.[0-9])?",
    ]
}

fn object(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    let members = prop::collection::vec((prop::sample::select(names), value()), 0..5);
    members.prop_map(|members| {
        let members: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(", "))
    })
}

fn list(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    let element = prop_oneof![6 => object(names), 1 => value()];
    prop::collection::vec(element, 0..4).prop_map(|list| format!("[{}]", list.join(",")))
}

fn member() -> impl Strategy<Value = String> {
    let entry: &[&str] = &[
        "url",
        "b64_json",
        "embedding",
        "relevance_score",
        "error",
        "index",
        "us\\u0061ge",
    ];
    let named = |names: &'static [&'static str]| prop::sample::select(names);
    let plain = named(&[
        "usage",
        "error",
        "id",
        "status",
        "duration",
        "size",
        "quality",
        "object",
        "m\\u0065ta",
    ]);
    prop_oneof![
        4 => (plain, value()).prop_map(|(name, value)| format!("\"{name}\":{value}")),
        2 => list(&["usage", "message", "usag\\u0065", "index"]).prop_map(|list| format!("\"choices\": {list}")),
        2 => (named(&["data", "images", "results"]), list(entry)).prop_map(|(name, list)| format!("\"{name}\":{list}")),
        1 => object(&["tokens", "billed_units", "x"]).prop_map(|meta| format!("\"meta\":{meta}")),
        1 => (named(&["choices", "data", "images", "results", "meta"]), value()).prop_map(|(name, value)| format!("\"{name}\" :{value}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn whatever_is_skimmed_is_what_serde_reads(
        members in prop::collection::vec(member(), 0..6),
        edit in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut json = format!("{{{}}}", members.join(" ,")).into_bytes();
        if let Some((at, byte)) = edit {
            let at = at.index(json.len());
            json[at] = byte;
        }
        if let Some(facts) = skimmed(&json) {
            prop_assert_eq!(Some(facts), read_slowly(&json), "{}", String::from_utf8_lossy(&json));
            prop_assert_eq!(Some(facts), read_answer(&json).ok());
        }
    }
}

/// What most upstreams send does not take the slow way.
#[test]
fn usual_answers_are_skimmed() {
    for json in [
        r#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Hi \"there\"\n"},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}}"#,
        r#"{"created":1,"data":[{"url":"https://a/b.png"},{"b64_json":"iVBOR"},{"error":{"code":"bad"}}],"size":"1024x1024"}"#,
        r#"{"results":[{"index":0,"relevance_score":0.5}],"meta":{"billed_units":{"search_units":7}}}"#,
        r#"{"error":{"message":"no","code":null}}"#,
    ] {
        let facts = skimmed(json.as_bytes());
        assert!(facts.is_some(), "{json}");
        assert_eq!(facts, read_slowly(json.as_bytes()));
    }
}
