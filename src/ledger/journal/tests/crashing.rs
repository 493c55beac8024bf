//! `kill -9` and the loss of power at any moment: what was acknowledged is there.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{TempDir, beyond, entry, open};
use crate::ledger::journal::{Lane, Visit};

/// Says to the child which journal to work on.
const JOURNAL: &str = "TOLLGATE_CRASH_JOURNAL";
const ROUNDS: u64 = 5;
const LANES: u16 = 4;

/// The child: appends to some partitions at once, and prints each number when it was acknowledged, until it is killed.
#[tokio::test]
async fn child_of_the_crash_test() {
    let Some(path) = std::env::var_os(JOURNAL) else {
        return;
    };
    let journal = open(&PathBuf::from(path));
    let opening = journal.opening().id;
    let work = async |partition: u16| {
        for seq in 1.. {
            journal.append(entry(partition, seq)).await.unwrap();
            let line = format!("ack {opening} {partition} {seq}\n");
            std::io::stdout().write_all(line.as_bytes()).unwrap();
        }
    };
    futures_util::future::join_all((0..LANES).map(work)).await;
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_there() {
    let dir = TempDir::new();
    let mut acknowledged: Vec<(Lane, u64)> = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .arg("ledger::journal::tests::crashing::child_of_the_crash_test")
            .env(JOURNAL, dir.file())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let last = 50 + round * 331;
        let mut heard = 0;
        // After the kill the pipe still has what was printed before it.
        while let Some(Ok(line)) = lines.next() {
            if let Some(ack) = line.strip_prefix("ack ") {
                let numbers: Vec<u64> = ack.split(' ').map(|it| it.parse().unwrap()).collect();
                let lane = Lane {
                    opening: numbers[0].cast_signed(),
                    partition: u16::try_from(numbers[1]).unwrap(),
                };
                acknowledged.retain(|(known, _)| *known != lane);
                acknowledged.push((lane, numbers[2]));
                heard += 1;
            }
            if heard == last {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(
            heard >= last,
            "round {round}: it ended by itself after {heard}"
        );
        dense(&dir.file(), &acknowledged).await;
    }
}

/// Checks that the file opens, and has all entries up to these numbers.
async fn dense(file: &Path, acknowledged: &[(Lane, u64)]) {
    let visit = Visit::open(file).unwrap();
    let lanes = visit.archive().lanes();
    for (lane, seq) in acknowledged {
        let reach = lanes.get(lane).copied().unwrap_or_default();
        assert!(
            reach.last >= *seq,
            "{lane:?}: {reach:?}, but {seq} was acknowledged"
        );
        let all = beyond(visit.archive(), &[(*lane, 0)]).await;
        let numbers: Vec<u64> = all.iter().map(|it| it.entry.seq).collect();
        assert_eq!(numbers, (1..=reach.last).collect::<Vec<_>>(), "{lane:?}");
    }
}

#[tokio::test]
async fn what_is_durable_survives_the_loss_of_power() {
    let (dir, after) = (TempDir::new(), TempDir::new());
    let journal = open(&dir.file());
    let lane = Lane {
        opening: journal.opening().id,
        partition: 1,
    };
    let log = |dir: &TempDir| dir.0.join("journal.db-wal");
    let mut seq = 0;
    for round in 0..20_u64 {
        for _ in 0..round * 7 {
            seq += 1;
            drop(journal.append(entry(1, seq)));
        }
        // In every other round, the last entry is written before its sync is asked for.
        if round % 2 == 0 {
            journal.flushed().await.unwrap();
        }
        journal.durable().await.unwrap();
        let (durable, synced) = (seq, std::fs::metadata(log(&dir)).unwrap().len());
        for _ in 0..11 {
            seq += 1;
            drop(journal.append(entry(1, seq)));
        }
        journal.flushed().await.unwrap();
        let full = std::fs::metadata(log(&dir)).unwrap().len();
        // The disk has all of what was synced, and any part of what was not.
        for length in [synced, (synced + full) / 2, full] {
            std::fs::copy(dir.file(), after.file()).unwrap();
            std::fs::copy(log(&dir), log(&after)).unwrap();
            let cut = std::fs::File::options()
                .write(true)
                .open(log(&after))
                .unwrap();
            cut.set_len(length).unwrap();
            dense(&after.file(), &[(lane, durable)]).await;
            for end in ["", "-wal", "-shm"] {
                let file = after.0.join(format!("journal.db{end}"));
                if file.exists() {
                    std::fs::remove_file(file).unwrap();
                }
            }
        }
    }
}
