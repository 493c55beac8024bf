//! The style itself, checked: sizes, names, imports that run one way, nothing unfinished.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms from the rim inwards. A room may import from itself and from those that stand below it.
const ROOMS: [&str; 19] = [
    "main",
    "cli",
    "admin",
    "gateway",
    "upstream",
    "ledger",
    "price",
    "usage",
    "config",
    "vocabulary",
    "keygen",
    "secret",
    "tls",
    "file",
    "telemetry",
    "clock",
    "money",
    "plural",
    "workers",
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
    ROOMS.iter().position(|each| *each == room)
}

/// The module of a file, by its names below the crate: `src/ledger/book.rs` is `["ledger", "book"]`.
fn module(path: &Path) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let relative = path.strip_prefix(root).expect("below src");
    let names = relative.with_extension("");
    let names = names.iter().map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name != "lib").collect()
}

/// What a file says outside of its tests and comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next();
    let lines = text.unwrap_or_default().lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths below the crate that a module imports, groups taken apart. Re-exports (`pub use`) are not among them.
fn imports(module: &[String], code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for statement in code.split("\nuse ").skip(1) {
        let tree = statement.split(';').next().unwrap_or_default();
        for path in paths(tree) {
            let supers = path.iter().take_while(|name| *name == "super").count();
            let base = match path.first().map(String::as_str) {
                Some("crate") => &[][..],
                Some("super") => &module[..module.len() - supers],
                Some("self") => module,
                _ => continue,
            };
            found.push([base, &path[supers.max(1)..]].concat());
        }
    }
    found
}

/// The paths of a tree of imports: `a::{b, c::{d, e}}` has three.
fn paths(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some((head, group)) = tree.split_once('{') else {
        let names = tree.split("::").map(|name| name.trim().to_owned());
        return vec![names.collect()];
    };
    let head = head
        .split("::")
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let head: Vec<String> = head.map(str::to_owned).collect();
    let inside = group.trim().strip_suffix('}').expect("a group that ends");
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, sign) in inside.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[start..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    let tails = parts.flat_map(paths);
    tails.map(|tail| [head.clone(), tail].concat()).collect()
}

/// Which files each file imports from. Parents and children may name each other.
fn graph() -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let sources = sources();
    let files = sources.iter().filter(|(path, _)| !is_test(path));
    let files: Vec<(Vec<String>, String)> = files
        .map(|(path, text)| (module(path), code(text)))
        .collect();
    let known: BTreeSet<&[String]> = files.iter().map(|(module, _)| &**module).collect();
    let edges = |module: &[String], code: &str| {
        let mut to = BTreeSet::new();
        for path in imports(module, code) {
            let prefixes = (1..=path.len()).rev().map(|names| &path[..names]);
            let target = prefixes.into_iter().find(|prefix| known.contains(prefix));
            let other =
                |target: &&[String]| !target.starts_with(module) && !module.starts_with(target);
            to.extend(target.filter(other).map(<[String]>::to_vec));
        }
        to
    };
    let all = files
        .iter()
        .map(|(module, code)| (module.clone(), edges(module, code)));
    all.collect()
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
        let text = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let text = text.collect::<Vec<_>>().join("\n");
        // Paths in the middle of code, and imports with their groups taken apart.
        let inline = text.split("crate::").skip(1);
        let inline = inline.map(|part| {
            let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            part.chars().take_while(|c| name(*c)).collect::<String>()
        });
        let imported = imports(&module(&path), &text);
        let imported = imported
            .into_iter()
            .filter_map(|path| path.into_iter().next());
        for to in inline.chain(imported) {
            if to != from && depth(&to).is_some_and(|to| to <= from_depth) {
                upward.push(format!("{}: {to}", path.display()));
            }
        }
    }
    assert!(upward.is_empty(), "imports that run upwards: {upward:#?}");
}

#[test]
fn groups_of_imports_are_taken_apart() {
    let module = ["a".to_owned(), "b".to_owned()];
    let code = "\nuse crate::{c::{D, e::F}, g};\nuse super::h;\nuse std::collections::{BTreeMap, BTreeSet};
use std::fs;\npub use self::x;";
    let found = imports(&module, code);
    let found: Vec<String> = found.iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["c::D", "c::e::F", "g", "a::h"]);
}

