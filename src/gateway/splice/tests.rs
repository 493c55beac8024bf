//! Edits against an oracle that prints the edited body itself, byte for byte.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Clamp, Edits, MAX_COMPLETION_TOKENS, MAX_TOKENS, MaximumField, Span, Splicer, splice};
use crate::gateway::peek::{PeekCaps, peek_chat};

const CAPS: PeekCaps = PeekCaps { json_depth: 64 };

/// What a client may write as `stream_options`, and what asking for usage makes of it.
const STREAM_OPTIONS: &[(&str, &str)] = &[
    ("null", r#"{"include_usage":true}"#),
    ("{}", r#"{"include_usage":true}"#),
    ("{ \n}", "{\"include_usage\":true \n}"),
    (r#"{"include_usage":true}"#, r#"{"include_usage":true}"#),
    (
        r#"{ "include_usage" : false }"#,
        r#"{ "include_usage" : true }"#,
    ),
    (r#"{"include_usage":null}"#, r#"{"include_usage":true}"#),
    (
        r#"{"include\u005fusage":false,"a":[1, 2]}"#,
        r#"{"include\u005fusage":true,"a":[1, 2]}"#,
    ),
    (
        r#"{ "include_obfuscation":false}"#,
        r#"{"include_usage":true, "include_obfuscation":false}"#,
    ),
];

const FIELDS: &[MaximumField] = &[
    MaximumField::MaxTokens,
    MaximumField::MaxCompletionTokens,
    MaximumField::Either,
];

/// The fields that are obeyed, the one that is written first.
fn obeyed(field: MaximumField) -> &'static [&'static str] {
    match field {
        MaximumField::MaxTokens => &[MAX_TOKENS],
        MaximumField::MaxCompletionTokens => &[MAX_COMPLETION_TOKENS],
        _ => &[MAX_TOKENS, MAX_COMPLETION_TOKENS],
    }
}

fn edited(body: &str, edits: &Edits<'_>) -> String {
    let body = Bytes::from(body.to_owned());
    let layout = peek_chat(&body, CAPS).unwrap().layout;
    String::from_utf8(splice(&body, &layout, edits).to_vec()).unwrap()
}

/// One member of a body: its key and value as written, and its value after the edits.
#[derive(Clone, Debug)]
struct Written {
    key: String,
    value: String,
    after: String,
}

impl Written {
    fn new(name: &str, escaped: bool, value: &str, after: &str) -> Self {
        let key = if escaped {
            let letters = name
                .chars()
                .map(|letter| format!("\\u{:04x}", u32::from(letter)));
            letters.collect()
        } else {
            name.to_owned()
        };
        Written {
            key,
            value: value.to_owned(),
            after: after.to_owned(),
        }
    }
}

/// A body's members, its blanks, and the edits to make.
#[derive(Clone, Debug)]
struct Case {
    members: Vec<Written>,
    blanks: Vec<String>,
    model: Option<String>,
    include_usage: bool,
    clamp: Option<(u64, MaximumField)>,
    /// What the edits put before the first member.
    inserted: String,
}

impl Case {
    fn print(&self, inserted: &str, value: impl Fn(&Written) -> String) -> String {
        let mut blanks = self.blanks.iter().cycle();
        let mut blank = || blanks.next().map_or("", String::as_str);
        let mut text = format!("{}{{{inserted}{}", blank(), blank());
        for (index, member) in self.members.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            text += &format!("{comma}{}\"{}\"{}:", blank(), member.key, blank());
            text += &format!("{}{}{}", blank(), value(member), blank());
        }
        text + "}" + blank()
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("[a-z\"\\\\{}]{0,6}", inner, 0..4)
                .prop_map(Value::from_iter),
        ]
    })
}

fn maximum() -> impl Strategy<Value = Option<Option<u64>>> {
    proptest::option::of(proptest::option::of(1_u64..200))
}

