use super::{byte_level, o200k};
use crate::usage::tokenizer::Tokenizer;
use crate::vocabulary::Vocabulary;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

type Count = fn(&Tokenizer, &[u8]) -> Option<u64>;

/// Every function that counts a body.
pub(super) const COUNTS: [Count; 7] = [
    Tokenizer::count_chat,
    Tokenizer::count_prompts,
    Tokenizer::count_inputs,
    Tokenizer::count_responses,
    Tokenizer::count_messages,
    Tokenizer::count_rerank,
    Tokenizer::count_speech,
];

/// 1024 by 1024: 765 tokens by tiles, 1,399 by pixels.
fn png() -> String {
    let head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x04\0\0\0\x04\0\x08\x02\0\0\0\0";
    BASE64_STANDARD.encode(head)
}

fn data_uri() -> String {
    format!("data:image/png;base64,{}{}", png(), "A".repeat(1_000_000))
}

fn chat(content: Value) -> u64 {
    let body = json!({ "messages": [{ "role": "user", "content": content }] });
    o200k()
        .count_chat(body.to_string().as_bytes())
        .expect("a chat")
}

fn responses(body: Value) -> Option<u64> {
    o200k().count_responses(body.to_string().as_bytes())
}

fn messages(body: Value) -> Option<u64> {
    o200k().count_messages(body.to_string().as_bytes())
}

#[test]
fn images_count_by_their_size_and_never_as_text() {
    let text = json!({ "type": "text", "text": "hello world" });
    // 3, and 3 + user + hello world.
    let plain = 3 + 3 + 1 + 2;
    for (image, tokens) in [
        (
            json!({ "type": "image_url", "image_url": { "url": data_uri() } }),
            765,
        ),
        (json!({ "type": "image_url", "image_url": data_uri() }), 765),
        (
            json!({ "type": "image_url", "image_url": { "url": data_uri(), "detail": "low" } }),
            85,
        ),
        (
            json!({ "type": "image_url", "image_url": { "url": "https://example.com/a.png" } }),
            1_445,
        ),
        (json!({ "type": "image_url" }), 1_445),
        // Media of which nothing is known count as the row says.
        (
            json!({ "type": "input_audio", "input_audio": { "data": "AAAA", "format": "wav" } }),
            16_384,
        ),
        (
            json!({ "type": "file", "file": { "file_data": data_uri() } }),
            16_384,
        ),
        (
            json!({ "type": "video_url", "video_url": { "url": "https://example.com/a.mp4" } }),
            16_384,
        ),
    ] {
        // The data are long: not to be shown.
        assert_eq!(chat(json!([text, image])), plain + tokens);
    }
    let body = json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url": data_uri() }] }] });
    let capped = Tokenizer::new(Vocabulary::default(), 100);
    assert_eq!(
        capped.count_chat(body.to_string().as_bytes()),
        Some(3 + 3 + 1 + 100)
    );
}

#[test]
fn what_a_message_carries_counts_once() {
    let count = |message: Value| {
        let body = json!({ "messages": [message] });
        o200k().count_chat(body.to_string().as_bytes())
    };
    let plain = Some(3 + 3 + 1 + 2);
    for message in [
        json!({ "role": "assistant", "content": "hello world" }),
        json!({ "role": "assistant", "content": null, "refusal": "hello world" }),
        json!({ "role": "assistant", "content": [{ "type": "refusal", "refusal": "hello world" }] }),
        json!({ "role": "assistant", "content": "", "reasoning_content": "hello world" }),
        json!({ "role": "assistant", "reasoning": "hello world", "reasoning_content": "hello world", "reasoning_details": [{ "text": "hello world" }] }),
        json!({ "role": "assistant", "tool_calls": [{ "id": "call_abc", "type": "function", "function": { "name": "hello", "arguments": " world" } }] }),
        json!({ "role": "assistant", "tool_calls": [{ "id": "call_abc", "type": "custom", "custom": { "name": "hello", "input": " world" } }] }),
        json!({ "role": "assistant", "function_call": { "name": "hello", "arguments": " world" } }),
        json!({ "role": "tool", "tool_call_id": "call_abc", "content": "hello world" }),
        json!({ "role": "user", "content": "hello world", "obfuscation": "abcdefghijkl" }),
    ] {
        assert_eq!(count(message.clone()), plain, "{message}");
    }
    let named = json!({ "role": "user", "name": "one", "content": "hello world" });
    assert_eq!(count(named), plain.map(|tokens| tokens + 2));
    // A format is instructions to the model where it has a schema.
    let body = |format: Value| json!({ "messages": [], "response_format": format }).to_string();
    let schema = json!({ "name": "a" });
    let text = o200k().count(&schema.to_string());
    let asked = body(json!({ "type": "json_schema", "json_schema": schema }));
    assert_eq!(o200k().count_chat(asked.as_bytes()), Some(3 + text));
    let asked = body(json!({ "type": "json_object" }));
    assert_eq!(o200k().count_chat(asked.as_bytes()), Some(3));
}

