//! Keys that parsers read in different ways.

use super::refusals::{chat_with, param, refused};

#[test]
fn a_key_that_appears_twice_is_refused_wherever_keys_are_read() {
    for (body, field) in [
        (r#"{"model":"m","model":"m","messages":[]}"#, "model"),
        (r#"{"model":"m","messages":[],"mod\u0065l":"x"}"#, "model"),
        (r#"{"model":"m","messages":[],"seed":1,"seed":1}"#, "seed"),
        (r#"{"model":"m","messages":[],"n":null,"n":9}"#, "n"),
        (
            r#"{"model":"m","messages":[],"stream_options":{"include_usage":true,"include_usage":false}}"#,
            "stream_options.include_usage",
        ),
        (
            r#"{"model":"m","messages":[],"stream_options":{"x":true,"x":false}}"#,
            "stream_options.x",
        ),
        (
            r#"{"model":"m","messages":[{},{"content":"a","content":[]}]}"#,
            "messages[1].content",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","role":"tool"}]}"#,
            "messages[0].role",
        ),
        (
            r#"{"model":"m","messages":[{"content":[{"type":"text","type":"image_url"}]}]}"#,
            "messages[0].content[0].type",
        ),
        (
            r#"{"model":"m","messages":[{"content":[{"image_url":{"url":"http://x","url":"http://y"}}]}]}"#,
            "messages[0].content[0].image_url.url",
        ),
        (
            r#"{"model":"m","messages":[],"tools":[{"type":"function","type":"web_search"}]}"#,
            "tools[0].type",
        ),
    ] {
        let refusal = refused(body);
        assert_eq!(param(&refusal), field, "{body}");
        assert!(
            refusal.message.contains("twice"),
            "{body}: {}",
            refusal.message
        );
    }
}

#[test]
fn a_duplicate_is_found_among_many_keys() {
    let keys: String = (0..40).map(|key| format!(r#""k{key}":1,"#)).collect();
    for twice in ["k0", "k15", "k16", "k39"] {
        let refusal = chat_with(&format!(r#"{keys}"{twice}":1"#));
        assert_eq!(param(&refusal), twice);
    }
}

#[test]
fn a_key_that_a_lenient_parser_takes_for_another_is_refused() {
    for (members, field) in [
        (r#""Model":"x""#, "Model"),
        (r#""MAX_TOKENS":9"#, "MAX_TOKENS"),
        (r#""maxTokens":9"#, "maxTokens"),
        (r#""max_to\u212aens":9"#, "max_to\u{212a}ens"),
        (r#""\u017ftream":true"#, "\u{17f}tream"),
        (r#""N":2"#, "N"),
        (r#""streamOptions":{}"#, "streamOptions"),
        (r#""Api_Base":null"#, "Api_Base"),
        (
            r#""stream_options":{"Include_Usage":true}"#,
            "stream_options.Include_Usage",
        ),
        (r#""tools":[{"Type":"web_search"}]"#, "tools[0].Type"),
    ] {
        let refusal = chat_with(members);
        assert_eq!(param(&refusal), field, "{members}");
        assert!(
            refusal.message.contains("write `"),
            "{members}: {}",
            refusal.message
        );
    }
    for (message, field) in [
        (r#"{"Content":[]}"#, "messages[0].Content"),
        (
            r#"{"content":[{"imageUrl":"x"}]}"#,
            "messages[0].content[0].imageUrl",
        ),
        (
            r#"{"content":[{"image_url":{"URL":"x"}}]}"#,
            "messages[0].content[0].image_url.URL",
        ),
    ] {
        let refusal = refused(&format!(r#"{{"model":"m","messages":[{message}]}}"#));
        assert_eq!(param(&refusal), field, "{message}");
    }
}

#[test]
fn a_hostile_key_is_not_repeated_in_full() {
    let key = "é".repeat(10_000);
    let refusal = chat_with(&format!(r#""{key}":1,"{key}":2"#));
    assert_eq!(param(&refusal).chars().count(), 64);
}
