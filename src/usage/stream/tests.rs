use super::*;
use crate::usage::Usage;
use crate::usage::sse::Scanner;
use proptest::prelude::*;

fn events(text: &str) -> Vec<Event> {
    let mut scanner = Scanner::new();
    scanner.push(Bytes::copy_from_slice(text.as_bytes()));
    let mut events = Vec::new();
    while let Some(event) = scanner.next() {
        events.push(event);
    }
    events.extend(scanner.finish());
    events
}

fn read(text: &str) -> (Vec<Kind>, StreamFacts) {
    let mut meter = StreamMeter::new();
    let kinds = events(text)
        .iter()
        .map(|event| meter.event(event))
        .collect();
    (kinds, meter.finish())
}

fn usage(text: &str) -> Option<Usage> {
    read(text).1.usage.map(|report| report.unwrap().usage)
}

const OPENAI: &str = r#": keep-alive

data: {"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null,"obfuscation":"aa"}

data: {"id":"1","choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}],"usage":null,"obfuscation":"bbbb"}

data: {"id":"1","choices":[{"index":0,"delta":{"content":"lo\n"},"finish_reason":null}],"usage":null,"obfuscation":"c"}

data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}

data: {"id":"1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}

data: [DONE]

"#;

#[test]
fn a_plain_stream_is_told_event_by_event() {
    let (kinds, facts) = read(OPENAI);
    use Kind::*;
    assert_eq!(
        kinds,
        [Other, Other, Content, Content, Finish, UsageOnly, Done]
    );
    assert_eq!(facts.usage.unwrap().unwrap().usage, Usage::tokens(9, 3));
    assert_eq!(facts.transcript.text(), "Hello\n");
    assert_eq!(facts.content_events, 2);
    assert!(facts.saw_done && facts.finish_reason_seen && !facts.saw_error);
}

#[test]
fn usage_on_the_finish_chunk_is_read_and_is_no_usage_only_event() {
    let text = r#"data: {"choices":[{"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":5,"prompt_cache_hit_tokens":60,"prompt_cache_miss_tokens":40,"prompt_tokens_details":null}}

"#;
    let (kinds, facts) = read(text);
    assert_eq!(kinds, [Kind::Finish]);
    let expected = Usage::tokens(40, 5).with(crate::usage::Meter::CachedInput, 60);
    assert_eq!(facts.usage.unwrap().unwrap().usage, expected);
}

#[test]
fn usage_in_the_first_choice_and_again_at_the_top_counts_once() {
    let nested = r#"data: {"choices":[{"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":7,"completion_tokens":5,"cached_tokens":2}}]}

"#;
    let top = r#"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"cached_tokens":2}}

"#;
    let expected = Some(Usage::tokens(5, 5).with(crate::usage::Meter::CachedInput, 2));
    assert_eq!(usage(nested), expected);
    assert_eq!(usage(&format!("{nested}{top}")), expected);
    assert_eq!(usage(&format!("{nested}{top}data: [DONE]\n\n")), expected);
}

#[test]
fn the_last_of_cumulative_reports_wins_and_none_are_added() {
    let chunk = |count: u32| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}],\"usage\":{{\"prompt_tokens\":4,\"completion_tokens\":{count}}}}}\n\n"
        )
    };
    let text = (1..=5).map(chunk).collect::<String>();
    assert_eq!(usage(&text), Some(Usage::tokens(4, 5)));
    let (kinds, facts) = read(&text);
    assert!(kinds.iter().all(|kind| *kind == Kind::Content));
    assert_eq!(facts.content_events, 5);
    // Null, and objects that say nothing, are no reports.
    assert_eq!(
        usage(&format!(
            "{text}data: {{\"choices\":[],\"usage\":null}}\n\n"
        )),
        Some(Usage::tokens(4, 5))
    );
    assert_eq!(
        usage(&format!(
            "{text}data: {{\"choices\":[],\"usage\":{{}}}}\n\n"
        )),
        Some(Usage::tokens(4, 5))
    );
    let negative =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":-4,\"completion_tokens\":9}}\n\n";
    assert!(read(&format!("{text}{negative}")).1.usage.unwrap().is_err());
}

#[test]
fn no_usage_is_missing_and_zero_usage_is_zero() {
    assert_eq!(
        usage("data: {\"choices\":[],\"usage\":null}\n\ndata: [DONE]\n\n"),
        None
    );
    let zero = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}}\n\n";
    assert_eq!(usage(zero), Some(Usage::NONE));
}

