//! Responses: their objects, their events, and their faults.

use super::*;

const RESPONSES: &str = "/responses";

fn request(more: Value) -> Value {
    let mut body = json!({"model": "org/model", "input": "What is a toll?"});
    let fields = body.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    body
}

fn weather() -> Value {
    let city = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    json!([{"type": "web_search"}, {"type": "function", "name": "weather", "parameters": city}])
}

/// What the deltas of a stream are together.
fn delivered(events: &[(String, Value)]) -> String {
    let deltas = events.iter().filter(|(name, _)| name.ends_with(".delta"));
    deltas
        .filter_map(|(_, data)| data["delta"].as_str())
        .collect()
}

#[tokio::test]
async fn a_response_says_and_counts_what_it_reads_and_writes() {
    let answer = ask(
        RESPONSES,
        &request(json!({"instructions": "Be brief."})),
        None,
    )
    .await;
    let answer = answer.json();
    assert_eq!(
        (&answer["object"], &answer["status"]),
        (&json!("response"), &json!("completed"))
    );
    let item = &answer["output"][0];
    assert_eq!(
        (&item["type"], &item["status"]),
        (&json!("message"), &json!("completed"))
    );
    let text = item["content"][0]["text"].as_str().expect("text");
    assert!(text.contains("What is a toll?"));
    // 3, and per message 3, its role and its text.
    let input = 3 + (3 + 1 + 3) + (3 + 1 + 5);
    let output = text::count(text);
    assert_eq!(
        answer["usage"],
        json!({
            "input_tokens": input, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input + output,
        })
    );
    let body = request(json!({"instructions": "Be brief."}));
    let counted = ask("/responses/input_tokens", &body, None);
    assert_eq!(
        counted.await.json(),
        json!({"object": "response.input_tokens", "input_tokens": input})
    );
}

#[tokio::test]
async fn a_stream_numbers_its_events_and_ends_with_what_the_whole_answer_is() {
    for (more, last) in [
        (json!({}), "response.completed"),
        (json!({"max_output_tokens": 7}), "response.incomplete"),
        (json!({"tools": weather()}), "response.completed"),
    ] {
        let whole = ask(RESPONSES, &request(more.clone()), None).await.json();
        let mut body = request(more);
        body["stream"] = json!(true);
        let events = ask(RESPONSES, &body, None).await.named();
        for (number, (_, data)) in events.iter().enumerate() {
            assert_eq!(data["sequence_number"], number);
        }
        assert_eq!(events[0].0, "response.created");
        assert_eq!(events[0].1["response"]["usage"], Value::Null);
        let (name, end) = events.last().expect("an event");
        assert_eq!(name, last);
        // Only the ids differ, since the requests do.
        for field in ["status", "usage", "incomplete_details"] {
            assert_eq!(end["response"][field], whole[field], "{field}");
        }
        let item = &end["response"]["output"][0];
        let text = item["arguments"]
            .as_str()
            .or(item["content"][0]["text"].as_str());
        assert_eq!(Some(delivered(&events).as_str()), text);
    }
}

#[tokio::test]
async fn a_function_is_called_and_its_result_answered() {
    let answer = ask(RESPONSES, &request(json!({"tools": weather()})), None)
        .await
        .json();
    let call = &answer["output"][0];
    assert_eq!(
        (&call["type"], &call["name"]),
        (&json!("function_call"), &json!("weather"))
    );
    assert_eq!(call["arguments"], r#"{"city":"What is a toll?"}"#);
    assert_eq!(answer["tools"], weather());
    let input = json!([
        {"role": "user", "content": [{"type": "input_text", "text": "What is a toll?"}]},
        call,
        {"type": "function_call_output", "call_id": call["call_id"], "output": "18 degrees"},
    ]);
    let answer = ask(
        RESPONSES,
        &request(json!({"tools": weather(), "input": input})),
        None,
    )
    .await;
    let answer = answer.json();
    let text = answer["output"][0]["content"][0]["text"]
        .as_str()
        .expect("text");
    assert!(text.contains("18 degrees"));
    let forbidden = request(json!({"tools": weather(), "tool_choice": "none"}));
    assert_eq!(
        ask(RESPONSES, &forbidden, None).await.json()["output"][0]["type"],
        "message"
    );
    let unknown = json!({"tools": weather(), "tool_choice": {"type": "function", "name": "x"}});
    assert_eq!(ask(RESPONSES, &request(unknown), None).await.status, 400);
}

#[tokio::test]
async fn faults_come_in_the_shape_of_this_api() {
    let body = request(json!({"stream": true}));
    let events = ask(RESPONSES, &body, Some("error-event")).await.named();
    let (name, error) = events.last().expect("an event");
    assert_eq!(
        (name.as_str(), &error["code"]),
        ("error", &json!("server_error"))
    );
    assert_eq!(error["sequence_number"], events.len() - 1);
    let usage = |events: &[(String, Value)]| {
        let (_, end) = events.last().expect("an event");
        end["response"]["usage"].clone()
    };
    let events = ask(RESPONSES, &body, Some("no-usage")).await.named();
    assert_eq!(usage(&events), Value::Null);
    let events = ask(RESPONSES, &body, Some("negative-usage")).await.named();
    assert!(usage(&events)["input_tokens"].as_i64() < Some(0));
    assert_eq!(
        ask(RESPONSES, &body, Some("json")).await.json()["object"],
        "response"
    );
    assert_eq!(
        ask(RESPONSES, &body, Some("status=503")).await.error()["type"],
        "server_error"
    );
    assert_eq!(
        ask(RESPONSES, &json!({"model": "m"}), None).await.error()["param"],
        "input"
    );
}
