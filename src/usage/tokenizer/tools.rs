//! Counts the definitions of tools.
//!
//! OpenAI's models read functions as a namespace of TypeScript; most others read the JSON. Which it is follows from the
//! vocabulary: one from disk is nobody's of OpenAI.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::content::{Tally, is_string, text_of};
use crate::usage::elements::{elements, members};

/// Tokens around the namespace, without and with a message of the system for it to stand in.
const NAMESPACE_TOKENS: u64 = 9;
const NAMESPACE_IN_SYSTEM_TOKENS: u64 = 6;
/// Schemas nested deeper are written as their JSON text.
const DEPTH_MAX: usize = 16;

impl Tally<'_> {
    /// Adds an array of definitions, each a function, or an object with one. What is no function counts as its JSON text.
    pub fn tools(&mut self, tools: Option<&RawValue>, has_system: bool) {
        let Some(tools) = tools else {
            return;
        };
        if !self.reads_typescript() {
            return self.json(Some(tools));
        }
        let mut namespace = String::new();
        let walked = elements(tools, &mut |tool| match Function::of(tool) {
            Some(function) => function.write(&mut namespace),
            None => self.text(tool.get()),
        });
        if walked.is_none() {
            return self.json(Some(tools));
        }
        if !namespace.is_empty() {
            self.text(&format!(
                "namespace functions {{\n\n{namespace}}} // namespace functions"
            ));
            self.add(match has_system {
                true => NAMESPACE_IN_SYSTEM_TOKENS,
                false => NAMESPACE_TOKENS,
            });
        }
    }
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    function: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    description: Option<&'a RawValue>,
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
}

impl<'a> Function<'a> {
    fn of(tool: &'a RawValue) -> Option<Function<'a>> {
        let tool: Function<'a> = serde_json::from_str(tool.get()).ok()?;
        let function = match tool.function {
            Some(inner) => serde_json::from_str(inner.get()).ok()?,
            None => tool,
        };
        let is_function = function.name.is_some_and(is_string) && function.parameters.is_some();
        is_function.then_some(function)
    }

    fn write(&self, out: &mut String) {
        comment(out, self.description, 0);
        out.push_str("type ");
        out.push_str(&self.name.map(text_of).unwrap_or_default());
        let schema = self.parameters.and_then(Schema::of).unwrap_or_default();
        let mut properties = String::new();
        schema.write_properties(&mut properties, 0);
        match properties.is_empty() {
            true => out.push_str(" = () => any;\n\n"),
            false => {
                out.push_str(" = (_: {\n");
                out.push_str(&properties);
                out.push_str("}) => any;\n\n");
            }
        }
    }
}

fn comment(out: &mut String, text: Option<&RawValue>, indent: usize) {
    let Some(text) = text.filter(|text| is_string(text)) else {
        return;
    };
    out.extend(std::iter::repeat_n(' ', indent));
    out.push_str("// ");
    out.push_str(&text_of(text));
    out.push('\n');
}

/// What of JSON Schema becomes TypeScript.
#[derive(Default, Deserialize)]
struct Schema<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    description: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "enum")]
    choices: Option<&'a RawValue>,
    #[serde(borrow, default)]
    properties: Option<&'a RawValue>,
    #[serde(borrow, default)]
    required: Option<&'a RawValue>,
    #[serde(borrow, default)]
    items: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "anyOf")]
    any_of: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "oneOf")]
    one_of: Option<&'a RawValue>,
}

impl<'a> Schema<'a> {
    fn of(value: &'a RawValue) -> Option<Schema<'a>> {
        serde_json::from_str(value.get()).ok()
    }

    /// A line for each property. The depth is that of objects; each indents by two.
    fn write_properties(&self, out: &mut String, depth: usize) {
        let mut required = HashSet::new();
        if let Some(names) = self.required {
            elements(names, &mut |name| {
                required.insert(text_of(name));
            });
        }
        let Some(properties) = self.properties else {
            return;
        };
        members(properties, &mut |name, value| {
            let schema = Schema::of(value).unwrap_or_default();
            comment(out, schema.description, 2 * depth);
            out.extend(std::iter::repeat_n(' ', 2 * depth));
            out.push_str(name);
            out.push_str(if required.contains(name) { ": " } else { "?: " });
            schema.write_type(out, value, depth);
            out.push_str(",\n");
        });
    }

    fn write_type(&self, out: &mut String, whole: &RawValue, depth: usize) {
        if depth >= DEPTH_MAX {
            return out.push_str(whole.get());
        }
        if let Some(choices) = self.choices {
            return alternatives(out, choices, &mut |out, choice| out.push_str(choice.get()));
        }
        if let Some(schemas) = self.any_of.or(self.one_of) {
            return alternatives(out, schemas, &mut |out, each| {
                let schema = Schema::of(each).unwrap_or_default();
                schema.write_type(out, each, depth + 1);
            });
        }
        match self.kind {
            Some(kind) if !is_string(kind) => {
                alternatives(out, kind, &mut |out, kind| {
                    self.write_kind(out, &text_of(kind), depth);
                });
            }
            Some(kind) => self.write_kind(out, &text_of(kind), depth),
            None => out.push_str("any"),
        }
    }

    fn write_kind(&self, out: &mut String, kind: &str, depth: usize) {
        match kind {
            "integer" => out.push_str("number"),
            "string" | "number" | "boolean" | "null" => out.push_str(kind),
            "array" => {
                match self
                    .items
                    .and_then(|items| Some((Schema::of(items)?, items)))
                {
                    Some((schema, items)) => schema.write_type(out, items, depth + 1),
                    None => out.push_str("any"),
                }
                out.push_str("[]");
            }
            "object" => {
                out.push_str("{\n");
                self.write_properties(out, depth + 1);
                out.push('}');
            }
            _ => out.push_str("any"),
        }
    }
}

/// Writes each element of an array, with bars between.
fn alternatives(out: &mut String, array: &RawValue, write: &mut dyn FnMut(&mut String, &RawValue)) {
    let mut is_first = true;
    elements(array, &mut |element| {
        if !std::mem::take(&mut is_first) {
            out.push_str(" | ");
        }
        write(out, element);
    });
}
