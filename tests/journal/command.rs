//! `tollgate journal`: the journal of a proxy that never comes back.

use std::sync::Arc;

use serde_json::Value;
use tollgate::clock::{Clock, UnixMs};
use tollgate::ledger::id::StoreId;
use tollgate::ledger::journal::{Journal, JournalEntry, pack};
use tollgate::ledger::redis::layout::{Layout, Partition};

use crate::support::TempDir;
use crate::support::command::{run, tollgate};
use crate::support::redis::Server;

const PEPPER: [u8; 32] = [0xab; 32];

/// A change of a wallet's credit line, which Redis has a script for.
fn line(seq: u64, partition: Partition, wallet: &str, line: &str) -> Arc<JournalEntry> {
    let layout = Layout::new("tollgate");
    let wallet = layout.wallet(partition, &wallet.parse().expect("an id"));
    Arc::new(JournalEntry {
        partition: partition.number(),
        seq,
        at: UnixMs(1_767_225_600_000),
        script: "line".into(),
        body: pack(
            &[layout.meta(partition), wallet],
            &[line.as_bytes().to_vec()],
        ),
    })
}

#[tokio::test]
async fn the_journal_of_a_proxy_that_never_comes_back_is_shown_and_delivered() {
    let (mut server, dir) = (
        Server::with(crate::support::redis::Keep::Always, &[]),
        TempDir::new(),
    );
    let (file, config) = (
        dir.path().join("journal.db"),
        dir.path().join("config.yaml"),
    );
    let text = format!(
        "ledger: {{ kind: redis, url: \"{}\", journal: \"{}\" }}\ncurrency: CNY\n\
         upstreams: {{ demo: {{ kind: simulator }} }}\n\
         models: [{{ id: m, upstream: demo, prices: [{{ free: true }}] }}]\n",
        server.url(),
        file.display(),
    );
    std::fs::write(&config, text).expect("a config");
    let journal = |what: &str| {
        let args = [
            "--json",
            "--config",
            config.to_str().expect("a path"),
            "journal",
            what,
        ];
        run(&mut tollgate(&args))
    };
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");

    let none = journal("status");
    assert!(
        none.code == 1 && none.err.contains("there is no journal"),
        "{}",
        none.err
    );

    let clock = Clock::system(UnixMs(0));
    let open = Journal::open(&file, StoreId::of(&PEPPER), clock).expect("a journal");
    let partition = Partition::of(&"acme".parse().expect("an id"));
    let nonce = open.nonce().to_string();
    for (seq, wallet, amount) in [(1, "acme", "500"), (2, "nobody", "7"), (3, "acme", "900")] {
        open.append(line(seq, partition, wallet, amount))
            .await
            .expect("written");
    }
    let running = journal("status");
    assert_eq!(running.code, 1, "{}", running.out);
    let pid = format!("in use by process {}", std::process::id());
    assert!(
        running.err.contains(&pid) && running.err.contains("/metrics"),
        "{}",
        running.err
    );
    open.close().await.expect("closed");
    drop(open);

    // A store of another pepper is another store.
    server.ask(&["HSET", "tollgate:meta", "pepper", &"cd".repeat(32)]);
    let other = journal("replay");
    assert!(
        other.code == 78 && other.err.contains("of its own store"),
        "{}",
        other.err
    );
    server.ask(&["HSET", "tollgate:meta", "pepper", &"ab".repeat(32)]);
    let wallet = format!("tollgate:{{{}}}:w:acme", partition.number());
    server.ask(&["HSET", &wallet, "balance", "0", "line", "0", "held", "0"]);

    let shown = journal("status");
    assert_eq!(shown.code, 3, "{}", shown.err);
    let report = json(&shown.out);
    let opening = &report["openings"][0];
    assert_eq!(
        (&opening["entries"], &opening["waiting"]),
        (&3.into(), &3.into()),
        "{report}"
    );
    assert_eq!(opening["nonce"], nonce.as_str());
    assert_eq!(report["redis"], Value::Null);

    let sent = journal("replay");
    assert_eq!(sent.code, 3, "{}{}", sent.out, sent.err);
    let report = json(&sent.out);
    let counts = ["delivered", "suspended", "waiting"].map(|name| report[name].as_u64());
    assert_eq!(counts, [Some(3), Some(1), Some(0)]);
    assert_eq!(server.ask(&["HGET", &wallet, "line"]), "900");

    let again = journal("replay");
    assert_eq!(
        (again.code, json(&again.out)["delivered"].as_u64()),
        (0, Some(0))
    );
    let shown = json(&journal("status").out);
    assert_eq!(shown["openings"][0]["waiting"], 0);
    let aside = &shown["suspended"][0];
    assert_eq!(
        (&aside["nonce"], &aside["number"]),
        (&nonce.as_str().into(), &"2".into()),
        "{shown}"
    );
    assert!(
        aside["why"].as_str().expect("words").contains("no wallet"),
        "{shown}"
    );

    server.stop();
    let away = journal("status");
    assert_eq!(
        away.code, 0,
        "the file knows that nothing waits: {}",
        away.err
    );
    assert!(
        json(&away.out)["redis"]
            .as_str()
            .expect("words")
            .contains("127.0.0.1")
    );
    assert_eq!(journal("replay").code, 69);
}
