mod bodies;
mod tools;

use std::sync::LazyLock;

use super::pieces::pieces;
use super::*;
use crate::usage::transcript::Transcript;
use crate::vocabulary::Encoding;
use crate::vocabulary::disk::Disk;
use proptest::prelude::*;
use serde_json::json;

/// The most bytes of a piece of an encoding.
const PIECE_BYTES_MAX: usize = 16 << 10;

fn encoding(encoding: Encoding) -> Tokenizer {
    Tokenizer::new(Vocabulary::Encoding(encoding), 16_384)
}

fn o200k() -> Tokenizer {
    encoding(Encoding::O200kBase)
}

fn loaded(name: &str) -> Tokenizer {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let disk = Disk::load(&root.join("tests/data/vocabularies").join(name));
    Tokenizer::new(Vocabulary::Disk(disk.expect("a vocabulary")), 16_384)
}

/// A small vocabulary from disk.
fn byte_level() -> &'static Tokenizer {
    static LOADED: LazyLock<Tokenizer> = LazyLock::new(|| loaded("byte_level.json"));
    &LOADED
}

#[test]
fn known_counts_are_met() {
    assert_eq!(o200k().count(""), 0);
    for tokenizer in Encoding::ALL.map(encoding) {
        assert_eq!(tokenizer.count("hello world"), 2);
    }
    assert_eq!(byte_level().count("hello world"), 2);
    // Special tokens are text like any other.
    assert!(o200k().count("<|endoftext|>") > 1);
}

/// A million bytes of what tokenizers find hard, counted.
fn count_millions(tokenizer: &Tokenizer) {
    for unit in [
        " ", "a", "A", "-", "\n", " \n", "\t", "😀", "中", "a ", "\u{301}", "'s", "1", "\u{3000}",
    ] {
        let text = unit.repeat(1_000_000 / unit.len());
        let tokens = tokenizer.count(&text);
        assert!(tokens > 0 && tokens <= text.len() as u64, "{unit:?}");
    }
}

#[test]
fn a_million_of_anything_is_counted() {
    count_millions(&o200k());
    count_millions(&encoding(Encoding::Cl100kBase));
}

#[test]
fn a_million_of_anything_is_counted_with_a_vocabulary_from_disk() {
    count_millions(byte_level());
}

#[test]
fn what_takes_too_long_is_taken_to_be_like_what_did_not() {
    let text = "x".repeat(1_000_000);
    let begun = thread_time();
    assert_eq!(loaded("hostile.json").count(&text), 1_000_000);
    assert!(thread_time() - begun < COUNTED_TIME_MAX * 2);
}

#[test]
fn text_beyond_the_cap_is_counted_in_proportion() {
    let words = "one two three four. ".repeat(1 << 19);
    let tokens = o200k().count(&words);
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
        let all: Vec<&str> = pieces(&text, PIECE_BYTES_MAX).collect();
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
        let tokenizer = o200k();
        let uncut = tokenizer.vocabulary.count(&text) as u64;
        let cuts = pieces(&text, PIECE_BYTES_MAX).count() as u64 - 1;
        let cut = tokenizer.count(&text);
        assert!(cut.abs_diff(uncut) <= 2 * cuts, "{cut} {uncut} {cuts}");
    }
    // Cut before the space that follows a word, nothing changes at all.
    let words = " lorem ipsum dolor".repeat(10_000);
    let uncut = o200k().vocabulary.count(&words) as u64;
    assert_eq!(o200k().count(&words), uncut);
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
    assert_eq!(
        encoding(Encoding::Cl100kBase).count_chat(body.as_bytes()),
        Some(129)
    );
    assert_eq!(o200k().count_chat(body.as_bytes()), Some(124));
}

#[test]
fn parts_and_calls_and_tools_count() {
    let count = |body: &str| o200k().count_chat(body.as_bytes());
    let plain = count(r#"{"messages":[{"role":"user","content":"hello world"}]}"#);
    assert_eq!(plain, Some(3 + 1 + 2 + 3));
    let parts = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hello "},"wor",{"type":"text","text":"ld"}]}]}"#;
    assert_eq!(count(parts), plain.map(|tokens| tokens + 2));
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
    fn tokens_are_never_more_than_bytes(text in any::<String>(), chosen in prop::sample::select(&Encoding::ALL[..])) {
        prop_assert!(encoding(chosen).count(&text) <= text.len() as u64);
        prop_assert!(byte_level().count(&text) <= text.len() as u64);
    }

    #[test]
    fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..5_000)) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(Tokenizer::default().count(&text) <= text.len() as u64);
        for count in bodies::COUNTS {
            count(&o200k(), &bytes);
        }
    }
}

#[test]
fn prompts_are_counted_text_by_text_and_ids_as_they_are() {
    let tokenizer = o200k();
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
        o200k().count_completions(body.as_bytes(), &answer)
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
        o200k().count_completions(body.as_bytes(), &answer)
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
        o200k().count_completions(b"no JSON", &Transcript::default()),
        0
    );
}

#[test]
fn millions_of_ids_are_counted() {
    let ids = format!(r#"{{"prompt":[[{}1],[1]]}}"#, "1,".repeat(999_999));
    let count = o200k().count_prompts(ids.as_bytes());
    assert_eq!(count, Some(1_000_001));
}
