//! What is accepted is JSON that all read alike, and edits change nothing but what they say.
#![no_main]

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use tollgate_fuzz::gateway::peek::{self, PeekCaps};
use tollgate_fuzz::gateway::splice::{Clamp, Edits, Layout, MaximumField, splice};

const CAPS: PeekCaps = PeekCaps { json_depth: 32 };
const MODEL: &str = "up/\"stream\"";

fuzz_target!(|body: &[u8]| {
    let body = Bytes::copy_from_slice(body);
    if let Ok(chat) = peek::peek_chat(&body, CAPS) {
        let one = [MaximumField::MaxTokens, MaximumField::MaxCompletionTokens];
        for field in one.into_iter().chain([MaximumField::Either]) {
            edited(&body, &chat.model, &chat.layout, false, Some(field));
            edited(&body, &chat.model, &chat.layout, true, Some(field));
        }
    }
    if let Ok(completion) = peek::peek_completions(&body, CAPS) {
        edited(
            &body,
            &completion.model,
            &completion.layout,
            true,
            completion.maximum,
        );
    }
    for peek in [peek::peek_responses, peek::peek_messages] {
        if let Ok(text) = peek(&body, CAPS) {
            edited(&body, &text.model, &text.layout, false, text.maximum);
        }
    }
    for peek in [
        peek::peek_embeddings,
        peek::peek_rerank,
        peek::peek_moderations,
    ] {
        if let Ok(input) = peek(&body, CAPS) {
            edited(&body, &input.model, &input.layout, false, None);
        }
    }
    if let Ok(images) = peek::peek_images(&body, CAPS) {
        if let peek::Editable::Json(layout) = &images.edit {
            edited(&body, &images.model, layout, false, None);
        }
    }
    if let Ok(speech) = peek::peek_speech(&body, CAPS) {
        edited(&body, &speech.model, &speech.layout, false, None);
    }
});

/// The members of an object, as they are written; none twice.
struct Members(BTreeMap<String, Box<RawValue>>);

fn members(json: &[u8]) -> BTreeMap<String, String> {
    let Members(members) = serde_json::from_slice(json).expect("an object without duplicates");
    let members = members.into_iter();
    members
        .map(|(name, value)| (name, value.get().to_owned()))
        .collect()
}

/// Makes the edits that a request of a kind may need, and compares the members with those that should be there.
fn edited(
    body: &Bytes,
    model: &str,
    layout: &Layout,
    include_usage: bool,
    obeyed: Option<MaximumField>,
) {
    let before = members(body);
    if let Some(written) = before.get("model") {
        let written: Option<String> = serde_json::from_str(written).expect("a model, or null");
        assert_eq!(written.unwrap_or_default(), model);
    }
    assert_eq!(splice(body, layout, &Edits::default()), body);
    let clamp = obeyed.map(|field| Clamp { tokens: 7, field });
    let edits = Edits {
        model: Some(MODEL),
        include_usage,
        clamp,
    };
    let spliced = splice(body, layout, &edits);
    let mut expected = before;
    expected.insert("model".into(), serde_json::Value::from(MODEL).to_string());
    if let Some(clamp) = clamp {
        clamped(&mut expected, clamp, layout);
    }
    let mut after = members(&spliced);
    if include_usage {
        usage_included(&mut expected, &mut after);
    }
    assert_eq!(after, expected, "{}", String::from_utf8_lossy(&spliced));
}

/// No maximum that was read is above the clamp's, and the field that is obeyed has one.
fn clamped(members: &mut BTreeMap<String, String>, clamp: Clamp, layout: &Layout) {
    let number = |members: &BTreeMap<String, String>, name: &str| {
        members
            .get(name)
            .and_then(|written| written.parse::<u64>().ok())
    };
    for (name, _) in layout.maxima() {
        if number(members, name).is_some_and(|tokens| tokens > clamp.tokens) {
            members.insert(name.into(), clamp.tokens.to_string());
        }
    }
    let obeyed: &[&str] = match clamp.field {
        MaximumField::MaxTokens => &["max_tokens"],
        MaximumField::MaxCompletionTokens => &["max_completion_tokens"],
        MaximumField::Either => &["max_tokens", "max_completion_tokens"],
        MaximumField::MaxOutputTokens => &["max_output_tokens"],
    };
    if !obeyed.iter().any(|name| number(members, name).is_some()) {
        members.insert(obeyed[0].into(), clamp.tokens.to_string());
    }
}

/// Takes `stream_options` out of both, after a look at it: usage is asked for, and its other members are as they were.
fn usage_included(before: &mut BTreeMap<String, String>, after: &mut BTreeMap<String, String>) {
    let asked = after.remove("stream_options").expect("stream_options");
    let asked = members(asked.as_bytes());
    let mut expected = match before.remove("stream_options").as_deref() {
        None | Some("null") => BTreeMap::new(),
        Some(written) => members(written.as_bytes()),
    };
    expected.insert("include_usage".into(), "true".into());
    assert_eq!(asked, expected);
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name twice"));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}
