//! Restores: a round trip, what is refused, and kills in the middle.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::support::command::{run, tollgate};
use crate::support::setup::ALICE;
use crate::support::{Call, Mock, Proxy, TempDir, chat};
use crate::{Drafts, audited, beside, fatten, json_of, some_requests, start, store, text, with};

/// A proxy that has run, and a backup of then.
fn with_backup(mock: &Mock) -> (Proxy, String) {
    let proxy = start(mock);
    some_requests(&proxy, 2);
    let file = proxy.dir.path().join("copy.db");
    let ran = with(&proxy, &["backup", "--out", text(&file)]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    (proxy, text(&file).to_owned())
}

#[test]
fn after_a_restore_keys_and_balances_are_those_of_then() {
    let mock = Mock::start();
    let (mut proxy, file) = with_backup(&mock);
    let then = proxy.view(ALICE, "/v1/balance");
    let (carol, _) = proxy.create_key(&json!({ "name": "carol", "balance": "3" }));
    some_requests(&proxy, 3);
    assert!(proxy.top_up("alice", "invoice-9", "7.5"));

    let running = with(&proxy, &["restore", &file, "--yes"]);
    assert_eq!(running.code, 1);
    let words = format!("in use by process {}", proxy.pid());
    assert!(running.err.contains(&words), "{}", running.err);
    assert!(proxy.terminate().success());

    let look = with(&proxy, &["--json", "restore", &file]);
    assert_eq!(look.code, 1, "{}", look.err);
    assert!(
        look.err.contains("--yes") && look.err.contains("nothing was changed"),
        "{}",
        look.err
    );
    let told = json_of(&look);
    assert_eq!(
        (&told["restored"], &told["kept"]),
        (&json!(false), &json!(null))
    );
    let lost = &told["present"]["store"]["lost"];
    assert_eq!(
        (
            &lost["receipts"],
            &lost["credits"],
            &lost["credited"],
            &lost["keys"]
        ),
        (&json!(6), &json!(2), &json!("10.5"), &json!(1))
    );
    assert_eq!(audited(&store(&proxy)), 10, "it only looked");

    let ran = with(&proxy, &["restore", &file, "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for words in [
        "6 receipts, ",
        "2 credits, 10.5 CNY",
        "1 key made",
        "age           ",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    proxy.serve();
    assert_eq!(proxy.view(ALICE, "/v1/balance"), then);
    assert_eq!(proxy.send(ALICE, chat(json!({}))).status, 200);
    assert_eq!(proxy.send(&carol, Call::get("/v1/balance")).status, 401);
    proxy.audit();
    assert!(proxy.terminate().success());

    let kept = beside(&store(&proxy));
    let kept = kept.iter().find(|name| name.contains(".before-restore-"));
    let kept = proxy.dir.path().join(kept.expect("the store of before"));
    assert_eq!(audited(&kept), 10);
}

#[test]
fn a_backup_of_another_ledger_or_currency_needs_force() {
    let mock = Mock::start();
    let (mut proxy, _file) = with_backup(&mock);
    let (mut other, foreign) = with_backup(&mock);
    other.terminate();
    proxy.terminate();
    let ran = with(&proxy, &["restore", &foreign, "--yes"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("of another ledger") && ran.err.contains("--force"),
        "{}",
        ran.err
    );
    assert_eq!(audited(&store(&proxy)), 4);
    let ran = with(&proxy, &["restore", &foreign, "--yes", "--force"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.contains("4 receipts, "),
        "all of it is lost: {}",
        ran.out
    );

    let config = std::fs::read_to_string(proxy.config_path()).expect("a config");
    std::fs::write(proxy.config_path(), config.replace("CNY", "USD")).expect("a config");
    let ran = with(&proxy, &["restore", &foreign, "--yes"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("keeps CNY") && ran.err.contains("currency: USD"),
        "{}",
        ran.err
    );
}

#[test]
fn a_corrupted_backup_is_refused_with_its_findings() {
    let mock = Mock::start();
    let (mut proxy, file) = with_backup(&mock);
    proxy.terminate();
    let mut bytes = std::fs::read(&file).expect("a backup");
    for byte in bytes.iter_mut().skip(4_200).step_by(1_000) {
        *byte ^= 0xff;
    }
    std::fs::write(&file, bytes).expect("a broken backup");
    let before = beside(&store(&proxy));
    let ran = with(&proxy, &["restore", &file, "--yes"]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(ran.err.lines().count() > 1, "{}", ran.err);
    assert!(
        ran.err.contains("is damaged: nothing was changed"),
        "{}",
        ran.err
    );
    assert_eq!(beside(&store(&proxy)), before);
    assert_eq!(audited(&store(&proxy)), 4);

    let ran = with(&proxy, &["restore", "/dev/null", "--yes"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let ran = with(&proxy, &["restore", "no-such-file", "--yes"]);
    assert!(
        ran.code == 1 && ran.err.contains("no-such-file"),
        "{}",
        ran.err
    );
}

#[test]
fn a_killed_restore_leaves_the_old_ledger_or_the_new_one() {
    let mock = Mock::start();
    let (mut proxy, _) = with_backup(&mock);
    some_requests(&proxy, 1);
    proxy.terminate();
    let place = TempDir::new();
    let target = place.path().join("tollgate.db");
    let fat = proxy.dir.path().join("fat.db");
    let copy = |from: &str, to: &str, force: &[&str]| {
        let ran = run(tollgate(&["backup", "--store", from, "--out", to]).args(force));
        assert_eq!(ran.code, 0, "{}", ran.err);
    };
    // The new one has 4 receipts, the old one 6.
    let new = proxy.dir.path().join("copy.db");
    fatten(&new);
    copy(text(&new), text(&fat), &[]);
    let mut cut = 0;
    for round in 0..12_u64 {
        copy(text(&store(&proxy)), text(&target), &["--force"]);
        let drafts = Drafts::of(place.path());
        let mut child = tollgate(&["restore", text(&fat), "--store", text(&target), "--yes"])
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let writing = drafts.grow(&mut child, round / 3 * 8_000_000);
        // Some are killed at a later step.
        std::thread::sleep(Duration::from_millis(round % 3 * 60));
        child.kill().expect("a signal");
        let ended = child.wait().expect("its end");
        let receipts = audited(&target);
        match ended.success() {
            true => assert_eq!(receipts, 4, "round {round}"),
            false => assert!([4, 6].contains(&receipts), "round {round}: {receipts}"),
        }
        cut += u64::from(writing && !ended.success());
    }
    assert!(cut > 0, "no restore was cut off while it wrote");
}

#[test]
fn where_no_ledger_is_a_restore_makes_one_only_if_it_is_told_to() {
    let mock = Mock::start();
    let (_proxy, file) = with_backup(&mock);
    let place = TempDir::new();
    let real = place.path().canonicalize().expect("a folder");
    let restore = |more: &[&str]| {
        let args = ["restore", &file, "--store", "data/tollgate.db"];
        run(tollgate(&args).args(more).current_dir(&real))
    };
    let whole = real.join("data/tollgate.db");
    let ran = restore(&[]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let words = format!("there is no ledger at {}", text(&whole));
    assert!(
        ran.err.contains(&words) && ran.err.contains("--yes"),
        "{}",
        ran.err
    );
    assert!(!real.join("data").exists(), "it only looked");
    let asked = run(tollgate(&["audit", "--store", "data/tollgate.db"]).current_dir(&real));
    assert!(
        asked.code == 1 && asked.err.contains(&words),
        "{}",
        asked.err
    );
    let ran = restore(&["--yes"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let words = format!("restored to {}", text(&whole));
    assert!(ran.out.contains(&words), "{}", ran.out);
    assert_eq!(audited(&whole), 4);
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_and_what_is_no_file_are_no_places_for_a_ledger() {
    let mock = Mock::start();
    let (_proxy, file) = with_backup(&mock);
    let place = TempDir::new();
    let link = place.path().join("tollgate.db");
    let unmounted = place.path().join("unmounted.db");
    std::os::unix::fs::symlink(&unmounted, &link).expect("a link");
    for more in [&[][..], &["--yes"]] {
        let args = ["restore", &file, "--store", text(&link)];
        let ran = run(tollgate(&args).args(more));
        assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
        let words = format!("{} is a link to something that is not there", text(&link));
        assert!(ran.err.contains(&words), "{}", ran.err);
    }
    let socket = place.path().join("socket");
    let _listens = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    for (from, to) in [(text(&socket), "x.db"), (&file, text(&socket))] {
        let args = ["restore", from, "--store", to, "--yes"];
        let ran = run(tollgate(&args).current_dir(place.path()));
        assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
        assert!(ran.err.contains("socket is no regular file"), "{}", ran.err);
    }
    assert!(!unmounted.exists() && socket.exists());
}
