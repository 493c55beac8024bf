//! The style itself, checked: sizes, names, imports that run one way, nothing unfinished.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the rim inwards. A module may import from itself and from what stands below it.
const LAYERS: [&[&str]; 7] = [
    &["main"],
    &["cli"],
    &["admin"],
    &["gateway"],
    &["upstream"],
    &["ledger"],
    &["price"],
];
/// The bottom: `usage` builds on the others, and nothing here imports from the layers above.
const BOTTOM: [&str; 8] = [
    "usage",
    "config",
    "clock",
    "file",
    "keygen",
    "money",
    "secret",
    "telemetry",
];

const LINES_MAX: usize = 400;

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a source folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 20, "the sources were not found");
    found
}

/// The first module of a file's path: `src/ledger/book.rs` is of `ledger`.
fn room(path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let relative = path.strip_prefix(root).expect("below src");
    let first = relative.iter().next().expect("a name");
    let name = first.to_string_lossy();
    name.trim_end_matches(".rs").to_owned()
}

/// Whether a file below `src` holds tests only, wherever the repository lies.
fn is_test(path: &Path) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let relative = path.strip_prefix(root).expect("below src");
    relative.ends_with("tests.rs") || relative.iter().any(|part| part == "tests")
}

fn depth(room: &str) -> Option<usize> {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&room))
        .or_else(|| (room == "usage").then_some(LAYERS.len()))
        .or_else(|| BOTTOM.contains(&room).then_some(LAYERS.len() + 1))
}

#[test]
fn files_are_small_enough_to_hold_in_the_head() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|(path, _)| !is_test(path))
        .filter(|(_, text)| text.lines().count() > LINES_MAX)
        .map(|(path, text)| format!("{}: {} lines", path.display(), text.lines().count()))
        .collect();
    assert!(long.is_empty(), "over {LINES_MAX} lines: {long:#?}");
}

#[test]
fn modules_are_named_by_files_and_say_what_they_are_for() {
    for (path, text) in sources() {
        assert!(!path.ends_with("mod.rs"), "{}", path.display());
        assert!(
            is_test(&path) || text.starts_with("//!"),
            "{} has no head",
            path.display()
        );
    }
}

#[test]
fn imports_run_one_way() {
    let mut upward = Vec::new();
    for (path, text) in sources() {
        let from = room(&path);
        let Some(from_depth) = depth(&from) else {
            continue;
        };
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for part in line.split("crate::").skip(1) {
                let name: String = part
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                if name != from && depth(&name).is_some_and(|to| to < from_depth) {
                    upward.push(format!("{}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    assert!(upward.is_empty(), "imports that run upwards: {upward:#?}");
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = ["to", "do!("].concat();
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), marks];
    for (path, text) in sources() {
        for word in &words {
            assert!(
                !text.contains(word.as_str()),
                "{} has {word}",
                path.display()
            );
        }
    }
}

#[test]
fn every_row_of_the_layering_exists() {
    let rooms: Vec<String> = sources().iter().map(|(path, _)| room(path)).collect();
    for room in &rooms {
        assert!(
            depth(room).is_some() || room == "lib",
            "{room} has no place in the layering: give it one"
        );
    }
}
