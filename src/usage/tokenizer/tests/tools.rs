use super::{byte_level, encoding, o200k};
use crate::vocabulary::Encoding;
use serde_json::{Value, json};

/// Requests with functions, and the input tokens that OpenAI reported for each (gpt-3.5-turbo).
fn reported() -> Vec<(Value, Value, u64)> {
    let user = || json!([{ "role": "user", "content": "hello" }]);
    let system = |first: &str| json!([{ "role": "system", "content": first }, { "role": "user", "content": "Hi there" }]);
    let nothing = json!({ "type": "object", "properties": {} });
    let bing = |properties: Value| {
        let parameters = json!({ "type": "object", "properties": properties });
        json!([{ "name": "bing_bong", "description": "Do a bing bong", "parameters": parameters }])
    };
    let choice = json!({ "type": "string", "enum": ["a", "b", "c"] });
    let nested = json!({ "bar": choice, "baz": { "type": "boolean" } });
    let units = json!({ "enum": ["grams", "ml", "cups", "pieces", "teaspoons"], "type": "string" });
    let ingredient = json!({ "type": "object", "required": ["name", "unit", "amount"],
        "properties": { "name": { "type": "string" }, "unit": units, "amount": { "type": "number" } } });
    let recipe = json!({ "type": "object", "required": ["ingredients", "instructions", "time_to_cook"], "properties": {
        "ingredients": { "type": "array", "items": ingredient },
        "instructions": { "type": "array", "items": { "type": "string" }, "description": "Steps to prepare the recipe (no numbering)" },
        "time_to_cook": { "type": "number", "description": "Total time to prepare the recipe in minutes" } } });
    let stuff =
        || json!([{ "name": "do_stuff", "parameters": { "type": "object", "properties": {} } }]);
    vec![
        (
            user(),
            json!([{ "name": "foo", "parameters": nothing }]),
            31,
        ),
        (
            user(),
            json!([{ "name": "foo", "description": "Do a foo", "parameters": nothing }]),
            36,
        ),
        (user(), bing(json!({ "foo": { "type": "string" } })), 49),
        (
            user(),
            bing(
                json!({ "foo": { "type": "string" }, "bar": { "type": "number", "description": "A number" } }),
            ),
            57,
        ),
        (
            user(),
            bing(json!({ "foo": { "type": "object", "properties": nested } })),
            68,
        ),
        (
            user(),
            json!([{ "name": "get_recipe", "parameters": recipe }]),
            106,
        ),
        (system("Hello"), stuff(), 35),
        (system("Hello:"), stuff(), 35),
    ]
}

#[test]
fn functions_come_to_what_openai_reports_for_them() {
    let tokenizer = encoding(Encoding::Cl100kBase);
    for (messages, functions, reported) in reported() {
        let wrapped: Vec<Value> = functions
            .as_array()
            .into_iter()
            .flatten()
            .map(|function| json!({ "type": "function", "function": function }))
            .collect();
        let old = json!({ "messages": messages, "functions": functions }).to_string();
        let new = json!({ "messages": messages, "tools": wrapped }).to_string();
        let counted = tokenizer.count_chat(old.as_bytes()).expect("a chat");
        assert!(
            counted.abs_diff(reported) <= 1,
            "{functions}: {counted}, not {reported}"
        );
        assert_eq!(tokenizer.count_chat(new.as_bytes()), Some(counted));
        // The JSON text is further off.
        let bare = json!({ "messages": messages }).to_string();
        let bare = tokenizer.count_chat(bare.as_bytes()).expect("a chat");
        let as_json = bare + tokenizer.count(&Value::from(wrapped).to_string());
        assert!(
            counted.abs_diff(reported) < as_json.abs_diff(reported),
            "{functions}: {as_json}"
        );
    }
}

#[test]
fn other_tools_and_other_vocabularies_count_json() {
    let count = |tools: &Value| {
        let body = json!({ "messages": [], "tools": tools }).to_string();
        (
            o200k().count_chat(body.as_bytes()),
            byte_level().count_chat(body.as_bytes()),
        )
    };
    let function = json!([{ "type": "function", "function": { "name": "f", "parameters": {} } }]);
    let text = byte_level().count(&function.to_string());
    assert_eq!(count(&function).1, Some(3 + text));
    let search = json!([{ "type": "web_search" }]);
    let text = o200k().count(&search[0].to_string());
    assert_eq!(count(&search).0, Some(3 + text));
    assert_eq!(count(&json!([])).0, Some(3));
    assert_eq!(count(&json!("hello")).0, Some(3 + 1));
}

#[test]
fn types_of_every_kind_and_depth_are_written() {
    let deep = format!(
        "{}{{}}{}",
        r#"{"type":"object","properties":{"a":"#.repeat(50_000),
        "}}".repeat(50_000)
    );
    let wide = format!(
        r#"{{"type":"object","properties":{{{}"z":{{}}}}}}"#,
        (0..50_000)
            .map(|at| format!(r#""p{at}":{{"type":["string","null"]}},"#))
            .collect::<String>()
    );
    let any = r#"{"properties":{"a":{"anyOf":[{"type":"integer"},{"type":"array"}]},"b":3,"c":{"$ref":"x"}},"required":["a","a"]}"#;
    for parameters in [&deep, &wide, any, "[]", "3", "\"\""] {
        let body = format!(
            r#"{{"messages":[],"tools":[{{"type":"function","function":{{"name":"f","parameters":{parameters}}}}}]}}"#
        );
        assert!(o200k().count_chat(body.as_bytes()) > Some(3));
    }
}