#[test]
fn responses_count_instructions_items_and_formats() {
    let plain = Some(3 + 3 + 1 + 2);
    assert_eq!(responses(json!({ "input": "hello world" })), plain);
    let instructed = json!({ "input": "hello world", "instructions": "hello" });
    assert_eq!(responses(instructed), Some(3 + (3 + 1 + 1) + (3 + 1 + 2)));
    for (item, tokens) in [
        (json!({ "role": "user", "content": "hello world" }), 1 + 2),
        (
            json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "hello world" }] }),
            1 + 2,
        ),
        (
            json!({ "role": "user", "content": [{ "type": "input_image", "image_url": data_uri(), "detail": "auto" }] }),
            1 + 765,
        ),
        (
            json!({ "role": "user", "content": [{ "type": "input_file", "file_data": data_uri(), "filename": "a.pdf" }] }),
            1 + 16_384,
        ),
        (
            json!({ "type": "function_call", "call_id": "call_abc", "name": "hello", "arguments": " world" }),
            2,
        ),
        (
            json!({ "type": "function_call_output", "call_id": "call_abc", "output": "hello world" }),
            2,
        ),
        (
            json!({ "type": "function_call_output", "output": [{ "type": "input_text", "text": "hello world" }] }),
            2,
        ),
        (
            json!({ "type": "custom_tool_call", "name": "hello", "input": " world" }),
            2,
        ),
        (
            json!({ "type": "reasoning", "summary": [{ "type": "summary_text", "text": "hello world" }], "encrypted_content": "gAAAAABo" }),
            2,
        ),
        (json!({ "type": "item_reference", "id": "msg_abc" }), 0),
    ] {
        let counted = responses(json!({ "input": [item] }));
        let start: String = item.to_string().chars().take(200).collect();
        assert_eq!(counted, Some(3 + 3 + tokens), "{start}");
    }
    let schema = json!({ "type": "object" });
    let text = o200k().count(&schema.to_string());
    let formatted = json!({ "input": "hello world", "text": { "format": { "type": "json_schema", "name": "a", "schema": schema } } });
    assert_eq!(responses(formatted), plain.map(|tokens| tokens + text));
    let unformatted = json!({ "input": "hello world", "text": { "format": { "type": "text" } } });
    assert_eq!(responses(unformatted), plain);
    for body in [
        json!({}),
        json!([]),
        json!({ "input": 3 }),
        json!({ "input": null }),
        json!({ "messages": [] }),
    ] {
        assert_eq!(responses(body.clone()), None, "{body}");
    }
}

