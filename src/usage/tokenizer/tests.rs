use super::pieces::{PIECE_BYTES_MAX, pieces};
use super::*;
use crate::usage::transcript::Transcript;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn known_counts_are_met() {
    assert_eq!(Tokenizer::O200kBase.count(""), 0);
    assert_eq!(Tokenizer::O200kBase.count("hello world"), 2);
    assert_eq!(Tokenizer::Cl100kBase.count("hello world"), 2);
    assert_eq!(Tokenizer::O200kHarmony.count("hello world"), 2);
    // Special tokens are text like any other.
    assert!(Tokenizer::O200kBase.count("<|endoftext|>") > 1);
}

#[test]
fn names_and_models_find_their_vocabulary() {
    for each in Tokenizer::ALL {
        assert_eq!(Tokenizer::named(each.name()), Some(each));
        let json = format!("\"{}\"", each.name());
        assert_eq!(serde_json::from_str::<Tokenizer>(&json).unwrap(), each);
    }
    assert_eq!(Tokenizer::named("gpt2"), None);
    assert_eq!(Tokenizer::for_model("gpt-4o"), Tokenizer::O200kBase);
    assert_eq!(Tokenizer::for_model("gpt-4"), Tokenizer::Cl100kBase);
    assert_eq!(Tokenizer::for_model("gpt-oss-20b"), Tokenizer::O200kHarmony);
    assert_eq!(
        Tokenizer::for_model("deepseek-ai/DeepSeek-R1"),
        Tokenizer::default()
    );
}

#[test]
fn a_million_of_anything_is_counted() {
    for unit in [
        " ", "a", "A", "-", "\n", " \n", "\t", "😀", "中", "a ", "\u{301}", "'s", "1", "\u{3000}",
    ] {
        let text = unit.repeat(1_000_000 / unit.len());
        for tokenizer in [Tokenizer::O200kBase, Tokenizer::Cl100kBase] {
            let tokens = tokenizer.count(&text);
            assert!(tokens > 0 && tokens <= text.len() as u64, "{unit:?}");
        }
    }
}

#[test]
fn text_beyond_the_cap_is_counted_in_proportion() {
    let words = "one two three four. ".repeat(1 << 19);
    let tokens = Tokenizer::default().count(&words);
    let exact = 5 * (1 << 19);
    assert!(tokens.abs_diff(exact) < exact / 100, "{tokens}");
}

#[test]
fn pieces_make_up_the_text_and_are_bounded() {
    let texts = [
        "word ".repeat(20_000),
        " ".repeat(50_000),
        "x".repeat(50_000),
        "😀".repeat(20_000),
        "a  b\n".repeat(9_000),
    ];
    for text in texts {
        let all: Vec<&str> = pieces(&text).collect();
        assert_eq!(all.concat(), text);
        assert!(
            all.iter()
                .all(|piece| !piece.is_empty() && piece.len() <= PIECE_BYTES_MAX)
        );
        assert!(all.len() <= 2 * text.len() / PIECE_BYTES_MAX + 1);
    }
}

#[test]
fn cuts_hardly_change_the_count() {
    let prose = "The quick brown fox, isn't it?\n\n  It jumps: over 12345 lazy dogs. 你好，世界！ ";
    for text in [
        prose.repeat(2_000),
        "abcdefgh".repeat(20_000),
        "天地玄黄宇宙洪荒".repeat(9_000),
        " ".repeat(100_000),
    ] {
        let tokenizer = Tokenizer::O200kBase;
        let uncut = tokenizer.vocabulary().count_ordinary(&text) as u64;
        let cuts = pieces(&text).count() as u64 - 1;
        let cut = tokenizer.count(&text);
        assert!(cut.abs_diff(uncut) <= 2 * cuts, "{cut} {uncut} {cuts}");
    }
    // Cut before the space that follows a word, nothing changes at all.
    let words = " lorem ipsum dolor".repeat(10_000);
    let uncut = Tokenizer::O200kBase.vocabulary().count_ordinary(&words) as u64;
    assert_eq!(Tokenizer::O200kBase.count(&words), uncut);
}

