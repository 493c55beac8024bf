//! Anthropic's Messages: their objects, their events, their errors.

use super::*;

const MESSAGES: &str = "/messages";

fn request(more: Value) -> Value {
    let mut body = json!({
        "model": "org/model",
        "max_tokens": 1000,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "What is a toll?"}],
    });
    let fields = body.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    body
}

fn weather() -> Value {
    let city = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    json!([
        {"type": "web_search_20250305", "name": "web_search"},
        {"name": "weather", "input_schema": city},
    ])
}

#[tokio::test]
async fn a_message_says_and_counts_what_it_reads_and_writes() {
    let answer = ask(MESSAGES, &request(json!({})), None).await.json();
    assert_eq!(
        (&answer["type"], &answer["stop_reason"]),
        (&json!("message"), &json!("end_turn"))
    );
    let text = answer["content"][0]["text"].as_str().expect("text");
    assert!(text.contains("What is a toll?"));
    let input = 3 + (3 + 1 + 3) + (3 + 1 + 5);
    assert_eq!(answer["usage"]["input_tokens"], input);
    assert_eq!(answer["usage"]["output_tokens"], text::count(text));
    let counted = ask("/messages/count_tokens", &request(json!({})), None).await;
    assert_eq!(counted.json(), json!({"input_tokens": input}));
    let cut = ask(MESSAGES, &request(json!({"max_tokens": 5})), None)
        .await
        .json();
    assert_eq!(
        (&cut["stop_reason"], &cut["usage"]["output_tokens"]),
        (&json!("max_tokens"), &json!(5))
    );
}

#[tokio::test]
async fn a_stream_tells_its_usage_in_two_parts() {
    let whole = ask(MESSAGES, &request(json!({})), None).await.json();
    let events = ask(MESSAGES, &request(json!({"stream": true})), None)
        .await
        .named();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(
        names[names.len() - 3..],
        ["content_block_stop", "message_delta", "message_stop"]
    );
    let start = &events[0].1["message"];
    assert_eq!(
        start["usage"]["input_tokens"],
        whole["usage"]["input_tokens"]
    );
    assert_eq!(start["usage"]["output_tokens"], 1);
    let end = &events[events.len() - 2].1;
    assert_eq!(
        end["usage"],
        json!({"output_tokens": whole["usage"]["output_tokens"]})
    );
    assert_eq!(end["delta"]["stop_reason"], "end_turn");
    let deltas = events
        .iter()
        .filter_map(|(_, data)| data["delta"]["text"].as_str());
    assert_eq!(whole["content"][0]["text"], deltas.collect::<String>());
}

#[tokio::test]
async fn a_tool_is_used_and_its_result_answered() {
    let answer = ask(MESSAGES, &request(json!({"tools": weather()})), None)
        .await
        .json();
    let used = &answer["content"][0];
    assert_eq!(
        (&used["type"], &used["name"]),
        (&json!("tool_use"), &json!("weather"))
    );
    assert_eq!(used["input"], json!({"city": "What is a toll?"}));
    assert_eq!(answer["stop_reason"], "tool_use");
    let body = request(json!({"tools": weather(), "stream": true}));
    let events = ask(MESSAGES, &body, None).await.named();
    let deltas = events
        .iter()
        .filter_map(|(_, data)| data["delta"]["partial_json"].as_str());
    let streamed: Value = serde_json::from_str(&deltas.collect::<String>()).expect("JSON");
    assert_eq!(streamed, used["input"]);
    let result = json!({"type": "tool_result", "tool_use_id": used["id"],
        "content": [{"type": "text", "text": "18 degrees"}]});
    let messages = json!([
        {"role": "user", "content": "What is a toll?"},
        {"role": "assistant", "content": [used]},
        {"role": "user", "content": [result]},
    ]);
    let body = request(json!({"tools": weather(), "messages": messages}));
    let answer = ask(MESSAGES, &body, None).await.json();
    let text = answer["content"][0]["text"].as_str().expect("text");
    assert!(text.contains("18 degrees"));
    let forbidden = request(json!({"tools": weather(), "tool_choice": {"type": "none"}}));
    assert_eq!(
        ask(MESSAGES, &forbidden, None).await.json()["stop_reason"],
        "end_turn"
    );
}

#[tokio::test]
async fn errors_are_of_anthropics_shape() {
    for (body, fault, status, kind) in [
        (
            request(json!({})),
            Some("status=529"),
            529,
            "overloaded_error",
        ),
        (
            request(json!({})),
            Some("status=429"),
            429,
            "rate_limit_error",
        ),
        (request(json!({})), Some("error-event"), 500, "api_error"),
        (
            request(json!({"max_tokens": null})),
            None,
            400,
            "invalid_request_error",
        ),
        (
            request(json!({"messages": []})),
            None,
            400,
            "invalid_request_error",
        ),
    ] {
        let got = ask(MESSAGES, &body, fault).await;
        assert_eq!(got.status, status);
        let answer = got.json();
        assert_eq!(
            (&answer["type"], &answer["error"]["type"]),
            (&json!("error"), &json!(kind))
        );
    }
    let body = request(json!({"stream": true}));
    let events = ask(MESSAGES, &body, Some("error-event")).await.named();
    let (name, error) = events.last().expect("an event");
    assert_eq!(
        (name.as_str(), &error["error"]["type"]),
        ("error", &json!("api_error"))
    );
    let silent = ask(MESSAGES, &body, Some("no-usage")).await;
    assert!(!silent.text.contains("usage"));
}