#[test]
fn upstream_errors_are_noticed_in_every_form() {
    for text in [
        "data: {\"error\":{\"message\":\"overloaded\"}}\n\n",
        "data: {\"choices\":[],\"error\":\"overloaded\"}\n\n",
        "event: error\ndata: {\"message\":\"overloaded\"}\n\n",
        "data:{\"message\":\"overloaded\"}\nevent:error\n\n",
        "event: error\n\n",
        "data: {\"type\":\"error\",\"code\":\"x\",\"message\":\"m\"}\n\n",
    ] {
        let (kinds, facts) = read(text);
        assert_eq!(kinds, [Kind::Error], "{text}");
        assert!(facts.saw_error);
    }
    for nothing in ["null", "false", "{ }", "[]"] {
        let text = format!(
            "data: {{\"error\":{nothing},\"choices\":[{{\"delta\":{{\"content\":\"{{\\\"error\\\":1}}\"}}}}]}}\n\n"
        );
        let (kinds, facts) = read(&text);
        assert_eq!((kinds, facts.saw_error), (vec![Kind::Content], false));
    }
}

#[test]
fn a_model_cannot_talk_itself_into_a_report() {
    let text = r#"data: {"choices":[{"delta":{"content":"\",\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}"}}]}

data: {"choices":[{"delta":{"content":"x","tool_calls":[{"function":{"arguments":"{\"usage\":{}}"}}]}}]}

"#;
    assert_eq!(usage(text), None);
}

#[test]
fn an_oversized_event_still_tells_its_usage() {
    let image = "A".repeat(600 << 10);
    let text = format!(
        "event: image_generation.completed\ndata: {{\"b64_json\":\"{image}\",\"usage\":{{\"input_tokens\":1,\"output_tokens\":2}}}}\n\ndata: [DONE]\n\n"
    );
    let mut scanner = Scanner::new();
    let mut meter = StreamMeter::new();
    let mut passed = Vec::new();
    for chunk in text.as_bytes().chunks(100_000) {
        scanner.push(Bytes::copy_from_slice(chunk));
        while let Some(event) = scanner.next() {
            meter.event(&event);
            passed.extend_from_slice(&event.bytes);
        }
        if let Some(part) = scanner.overflow() {
            meter.fragment(&part);
            passed.extend_from_slice(&part);
        }
    }
    assert!(passed == text.as_bytes());
    let facts = meter.finish();
    assert!(facts.saw_done);
    assert_eq!(facts.usage.unwrap().unwrap().usage, Usage::tokens(1, 2));
}

#[test]
fn the_cost_is_spliced_into_the_usage_and_nothing_else_changes() {
    let cost = r#","cost":"0.000868""#;
    for end in ["\n\n", "\r\n\r\n", ""] {
        for (before, after) in [
            (
                r#"data: {"id":"{","choices":[],"usage":{"prompt_tokens":9,"d":{"c":1}}"#,
                r#","x":"}"}"#,
            ),
            (
                r#"data:{ "usage" : { "prompt_tokens":9 }"#,
                r#" , "choices" : [ ] }"#,
            ),
            (
                "id: 7\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":9}",
                "}",
            ),
        ] {
            let event = events(&format!("{before}{after}{end}")).remove(0);
            let spliced = splice_cost(&event, cost).unwrap();
            let (head, _) = before.split_at(before.len() - 1);
            assert_eq!(spliced, format!("{head}{cost}}}{after}{end}"));
        }
    }
    let empty = events("data: {\"choices\":[],\"usage\":{}}\n\n").remove(0);
    let spliced = splice_cost(&empty, cost).unwrap();
    assert_eq!(
        spliced,
        "data: {\"choices\":[],\"usage\":{\"cost\":\"0.000868\"}}\n\n"
    );
}