#[test]
fn a_chat_is_framed_as_its_models_frame_it() {
    // The published example for counting a chat's tokens, and what OpenAI reported for it.
    let body = r#"{"model":"gpt-4o","messages":[
        {"role":"system","content":"You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
        {"role":"system","name":"example_user","content":"New synergies will help drive top-line growth."},
        {"role":"system","name":"example_assistant","content":"Things working well together will increase revenue."},
        {"role":"system","name":"example_user","content":"Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
        {"role":"system","name":"example_assistant","content":"Let's talk later when we're less busy about how to do better."},
        {"role":"user","content":"This late pivot means we don't have time to boil the ocean for the client deliverable."}]}"#;
    assert_eq!(Tokenizer::Cl100kBase.count_chat(body.as_bytes()), Some(129));
    assert_eq!(Tokenizer::O200kBase.count_chat(body.as_bytes()), Some(124));
}

#[test]
fn parts_calls_and_tools_count_and_images_do_not() {
    let count = |body: &str| Tokenizer::O200kBase.count_chat(body.as_bytes());
    let plain = count(r#"{"messages":[{"role":"user","content":"hello world"}]}"#);
    assert_eq!(plain, Some(3 + 1 + 2 + 3));
    let parts = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hello world"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}"#;
    assert_eq!(count(parts), plain);
    let escaped = "\u{feff} {\"messages\":[{\"role\":\"user\",\"content\":\"hello\\u0020world\"}]}";
    assert_eq!(count(escaped), plain);
    let tools = r#"{"messages":[{"role":"user","content":"hello world"}],"tools":[{"type":"function","function":{"name":"f"}}]}"#;
    assert!(count(tools) > plain);
    let calls = r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"x","function":{"name":"hello","arguments":" world"}}]}]}"#;
    assert_eq!(count(calls), plain);
    for no_chat in [
        "",
        "[]",
        "{}",
        r#"{"messages":3}"#,
        r#"{"messages":[{"role":"user"#,
    ] {
        assert_eq!(count(no_chat), None, "{no_chat}");
    }
    assert_eq!(count(r#"{"messages":[]}"#), Some(3));
}

#[test]
fn the_pool_counts_off_the_callers_thread_and_survives_a_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        for _ in 0..2 * POOL_THREADS {
            assert_eq!(pooled(|| -> u64 { panic!("as planned") }).await, None);
        }
        let here = std::thread::current().id();
        let there = pooled(|| std::thread::current().id()).await;
        assert!(there.is_some_and(|there| there != here));
        assert_eq!(
            pooled(|| Tokenizer::default().count("hello world")).await,
            Some(2)
        );
    });
}

proptest! {
    #[test]
    fn tokens_are_never_more_than_bytes(text in any::<String>(), tokenizer in prop::sample::select(&Tokenizer::ALL[..])) {
        prop_assert!(tokenizer.count(&text) <= text.len() as u64);
    }

    #[test]
    fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..5_000)) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(Tokenizer::default().count(&text) <= text.len() as u64);
        Tokenizer::default().count_chat(&bytes);
    }
}

