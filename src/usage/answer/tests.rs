use super::*;
use crate::usage::Usage;
use proptest::prelude::*;

fn facts(json: &str) -> AnswerFacts<'_> {
    read_answer(json.as_bytes()).unwrap()
}

const CHAT: &str = r#"{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant",
"content":"Hi \"there\"","reasoning_content":"hm","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
"logprobs":{"content":[{"token":"Hi","text":"no"}]},"finish_reason":"stop"},{"index":1,"message":{"refusal":"No."}}],
"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}}"#;

#[test]
fn a_chat_tells_usage_choices_and_text() {
    let facts = facts(CHAT);
    assert_eq!(facts.usage.unwrap().unwrap().usage, Usage::tokens(9, 12));
    assert_eq!((facts.choices, facts.images, facts.error), (2, 0, false));
    let text = facts.transcript().text();
    assert_eq!(text, "Hi \"there\"hmf{\"a\":1}No.");
}

#[test]
fn blanks_and_a_byte_order_mark_before_the_body_do_not_matter() {
    let body = format!("\u{feff}\n\n  \r\n{CHAT}\n");
    assert_eq!(facts(&body).usage, facts(CHAT).usage);
    let body = format!("\n \n{CHAT}\n");
    assert_eq!(facts(&body).usage, facts(CHAT).usage);
}

