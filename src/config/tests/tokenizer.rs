use super::{SMALL, env};
use crate::config::Config;
use crate::vocabulary::{Encoding, Vocabulary};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/vocabularies/byte_level.json"
);

/// The small config whose model has this tokenizer, on its line 9.
fn with(tokenizer: &str) -> Result<Config, String> {
    let fields = format!("aliases: [one]\n    tokenizer: {tokenizer}");
    let text = SMALL.replacen("aliases: [one]", &fields, 1);
    Config::parse(&text, "config.yaml", &env).map_err(|error| error.to_string())
}

#[test]
fn a_model_counts_with_an_encoding_or_a_file() {
    let named = with("cl100k_base").expect("valid");
    let cl100k = Vocabulary::Encoding(Encoding::Cl100kBase);
    assert_eq!(named.models[0].tokenizer, cl100k);

    let from_disk = with(&format!("{{ file: \"{FILE}\" }}")).expect("valid");
    assert!(matches!(from_disk.models[0].tokenizer, Vocabulary::Disk(_)));
    assert!(
        from_disk
            .files
            .iter()
            .any(|file| file.ends_with("byte_level.json"))
    );

    let unsaid = Config::parse(SMALL, "config.yaml", &env).expect("valid");
    assert_eq!(unsaid.models[0].tokenizer, Vocabulary::default());
    let gpt4 = Config::parse(&SMALL.replace("chat/one", "gpt-4"), "config.yaml", &env);
    assert_eq!(gpt4.expect("valid").models[0].tokenizer, cl100k);
}

#[test]
fn a_wrong_tokenizer_names_its_line_and_what_to_do() {
    for (tokenizer, field, message) in [
        (
            "gpt2",
            "tokenizer",
            "is not one of: o200k_base, cl100k_base, o200k_harmony",
        ),
        (
            "{ }",
            "tokenizer",
            "has no `file`; write one, such as `file: /etc/",
        ),
        ("{ files: a.json }", "tokenizer.files", "is no known field"),
        (
            "{ file: /nowhere.json }",
            "tokenizer.file",
            "the file /nowhere.json cannot be read: ",
        ),
        (
            "{ file: Cargo.toml }",
            "tokenizer.file",
            "the file Cargo.toml is no vocabulary in Hugging Face's format: ",
        ),
    ] {
        let error = with(tokenizer).expect_err(tokenizer);
        let at = format!("config.yaml:9: models[0].{field}: ");
        let found = error
            .lines()
            .any(|line| line.starts_with(&at) && line.contains(message));
        assert!(found, "{tokenizer}: {error}");
    }
}