#[test]
fn the_cost_is_spliced_into_usage_only_events_alone() {
    for text in [
        "data: {\"choices\":[{}],\"usage\":{\"prompt_tokens\":9}}\n\n",
        "data: {\"usage\":{\"prompt_tokens\":9}}\n\n",
        "data: {\"choices\":[],\"usage\":null}\n\n",
        "data: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":9}}\n\n",
        "data: [DONE]\n\n",
        ": x\n\n",
    ] {
        assert_eq!(
            splice_cost(&events(text)[0], ",\"cost\":\"1\""),
            None,
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_safe(text in r#"(data: |event: error|[{}\[\]:,"\\a0\n\r]|"usage":|"choices":\[\]|"error"){0,60}"#, bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut scanner = Scanner::new();
        let mut meter = StreamMeter::new();
        for chunk in [Bytes::from(text), Bytes::from(bytes)] {
            meter.fragment(&chunk);
            scanner.push(chunk);
            while let Some(event) = scanner.next() {
                meter.event(&event);
                splice_cost(&event, ",\"cost\":\"1\"");
            }
        }
        meter.finish().transcript.text();
    }

    #[test]
    fn a_damaged_stream_is_safe(at in 0..OPENAI.len(), byte in any::<u8>()) {
        let mut bytes = OPENAI.as_bytes().to_vec();
        bytes[at] = byte;
        let mut scanner = Scanner::new();
        let mut meter = StreamMeter::new();
        scanner.push(bytes.into());
        while let Some(event) = scanner.next() {
            meter.event(&event);
        }
        meter.finish();
    }
}

const RESPONSES: &str = r#"event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","status":"in_progress","tools":[{"type":"function","name":"f"}],"output":[],"usage":null}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":1,"item":{"id":"msg_1","type":"message","content":[]}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":2,"item_id":"msg_1","delta":"Hel","obfuscation":"xx"}

event: response.output_text.delta
data: {"delta":"lo","type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1"}

event: response.output_text.done
data: {"type":"response.output_text.done","sequence_number":4,"text":"Hello"}

event: response.completed
data: {"type":"response.completed","sequence_number":5,"response":{"id":"resp_1","status":"completed","error":null,"output":[{"type":"message","content":[{"type":"output_text","text":"Hello"}]}],"usage":{"input_tokens":20,"input_tokens_details":{"cached_tokens":8},"output_tokens":11,"output_tokens_details":{"reasoning_tokens":6},"total_tokens":31}}}

"#;

#[test]
fn a_response_ends_with_its_usage_and_its_text_is_taken_once() {
    let (kinds, facts) = read(RESPONSES);
    use Kind::*;
    assert_eq!(kinds, [Other, Other, Content, Content, Other, Done]);
    let expected = Usage::tokens(12, 5)
        .with(crate::usage::Meter::CachedInput, 8)
        .with(crate::usage::Meter::Reasoning, 6);
    assert_eq!(facts.usage.unwrap().unwrap().usage, expected);
    assert_eq!(facts.transcript.text(), "Hello");
    assert_eq!(facts.sequence, Some(5));
    assert_eq!(facts.response.as_deref(), Some("resp_1"));
    assert!(facts.saw_done && !facts.saw_error);
}

#[test]
fn a_response_that_failed_is_an_error_only_where_it_tells_no_usage() {
    let failed = |usage: &str| {
        let event = format!(
            "data: {{\"type\":\"response.failed\",\"response\":{{\"status\":\"failed\",\"error\":{{\"code\":\"x\"}},\"usage\":{usage}}}}}\n\n"
        );
        read(&event)
    };
    let (kinds, facts) = failed("null");
    assert_eq!(kinds, [Kind::Done]);
    assert!(facts.saw_done && facts.saw_error && facts.usage.is_none());
    let (kinds, facts) = failed(r#"{"input_tokens":5,"output_tokens":2}"#);
    assert_eq!(kinds, [Kind::Done]);
    assert!(facts.saw_done && !facts.saw_error);
    assert_eq!(facts.usage.unwrap().unwrap().usage, Usage::tokens(5, 2));
}

const MESSAGES: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"stop_reason":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}}

event: message_stop
data: {"type":"message_stop"}

"#;

#[test]
fn a_message_tells_its_usage_in_two_parts() {
    let (kinds, facts) = read(MESSAGES);
    use Kind::*;
    assert_eq!(kinds, [Other, Other, Other, Content, Other, Finish, Done]);
    let expected = Usage::tokens(25, 15)
        .with(crate::usage::Meter::CachedInput, 5)
        .with(crate::usage::Meter::CacheWrite, 10);
    assert_eq!(facts.usage.unwrap().unwrap().usage, expected);
    assert_eq!(facts.transcript.text(), "Hello");
}

#[test]
fn a_stream_of_pictures_counts_those_that_are_whole() {
    let stream = r#"data: {"type":"image_generation.partial_image","b64_json":"AA","partial_image_index":0}

data: {"type":"image_generation.completed","b64_json":"AAAA","size":"1024x1024","usage":{"input_tokens":10,"output_tokens":20,"total_tokens":30}}

"#;
    let (kinds, facts) = read(stream);
    assert_eq!(kinds, [Kind::Other, Kind::Done]);
    assert_eq!(facts.pictures, 1);
    assert_eq!(facts.usage.unwrap().unwrap().usage, Usage::tokens(10, 20));
    // Another vendor's last event has no picture, and an error is that of one picture.
    let stream = r#"data: {"type":"image_generation.partial_succeeded","url":"https://x","image_index":0}

data: {"type":"image_generation.partial_failed","error":{"code":"x"},"image_index":1}

data: {"type":"image_generation.completed","usage":{"generated_images":1,"output_tokens":4096,"total_tokens":4096}}

"#;
    let (kinds, facts) = read(stream);
    assert_eq!(kinds, [Kind::Other, Kind::Other, Kind::Done]);
    assert_eq!((facts.pictures, facts.saw_error), (1, false));
}

#[test]
fn the_beginning_of_a_message_tells_its_input_alone() {
    let (begun, _) = MESSAGES.split_once("\n\n").expect("a first event");
    let (_, facts) = read(&format!("{begun}\n\n"));
    let told = facts.usage.expect("a report").expect("a believable one");
    assert_eq!((told.has_input, told.has_output), (true, false));
    assert_eq!(told.usage.get(crate::usage::Meter::Input), 25);
    assert!(told.usage.iter().all(|(meter, _)| !meter.is_output()));
}
