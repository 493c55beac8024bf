//! Counts tokens as Tollgate does: `count_tokens VOCABULARY FILE...`.
//!
//! The vocabulary is `o200k_base`, `cl100k_base`, `o200k_harmony`, or the path of a `tokenizer.json`. A file whose name ends
//! in `.json` is the body of a chat, any other is a text. Prints the tokens and the file's name for each.

use std::path::Path;
use std::process::ExitCode;

use tollgate::config::Words as _;
use tollgate::usage::tokenizer::Tokenizer;
use tollgate::vocabulary::disk::Disk;
use tollgate::vocabulary::{Encoding, Vocabulary};

/// What counts an image at most where a model's row does not say.
const IMAGE_TOKENS_MAX: u64 = 16_384;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(vocabulary) = arguments.next() else {
        eprintln!("usage: count_tokens VOCABULARY FILE...");
        return ExitCode::from(2);
    };
    match count(&vocabulary, arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("count_tokens: {message}");
            ExitCode::FAILURE
        }
    }
}

fn count(vocabulary: &str, files: impl Iterator<Item = String>) -> Result<(), String> {
    let vocabulary = match Encoding::of(vocabulary) {
        Some(encoding) => Vocabulary::Encoding(encoding),
        None => {
            let disk = Disk::load(Path::new(vocabulary));
            Vocabulary::Disk(disk.map_err(|error| format!("the file {vocabulary} {error}"))?)
        }
    };
    let tokenizer = Tokenizer::new(vocabulary, IMAGE_TOKENS_MAX);
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        let tokens = match file.ends_with(".json") {
            true => tokenizer
                .count_chat(text.as_bytes())
                .ok_or_else(|| format!("{file}: no body of a chat"))?,
            false => tokenizer.count(&text),
        };
        println!("{tokens}\t{file}");
    }
    Ok(())
}