#[test]
fn usage_of_the_first_choice_counts_when_the_top_level_has_none() {
    let nested = r#"{"prompt_tokens":1,"completion_tokens":2}"#;
    for top in ["", r#","usage":null"#, r#","usage":{}"#] {
        let json = format!(r#"{{"choices":[{{"usage":{nested}}}]{top}}}"#);
        assert_eq!(
            facts(&json).usage.unwrap().unwrap().usage,
            Usage::tokens(1, 2)
        );
    }
    assert_eq!(facts(r#"{"choices":[]}"#).usage, None);
}

#[test]
fn usage_in_the_models_text_is_not_usage() {
    let json = r#"{"choices":[{"message":{"content":"{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}"}}]}"#;
    assert_eq!(facts(json).usage, None);
}

#[test]
fn images_are_entries_that_carry_one() {
    let json = r#"{"created":1,"data":[{"url":"https://a/b.png"},{"b64_json":"iVBOR"},{"url":"data:image/png;base64,iV"},
        {"error":{"code":"bad"}},{"url":"https:\/\/a","error":null},{"url":""},{"url":null,"b64_json":null},{"url":7},
        {"url":"https://x","error":{"code":"bad"}},{},"text",3,null,[1]]}"#;
    assert_eq!(facts(json).images, 4);
    assert_eq!(facts(r#"{"data":{"url":"x"}}"#).images, 0);
    assert_eq!(
        facts(r#"{"images":[{"url":"x"}],"data":[{"url":"x"}]}"#).images,
        1
    );
}

#[test]
fn fields_of_odd_types_do_not_hide_the_usage() {
    for odd in [
        "7",
        "\"a\"",
        "null",
        "true",
        "1.5",
        "-3",
        "[1,[2],\"b\"]",
        "{\"a\":[{}]}",
    ] {
        let json = format!(
            r#"{{"choices":{odd},"data":{odd},"error":null,"usage":{{"prompt_tokens":1,"completion_tokens":2}}}}"#
        );
        assert_eq!(
            facts(&json).usage.unwrap().unwrap().usage,
            Usage::tokens(1, 2)
        );
    }
}

#[test]
fn an_error_body_is_noticed() {
    assert!(facts(r#"{"error":{"message":"no","type":"t","param":null,"code":"c"}}"#).error);
    assert!(facts(r#"{"error":"no"}"#).error);
    assert!(!facts(r#"{"error":null}"#).error);
}

#[test]
fn what_is_not_json_is_said_to_be_so() {
    assert!(matches!(read_answer(b" \n"), Err(AnswerError::Empty)));
    for body in [
        "<html>",
        "{\"usage\":",
        "data: {}",
        "{}{}",
        "{\"usage\":null,\"usage\":null}",
    ] {
        assert!(
            matches!(read_answer(body.as_bytes()), Err(AnswerError::NotJson(_))),
            "{body}"
        );
    }
    assert!(matches!(
        read_answer(b"{\"a\":\"\xff\",\"data\":[{\"url\":\"\xff\"}]}"),
        Err(AnswerError::NotJson(_))
    ));
}

proptest! {
    #[test]
    fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(facts) = read_answer(&bytes) {
            facts.transcript().text();
        }
    }

    #[test]
    fn a_broken_answer_is_safe(at in 0..CHAT.len(), byte in any::<u8>(), cut in 0..CHAT.len()) {
        let mut bytes = CHAT.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(facts) = read_answer(&bytes) {
            facts.transcript().text();
        }
        prop_assert!(read_answer(&CHAT.as_bytes()[..cut]).is_err());
    }
}

#[test]
fn embeddings_are_counted_in_either_encoding() {
    let read = facts(
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2e-3]},
        {"index":1,"embedding":"AACAPw=="},{"index":2,"embedding":[]},{"index":3}],
        "model":"m","usage":{"prompt_tokens":7,"total_tokens":7}}"#,
    );
    assert_eq!((read.results, read.images, read.is_short), (2, 0, false));
    let reported = read.input_usage().unwrap().unwrap();
    assert_eq!(reported.usage, Usage::tokens(7, 0));
    assert!(facts(r#"{"data":[]}"#).is_short);
    let unknown = facts(r#"{"vectors":[[1]],"usage":{"total_tokens":3}}"#);
    assert_eq!((unknown.results, unknown.is_short), (0, false));
    assert_eq!(
        unknown.input_usage().unwrap().unwrap().usage,
        Usage::tokens(3, 0)
    );
}

#[test]
fn search_units_are_found_wherever_an_order_of_documents_tells_them() {
    let units =
        |rest: &str| facts(&format!(r#"{{"results":[{{"index":0}}],{rest}}}"#)).search_units();
    for (rest, told) in [
        (
            r#""meta":{"api_version":{"version":"2"},"billed_units":{"search_units":7}}"#,
            7,
        ),
        (
            r#""meta":{"tokens":{"input_tokens":9},"billed_units":{"search_units":2.0}}"#,
            2,
        ),
        (
            r#""usage":{"cost":0.002,"search_units":3,"total_tokens":150}"#,
            3,
        ),
        (
            r#""usage":{"search_units":0},"meta":{"billed_units":{"search_units":4}}"#,
            4,
        ),
        (r#""meta":{"billed_units":{"search_units":0}}"#, 0),
    ] {
        assert_eq!(units(rest), Some(Ok(told)), "{rest}");
    }
    for rest in [
        r#""usage":null"#,
        r#""usage":{"total_tokens":9}"#,
        r#""meta":{"billed_units":{"search_units":null}}"#,
        r#""meta":{"billed_units":{"input_tokens":9}}"#,
    ] {
        assert_eq!(units(rest), None, "{rest}");
    }
    for count in ["-1", "0.5", "\"1\"", "[]", "1e99"] {
        let rest = format!(
            r#""usage":{{"search_units":1}},"meta":{{"billed_units":{{"search_units":{count}}}}}"#
        );
        assert!(matches!(units(&rest), Some(Err(_))), "{rest}");
    }
}

#[test]
fn the_text_of_a_completion_is_found() {
    let completion = r#"{"id":"cmpl-1","object":"text_completion","choices":[
        {"text":" one","index":0,"logprobs":{"tokens":["no"],"text_offset":[0]},"finish_reason":"stop"},
        {"text":" two","index":1,"logprobs":null,"finish_reason":"length"}]}"#;
    assert_eq!(facts(completion).transcript().text(), " one two");
}

#[test]
fn an_order_without_documents_says_itself_that_it_carries_nothing() {
    let facts = |json| {
        let facts = facts(json);
        (facts.results, facts.is_short)
    };
    assert_eq!(facts(r#"{"id":"1","results":[]}"#), (0, true));
    let one = r#"{"id":"1","results":[{"index":0,"relevance_score":0.5}]}"#;
    assert_eq!(facts(one), (1, false));
}
