//! What is read of a body, and what is refused.

mod audio;
mod completions;
mod embeddings;
mod keys;
mod messages;
mod ordering;
mod properties;
mod refusals;
mod responses;

use super::{ImageRequest, InputSize, PeekCaps, TextRequest, peek_chat, peek_images};
use crate::price::{Bounds, MaxTokensField, WorstCase};

pub(super) const CAPS: PeekCaps = PeekCaps { json_depth: 64 };

fn chat(body: &str) -> TextRequest<'_> {
    peek_chat(body.as_bytes(), CAPS).unwrap_or_else(|refusal| panic!("{body}: {refusal:?}"))
}

fn images(body: &str) -> ImageRequest<'_> {
    peek_images(body.as_bytes(), CAPS).unwrap_or_else(|refusal| panic!("{body}: {refusal:?}"))
}

fn bounds() -> Bounds {
    Bounds {
        context_tokens: 100_000,
        max_output_tokens: 4_000,
        reasoning_tokens_max: 0,
        image_tokens_max: 1_500,
        overhead_tokens: 30,
        images_max: 4,
        seconds_max: Bounds::SECONDS_MAX,
        characters_max: Bounds::CHARACTERS_MAX,
        max_tokens_field: MaxTokensField::Both,
    }
}

/// The input of a chat with one message of these content parts.
fn parts(parts: &str) -> InputSize {
    chat(&format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{parts}]}}]}}"#
    ))
    .input
}

#[test]
fn the_shortest_chat_reads_as_its_defaults() {
    let body = r#" {"model":"m","messages":[]}"#;
    let request = chat(body);
    assert_eq!(request.model, "m");
    assert_eq!(request.choices, 1);
    assert!(!request.stream);
    assert_eq!(request.include_usage, None);
    assert_eq!(request.client_max(&bounds()), None);
    assert_eq!(request.input.body_bytes, body.len() as u64);
    assert_eq!(request.layout.first_member, 2);
}

#[test]
fn nulls_are_absent_values() {
    let request = chat(
        r#"{"model":"m","messages":[],"n":null,"max_tokens":null,"stream":null,"stream_options":null,"tools":null,
            "prediction":null,"modalities":null,"service_tier":null,"best_of":null,"audio":null,"web_search_options":null,
            "background":false,"previous_response_id":null,"api_key":null}"#,
    );
    assert_eq!(
        (
            request.choices,
            request.stream,
            request.client_max(&bounds())
        ),
        (1, false, None)
    );
    assert_eq!(request.extra_output, 0);
    assert!(!request.input.unbounded);
}

#[test]
fn fields_are_read_under_escaped_keys_and_values() {
    let request = chat(
        r#"{"mod\u0065l":"\u0061/b","m\u0065ssages":[{"cont\u0065nt":[{"typ\u0065":"imag\u0065_url","\u0069mage_url":{"\u0075rl":"http:\/\/x\/y.png"}}]}],
            "\u006e":3,"str\u0065am":true,"stream_options":{"include\u005fusage":false}}"#,
    );
    assert_eq!(request.model, "a/b");
    assert_eq!((request.choices, request.stream), (3, true));
    assert_eq!(request.include_usage, Some(false));
    assert_eq!(request.input.images, 1);
}

#[test]
fn parameters_that_move_no_money_pass() {
    let request = chat(
        r#"{"model":"m","messages":[{"role":"user","content":"hi","name":"n"},{"role":"assistant","content":null,"refusal":null,
            "reasoning_content":"r","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"1","content":[{"type":"text","text":"t","cache_control":{"type":"ephemeral"},"annotations":[]}]}],
            "temperature":0.7,"top_p":1e0,"top_k":-1,"min_p":0,"logprobs":true,"top_logprobs":2,"logit_bias":{"50256":-100},
            "stop":["a"],"seed":7,"user":"u","safety_identifier":"s","prompt_cache_key":"k","presence_penalty":0,"frequency_penalty":0,
            "repetition_penalty":1.1,"response_format":{"type":"json_object"},"reasoning_effort":"low","verbosity":"low",
            "metadata":{"a":"b"},"store":true,"tool_choice":"auto","parallel_tool_calls":true,"functions":[],"function_call":"none",
            "enable_thinking":true,"thinking":{"type":"enabled"},"thinking_budget":10,"chat_template_kwargs":{"enable_thinking":false},
            "guided_json":{},"ignore_eos":false,"min_tokens":1,"skip_special_tokens":true,"modalities":["text"],"service_tier":"auto",
            "tools":[{"type":"function","function":{"name":"f","parameters":{}}},{"type":"custom","custom":{}},{"function":{"name":"g"}}]}"#,
    );
    assert_eq!(request.input.images, 0);
    assert!(!request.input.unbounded);
}

