use super::*;
use crate::usage::answer::read_answer;
use proptest::prelude::*;

fn skeleton(chunks: &[&[u8]]) -> Skeleton {
    let mut skeleton = Skeleton::new();
    for chunk in chunks {
        skeleton.push(chunk);
    }
    skeleton
}

fn json(body: &str) -> String {
    String::from_utf8(skeleton(&[body.as_bytes()]).into_json()).unwrap()
}

#[test]
fn a_small_answer_is_kept_whole() {
    let body = r#"{"a": [1, 2.5, "x\"y", null], "usage":{"prompt_tokens":12 , "b":true}}"#;
    let skeleton = skeleton(&[body.as_bytes()]);
    assert!(!skeleton.is_cut() && !skeleton.is_full());
    assert_eq!(skeleton.into_json(), body.as_bytes());
    assert_eq!(json("{ \n\t \"a\" :\r\n1}"), "{ \"a\" : 1}");
}

#[test]
fn long_strings_are_cut_between_letters_and_escapes() {
    let image = "A".repeat(1 << 20);
    let body = format!(
        r#"{{"data":[{{"b64_json":"{image}"}}],"usage":{{"input_tokens":1,"output_tokens":2}}}}"#
    );
    let small = json(&body);
    assert!(small.len() < 400);
    let facts = read_answer(small.as_bytes()).unwrap();
    assert_eq!(facts.images, 1);
    assert_eq!(facts.usage, read_answer(body.as_bytes()).unwrap().usage);
    for pad in 0..8 {
        for filler in ["你", "😀", r"\u4f60", r"\n", r#"\""#] {
            let body = format!(r#"{{"url":"{}{}"}}"#, "x".repeat(pad), filler.repeat(300));
            let small = json(&body);
            assert!(
                serde_json::from_str::<serde_json::Value>(&small).is_ok(),
                "{small}"
            );
            assert!(small.len() <= STRING_BYTES_MAX + 10);
        }
    }
}

#[test]
fn the_models_text_is_kept_longer() {
    let text = "word ".repeat(20_000);
    let body =
        format!(r#"{{"choices":[{{"message":{{"content" : "{text}"}}}}],"other":"{text}"}}"#);
    let small = json(&body);
    let kept = read_answer(small.as_bytes()).unwrap().transcript().text();
    assert_eq!(kept.len(), TEXT_BYTES_MAX);
    assert!(small.len() < TEXT_BYTES_MAX + 400);
}

#[test]
fn long_rows_of_numbers_are_cut() {
    let row = vec!["-0.0123"; 5000].join(", ");
    let body = format!(
        r#"{{"data":[{{"embedding":[{row}]}},{{"embedding":[{row}]}}],"usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#
    );
    let small = json(&body);
    assert!(small.len() < 700, "{}", small.len());
    assert_eq!(
        read_answer(small.as_bytes()).unwrap().usage,
        read_answer(body.as_bytes()).unwrap().usage
    );
}

#[test]
fn its_size_is_bounded() {
    let body = r#"{"a":"b你 \n\n"},"#.repeat(1 << 20);
    let whole = skeleton(&[b"[", body.as_bytes()]);
    assert!(whole.is_full() && whole.is_cut());
    let chunks: Vec<&[u8]> = body.as_bytes().chunks(7).collect();
    let split = skeleton(&[&[&b"["[..]], &chunks[..]].concat());
    let json = whole.into_json();
    assert!(json.len() <= SKELETON_BYTES_MAX);
    assert_eq!(split.into_json(), json);
}

#[test]
fn much_text_leaves_room_for_what_follows_it() {
    let text = format!(r#"{{"content":"{}"}}"#, "x".repeat(TEXT_BYTES_MAX));
    let texts = vec![text; 200].join(",");
    let body =
        format!(r#"{{"choices":[{texts}],"usage":{{"prompt_tokens":1,"completion_tokens":2}}}}"#);
    let small = json(&body);
    assert!(read_answer(small.as_bytes()).unwrap().usage.is_some());
}

/// Any JSON, with long strings and rows in it.
fn value() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        ("[a\"\\\\你😀\n]{1,4}", 1..300_usize)
            .prop_map(|(text, times)| Value::from(text.repeat(times))),
        proptest::collection::vec(any::<i32>(), 0..50).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = prop_oneof![
            Just("usage".to_owned()),
            Just("data".into()),
            Just("url".into()),
            Just("b64_json".into()),
            Just("choices".into()),
            Just("prompt_tokens".into()),
            Just("completion_tokens".into()),
            Just("content".into()),
            Just("error".into()),
            "[a-z]{1,3}"
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn it_tells_what_the_answer_tells_however_that_was_split(
        value in value(), pretty in any::<bool>(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let body = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let body = body.as_bytes();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        ends.extend([0, body.len()]);
        ends.sort_unstable();
        let chunks: Vec<&[u8]> = ends.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
        let small = skeleton(&[body]).into_json();
        prop_assert_eq!(&skeleton(&chunks).into_json(), &small);
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        prop_assert_eq!(&skeleton(&bytes).into_json(), &small);
        match (read_answer(body), read_answer(&small)) {
            (Ok(whole), Ok(small)) => {
                prop_assert_eq!(whole.usage, small.usage);
                prop_assert_eq!(whole.images, small.images);
                prop_assert_eq!(whole.error, small.error);
            }
            (whole, small) => prop_assert!(whole.is_err() && small.is_err()),
        }
    }

    #[test]
    fn any_bytes_are_safe(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 0..5)) {
        let slices: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let split = skeleton(&slices).into_json();
        prop_assert_eq!(split, skeleton(&[&chunks.concat()]).into_json());
    }
}
