use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::*;

/// The value that a text is, alone.
fn skimmed(json: &[u8]) -> Option<&str> {
    Skim::whole(json, Skim::raw)
}

/// The same by serde.
fn read(json: &[u8]) -> Option<&str> {
    let raw: &RawValue = serde_json::from_slice(json).ok()?;
    Some(raw.get())
}

/// Texts that are JSON, or nearly.
pub(crate) fn nearly_json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,2})?([eE][+-]?[0-9]{1,3})?",
        "[-+.eE0-9]{1,6}",
        "\"[a-zé\u{7f} \\\\]{0,6}\"",
        "\"(\\\\\\\\[\"/bfnrtux\\\\\\\\]|\\\\\\\\u[0-9a-fD]{3,4}|[a-z]){0,4}\"",
        "\"\\PC{0,60}\"",
        "nul|tru|falsey|nan|\"|\"a|,|\\{|\\]",
    ];
    let blank = || prop::sample::select(vec!["", "", "", " ", "\n\t", "\r\n ", "\u{b}", ","]);
    scalar.prop_recursive(4, 40, 5, move |inner| {
        let array = prop::collection::vec((blank(), inner.clone(), blank()), 0..5);
        let array = array.prop_map(|items| {
            let items: Vec<String> = items
                .into_iter()
                .map(|(a, item, b)| format!("{a}{item}{b}"))
                .collect();
            format!("[{}]", items.join(","))
        });
        let name = prop_oneof!["[a-c]", "\\\\\\\\u0061", "[é\u{1}a]{1,2}"];
        let object = prop::collection::vec((blank(), name, blank(), inner, blank()), 0..5);
        let object = object.prop_map(|items| {
            let items: Vec<String> = items
                .into_iter()
                .map(|(a, name, b, item, c)| format!("{a}\"{name}\"{b}:{a}{item}{c}"))
                .collect();
            format!("{{{}}}", items.join(","))
        });
        prop_oneof![array, object]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_json_is_passed_over_as_serde_passes_it(text in nearly_json()) {
        prop_assert_eq!(skimmed(text.as_bytes()), read(text.as_bytes()), "{}", text);
    }

    #[test]
    fn nothing_is_taken_that_serde_would_not_take(
        text in nearly_json(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = text.into_bytes();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert_eq!(skimmed(&bytes), read(&bytes));
        let is_passed = Skim::whole(&bytes, Skim::pass).is_some();
        prop_assert_eq!(is_passed, serde_json::from_slice::<IgnoredAny>(&bytes).is_ok());
    }

    #[test]
    fn long_strings_are_passed_over_to_their_end(text in "[a-z\\\\\"\n\u{1}中]{0,300}") {
        let json = serde_json::to_string(&text).expect("JSON");
        prop_assert_eq!(skimmed(json.as_bytes()), Some(&*json));
        let raw = format!("\"{text}\"");
        prop_assert_eq!(skimmed(raw.as_bytes()), read(raw.as_bytes()));
    }
}

#[test]
fn a_cut_text_is_none() {
    let json = r#"{"a":[1,-2.5e+3,"x\u00e9\"",{"b":null}],"c":true}"#;
    assert_eq!(skimmed(json.as_bytes()), Some(json));
    for end in 0..json.len() {
        assert_eq!(skimmed(&json.as_bytes()[..end]), None, "{end}");
    }
}

#[test]
fn what_nests_deeply_is_left_to_serde() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let depth = DEPTH_MAX as usize;
    assert!(skimmed(nested(depth).as_bytes()).is_some());
    assert!(skimmed(nested(depth + 1).as_bytes()).is_none());
    assert!(skimmed(nested(1_000_000).as_bytes()).is_none());
}

#[test]
fn members_are_told_by_name() {
    let mut names = Vec::new();
    let told = Skim::whole(br#" { "a" : 1 , "b" : {"c":2} } "#, |skim| {
        skim.object(|skim, name| {
            names.push(name);
            skim.pass()
        })
    });
    assert_eq!((told, names), (Some(()), vec![&b"a"[..], b"b"]));
    for odd in [
        r#"{"\u0061":1}"#,
        r#"{"é":1}"#,
        r#"{"a":1}x"#,
        r#"{"a":1,}"#,
        "[]",
        "",
    ] {
        assert!(
            Skim::whole(odd.as_bytes(), |skim| skim.object(|skim, _| skim.pass())).is_none(),
            "{odd}"
        );
    }
}