#[test]
fn a_prediction_counts_by_its_bytes_in_every_choice() {
    let request = chat(
        r#"{"model":"m","messages":[],"prediction": {"type":"content","content":"abc"} ,"max_tokens":10,"n":2}"#,
    );
    assert_eq!(request.extra_output, 2 * 34);
    let worst = request.worst_case(&bounds()).unwrap();
    assert_eq!(worst.output_tokens, 2 * (10 + 34));
}

#[test]
fn images_written_out_are_taken_off_the_bytes_and_linked_ones_are_counted() {
    let size = parts(
        r#"{"type":"text","text":"see"},
           {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"high"}},
           {"type":"image_url","image_url":{"url":"https://x/y.png"}},
           {"image_url":"DATA:image/JPEG;BASE64,BBBB"},
           {"type":"text","text":"t","image_url":null}"#,
    );
    assert_eq!(size.images, 3);
    assert_eq!(
        size.inline_media_bytes,
        2 * "data:image/png;base64,AAAA".len() as u64 + 1
    );
    assert!(!size.unbounded);
}

#[test]
fn an_image_hidden_behind_a_type_or_a_key_is_counted() {
    for hidden in [
        r#"{"type":"text","text":"t","image_url":{"url":"http://x"}}"#,
        r#"{"image_url":{"url":"http://x"},"type":"text"}"#,
        r#"{"type":"image_url","image_url":null}"#,
        r#"{"type":"image_url"}"#,
        r#"{"image_url":{}}"#,
        r#"{"\u0069mage_url":"http://x"}"#,
        r#"{"type":"image_url","image_url":"QUJD"}"#,
    ] {
        assert_eq!(parts(hidden).images, 1, "{hidden}");
    }
}

#[test]
fn what_bytes_do_not_bound_is_unbounded() {
    for media in [
        r#"{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}"#,
        r#"{"type":"video_url","video_url":{"url":"http://x"}}"#,
        r#"{"type":"text","text":"t","video_url":{"url":"http://x"}}"#,
        r#"{"type":"file","file":{"file_data":"data:application/pdf;base64,AA"}}"#,
        r#"{"type":"something-new","text":"t"}"#,
        r#"{"something_new":"t"}"#,
        r#"{"type":"image_url","image_url":{"url":"data:application/pdf;base64,AA"}}"#,
        r#"{"type":"image_url","image_url":{"url":"data:image/svg+xml,<svg/>"}}"#,
        r#"{"type":"image_url","image_url":{"url":"http://x"},"max_pixels":99999999}"#,
    ] {
        let size = parts(media);
        assert!(size.unbounded, "{media}");
        assert_eq!(size.tokens_max(&bounds()), 100_000, "{media}");
    }
    for body in [
        r#"{"model":"m","messages":[],"chat_template":"{% for i in range(9999) %}a{% endfor %}"}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"x","images":["http://x"]}]}"#,
    ] {
        assert!(chat(body).input.unbounded, "{body}");
    }
}

#[test]
fn the_input_is_bounded_by_bytes_images_and_context() {
    let size = |body_bytes, inline_media_bytes, images| InputSize {
        body_bytes,
        inline_media_bytes,
        images,
        prompts: 0,
        shared_bytes: 0,
        unbounded: false,
    };
    let bounds = bounds();
    assert_eq!(size(1_000, 0, 0).tokens_max(&bounds), 1_030);
    assert_eq!(
        size(9_000, 8_000, 2).tokens_max(&bounds),
        1_000 + 3_000 + 30
    );
    assert_eq!(size(1_000_000, 0, 0).tokens_max(&bounds), 100_000);
    assert_eq!(size(u64::MAX, 0, u64::MAX).tokens_max(&bounds), 100_000);
    assert_eq!(size(0, u64::MAX, 0).tokens_max(&bounds), 30);
    // A row that bounds no image: the bytes of one may all become text.
    let blind = Bounds {
        image_tokens_max: 0,
        ..bounds
    };
    assert_eq!(size(9_000, 8_000, 1).tokens_max(&blind), 100_000);
}

