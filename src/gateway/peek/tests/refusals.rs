//! Every refusal, with the field that it names.

use std::time::{Duration, Instant};

use super::CAPS;
use crate::gateway::peek::{BadRequest, peek_chat, peek_images};

/// The refusal of a chat with these members beside its model and messages.
pub(super) fn chat_with(members: &str) -> BadRequest {
    let body = format!(r#"{{"model":"m","messages":[],{members}}}"#);
    refused(&body)
}

pub(super) fn refused(body: &str) -> BadRequest {
    let refusal = peek_chat(body.as_bytes(), CAPS).expect_err(body);
    assert_eq!(refusal.status, 400, "{body}");
    assert_eq!(refusal.code, "invalid_request_error", "{body}");
    assert!(refusal.message.len() < 300, "{body}: {}", refusal.message);
    refusal
}

pub(super) fn param(refusal: &BadRequest) -> &str {
    refusal.param.as_deref().unwrap_or("")
}

#[test]
fn what_is_not_one_json_object_is_refused() {
    for (body, word) in [
        ("", "empty"),
        (" ", "not valid JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        (
            "\u{feff}{\"model\":\"m\",\"messages\":[]}",
            "byte order mark",
        ),
        (r#"{"model":"m","messages":[]"#, "not valid JSON"),
        (r#"{"model":"m","messages":[]}x"#, "not valid JSON"),
        (r#"{"model":"m","messages":[]}{}"#, "not valid JSON"),
        (r#"{"model":"m","messages":[],}"#, "not valid JSON"),
        (r#"{"model":"m","messages":[],'n':1}"#, "not valid JSON"),
        (r#"{"model":"m","messages":[],"n":01}"#, "not valid JSON"),
        (r#"{"model":"m","messages":[],"n":NaN}"#, "not valid JSON"),
        (
            r#"{"model":"m","messages":[],"\ud800":1}"#,
            "not valid JSON",
        ),
        (
            "{\"model\":\"m\",\"messages\":[{\"content\":\"\n\"}]}",
            "not valid JSON",
        ),
    ] {
        let refusal = refused(body);
        assert_eq!(refusal.param, None, "{body}");
        assert!(
            refusal.message.contains(word),
            "{body}: {}",
            refusal.message
        );
    }
    let latin = peek_chat(b"{\"model\":\"\xe9\"}", CAPS).unwrap_err();
    assert!(latin.message.contains("UTF-8 at byte 10"), "{latin:?}");
}

#[test]
fn a_field_of_a_wrong_type_is_named() {
    for (members, field) in [
        (r#""n":0"#, "n"),
        (r#""n":129"#, "n"),
        (r#""n":-1"#, "n"),
        (r#""n":1.0"#, "n"),
        (r#""n":1e0"#, "n"),
        (r#""n":"1""#, "n"),
        (r#""n":true"#, "n"),
        (r#""n":99999999999999999999"#, "n"),
        (r#""max_tokens":0"#, "max_tokens"),
        (r#""max_tokens":-1"#, "max_tokens"),
        (r#""max_tokens":10.5"#, "max_tokens"),
        (r#""max_tokens":[]"#, "max_tokens"),
        (r#""max_completion_tokens":"9""#, "max_completion_tokens"),
        (
            r#""max_completion_tokens":99999999999999999999"#,
            "max_completion_tokens",
        ),
        (r#""stream":1"#, "stream"),
        (r#""stream":"true""#, "stream"),
        (r#""stream_options":true"#, "stream_options"),
        (r#""stream_options":[]"#, "stream_options"),
        (
            r#""stream_options":{"include_usage":1}"#,
            "stream_options.include_usage",
        ),
        (r#""service_tier":1"#, "service_tier"),
        (r#""tools":{}"#, "tools"),
        (r#""tools":["web_search"]"#, "tools"),
        (r#""modalities":"text""#, "modalities"),
    ] {
        assert_eq!(param(&chat_with(members)), field, "{members}");
    }
    let long = format!(r#"{{"model":"{}","messages":[]}}"#, "m".repeat(257));
    for (body, field) in [
        (r#"{"messages":[]}"#, "model"),
        (r#"{"model":"","messages":[]}"#, "model"),
        (r#"{"model":null,"messages":[]}"#, "model"),
        (r#"{"model":["m"],"messages":[]}"#, "model"),
        (long.as_str(), "model"),
        (r#"{"model":"m"}"#, "messages"),
        (r#"{"model":"m","messages":null}"#, "messages"),
        (r#"{"model":"m","messages":"hi"}"#, "messages"),
        (r#"{"model":"m","messages":["hi"]}"#, "messages"),
        (
            r#"{"model":"m","messages":[{"content":{}}]}"#,
            "messages[0].content",
        ),
        (
            r#"{"model":"m","messages":[{},{"content":1}]}"#,
            "messages[1].content",
        ),
        (
            r#"{"model":"m","messages":[{"content":["hi"]}]}"#,
            "messages",
        ),
        (
            r#"{"model":"m","messages":[{"content":[{"type":1}]}]}"#,
            "messages[0].content[0].type",
        ),
        (
            r#"{"model":"m","messages":[{"content":[{"image_url":7}]}]}"#,
            "messages",
        ),
    ] {
        assert_eq!(param(&refused(body)), field, "{body}");
    }
}

#[test]
fn what_cannot_be_priced_or_is_shared_is_refused() {
    for members in [
        r#""api_base":"http://x""#,
        r#""base_url":"http://x""#,
        r#""api_key":"sk""#,
        r#""extra_body":{"n":9}"#,
        r#""models":["dear"]"#,
        r#""fallbacks":["dear"]"#,
        r#""provider":{"order":["dear"]}"#,
        r#""audio":{"voice":"alloy"}"#,
        r#""modalities":["text","audio"]"#,
        r#""modalities":["image"]"#,
        r#""web_search_options":{}"#,
        r#""enable_search":true"#,
        r#""plugins":[{"id":"web"}]"#,
        r#""search_parameters":{"mode":"on"}"#,
        r#""service_tier":"priority""#,
        r#""service_tier":"flex""#,
        r#""best_of":2"#,
        r#""best_of":"1""#,
        r#""background":true"#,
        r#""previous_response_id":"resp_1""#,
        r#""conversation":"conv_1""#,
        r#""container":"c_1""#,
        r#""n_predict":9"#,
        r#""max_new_tokens":9"#,
        r#""n_cmpl":9"#,
    ] {
        let field = members.split('"').nth(1).unwrap();
        assert_eq!(param(&chat_with(members)), field, "{members}");
    }
    for (tools, field) in [
        (r#"[{"type":"web_search"}]"#, "tools[0].type"),
        (
            r#"[{"type":"function"},{"type":"code_interpreter"}]"#,
            "tools[1].type",
        ),
        (r#"[{"google_search":{}}]"#, "tools[0].type"),
        (r#"[{"function":null,"google_search":{}}]"#, "tools[0].type"),
    ] {
        assert_eq!(
            param(&chat_with(&format!(r#""tools":{tools}"#))),
            field,
            "{tools}"
        );
    }
    for (message, field) in [
        (r#"{"audio":{"id":"audio_1"}}"#, "messages[0].audio"),
        (
            r#"{"content":[{"type":"file","file":{"file_ids":["f"]}}]}"#,
            "messages[0].content[0].file.file_ids",
        ),
        (
            r#"{"content":[{"type":"input_image","file_id":5}]}"#,
            "messages[0].content[0].file_id",
        ),
        (
            r#"{"content":[{"image_url":{"file_id":"f"}}]}"#,
            "messages[0].content[0].image_url.file_id",
        ),
        (
            r#"{"content":[{"type":"input_file","input_file":{"file_id":"f"}}]}"#,
            "messages[0].content[0].input_file.file_id",
        ),
        (
            r#"{"content":"a","attachments":[1e999,{"file_id":"f"}]}"#,
            "messages[0].attachments",
        ),
        (
            r#"{"content":"a","attachments":[{"tools":[],"fileId":"f"}]}"#,
            "messages[0].attachments[0].fileId",
        ),
        (
            r#"{"content":[{"image_url":{"url":"ms://f"}}]}"#,
            "messages[0].content[0].image_url.url",
        ),
        (
            r#"{"content":[{"image_url":"file:///etc/passwd"}]}"#,
            "messages[0].content[0].image_url",
        ),
        (
            r#"{"content":[{"image_url":"\u0001http://x"}]}"#,
            "messages[0].content[0].image_url",
        ),
    ] {
        let refusal = refused(&format!(r#"{{"model":"m","messages":[{message}]}}"#));
        assert_eq!(param(&refusal), field, "{message}");
    }
}

#[test]
fn requests_for_images_are_refused_alike() {
    for (members, field) in [
        (r#""stream":true,"n":2"#, "n"),
        (r#""stream":"yes""#, "stream"),
        (r#""partial_images":4"#, "partial_images"),
        (r#""prompt":["a","b"]"#, "prompt"),
        (r#""n":0"#, "n"),
        (r#""n":"4""#, "n"),
        (r#""N":4"#, "N"),
        (r#""size":1024"#, "size"),
        (r#""quality":{}"#, "quality"),
        (r#""Quality":"low""#, "Quality"),
        (r#""image":1"#, "image"),
        (r#""images":[["http://x"]]"#, "images"),
        (r#""image":"file:///etc/passwd""#, "image"),
        (r#""images":[{"file_id":"f"}]"#, "images[0].file_id"),
        (
            r#""images":[{"image_url":"oss://f"}]"#,
            "images[0].image_url",
        ),
        (r#""batch_size":4"#, "batch_size"),
        (r#""num_images":4"#, "num_images"),
        (
            r#""sequential_image_generation":"auto""#,
            "sequential_image_generation",
        ),
        (r#""api_base":"http://x""#, "api_base"),
        (r#""service_tier":"priority""#, "service_tier"),
        (r#""model":"other""#, "model"),
    ] {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        let refusal = peek_images(body.as_bytes(), CAPS).expect_err(&body);
        assert_eq!(param(&refusal), field, "{members}");
    }
}

#[test]
fn depth_is_bounded_in_values_that_are_not_read_too() {
    let deep = |levels| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"model":"m","messages":[],"x":{open}{close}}}"#)
    };
    assert!(peek_chat(deep(CAPS.json_depth - 1).as_bytes(), CAPS).is_ok());
    let refusal = refused(&deep(CAPS.json_depth));
    assert!(refusal.message.contains("deeper than 64"), "{refusal:?}");
}

#[test]
fn large_hostile_bodies_are_answered_in_linear_time() {
    let many_keys: String = (0..100_000).map(|key| format!(r#","k{key}":1"#)).collect();
    let many_messages = r#"{"content":[{"type":"text"}]},"#.repeat(30_000);
    let bodies = [
        "[".repeat(1_000_000),
        r#"{"a":"#.repeat(200_000),
        format!(r#"{{"model":"m","messages":[]{many_keys}}}"#),
        format!(r#"{{"model":"m","messages":[{many_messages}{{}}]}}"#),
        format!(
            r#"{{"model":"m","messages":["{}"]}}"#,
            "\\\"".repeat(500_000)
        ),
        format!(r#"{{"{}":1}}"#, "_".repeat(1_000_000)),
    ];
    for body in bodies {
        let start = Instant::now();
        let passes = peek_chat(body.as_bytes(), CAPS).is_ok();
        // A quadratic search takes minutes here, so the bound may be generous.
        let head = &body[..40];
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{head} passes: {passes}"
        );
    }
}
