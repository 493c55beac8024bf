//! Backups: of a server under load, of a stopped one, killed in the middle, and where they cannot be written.

use std::collections::BTreeSet;
use std::process::Stdio;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use rusqlite::Connection;
use serde_json::json;

use crate::support::binary::{TOLLGATE, isolated};
use crate::support::command::{run, tollgate};
use crate::support::setup::{ALICE, BOB};
use crate::support::{Mock, Proxy, TempDir, chat, image, stream, until};
use crate::{
    DRAFT, Drafts, audited, beside, fatten, json_of, rows, some_requests, start, store, text, with,
};

const BACKUPS: usize = 4;
const CUSTOMERS: usize = 6;

/// What reached customers while backups were taken: ids of charged requests.
struct Load {
    stop: AtomicBool,
    answered: AtomicUsize,
    seen: Mutex<BTreeSet<String>>,
}

impl Load {
    fn customer(&self, proxy: &Proxy, lane: usize) {
        let secret = [ALICE, BOB][lane % 2];
        for n in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let call = match (lane + n) % 3 {
                0 => chat(json!({})),
                1 => stream(json!({})),
                _ => image(json!({})),
            };
            let answer = proxy.send(secret, call);
            assert!(answer.status == 200 && answer.whole, "{answer:?}");
            let id = answer.header("x-tollgate-request-id").to_owned();
            self.seen.lock().insert(id);
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn seen(&self) -> BTreeSet<String> {
        self.seen.lock().clone()
    }

    fn wait_for(&self, more: usize) {
        let until_then = self.answered.load(Ordering::Relaxed) + more;
        until("more answers", || {
            (self.answered.load(Ordering::Relaxed) >= until_then).then_some(())
        });
    }
}

/// The receipts of a store: id to whole row, and when they were settled, by id.
fn settled_at(store: &std::path::Path) -> Vec<(String, i64)> {
    let connection = Connection::open(store).expect("a database");
    let mut statement = connection
        .prepare("SELECT 'req_' || lower(hex(id)), settled_at FROM receipts")
        .expect("receipts");
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    found
        .expect("rows")
        .map(|row| row.expect("a row"))
        .collect()
}

#[test]
fn backups_under_load_are_moments_of_the_ledger() {
    let mock = Mock::start();
    let mut proxy = start(&mock);
    let load = Load {
        stop: AtomicBool::new(false),
        answered: AtomicUsize::new(0),
        seen: Mutex::default(),
    };
    let mut taken = Vec::new();
    std::thread::scope(|scope| {
        for lane in 0..CUSTOMERS {
            let (load, proxy) = (&load, &proxy);
            scope.spawn(move || load.customer(proxy, lane));
        }
        for n in 0..BACKUPS {
            load.wait_for(20);
            assert!(proxy.top_up("alice", &format!("topup-{n}"), "1.5"));
            let seen = load.seen();
            let file = proxy.dir.path().join(format!("backup-{n}.db"));
            let ran = with(&proxy, &["--json", "backup", "--out", text(&file)]);
            assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
            taken.push((file, seen, json_of(&ran)));
        }
        load.wait_for(20);
        load.stop.store(true, Ordering::Relaxed);
    });
    proxy.audit();
    assert!(proxy.terminate().success());

    let last = store(&proxy);
    let (receipts, entries) = (rows(&last, "receipts"), rows(&last, "entries"));
    let times = settled_at(&last);
    let mut before = 0;
    for (n, (file, seen, told)) in taken.iter().enumerate() {
        let place = proxy.dir.path().join(format!("restored-{n}.db"));
        let ran = run(&mut tollgate(&[
            "restore",
            text(file),
            "--store",
            text(&place),
            "--yes",
        ]));
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        let count = audited(&place);
        assert_eq!(told["receipts"], count, "{told}");
        assert_eq!(told["findings"], json!([]));
        assert!(count > before && count < receipts.len() as u64, "{count}");
        before = count;

        for (table, whole) in [("receipts", &receipts), ("entries", &entries)] {
            for (id, row) in rows(&place, table) {
                assert_eq!(whole.get(&id), Some(&row), "{table} of backup {n}");
            }
        }
        let (_, topup) = (
            &n,
            format!("Text([116, 111, 112, 117, 112, 45, {}])", 48 + n),
        );
        let found = rows(&place, "entries").keys().any(|id| *id == topup);
        assert!(found, "acknowledged before backup {n}: {topup}");
        // A beginning of the ledger's history: all that customers had seen, and no gap.
        let here: BTreeSet<String> = settled_at(&place).into_iter().map(|(id, _)| id).collect();
        assert!(seen.is_subset(&here), "backup {n} lacks what was charged");
        let ends = |inside: bool| {
            let times = times.iter().filter(|(id, _)| here.contains(id) == inside);
            times.map(|(_, at)| *at).collect::<Vec<_>>()
        };
        let (inside, outside) = (ends(true), ends(false));
        assert!(
            inside.iter().max() <= outside.iter().min(),
            "backup {n} has a gap"
        );
    }
}

#[test]
fn a_backup_says_what_it_holds() {
    let mock = Mock::start();
    let mut proxy = start(&mock);
    some_requests(&proxy, 2);
    let file = proxy.dir.path().join("copy.db");
    let ran = with(&proxy, &["backup", "--out", text(&file)]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for words in [
        "wallets       2\n",
        "keys          2\n",
        "credits       2, 2000 CNY\n",
        "receipts      4, ",
        "everything adds up\n",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let again = with(&proxy, &["backup", "--out", text(&file)]);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("--force"), "{}", again.err);

    // The server is gone, and not in order.
    some_requests(&proxy, 1);
    proxy.kill();
    let ran = with(
        &proxy,
        &["--json", "backup", "--out", text(&file), "--force"],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let told = json_of(&ran);
    assert_eq!(
        (&told["receipts"], &told["currency"]),
        (&json!(6), &json!("CNY"))
    );
    assert_eq!(
        told["bytes"],
        std::fs::metadata(&file).expect("a file").len()
    );
    assert_eq!(audited(&file), 6);
}

#[test]
fn a_backup_that_does_not_add_up_exits_with_3_and_is_marked() {
    let mock = Mock::start();
    let mut proxy = start(&mock);
    some_requests(&proxy, 1);
    proxy.terminate();
    let tamper = "UPDATE wallets SET balance = balance + 1 WHERE id = 'alice'";
    let tampered = Connection::open(store(&proxy)).expect("a database");
    assert_eq!(tampered.execute(tamper, []), Ok(1));
    drop(tampered);
    let file = proxy.dir.path().join("copy.db");
    let ran = with(&proxy, &["backup", "--out", text(&file)]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("wallet alice: its balance is"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("copy.db.suspect"), "{}", ran.out);
    assert_eq!(beside(&file), ["copy.db.suspect"]);
}

#[test]
fn a_killed_backup_leaves_no_half_file_under_its_name() {
    let mock = Mock::start();
    let mut proxy = start(&mock);
    some_requests(&proxy, 1);
    proxy.terminate();
    fatten(&store(&proxy));
    let out = TempDir::new();
    let file = out.path().join("copy.db");
    let mut cut = 0;
    for round in 0..12_u64 {
        let drafts = Drafts::of(out.path());
        let mut child = tollgate(&[
            "backup",
            "--store",
            text(&store(&proxy)),
            "--out",
            text(&file),
        ])
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
        let writing = drafts.grow(&mut child, round * 2_000_000);
        child.kill().expect("a signal");
        let ended = child.wait().expect("its end");
        assert_eq!(file.exists(), ended.success(), "round {round}");
        match ended.success() {
            true => assert_eq!(audited(&file), 2),
            false => cut += u64::from(writing),
        }
        for left in beside(&file) {
            if !left.ends_with(DRAFT) {
                std::fs::remove_file(out.path().join(left)).expect("a file that goes");
            }
        }
    }
    assert!(cut > 0, "no backup was cut off while it was written");
    let left = beside(&out.path().join(".copy.db."));
    let ran = run(&mut tollgate(&[
        "backup",
        "--store",
        text(&store(&proxy)),
        "--out",
        text(&file),
    ]));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!left.is_empty(), "every kill came before the copy");
    for name in &left {
        assert!(ran.out.contains(name), "{name}: {}", ran.out);
    }
    assert_eq!(beside(&file), ["copy.db"]);
    assert_eq!(audited(&file), 2);
}

#[test]
fn a_backup_that_cannot_be_written_says_why_and_leaves_nothing() {
    let mock = Mock::start();
    let mut proxy = start(&mock);
    some_requests(&proxy, 1);
    let file = proxy.dir.path().join("no-such-folder/copy.db");
    let ran = with(&proxy, &["backup", "--out", text(&file)]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("no-such-folder: No such file"),
        "{}",
        ran.err
    );

    // As on a full disk: no file of this process may grow beyond 64 blocks.
    let file = proxy.dir.path().join("copy.db");
    let limited = isolated("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$@\"", "sh"])
        .arg(TOLLGATE)
        .args([
            "backup",
            "--store",
            text(&store(&proxy)),
            "--out",
            text(&file),
        ])
        .output()
        .expect("a shell");
    let words = String::from_utf8_lossy(&limited.stderr).into_owned();
    assert_eq!(limited.status.code(), Some(1), "{words}");
    assert!(words.contains("cannot copy the ledger to"), "{words}");
    assert!(words.contains("copy.db"), "{words}");
    assert_eq!(beside(&file), [""; 0]);
    assert_eq!(beside(&file.with_file_name(".copy.db.")), [""; 0]);
    proxy.audit();
    assert!(proxy.terminate().success());
}
