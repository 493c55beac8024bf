//! Where copies are made: under names that nothing had, and never onto what somebody else put there.

use super::copying::{copy_in, files};
use super::support::{START, TempDir, furnish, open};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::ledger::disk::FileError;
use crate::ledger::embedded::draft::{self, Draft};
use crate::ledger::embedded::{
    BackupError, OpenError, Replacement, RestoreError, audit_file, backup,
};

/// A closed store with some wallets.
async fn closed(dir: &TempDir) {
    let store = open(&dir.store(), &Clock::manual(START));
    furnish(&store, 2).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn whatever_name_a_ledger_or_a_backup_has_it_is_read_and_not_written() {
    let dir = TempDir::new();
    closed(&dir).await;
    // Names that look like those of copies in the making.
    for name in ["copy.db.partial", ".copy.db.0123456789abcdef.partial"] {
        let source = dir.store().with_file_name(name);
        std::fs::rename(dir.store(), &source).unwrap();
        let before = std::fs::read(&source).unwrap();
        backup(&source, &copy_in(&dir), true).unwrap();
        let replacement = Replacement::prepare(&source, &copy_in(&dir)).unwrap();
        replacement.put().unwrap();
        assert_eq!(audit_file(&copy_in(&dir)).unwrap().wallets, 2);
        assert!(std::fs::read(&source).unwrap() == before, "{name}");
        std::fs::rename(&source, dir.store()).unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_beside_a_copy_is_not_followed() {
    use std::os::unix::fs::symlink;
    let (dir, out) = (TempDir::new(), TempDir::new());
    closed(&dir).await;
    let victim = dir.store().with_file_name("victim");
    std::fs::write(&victim, "precious").unwrap();
    for end in ["partial", "suspect", "lock"] {
        symlink(&victim, out.store().with_extension(format!("db.{end}"))).unwrap();
    }
    backup(&dir.store(), &out.store(), false).unwrap();
    let locked = audit_file(&out.store()).unwrap_err();
    assert!(
        matches!(locked, OpenError::File(FileError::NoLock(_))),
        "{locked}"
    );
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
}

#[tokio::test]
async fn what_has_the_name_of_a_lock_file_but_is_none_is_left_as_it_is() {
    let dir = TempDir::new();
    closed(&dir).await;
    let lock = dir.store().with_file_name("copy.db.lock");
    backup(&dir.store(), &lock, false).unwrap();
    let before = std::fs::read(&lock).unwrap();
    let place = copy_in(&dir);
    let refused = Replacement::prepare(&lock, &place).err().unwrap();
    assert!(matches!(refused, RestoreError::Itself(_)), "{refused}");
    let refused = Replacement::prepare(&dir.store(), &place).err().unwrap();
    assert!(
        matches!(
            refused,
            RestoreError::Store(OpenError::File(FileError::NoLock(_)))
        ),
        "{refused}"
    );
    assert!(std::fs::read(&lock).unwrap() == before);
}

#[tokio::test]
async fn two_backups_to_one_place_do_not_mix() {
    let dir = TempDir::new();
    closed(&dir).await;
    let mut other = Draft::create(&copy_in(&dir)).unwrap();
    let taken = backup(&dir.store(), &copy_in(&dir), false).unwrap();
    assert!(taken.left_over.is_empty(), "the other is at work");
    let whole = std::fs::read(copy_in(&dir)).unwrap();
    assert!(!other.finish_new(&copy_in(&dir)).unwrap(), "it came second");
    drop(other);
    assert!(std::fs::read(copy_in(&dir)).unwrap() == whole);
    let refused = backup(&dir.store(), &copy_in(&dir), false).unwrap_err();
    assert!(matches!(refused, BackupError::Exists(_)), "{refused}");
}

#[tokio::test]
async fn what_a_killed_process_left_is_named_and_kept() {
    let dir = TempDir::new();
    closed(&dir).await;
    let left = copy_in(&dir).with_file_name(".copy.db.0123456789abcdef.partial");
    std::fs::write(&left, "half a copy").unwrap();
    // The copy that it belongs to was removed.
    let journal = left.with_file_name(".copy.db.0123456789abcdee.partial-journal");
    std::fs::write(&journal, "half a journal").unwrap();
    let others = [
        ".copy.db.partial",
        ".copy.db.mine.partial",
        "copy.db.0123456789abcdef.partial",
    ];
    for other in others {
        std::fs::write(copy_in(&dir).with_file_name(other), "of somebody").unwrap();
    }
    let taken = backup(&dir.store(), &copy_in(&dir), false).unwrap();
    assert_eq!(taken.left_over, [journal.clone(), left.clone()]);
    let replacement = Replacement::prepare(&dir.store(), &copy_in(&dir)).unwrap();
    assert_eq!(replacement.left_over, [journal.clone(), left.clone()]);
    drop(replacement);
    assert_eq!(std::fs::read(&left).unwrap(), b"half a copy");
    assert!(draft::left_over(&dir.store()).is_empty(), "of another name");
    let drafts = files(&dir)
        .into_iter()
        .filter(|name| name.ends_with(".partial"));
    assert_eq!(drafts.count(), 1 + others.len(), "its own are gone");
}

#[test]
fn a_draft_that_somebody_exchanged_is_not_removed() {
    let dir = TempDir::new();
    let draft = Draft::create(&dir.store()).unwrap();
    let path = draft.path().to_owned();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "of somebody").unwrap();
    drop(draft);
    assert_eq!(std::fs::read(&path).unwrap(), b"of somebody");
}

#[cfg(unix)]
#[tokio::test]
async fn what_a_restore_makes_belongs_to_who_owns_the_ledger_or_its_folder() {
    use std::os::unix::fs::{MetadataExt, chown};
    const SERVICE: (u32, u32) = (10_001, 10_002);
    let (dir, place) = (TempDir::new(), TempDir::new());
    closed(&dir).await;
    let owner = |path: &std::path::Path| {
        let found = std::fs::metadata(path).unwrap();
        (found.uid(), found.gid())
    };
    // Root may give files away; anybody else has only files of their own.
    let me = owner(&dir.store());
    let service = if me.0 == 0 { SERVICE } else { me };
    let home = place.store().parent().unwrap().to_owned();
    chown(&home, Some(service.0), Some(service.1)).unwrap();
    let lock = place.store().with_file_name("tollgate.db.lock");
    // Where nothing is, where a ledger is, and where its lock file is missing.
    for _ in 0..3 {
        let replacement = Replacement::prepare(&dir.store(), &place.store()).unwrap();
        replacement.put().unwrap();
        assert_eq!((owner(&place.store()), owner(&lock)), (service, service));
        if lock.exists() {
            std::fs::remove_file(&lock).unwrap();
        }
    }
    audit_file(&place.store()).unwrap();
    assert_eq!(owner(&lock), service, "an audit makes one too");
    let deep = home.join("a/b/c.db");
    Replacement::prepare(&dir.store(), &deep)
        .unwrap()
        .put()
        .unwrap();
    let folder = deep.parent().unwrap();
    assert_eq!((owner(folder), owner(&deep)), (service, service));
    // A backup is whoever's took it.
    let copy = copy_in(&place);
    backup(&place.store(), &copy, false).unwrap();
    assert_eq!(owner(&copy).0, me.0);

    // A file of root.
    let draft = Draft::create(&copy).unwrap();
    let given = draft.give_to_owner_of(std::path::Path::new("/etc/passwd"));
    match me.0 {
        0 => given.unwrap(),
        _ => assert!(
            matches!(given, Err(OpenError::File(FileError::Owner { uid: 0, .. }))),
            "{given:?}"
        ),
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_backup_replaces_neither_links_nor_what_is_no_file() {
    use std::os::unix::fs::symlink;
    let (dir, out) = (TempDir::new(), TempDir::new());
    closed(&dir).await;
    let at = |name: &str| out.store().with_file_name(name);
    std::fs::write(at("precious"), "precious").unwrap();
    let _listens = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    for (name, target) in [
        ("link", at("precious")),
        ("dangling", at("nothing")),
        ("null", "/dev/null".into()),
    ] {
        symlink(target, at(name)).unwrap();
    }
    let before = files(&out);
    for name in ["link", "dangling", "null", "socket"] {
        for overwrite in [false, true] {
            let refused = backup(&dir.store(), &at(name), overwrite).unwrap_err();
            assert!(matches!(refused, BackupError::NotAFile(_)), "{refused}");
        }
    }
    assert_eq!(files(&out), before);
    assert_eq!(std::fs::read(at("precious")).unwrap(), b"precious");
    for name in ["link", "dangling", "null"] {
        assert!(at(name).is_symlink(), "{name} was replaced");
    }
}