prop_compose! {
    fn case()(
        model in proptest::option::of("[a-z\"\\\\é/]{1,12}"),
        sent_model in "[a-z/]{1,12}",
        options in proptest::option::of(proptest::sample::select(STREAM_OPTIONS)),
        max_tokens in maximum(),
        max_completion_tokens in maximum(),
        clamp in proptest::option::of((1_u64..200, proptest::sample::select(FIELDS))),
        include_usage in any::<bool>(),
        escaped in any::<[bool; 4]>(),
        others in proptest::collection::hash_map("x[a-z]{0,6}", value(), 0..5),
        blanks in proptest::collection::vec(proptest::sample::select(vec!["", " ", "\n\t", "\r\n"]), 7),
    )(
        members in Just({
            let mut members = vec![Written::new("messages", false, "[ {\"content\" :\"a\\/b\"} ]", "[ {\"content\" :\"a\\/b\"} ]")];
            let sent = Value::from(sent_model).to_string();
            let after = model.as_ref().map_or(sent.clone(), |model| Value::from(model.as_str()).to_string());
            members.push(Written::new("model", escaped[0], &sent, &after));
            if let Some((value, after)) = options {
                members.push(Written::new("stream_options", escaped[1], value, if include_usage { after } else { value }));
            }
            let all = [(MAX_TOKENS, max_tokens), (MAX_COMPLETION_TOKENS, max_completion_tokens)];
            let bounded = |field| all.iter().any(|(name, sent)| obeyed(field).contains(name) && matches!(sent, Some(Some(_))));
            for ((name, sent), escaped) in all.into_iter().zip([escaped[2], escaped[3]]) {
                let Some(sent) = sent else { continue };
                let value = sent.map_or("null".to_owned(), |tokens| tokens.to_string());
                let after = match (clamp, sent) {
                    (Some((most, _)), Some(tokens)) => tokens.min(most).to_string(),
                    (Some((most, field)), None) if obeyed(field)[0] == name && !bounded(field) => most.to_string(),
                    _ => value.clone(),
                };
                members.push(Written::new(name, escaped, &value, &after));
            }
            members.extend(others.iter().map(|(name, value)| {
                let value = serde_json::to_string_pretty(value).unwrap();
                Written::new(name, false, &value, &value)
            }));
            members
        }).prop_shuffle(),
        inserted in Just({
            let mut inserted = String::new();
            if include_usage && options.is_none() {
                inserted += r#""stream_options":{"include_usage":true},"#;
            }
            if let Some((most, field)) = clamp {
                let sent = [(MAX_TOKENS, max_tokens), (MAX_COMPLETION_TOKENS, max_completion_tokens)];
                let bounded = sent.iter().any(|(name, sent)| obeyed(field).contains(name) && matches!(sent, Some(Some(_))));
                let name = obeyed(field)[0];
                if !bounded && !sent.contains(&(name, Some(None))) {
                    inserted += &format!("\"{name}\":{most},");
                }
            }
            inserted
        }),
        model in Just(model),
        blanks in Just(blanks),
        clamp in Just(clamp),
        include_usage in Just(include_usage),
    ) -> Case {
        let blanks = blanks.into_iter().map(str::to_owned).collect();
        Case { members, blanks, model, include_usage, clamp, inserted }
    }
}

proptest! {
    #[test]
    fn a_body_is_edited_where_it_must_be_and_nowhere_else(case in case()) {
        let body = case.print("", |member| member.value.clone());
        let expected = case.print(&case.inserted, |member| member.after.clone());
        let edits = Edits {
            model: case.model.as_deref(),
            include_usage: case.include_usage,
            clamp: case.clamp.map(|(tokens, field)| Clamp { tokens, field }),
        };
        let spliced = edited(&body, &edits);
        prop_assert_eq!(&spliced, &expected);

        // The same edit, on the tree.
        let mut tree: Value = serde_json::from_str(&body).unwrap();
        if let Some(model) = &case.model {
            tree["model"] = json!(model);
        }
        if case.include_usage {
            if tree["stream_options"].is_null() {
                tree["stream_options"] = json!({});
            }
            tree["stream_options"]["include_usage"] = json!(true);
        }
        if let Some((most, field)) = case.clamp {
            let fields = [MAX_TOKENS, MAX_COMPLETION_TOKENS];
            let obeyed = obeyed(field);
            let bounded = obeyed.iter().any(|name| tree.get(name).is_some_and(Value::is_u64));
            let sent = fields.map(|name| tree.get(name).and_then(Value::as_u64));
            for (name, tokens) in fields.iter().zip(sent) {
                if tokens.is_some_and(|tokens| tokens > most) {
                    tree[*name] = json!(most);
                }
            }
            if !bounded {
                tree[obeyed[0]] = json!(most);
            }
        }
        prop_assert_eq!(serde_json::from_str::<Value>(&spliced).unwrap(), tree);

        // What was edited is accepted again, and has nothing left to edit.
        prop_assert_eq!(&edited(&spliced, &edits), &spliced);
    }
}

#[test]
fn no_edit_gives_the_same_bytes_without_a_copy() {
    let body = Bytes::from_static(
        br#"{"model":"m","messages":[],"max_tokens":5,"stream_options":{"include_usage":true}}"#,
    );
    let layout = peek_chat(&body, CAPS).unwrap().layout;
    let edits = Edits {
        model: Some("m"),
        include_usage: true,
        clamp: Some(Clamp {
            tokens: 5,
            field: MaximumField::MaxTokens,
        }),
    };
    for edits in [Edits::default(), edits] {
        assert_eq!(splice(&body, &layout, &edits).as_ptr(), body.as_ptr());
    }
}

#[test]
fn edits_apply_in_the_order_of_their_places() {
    let body = Bytes::from_static(b"0123456789");
    let mut splicer = Splicer::default();
    splicer.replace(Span { start: 8, end: 10 }, "end");
    splicer.replace(Span { start: 2, end: 4 }, "-");
    splicer.insert(2, "a");
    splicer.insert(2, "b");
    splicer.insert(0, "start ");
    assert_eq!(splicer.apply(&body), "start 01ab-4567end");
}
