//! Bugs planted into the store and into a journal while everything runs: the comparison must find each of them.

use rusqlite::{Connection, params};

use crate::lost_writes::copy_data;
use crate::partition::Partition;
use crate::round::{Losses, Round};
use crate::stage::Stage;
use crate::support::TempDir;
use crate::support::dice::{Dice, seed};
use crate::support::redis::{Keep, Server};

/// How many entries are cut off the journal: clients have seen the end of more answers than that.
const ENTRIES: i64 = 8;

/// A round with a bug in it, which must be found in these words.
fn found(
    stage: &mut Stage,
    bug: &str,
    words: &str,
    fault: impl FnOnce(&mut Stage, &mut Dice),
    afterwards: impl FnOnce(&Stage),
) {
    let seed = seed(bug);
    let dice = &mut Dice::new(seed);
    let round = Round::run(stage, &format!("{bug}-{seed}"), dice, fault);
    afterwards(stage);
    let finding = round.check(stage, Losses::Writes, dice);
    let finding = finding.expect_err(&format!("{bug} was not found"));
    assert!(finding.contains(words), "{bug}: {finding}");
}

fn nothing(stage: &mut Stage, _: &mut Dice) {
    stage.strike(|_| ());
}

fn rich(stage: &Stage) -> Partition {
    Partition::of(&stage.wallets[0])
}

#[test]
fn a_store_that_forgets_or_repeats_is_found_out() {
    let server = Server::with(Keep::EverySecond, &[]);
    // So that a hold whose settle is passed over ends.
    let mut stage = Stage::with_leases(&server, 2_000);
    let stage = &mut stage;

    found(stage, "receipt-dropped", "differ", nothing, |stage| {
        let receipts = rich(stage).key("s");
        let last = server.ask(&["XREVRANGE", &receipts, "+", "-", "COUNT", "1"]);
        let entry = last.lines().next().expect("a receipt");
        assert_eq!(server.ask(&["XDEL", &receipts, entry]), "1");
    });
    found(stage, "balance-moved", "balance", nothing, |stage| {
        let wallet = rich(stage).key(&format!("w:{}", stage.wallets[0]));
        server.ask(&["HINCRBY", &wallet, "balance", "-1"]);
    });
    let skip = |stage: &mut Stage, _: &mut Dice| {
        stage.strike(|stage| move_marks(&server, &rich(stage), 1));
    };
    found(stage, "number-skipped", "differ", skip, |_| ());
    let repeat = |stage: &mut Stage, _: &mut Dice| {
        stage.strike(|stage| {
            let partition = rich(stage);
            // What is settled is forgotten; live holds stay.
            let requests = server.ask(&["KEYS", &partition.key("q:*")]);
            for request in requests.lines() {
                if server.ask(&["GETRANGE", request, "0", "0"]) == "S" {
                    server.ask(&["DEL", request]);
                }
            }
            move_marks(&server, &partition, -3);
        });
    };
    found(stage, "applied-again", "balance", repeat, |_| ());
}

/// Moves the high-water mark of every journal in a partition.
fn move_marks(server: &Server, partition: &Partition, by: i64) {
    let meta = partition.key("meta");
    let fields = server.ask(&["HKEYS", &meta]);
    let marks: Vec<&str> = fields
        .lines()
        .filter(|name| name.starts_with("m:"))
        .collect();
    assert!(!marks.is_empty(), "no journal has written: {fields}");
    for mark in marks {
        server.ask(&["HINCRBY", &meta, mark, &by.to_string()]);
    }
}

#[test]
fn a_journal_that_lost_its_end_before_it_was_replayed_is_found_out() {
    let mut server = Server::with(Keep::EverySecond, &[]);
    // So that the holds of the killed process end.
    let mut stage = Stage::with_leases(&server, 2_000);
    let cut_the_journal = |stage: &mut Stage, _: &mut Dice| {
        let copy = TempDir::new();
        copy_data(server.folder(), copy.path());
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        stage.strike(|stage| {
            stage.fleet.proxies[0].kill();
            server.kill();
        });
        stage.killed = Some(0);
        copy_data(copy.path(), server.folder());
        let journal = stage.fleet.first().dir.path().join("journal.db");
        let journal = Connection::open(journal).expect("a journal");
        cut_off(&journal, &rich(stage)).expect("a journal's tables");
        server.restart();
        stage.fleet.proxies[0].serve();
    };
    found(&mut stage, "journal-cut", "differ", cut_the_journal, |_| ());
}

/// Cuts the last entries of a partition off, and all that says that they were there.
fn cut_off(journal: &Connection, partition: &Partition) -> rusqlite::Result<()> {
    let partition = i64::from(partition.0);
    let last: i64 = journal.query_row(
        "SELECT max(seq) FROM entries WHERE partition = ?1",
        params![partition],
        |row| row.get(0),
    )?;
    assert!(last > ENTRIES, "only {last} entries in the journal");
    let last = last - ENTRIES;
    journal.execute(
        "DELETE FROM entries WHERE partition = ?1 AND seq > ?2",
        params![partition, last],
    )?;
    journal.execute(
        "UPDATE progress SET last = min(last, ?2), applied = min(applied, ?2) WHERE partition = ?1",
        params![partition, last],
    )?;
    Ok(())
}
