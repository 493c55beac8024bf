use super::*;
use proptest::prelude::*;

fn text(json: &str) -> String {
    Transcript::of(json.as_bytes()).text()
}

#[test]
fn every_kind_of_written_text_is_found_and_nothing_else() {
    let json = r#"{"id":"i","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"a","reasoning_content":"b",
        "refusal":"c","tool_calls":[{"id":"call","function":{"name":"d","arguments":"e"}}]},"text":"f","finish_reason":null,
        "logprobs":{"content":[{"token":"x","text":"x","top_logprobs":[{"text":"x"}]}]}}],"obfuscation":"xxxx",
        "usage":{"name":"x"},"service_tier":"default"}"#;
    assert_eq!(text(json), "abcdef");
    assert_eq!(
        text(r#"{"content":[{"type":"text","text":"p"},{"text":"q"}]}"#),
        "pq"
    );
    assert_eq!(
        text(r#"{"logprobs":{"content":[]},"content":"after"}"#),
        "after"
    );
}

#[test]
fn model_text_cannot_pose_as_a_member() {
    let spoof = r#"\",\"content\":\"spoofed\",\"usage\":{\"prompt_tokens\":1},\"error\":{}"#;
    let json =
        format!(r#"{{"choices":[{{"delta":{{"content":"{spoof}","obfuscation":"{spoof}"}}}}]}}"#);
    let mut transcript = Transcript::default();
    let seen = transcript.feed(json.as_bytes());
    assert_eq!(
        seen,
        Seen {
            text: true,
            ..Seen::default()
        }
    );
    assert_eq!(transcript.text(), spoof.replace('\\', ""));
    // A string that ends in backslashes, and a value that looks like a name.
    assert_eq!(text(r#"{"content":"\\\\","x":"content","y":"no"}"#), r"\\");
}

#[test]
fn the_same_reasoning_under_two_names_counts_once() {
    let json = r#"{"delta":{"reasoning":"think","reasoning_content":"think","reasoning_details":[{"text":"think"}]}}"#;
    assert_eq!(text(json), "think");
    assert_eq!(text(r#"{"reasoning":"a","reasoning_content":"b"}"#), "ab");
    assert_eq!(text(r#"[{"reasoning":"a"},{"reasoning":"a"}]"#), "aa");
}

#[test]
fn members_that_matter_are_seen_where_they_count() {
    let seen = |json: &str| Transcript::default().feed(json.as_bytes());
    assert!(seen(r#"{"choices":[],"usage":{"a":1}}"#).usage);
    assert!(seen(r#"{"choices":[{"usage" : {"a":1}}]}"#).usage);
    assert!(!seen(r#"{"choices":[],"usage":null}"#).usage);
    assert!(seen(r#"{"error":{"message":"no"}}"#).error);
    assert!(seen(r#"{"type":"error","message":"no"}"#).error);
    assert!(!seen(r#"{"error":null,"choices":[{"error":{}}]}"#).error);
    assert!(seen(r#"{"choices":[{"finish_reason":"stop"}]}"#).finish);
    assert!(!seen(r#"{"choices":[{"finish_reason":null}]}"#).finish);
}

#[test]
fn escapes_are_undone_and_broken_ones_replaced() {
    let cases = [
        (r#"a\n\t\r\b\f\"\\\/z"#, "a\n\t\r\u{8}\u{c}\"\\/z"),
        (r"\u4f60\u597d", "你好"),
        (r"\ud83d\ude00!", "😀!"),
        (r"\ud83d!", "\u{fffd}!"),
        (r"\ude00", "\u{fffd}"),
        (r"\ud83d\u0041", "\u{fffd}A"),
        (r"\uzzzz", "\u{fffd}zzzz"),
        (r"cut\", "cut"),
        (r"cut\u00", "cut"),
    ];
    for (escaped, expected) in cases {
        assert_eq!(unescape(escaped.as_bytes()), expected, "{escaped}");
    }
}

#[test]
fn what_is_beyond_the_cap_is_counted_in_proportion() {
    let word = "word ".repeat(1 << 10);
    let json = format!(r#"{{"content":"{word}"}}"#);
    let mut transcript = Transcript::default();
    assert!(transcript.is_empty());
    for _ in 0..1024 {
        transcript.feed(json.as_bytes());
    }
    assert!(transcript.is_cut());
    assert!(transcript.text().len() <= TRANSCRIPT_BYTES_MAX);
    let expected = 1024 * 1024;
    let tokens = transcript.tokens(&Tokenizer::default());
    assert!(tokens.abs_diff(expected) < expected / 50, "{tokens}");
}

proptest! {
    #[test]
    fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        Transcript::of(&bytes).text();
        unescape(&bytes);
    }

    #[test]
    fn json_like_bytes_are_safe(text in r#"[{}\[\]:,"\\a-cu0-9 ]{0,120}"#) {
        Transcript::of(text.as_bytes()).text();
    }

    #[test]
    fn any_text_comes_back(parts in proptest::collection::vec(any::<String>(), 0..8)) {
        let mut transcript = Transcript::default();
        for part in &parts {
            let chunk = serde_json::json!({"obfuscation": part, "choices": [{"delta": {"content": part}}], part: "x"});
            // A member whose name is the text may itself be a name that counts.
            if !matches!(part.as_str(), "content" | "reasoning" | "reasoning_content" | "refusal" | "arguments" | "name" | "text" | "input") {
                transcript.feed(chunk.to_string().as_bytes());
            }
        }
        prop_assert_eq!(transcript.text(), parts.concat());
    }
}

/// Events that begin alike, partly alike, or not at all; whole and cut off.
fn alike() -> impl Strategy<Value = String> {
    let beginning = prop::sample::select(vec![
        r#"{"id":"1","choices":[{"index":0,"delta":{"#,
        r#"{"id":"1","choices":[{"index":0,"logprobs":{"content":[]},"delta":{"#,
        r#"{"type":"response.output_text.delta","sequence_number":3,"#,
        r#"{"type":"response.output_text.done","sequence_number":4,"#,
        r#"{"error":null,"finish_reason":"stop","url":"u","#,
        r#"{"usage":{"content":"no"},"#,
        r#"{"content" "#,
        r#"{"content" :"#,
        r#"{"sequence_number":1"#,
        r#"{"sequence_number":1 , "#,
        r#"{"a":"x"  "#,
        "",
    ]);
    let middle = prop::sample::select(vec![
        r#""content":"a\"b""#,
        r#""content":"""#,
        r#""delta":"x""#,
        r#""reasoning":"r","reasoning_content":"r""#,
        r#""reasoning_content":"r","content":"c""#,
        r#""finish_reason":"stop","error":"e""#,
        r#""tools":[{"name":"t"}],"text":"y""#,
    ]);
    (beginning, middle, 0..12_usize).prop_map(|(beginning, middle, cut)| {
        let whole = format!("{beginning}{middle}}}}}]}}");
        whole[..whole.len() - cut].to_owned()
    })
}

proptest! {
    #[test]
    fn events_that_begin_alike_are_read_as_each_by_itself(events in prop::collection::vec(alike(), 1..12)) {
        let (mut together, mut apart) = (Transcript::default(), Transcript::default());
        let mut beginning = Beginning::default();
        for event in &events {
            let seen = together.feed_next(event.as_bytes(), &mut beginning);
            prop_assert_eq!(seen, apart.feed(event.as_bytes()), "{}", event);
            prop_assert_eq!(&together, &apart);
        }
    }
}
