use super::disk::Disk;
use super::*;
use crate::clock::thread_time;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn fixture(name: &str) -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vocabularies");
    data.join(name)
}

fn byte_level() -> Vocabulary {
    Vocabulary::Disk(Disk::load(&fixture("byte_level.json")).expect("a vocabulary"))
}

/// A file of this test's own, removed on drop.
struct Draft(PathBuf);

impl Draft {
    fn new(name: &str, content: &str) -> Draft {
        let name = format!("tollgate-{}-{name}.json", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).expect("a file");
        Draft(path)
    }

    fn refusal(&self) -> String {
        Disk::load(&self.0).expect_err("it is wrong")
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).expect("it was there");
    }
}

#[test]
fn models_find_their_encoding() {
    for (model, encoding) in [
        ("gpt-4o", Encoding::O200kBase),
        ("gpt-4", Encoding::Cl100kBase),
        ("gpt-oss-20b", Encoding::O200kHarmony),
        ("deepseek-ai/DeepSeek-R1", Encoding::default()),
    ] {
        assert_eq!(Encoding::of_model(model), encoding, "{model}");
    }
}

#[test]
fn a_vocabulary_from_disk_counts_its_own_tokens() {
    let vocabulary = byte_level();
    for (text, tokens) in [
        ("", 0),
        ("hello world", 2),
        ("hello the world", 3),
        ("你", 1),
        // One known, and the three bytes of one that is not.
        ("你好", 4),
        ("12", 2),
        // Special tokens are text like any other.
        ("<|end|>", 7),
    ] {
        assert_eq!(vocabulary.count(text), tokens, "{text}");
    }
    // The file says to cut at 3 tokens, and to fill up to 64: that is not for counting.
    assert_eq!(vocabulary.count(&" world".repeat(100)), 100);
}

#[test]
fn the_same_content_is_loaded_once() {
    let path = fixture("byte_level.json");
    let first = Disk::load(&path).expect("a vocabulary");
    let again = Disk::load(&path).expect("a vocabulary");
    assert!(Arc::ptr_eq(&first, &again));
    let text = std::fs::read_to_string(path).expect("the fixture");
    let copy = Draft::new("copy", &text);
    assert!(Arc::ptr_eq(&first, &Disk::load(&copy.0).expect("a copy")));
    let edited = Draft::new("edited", &text.replacen("<|end|>", "<|fin|>", 1));
    assert_ne!(first, Disk::load(&edited.0).expect("another"));
    assert!(format!("{first:?}").starts_with("Disk("));
}

#[test]
fn what_is_no_vocabulary_is_refused_with_what_to_do() {
    let nowhere = Disk::load(Path::new("/nowhere/tokenizer.json")).expect_err("no file");
    assert!(nowhere.starts_with("cannot be read: "), "{nowhere}");
    assert!(nowhere.contains("name a tokenizer.json"), "{nowhere}");
    for (name, content) in [
        ("empty", ""),
        ("words", "hello world"),
        ("array", "[]"),
        ("config", r#"{"model_type":"qwen3","vocab_size":151936}"#),
        (
            "model",
            r#"{"version":"1.0","added_tokens":[],"model":{"type":"BPE","vocab":{},"merges":[["a","b"]]}}"#,
        ),
        (
            "pattern",
            r#"{"version":"1.0","added_tokens":[],"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated","invert":false},"model":{"type":"BPE","vocab":{},"merges":[]}}"#,
        ),
    ] {
        let refusal = Draft::new(name, content).refusal();
        let start = "is no vocabulary in Hugging Face's format: ";
        assert!(refusal.starts_with(start), "{name}: {refusal}");
        assert!(
            refusal.ends_with("; name its tokenizer.json"),
            "{name}: {refusal}"
        );
    }
    let large = Draft::new("large", "");
    let file = std::fs::File::options().write(true).open(&large.0);
    let length = disk::BYTES_MAX as u64 + 1;
    file.expect("the file").set_len(length).expect("a hole");
    assert!(large.refusal().starts_with("is larger than 64 MiB; "));
}

#[test]
fn one_that_cannot_count_every_text_is_refused() {
    let words = r#"{"version":"1.0","added_tokens":[],"model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"?"}}"#;
    let refusal = Draft::new("gaps", words).refusal();
    assert!(refusal.starts_with("has no tokens for \" \""), "{refusal}");
}

#[test]
fn one_whose_time_grows_steeply_is_refused() {
    let cubic = r###"{"version":"1.0","added_tokens":[],"pre_tokenizer":{"type":"Whitespace"},"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":1000000000,"vocab":{"[UNK]":0,"a":1,"##a":2}}}"###;
    let refusal = Draft::new("cubic", cubic).refusal();
    assert!(refusal.contains("bytes of \"a\""), "{refusal}");
    assert!(refusal.contains("could stall the proxy"), "{refusal}");
}

#[test]
fn a_pattern_that_explodes_on_some_text_ends_all_the_same() {
    let disk = Disk::load(&fixture("hostile.json")).expect("a vocabulary");
    let vocabulary = Vocabulary::Disk(disk);
    for unit in ["x", "xy", "xxxxxxxxxxxxxxxxy", "\u{FDFA}"] {
        let text = unit.repeat(vocabulary.piece_bytes_max() / unit.len());
        let begun = thread_time();
        let tokens = vocabulary.count(&text);
        assert!(tokens > 0 && tokens <= text.len(), "{unit}: {tokens}");
        assert!(thread_time() - begun < Duration::from_secs(10), "{unit}");
    }
}