#[test]
fn messages_count_system_blocks_and_tools() {
    let system =
        json!({ "system": "hello", "messages": [{ "role": "user", "content": "hello world" }] });
    assert_eq!(messages(system), Some(3 + (3 + 1 + 1) + (3 + 1 + 2)));
    let blocks = json!({ "system": [{ "type": "text", "text": "hello", "cache_control": { "type": "ephemeral" } }], "messages": [] });
    assert_eq!(messages(blocks), Some(3 + (3 + 1 + 1)));
    let input = json!({ "a": "hello world" });
    let call = o200k().count(&input.to_string());
    for (block, tokens) in [
        (json!({ "type": "text", "text": "hello world" }), 2),
        (
            json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": png() } }),
            1_399,
        ),
        (
            json!({ "type": "image", "source": { "type": "url", "url": "https://example.com/a.png" } }),
            1_600,
        ),
        (
            json!({ "type": "tool_use", "id": "toolu_abc", "name": "hello", "input": input }),
            1 + call,
        ),
        (
            json!({ "type": "tool_result", "tool_use_id": "toolu_abc", "content": "hello world" }),
            2,
        ),
        (
            json!({ "type": "tool_result", "content": [{ "type": "text", "text": "hello world" }, { "type": "image", "source": { "type": "url", "url": "https://example.com" } }] }),
            2 + 1_600,
        ),
        (
            json!({ "type": "thinking", "thinking": "hello world", "signature": "EqQBCgIYAhIM" }),
            2,
        ),
        (
            json!({ "type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix" }),
            0,
        ),
        (
            json!({ "type": "document", "title": "hello", "source": { "type": "text", "media_type": "text/plain", "data": "hello world" } }),
            3,
        ),
        (
            json!({ "type": "document", "source": { "type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ" } }),
            16_384,
        ),
    ] {
        let body = json!({ "messages": [{ "role": "user", "content": [block] }] });
        assert_eq!(messages(body), Some(3 + 3 + 1 + tokens), "{block}");
    }
    let tools = json!([{ "name": "hello", "input_schema": { "type": "object" } }]);
    let text = o200k().count(&tools.to_string());
    let body = json!({ "messages": [], "tools": tools });
    assert_eq!(messages(body), Some(3 + text));
    assert_eq!(messages(json!({ "input": "hello" })), None);
    assert_eq!(messages(json!({ "messages": "hello" })), None);
}

#[test]
fn a_query_counts_with_every_document() {
    let count = |body: Value| o200k().count_rerank(body.to_string().as_bytes());
    let documents = json!(["hello", { "text": "hello world" }, "hello world"]);
    assert_eq!(
        count(json!({ "query": "hello world", "documents": documents })),
        Some(3 * 2 + 1 + 2 + 2)
    );
    assert_eq!(count(json!({ "query": "hello", "documents": [] })), Some(0));
    let other = json!({ "title": "hello" });
    let text = o200k().count(&other.to_string());
    assert_eq!(
        count(json!({ "query": "", "documents": [other] })),
        Some(text)
    );
    for body in [
        json!({}),
        json!({ "query": "a" }),
        json!({ "documents": [] }),
        json!({ "query": "a", "documents": "b" }),
    ] {
        assert_eq!(count(body.clone()), None, "{body}");
    }
}

#[test]
fn speech_counts_its_text_and_how_to_say_it() {
    let count = |body: Value| o200k().count_speech(body.to_string().as_bytes());
    assert_eq!(
        count(json!({ "input": "hello world", "voice": "alloy" })),
        Some(2)
    );
    assert_eq!(
        count(json!({ "input": "hello world", "instructions": "hello" })),
        Some(3)
    );
    assert_eq!(count(json!({ "voice": "alloy" })), None);
}

#[test]
fn bodies_that_are_deep_or_long_are_counted_all_the_same() {
    let deep = |open: &str, close: &str, inside: &str| {
        let content = [open.repeat(20_000), inside.to_owned(), close.repeat(20_000)].concat();
        format!(r#"{{"messages":[{{"role":"user","content":{content}}}],"input":[{content}]}}"#)
    };
    for body in [
        deep("[", "]", "\"hello world\""),
        deep(r#"[{"type":"text","content":"#, "}]", "\"hello world\""),
        deep(r#"{"source":{"content":"#, "}}", "\"hello world\""),
        format!(
            r#"{{"messages":[{}{{}}],"input":[{}1]}}"#,
            "{},".repeat(200_000),
            "1,".repeat(200_000)
        ),
    ] {
        for count in COUNTS {
            count(&o200k(), body.as_bytes());
            count(byte_level(), body.as_bytes());
        }
        assert!(
            o200k().count_chat(body.as_bytes()) > Some(3),
            "{}",
            &body[..60]
        );
    }
}