#[test]
fn prompts_are_counted_text_by_text_and_ids_as_they_are() {
    let tokenizer = Tokenizer::O200kBase;
    for (prompt, tokens, prompts) in [
        (r#""hello world""#, 2, 1),
        (r#""hello\u0020world""#, 2, 1),
        (r#"["hello world","hello"]"#, 3, 2),
        ("[15339,1917]", 2, 1),
        ("[[1,2,3],[4],[]]", 4, 3),
        ("[]", 0, 1),
        (r#""""#, 0, 1),
    ] {
        let count = |name: &str, more: &str| {
            let body = format!(r#"{{"model":"m","{name}":{prompt}{more}}}"#);
            match name {
                "prompt" => tokenizer.count_prompts(body.as_bytes()),
                _ => tokenizer.count_inputs(body.as_bytes()),
            }
        };
        assert_eq!(count("prompt", ""), Some(tokens), "{prompt}");
        assert_eq!(count("input", ""), Some(tokens), "{prompt}");
        let suffix = r#","suffix":"hello world""#;
        // Some servers put the suffix, or an instruction, to every prompt.
        let all = Some(tokens + 2 * prompts);
        assert_eq!(count("prompt", suffix), all, "{prompt}");
        for name in ["instruct", "instruction"] {
            let more = format!(r#","{name}":"hello world""#);
            assert_eq!(count("input", &more), all, "{prompt}");
        }
    }
    for body in ["", "[]", "{}", r#"{"prompt":null}"#] {
        assert_eq!(tokenizer.count_prompts(body.as_bytes()), None, "{body}");
        assert_eq!(tokenizer.count_inputs(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn an_echo_counts_for_nothing_only_where_it_came() {
    let output = |prompt: &str, more: &str, texts: &[&str]| {
        let body = format!(r#"{{"prompt":{prompt}{more}}}"#);
        let choices: Vec<_> = texts.iter().map(|text| json!({ "text": text })).collect();
        let answer = json!({ "choices": choices }).to_string();
        let answer = Transcript::of(answer.as_bytes());
        Tokenizer::O200kBase.count_completions(body.as_bytes(), &answer)
    };
    let (one, two) = (r#""hello world""#, r#"["hello world","hello"]"#);
    let echoed = ["hello world one", "hello one"];
    assert_eq!(output(one, "", &echoed[..1]), 3);
    assert_eq!(output(one, r#","echo":false"#, &echoed[..1]), 3);
    assert_eq!(output(one, r#","echo":true"#, &echoed[..1]), 1);
    assert_eq!(output(two, r#","echo":true"#, &echoed), 2);
    let each = ["hello world one", "hello world two"];
    assert_eq!(output(one, r#","echo":true,"n":2"#, &each), 2);
    // Without the prompt before it, an answer is all output.
    assert_eq!(output(one, r#","echo":true"#, &[" one two three"]), 3);
    assert_eq!(output(one, r#","echo":true"#, &["one hello world"]), 3);
    assert_eq!(
        output("[15339,1917]", r#","echo":true"#, &["hello world one"]),
        3
    );
    assert_eq!(output(r#""""#, r#","echo":true"#, &["one"]), 1);
}

#[test]
fn candidates_that_are_not_shown_are_as_long_as_those_that_are() {
    let output = |more: &str, words: &str| {
        let body = format!(r#"{{"prompt":"a"{more}}}"#);
        let answer = Transcript::of(json!({ "text": words }).to_string().as_bytes());
        Tokenizer::O200kBase.count_completions(body.as_bytes(), &answer)
    };
    let three = " one two three";
    assert_eq!(output("", three), 3);
    assert_eq!(output(r#","best_of":4"#, three), 12);
    assert_eq!(output(r#","best_of":5,"n":2"#, three), 8);
    assert_eq!(output(r#","best_of":2,"n":2"#, three), 3);
    assert_eq!(output(r#","best_of":4,"echo":true"#, "a one two"), 8);
    let most = r#","best_of":18446744073709551615"#;
    assert_eq!(output(most, three), u64::MAX);
    assert_eq!(
        Tokenizer::O200kBase.count_completions(b"no JSON", &Transcript::default()),
        0
    );
}

#[test]
fn millions_of_ids_are_counted() {
    let ids = format!(r#"{{"prompt":[[{}1],[1]]}}"#, "1,".repeat(999_999));
    let count = Tokenizer::O200kBase.count_prompts(ids.as_bytes());
    assert_eq!(count, Some(1_000_001));
}