#[test]
fn no_two_files_need_each_other() {
    let mut left = graph();
    let imports: usize = left.values().map(BTreeSet::len).sum();
    assert!(imports > 300, "the imports were not found: {imports}");
    // What imports from nothing that is left is in no circle.
    loop {
        let names: BTreeSet<Vec<String>> = left.keys().cloned().collect();
        let before = left.len();
        left.retain(|_, to| to.iter().any(|target| names.contains(target)));
        if left.len() == before {
            break;
        }
    }
    // Neither is what nothing that is left imports.
    loop {
        let named: BTreeSet<Vec<String>> = left.values().flatten().cloned().collect();
        let before = left.len();
        left.retain(|name, _| named.contains(name));
        if left.len() == before {
            break;
        }
    }
    let circles: Vec<String> = left.keys().map(|names| names.join("::")).collect();
    assert!(
        circles.is_empty(),
        "in circles, or between two: {circles:#?}"
    );
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
fn every_room_has_a_row_and_every_row_a_room() {
    let found: BTreeSet<String> = sources().iter().map(|(path, _)| room(path)).collect();
    let rows = ROOMS.iter().copied().chain(["lib"]).map(str::to_owned);
    assert_eq!(found, rows.collect(), "rooms, and rows of the layering");
}

/// Files of tests, here and below `src`.
fn tests_by_file() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.join("tests"), root.join("src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let name = path.strip_prefix(root).expect("below the root");
                let text = fs::read_to_string(&path).expect("a source file");
                found.insert(name.to_string_lossy().into_owned(), text);
            }
        }
    }
    found
}

/// What stands before a function: its documentation, as one line, and whether it is a test.
fn before(text: &str, function: &str) -> Option<(String, bool)> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_here = |line: &&str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        let rest = line
            .strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(function));
        rest.is_some_and(|rest| rest.starts_with('('))
    };
    let at = lines.iter().position(is_here)?;
    let above = lines[..at].iter().rev();
    let above = above.take_while(|line| line.starts_with("#[") || line.starts_with("///"));
    let (mut words, mut is_test) = (Vec::new(), false);
    for line in above {
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        words.extend(line.strip_prefix("///").map(str::trim));
    }
    words.reverse();
    Some((words.join(" "), is_test))
}

/// The numbers of threads that a text names: `#34732`.
fn threads(text: &str) -> BTreeSet<String> {
    let number = |part: &str| {
        part.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
    };
    let numbers = text.split('#').skip(1).map(number);
    numbers.filter(|number| !number.is_empty()).collect()
}

#[test]
fn every_case_of_another_gateway_has_tests_that_name_it() {
    let (files, list) = (tests_by_file(), include_str!("data/rivals.md"));
    let (mut cases, mut listed) = (0, BTreeSet::new());
    for row in list
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("::"))
    {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [case, seen, tests] = cells[..] else {
            panic!("three cells: {row}");
        };
        let mut named = BTreeSet::new();
        for path in tests.split("<br>").map(|path| path.trim_matches('`')) {
            let (file, function) = path.split_once("::").expect("file::test");
            let text = files.get(file).unwrap_or_else(|| panic!("no file {file}"));
            let (words, is_test) =
                before(text, function).unwrap_or_else(|| panic!("no function {path}"));
            assert!(is_test, "{path} is no test");
            assert!(
                words.contains("Rivals: "),
                "{path} does not name the case: {case}"
            );
            named.extend(threads(&words));
            listed.insert(path.to_owned());
        }
        let missing: Vec<String> = threads(seen).difference(&named).cloned().collect();
        assert!(missing.is_empty(), "no test names {missing:?} of: {case}");
        cases += 1;
    }
    assert!(cases >= 22, "the cases were not found: {cases}");
    // And the other way round: what names a case is in the list.
    let mut naming = 0;
    for (file, text) in files.iter().filter(|(file, _)| *file != "tests/tidy.rs") {
        naming += text.matches("/// Rivals: ").count();
        let of_file = listed
            .iter()
            .filter(|path| path.starts_with(&format!("{file}::")));
        let of_file = of_file.count();
        let here: BTreeSet<&str> = text
            .split("/// Rivals: ")
            .skip(1)
            .filter_map(|part| part.split_once("fn ")?.1.split('(').next())
            .collect();
        assert_eq!(
            here.len(),
            of_file,
            "{file}: {here:?} are not those of the list"
        );
    }
    assert!(naming >= listed.len());
}
