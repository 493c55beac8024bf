//! Care of the store, with the real binary: backups under load, restores, kills in the middle, retention.

mod support;

#[path = "store/backup.rs"]
mod backup;
#[path = "store/restore.rs"]
mod restore;
#[path = "store/retention.rs"]
mod retention;

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use serde_json::{Value, json};
use support::command::{Ran, run, tollgate};
use support::setup::{ALICE, BOB};
use support::{Mock, Proxy, Setup, chat};

/// Runs `tollgate` with the config of this proxy.
pub fn with(proxy: &Proxy, args: &[&str]) -> Ran {
    let config = proxy.config_path();
    run(tollgate(&["--config", text(&config)]).args(args))
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

pub fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}\n{}", ran.out, ran.err))
}

pub fn store(proxy: &Proxy) -> PathBuf {
    proxy.dir.path().join("tollgate.db")
}

/// A proxy whose customers are rich enough for any test.
pub fn start(mock: &Mock) -> Proxy {
    let rich = |name: &str| json!({ "name": name, "balance": "1000" });
    let setup = Setup::new(mock)
        .set("ledger", "durability", "disk")
        .key(rich("alice"))
        .key(rich("bob"));
    Proxy::start(&setup)
}

/// A few charged requests of each customer.
pub fn some_requests(proxy: &Proxy, count: usize) {
    for secret in [ALICE, BOB].repeat(count) {
        let answer = proxy.send(secret, chat(json!({})));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// The audit of a file finds nothing; how many receipts it has.
pub fn audited(store: &Path) -> u64 {
    let ran = run(&mut tollgate(&["--json", "audit", "--store", text(store)]));
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    json_of(&ran)["receipts"].as_u64().expect("a count")
}

/// Every row of a table, all columns as text, by its first column.
pub fn rows(store: &Path, table: &str) -> BTreeMap<String, String> {
    let connection = Connection::open(store).expect("a database");
    let mut statement = connection
        .prepare(&format!("SELECT * FROM {table}"))
        .expect("a table");
    let columns = statement.column_count();
    let found = statement.query_map([], |row| {
        let cell = |at| Ok::<_, rusqlite::Error>(format!("{:?}", row.get_ref(at)?));
        let cells = (0..columns).map(cell).collect::<Result<Vec<_>, _>>()?;
        Ok((cells[0].clone(), cells.join("|")))
    });
    found
        .expect("rows")
        .map(|row| row.expect("a row"))
        .collect()
}

/// Makes the store so large that copying it takes a while.
pub fn fatten(store: &Path) {
    let connection = Connection::open(store).expect("a database");
    let filler = "INSERT INTO prices SELECT 'filler', hex(randomblob(16000000)), 0";
    connection.execute(filler, []).expect("a filler");
}

/// How the names of copies in the making end.
pub const DRAFT: &str = ".partial";

/// The copies in the making that lay in a folder before a command began, each with the time of its last change.
pub struct Drafts {
    folder: PathBuf,
    before: BTreeMap<PathBuf, SystemTime>,
}

impl Drafts {
    pub fn of(folder: &Path) -> Drafts {
        let found = drafts(folder);
        Drafts {
            folder: folder.to_owned(),
            before: found.map(|(path, file)| (path, changed(&file))).collect(),
        }
    }

    /// Waits until a command has written more than so many bytes of a copy. False where it ended before that.
    pub fn grow(&self, child: &mut Child, bytes: u64) -> bool {
        let is_new = |path: &Path, file: &Metadata| self.before.get(path) != Some(&changed(file));
        loop {
            let ended = child.try_wait().expect("a child").is_some();
            if drafts(&self.folder).any(|(path, file)| file.len() > bytes && is_new(&path, &file)) {
                return true;
            }
            if ended {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn drafts(folder: &Path) -> impl Iterator<Item = (PathBuf, Metadata)> {
    let found = std::fs::read_dir(folder).expect("a folder");
    let paths = found.map(|entry| entry.expect("an entry").path());
    let drafts = paths.filter(|path| path.to_string_lossy().ends_with(DRAFT));
    // One may get its real name meanwhile.
    drafts.filter_map(|path| std::fs::metadata(&path).ok().map(|file| (path, file)))
}

fn changed(file: &Metadata) -> SystemTime {
    file.modified().expect("a time of the last change")
}

/// The names of the files beside a path that begin with its own.
pub fn beside(path: &Path) -> Vec<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.expect("a name");
    let folder = path.parent().expect("a folder");
    let found = std::fs::read_dir(folder).expect("a folder");
    let names = found.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.into_string().expect("UTF-8"));
    let mut names: Vec<String> = names.filter(|found| found.starts_with(name)).collect();
    names.sort();
    names
}
