//! Calls of functions: when, of which, with what, and what they count as.

use serde_json::{Value, json};

use super::{CHAT, ask, chat, text};

fn function(name: &str, parameters: Value) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": parameters}})
}

fn weather() -> Value {
    let city =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    function("weather", city)
}

fn calling(more: &Value) -> Value {
    let mut body = chat(json!({"tools": [weather(), function("time", json!({}))]}));
    let fields = body.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    body
}

/// The first choice of the answer to a chat.
async fn choice(body: &Value) -> Value {
    ask(CHAT, body, None).await.json()["choices"][0].clone()
}

#[tokio::test]
async fn a_function_that_is_offered_is_called_with_what_it_requires() {
    let answer = ask(CHAT, &calling(&json!({})), None).await.json();
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(
        (&call["type"], &call["function"]["name"]),
        (&json!("function"), &json!("weather"))
    );
    assert!(
        call["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("call_"))
    );
    let arguments = call["function"]["arguments"].as_str().expect("text");
    let read: Value = serde_json::from_str(arguments).expect("JSON");
    assert_eq!(read, json!({"city": "What is a toll?"}));
    // The name is one token.
    assert_eq!(
        answer["usage"]["completion_tokens"],
        1 + text::count(arguments)
    );
    let plain = ask(CHAT, &chat(json!({})), None).await.json();
    let tools = json!([weather(), function("time", json!({}))]).to_string();
    let read = |answer: &Value| answer["usage"]["prompt_tokens"].as_u64();
    assert_eq!(
        read(&answer),
        read(&plain).map(|count| count + text::count(&tools))
    );
}

#[tokio::test]
async fn a_streamed_call_is_the_whole_one_in_pieces() {
    let whole = ask(CHAT, &calling(&json!({"n": 2})), None).await.json();
    let body = json!({"n": 2, "stream": true, "stream_options": {"include_usage": true}});
    let chunks = ask(CHAT, &calling(&body), None).await.chunks();
    assert_eq!(chunks.last().expect("chunks")["usage"], whole["usage"]);
    let mut ids = std::collections::BTreeSet::new();
    for index in 0..2 {
        let of_this: Vec<&Value> = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"].get(0))
            .filter(|choice| choice["index"] == index)
            .collect();
        let parts: Vec<&Value> = of_this
            .iter()
            .filter_map(|choice| choice["delta"]["tool_calls"].get(0))
            .collect();
        assert!(parts.len() > 3 && parts.iter().all(|part| part["index"] == 0));
        let arguments: String = parts
            .iter()
            .filter_map(|part| part["function"]["arguments"].as_str())
            .collect();
        let call = &whole["choices"][index]["message"]["tool_calls"][0];
        assert_eq!(call["function"]["arguments"], arguments);
        assert_eq!(parts[0]["function"]["name"], call["function"]["name"]);
        assert_eq!(parts[0]["type"], "function");
        ids.extend([&parts[0]["id"], &call["id"]].map(Value::to_string));
        assert_eq!(
            of_this.last().expect("chunks")["finish_reason"],
            "tool_calls"
        );
    }
    assert_eq!(ids.len(), 4, "every call has an id of its own");
}

#[tokio::test]
async fn tool_choice_names_the_function_or_forbids_all() {
    let named = json!({"type": "function", "function": {"name": "time"}});
    let choice_of = async |word: Value| choice(&calling(&json!({"tool_choice": word}))).await;
    let call = choice_of(named).await["message"]["tool_calls"][0]["function"].clone();
    assert_eq!(call, json!({"name": "time", "arguments": "{}"}));
    for word in ["auto", "required"] {
        assert_eq!(choice_of(json!(word)).await["finish_reason"], "tool_calls");
    }
    assert_eq!(choice_of(json!("none")).await["finish_reason"], "stop");
    let unknown = json!({"type": "function", "function": {"name": "nothing"}});
    let answer = ask(CHAT, &calling(&json!({"tool_choice": unknown})), None).await;
    assert_eq!(
        (answer.status, &answer.error()["param"]),
        (400, &json!("tool_choice"))
    );
}

#[tokio::test]
async fn a_functions_result_is_answered_in_words_and_counts_as_input() {
    let call =
        json!({"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}});
    let mut body = calling(&json!({}));
    let messages = body["messages"].as_array_mut().expect("messages");
    messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
    messages.push(json!({"role": "tool", "tool_call_id": "c", "content": "rain, 18 degrees"}));
    let answer = ask(CHAT, &body, None).await.json();
    let said = answer["choices"][0]["message"]["content"].as_str();
    assert!(said.is_some_and(|text| text.contains("\"rain, 18 degrees\"")));
    let before = ask(CHAT, &calling(&json!({})), None).await.json();
    let added = 2 * 3
        + text::count("assistant")
        + text::count(&json!([call]).to_string())
        + text::count("tool")
        + text::count("rain, 18 degrees");
    let read = |answer: &Value| answer["usage"]["prompt_tokens"].as_u64();
    assert_eq!(read(&answer), read(&before).map(|count| count + added));
}

#[tokio::test]
async fn arguments_follow_the_plain_words_of_a_schema_and_stay_short() {
    let made_up = async |parameters: Value| {
        let body = chat(json!({"tools": [function("f", parameters)]}));
        let text = choice(&body).await["message"]["tool_calls"][0]["function"]["arguments"].clone();
        serde_json::from_str::<Value>(text.as_str().expect("text")).expect("JSON")
    };
    let schema = json!({"type": "object", "properties": {
        "unit": {"enum": ["C", "F"]}, "days": {"type": "integer", "minimum": 3}, "exact": {"type": "boolean"},
        "at": {"type": "object", "properties": {"street": {"default": "Gate Road"}}},
        "tags": {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
    }});
    let all =
        json!({"unit": "C", "days": 3, "exact": true, "at": {"street": "Gate Road"}, "tags": [1]});
    assert_eq!(made_up(schema).await, all);
    let many: serde_json::Map<String, Value> = (0..1_000)
        .map(|n| (format!("p{n}"), json!({"type": "string"})))
        .collect();
    let wide = made_up(json!({"properties": many})).await;
    assert_eq!(wide.as_object().map(serde_json::Map::len), Some(16));
}

#[tokio::test]
async fn a_call_that_meets_the_maximum_is_broken_off() {
    let choice = choice(&calling(&json!({"max_tokens": 1}))).await;
    assert_eq!(choice["finish_reason"], "length");
    let function = &choice["message"]["tool_calls"][0]["function"];
    assert_eq!(function, &json!({"name": "weather", "arguments": ""}));
}

#[tokio::test]
async fn tools_that_are_no_functions_are_not_called() {
    for tools in [
        json!([]),
        Value::Null,
        json!([{"type": "custom", "custom": {"name": "c"}}]),
    ] {
        let answer = choice(&chat(json!({"tools": tools}))).await;
        assert_eq!(answer["finish_reason"], "stop");
    }
}