#[test]
fn the_output_is_the_larger_maximum_for_every_choice() {
    let bounds = Bounds {
        reasoning_tokens_max: 100,
        ..bounds()
    };
    let worst = |fields: &str| {
        let body = format!(r#"{{"model":"m","messages":[]{fields}}}"#);
        chat(&body)
            .worst_case(&bounds)
            .map(|worst| worst.output_tokens)
    };
    assert_eq!(worst(""), Ok(4_100));
    assert_eq!(worst(r#","n":3"#), Ok(12_300));
    assert_eq!(worst(r#","max_tokens":5"#), Ok(105));
    assert_eq!(
        worst(r#","max_tokens":null,"max_completion_tokens":7"#),
        Ok(107)
    );
    assert_eq!(
        worst(r#","max_tokens":9,"max_completion_tokens":7,"n":2"#),
        Ok(218)
    );
    assert_eq!(worst(r#","max_completion_tokens":4000"#), Ok(4_100));

    for field in ["max_tokens", "max_completion_tokens"] {
        let refusal = worst(&format!(r#","{field}":4001"#)).unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some(field));
        assert!(refusal.message.contains("at most 4000"), "{refusal:?}");
    }
}

#[test]
fn a_maximum_bounds_where_the_endpoint_obeys_its_field() {
    use MaxTokensField::{Both, MaxCompletionTokens, MaxTokens};
    let (short, long) = (r#""max_tokens":5"#, r#""max_completion_tokens":7"#);
    for (sent, field, output) in [
        (short, MaxTokens, 5),
        (short, MaxCompletionTokens, 4_000),
        (short, Both, 5),
        (long, MaxTokens, 4_000),
        (long, MaxCompletionTokens, 7),
        (long, Both, 7),
        (
            r#""max_tokens":null,"max_completion_tokens":7"#,
            MaxTokens,
            4_000,
        ),
        // Some servers take the second where both are sent.
        (r#""max_tokens":5,"max_completion_tokens":7"#, MaxTokens, 7),
        (
            r#""max_tokens":5,"max_completion_tokens":7"#,
            MaxCompletionTokens,
            7,
        ),
        (r#""max_tokens":9,"max_completion_tokens":7"#, Both, 9),
    ] {
        let bounds = Bounds {
            max_tokens_field: field,
            ..bounds()
        };
        let body = format!(r#"{{"model":"m","messages":[],{sent}}}"#);
        let worst = chat(&body).worst_case(&bounds).unwrap();
        assert_eq!(worst.output_tokens, output, "{sent} {field:?}");
    }
}

#[test]
fn the_worst_case_of_a_chat_saturates() {
    let bounds = Bounds {
        max_output_tokens: u64::MAX,
        reasoning_tokens_max: u64::MAX,
        overhead_tokens: u64::MAX,
        context_tokens: u64::MAX,
        ..bounds()
    };
    let body = r#"{"model":"m","messages":[],"n":128,"max_tokens":18446744073709551615}"#;
    let worst = chat(body).worst_case(&bounds).unwrap();
    assert_eq!(
        worst,
        WorstCase {
            input_tokens: u64::MAX,
            output_tokens: u64::MAX,
            output_tokens_min: u64::MAX,
            ..WorstCase::default()
        }
    );
}

#[test]
fn a_clamped_maximum_keeps_the_output_within_what_was_admitted() {
    let bounds = Bounds {
        reasoning_tokens_max: 10,
        ..bounds()
    };
    let body = r#"{"model":"m","messages":[],"n":3,"prediction":"abcd"}"#;
    let request = chat(body);
    let floor = request.output_floor(&bounds);
    assert_eq!(floor, 3 * (11 + 6));
    assert_eq!(request.maximum_within(floor, &bounds), Some(1));
    assert_eq!(request.maximum_within(floor - 1, &bounds), None);
    assert_eq!(request.maximum_within(0, &bounds), None);
    for output in floor..floor + 100 {
        let maximum = request.maximum_within(output, &bounds).unwrap();
        assert!((maximum + 10 + 6) * 3 <= output);
        assert!((maximum + 11 + 6) * 3 > output);
    }
}

#[test]
fn a_request_for_images_is_read() {
    let body = r#"{"model":"m","prompt":"a cat","n":4,"size":"1024x1024","quality":"high","response_format":"b64_json",
        "background":"transparent","stream":false,"partial_images":0,
        "image":"data:image/png;base64,AA","images":["http://x",{"image_url":"http://y"}],"mask":null}"#;
    let request = images(body);
    assert_eq!((request.model.as_ref(), request.n), ("m", 4));
    assert_eq!(request.size.as_deref(), Some("1024x1024"));
    assert_eq!(request.quality.as_deref(), Some("high"));
    assert_eq!(request.response_format.as_deref(), Some("b64_json"));
    assert_eq!(request.input.images, 3);
    assert_eq!(request.input.inline_media_bytes, 24);
    let worst = request.worst_case(&bounds()).unwrap();
    assert_eq!((worst.images, worst.output_tokens), (4, 16_000));
    assert!(!worst.any_size);
    // What else may decide the size makes it any.
    let sized = images(r#"{"model":"m","prompt":"a","size":"512x512","image_size":"2048x2048"}"#);
    assert!(sized.worst_case(&bounds()).unwrap().any_size);
}

#[test]
fn more_images_than_the_model_makes_are_refused() {
    let request = images(r#"{"model":"m","prompt":"a","n":5}"#);
    let refusal = request.worst_case(&bounds()).unwrap_err();
    assert_eq!(refusal.param.as_deref(), Some("n"));
    assert!(refusal.message.contains("at most 4"), "{refusal:?}");
}
