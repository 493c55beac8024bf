use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;

/// A store with one table, its log as the committer keeps it, and a directory that goes away.
struct Store {
    committing: Connection,
    wal: Wal,
    path: PathBuf,
    _dir: Dir,
}

struct Dir(PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("it was made");
    }
}

fn connect(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a store");
    let setup = "PRAGMA journal_mode = wal; PRAGMA synchronous = normal;";
    connection.execute_batch(setup).expect("WAL");
    connection
}

impl Store {
    fn new(name: &str) -> Store {
        let dir = std::env::temp_dir().join(format!("tollgate-wal-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let path = dir.join("store.db");
        let mut committing = connect(&path);
        let table = "CREATE TABLE rows (id INTEGER PRIMARY KEY, content BLOB)";
        committing.execute_batch(table).expect("a table");
        assert!(copy(&committing).expect("no reader").is_all());
        let wal = Wal::keep(&mut committing, connect(&path)).expect("a thread");
        Store {
            committing,
            wal,
            path,
            _dir: Dir(dir),
        }
    }

    /// A commit that adds some pages to the log.
    fn commit(&mut self, pages: u32) {
        let insert = "INSERT INTO rows (content) VALUES (zeroblob(?1))";
        let added = self.committing.execute(insert, [pages * 4096]);
        assert_eq!(added, Ok(1));
        self.wal.tend(&self.committing).expect("it syncs");
    }

    /// Commits until the log was begun anew.
    fn commit_until_begun_anew(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        let before = self.salts();
        while self.salts() == before {
            assert!(Instant::now() < end, "the log only grows");
            self.commit(1);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What is drawn whenever a log is begun (<https://sqlite.org/fileformat2.html#the_write_ahead_log>).
    fn salts(&self) -> [u8; 8] {
        let log = std::fs::read(self.path.with_file_name("store.db-wal")).expect("a log");
        log[16..24].try_into().expect("a header")
    }

    /// How many rows the file has without its log.
    fn rows_of_file_alone(&self) -> i64 {
        let copy = self.path.with_file_name("copy.db");
        std::fs::copy(&self.path, &copy).expect("a copy");
        let copy = Connection::open(copy).expect("a store");
        let count = "SELECT count(*) FROM rows";
        copy.query_row(count, [], |row| row.get(0)).expect("rows")
    }
}

#[test]
fn a_log_that_is_long_goes_to_the_file_and_is_begun_anew() {
    let mut store = Store::new("long");
    store.commit(1);
    assert!(store.wal.pages.load(Ordering::Relaxed) < 100);
    for round in 1..=3_i64 {
        // As many pages as make it long, at once; then small commits, some of which it takes to be done.
        store.commit(LONG);
        store.commit_until_begun_anew();
        assert!(store.rows_of_file_alone() > round);
    }
}

#[test]
fn the_other_thread_copies_nearly_all_of_it() {
    let mut store = Store::new("most");
    store.commit(LONG);
    assert!(store.wal.copies);
    let outcome = store.wal.outcome.recv().expect("a thread");
    let copied = outcome.expect("it syncs");
    assert!(copied.is_all() && copied.log > LONG, "{copied:?}");
    assert_eq!(store.rows_of_file_alone(), 1);
}

#[test]
fn commits_that_are_faster_than_the_disk_wait_for_it() {
    let mut store = Store::new("fast");
    // Each makes the log long, and the next is there at once.
    for _ in 0..6 {
        store.commit(LONG);
        let pages = store.wal.pages.load(Ordering::Relaxed);
        assert!(pages < LONGEST + LONG + 100, "{pages}");
    }
}

#[test]
fn a_log_that_is_short_is_left_alone() {
    let mut store = Store::new("short");
    for _ in 0..50 {
        store.commit(10);
    }
    assert!(!store.wal.copies);
    assert_eq!(store.rows_of_file_alone(), 0, "all is in the log");
}

#[test]
fn what_is_read_stays_in_the_log_until_it_is_read_no_longer() {
    let mut store = Store::new("read");
    store.commit(1);
    let reader = connect(&store.path);
    let begin = "BEGIN; SELECT count(*) FROM rows;";
    reader.execute_batch(begin).expect("a snapshot");
    store.commit(LONG);
    let end = Instant::now() + Duration::from_secs(60);
    while store.wal.copies || store.wal.due <= LONG {
        assert!(Instant::now() < end, "it never gave up");
        store.commit(1);
        std::thread::sleep(Duration::from_millis(1));
    }
    // It is not tried again with each commit.
    let due = store.wal.due;
    store.commit(1);
    assert_eq!((store.wal.copies, store.wal.due), (false, due));
    reader.execute_batch("COMMIT").expect("its end");
    store.commit(LONG);
    store.commit_until_begun_anew();
}

#[test]
fn without_the_other_thread_the_log_is_emptied_all_the_same() {
    let mut store = Store::new("alone");
    store.wal.ask = None;
    store.commit(LONG);
    store.commit(1);
    assert!(store.wal.pages.load(Ordering::Relaxed) < 100);
    assert_eq!(store.rows_of_file_alone(), 1);
}
