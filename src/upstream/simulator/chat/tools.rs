//! Calls of the client's functions: when one is called, which, and with what.
//!
//! A chat that offers functions gets a call of one of them: of the one that `tool_choice` names, else
//! of the first. A function's result as the last message, or a `tool_choice` of `none`, gets words.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::super::{Refused, text};

/// Of one call, over all its objects: arguments stay short whatever the schema is.
const VALUES_MAX: usize = 16;

/// One of `tools`; of those that are no functions, nothing is called.
#[derive(Deserialize)]
pub(super) struct Tool {
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    parameters: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum ToolChoice {
    Word(String),
    Named { function: Named },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
pub(super) struct Named {
    name: String,
}

/// Makes up arguments, until it has made up enough.
struct Arguments<'a> {
    prompt: &'a str,
    left: usize,
}

/// The tools of a request, which may be absent.
pub(super) fn parse(raw: Option<&RawValue>) -> Result<Vec<Tool>, Refused> {
    raw.map_or(Ok(None), |raw| super::parse(raw.get().as_bytes()))
        .map(Option::unwrap_or_default)
}

/// The function to call, and with what (JSON), if one is to be called.
pub(super) fn chosen(
    tools: &[Tool],
    choice: Option<&ToolChoice>,
    prompt: &str,
) -> Result<Option<(String, String)>, Refused> {
    let mut functions = tools.iter().filter_map(|tool| tool.function.as_ref());
    let function = match choice {
        Some(ToolChoice::Word(word)) if word == "none" => None,
        Some(ToolChoice::Named { function }) => {
            let name = &function.name;
            let missing = || {
                let message = format!("tool_choice names {name}, which is not one of the tools");
                Refused::bad(message, Some("tool_choice"))
            };
            Some(
                functions
                    .find(|one| one.name == *name)
                    .ok_or_else(missing)?,
            )
        }
        _ => functions.next(),
    };
    Ok(function.map(|function| {
        let mut arguments = Arguments {
            prompt,
            left: VALUES_MAX,
        };
        let schema = function.parameters.as_ref().unwrap_or(&Value::Null);
        (function.name.clone(), arguments.object(schema).to_string())
    }))
}

impl Arguments<'_> {
    /// Something that the schema allows, as far as its plain words go.
    fn value(&mut self, schema: &Value) -> Value {
        if let Some(given) = schema.get("const").or_else(|| schema.get("default")) {
            return given.clone();
        }
        let of_many = ["enum", "anyOf", "oneOf"];
        if let Some((word, first)) = of_many
            .iter()
            .find_map(|word| Some((*word, schema.get(word)?.as_array()?.first()?)))
        {
            return if word == "enum" {
                first.clone()
            } else {
                self.value(first)
            };
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => self.object(schema),
            Some("array") => {
                let items = schema.get("items").filter(|_| self.left > 0);
                Value::Array(items.map(|items| self.value(items)).into_iter().collect())
            }
            Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(1.into()),
            Some("boolean") => Value::Bool(true),
            Some("null") => Value::Null,
            _ => Value::String(text::excerpt(self.prompt)),
        }
    }

    /// An object with what the schema requires; where it requires nothing, with all that it knows.
    fn object(&mut self, schema: &Value) -> Value {
        let mut object = Map::new();
        let required = schema.get("required").and_then(Value::as_array);
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            let is_required = required.is_none_or(|all| all.iter().any(|one| one == name));
            if is_required && self.left > 0 {
                self.left -= 1;
                object.insert(name.clone(), self.value(schema));
            }
        }
        Value::Object(object)
    }
}
