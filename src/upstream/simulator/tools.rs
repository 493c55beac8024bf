//! Calls of the client's functions: when one is called, which, and with what.
//!
//! A chat that offers functions gets a call of one of them: of the one that `tool_choice` names, else
//! of the first. A function's result as the last message, or a `tool_choice` of `none`, gets words.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Refused, text};

/// Of one call, over all its objects: arguments stay short whatever the schema is.
const VALUES_MAX: usize = 16;

/// One of `tools`, its function in a member of its own or not; of those that are no functions, nothing is called.
#[derive(Deserialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: Option<String>,
    function: Option<Function>,
    name: Option<String>,
    #[serde(alias = "input_schema")]
    parameters: Option<Value>,
}

/// A function that may be called.
#[derive(Deserialize)]
pub(super) struct Function {
    name: String,
    parameters: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum ToolChoice {
    Word(String),
    Object {
        #[serde(rename = "type")]
        kind: Option<String>,
        function: Option<Named>,
        name: Option<String>,
    },
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

/// The functions among the tools of a request, which may be absent.
pub(super) fn functions(raw: Option<&RawValue>) -> Result<Vec<Function>, Refused> {
    let tools: Option<Vec<Tool>> =
        raw.map_or(Ok(None), |raw| super::parse(raw.get().as_bytes()))?;
    let tools = tools.unwrap_or_default().into_iter();
    Ok(tools.filter_map(Tool::into_function).collect())
}

/// The function to call, and with what (JSON), if one is to be called.
pub(super) fn chosen(
    functions: &[Function],
    choice: Option<&ToolChoice>,
    prompt: &str,
) -> Result<Option<(String, String)>, Refused> {
    let function = match choice {
        Some(choice) if choice.is_none() => None,
        Some(choice) => match choice.name() {
            Some(name) => {
                let named = functions.iter().find(|one| one.name == name);
                Some(named.ok_or_else(|| {
                    let message =
                        format!("tool_choice names {name}, which is not one of the tools");
                    Refused::bad(message, Some("tool_choice"))
                })?)
            }
            None => functions.first(),
        },
        None => functions.first(),
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

impl Tool {
    /// Servers' own tools have a type and a name, but no schema.
    fn into_function(self) -> Option<Function> {
        let is_plain = matches!(self.kind.as_deref(), None | Some("function"));
        let flat = self.name.filter(|_| is_plain || self.parameters.is_some());
        self.function.or(flat.map(|name| Function {
            name,
            parameters: self.parameters,
        }))
    }
}

impl ToolChoice {
    fn is_none(&self) -> bool {
        match self {
            ToolChoice::Word(word) => word == "none",
            ToolChoice::Object { kind, .. } => kind.as_deref() == Some("none"),
            ToolChoice::Other(_) => false,
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            ToolChoice::Object { function, name, .. } => {
                let nested = function.as_ref().map(|function| function.name.as_str());
                nested.or(name.as_deref())
            }
            _ => None,
        }
    }
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
