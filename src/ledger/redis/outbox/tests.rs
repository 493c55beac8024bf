//! A partition's numbers, without a store.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use redis::Value;

use super::slot::{Slot, Waiting, Window};
use crate::clock::UnixMs;
use crate::ledger::journal::JournalEntry;
use crate::ledger::redis::scripts::Script;

static NOTHING: LazyLock<Script> =
    LazyLock::new(|| Script::new("nothing", "return {'ok'}".to_owned()));

fn push(slot: &mut Slot, told: bool) -> u64 {
    let seq = slot.next();
    let entry = JournalEntry {
        partition: 1,
        seq,
        at: UnixMs(0),
        script: "nothing".into(),
        body: Vec::new(),
    };
    slot.push(Waiting {
        entry: Arc::new(entry),
        script: &NOTHING,
        written: false,
        asker: None,
        told,
        since: Instant::now(),
    });
    seq
}

fn window(slot: &Slot) -> Vec<(u64, bool)> {
    match slot.window(10) {
        Window::Entries(entries) => entries
            .iter()
            .map(|again| (again.entry.seq, again.unheard))
            .collect(),
        Window::Journal => panic!("it needs the journal"),
    }
}

#[test]
fn an_entry_stays_until_the_store_and_the_journal_have_it() {
    let mut slot = Slot::default();
    for _ in 0..3 {
        push(&mut slot, false);
    }
    slot.acknowledge(2);
    assert_eq!(
        (slot.first(), slot.lacking(), slot.unwritten()),
        (Some(1), 1, true)
    );
    assert_eq!(window(&slot), [(3, true)]);
    slot.wrote(2);
    assert_eq!(slot.first(), Some(1), "the file may not have the first yet");
    slot.wrote(1);
    assert_eq!(slot.first(), Some(3));
    slot.wrote_all(3);
    assert_eq!(slot.first(), Some(3), "the store does not have it yet");
    slot.acknowledge(3);
    assert_eq!(
        (slot.first(), slot.lacking(), slot.oldest()),
        (None, 0, None)
    );
    assert_eq!((slot.acked(), slot.mark(), slot.next()), (3, 3, 4));
}

#[test]
fn what_was_lost_comes_from_the_journal_and_the_rest_from_memory() {
    let mut slot = Slot::default();
    for _ in 0..4 {
        push(&mut slot, false);
    }
    slot.wrote_all(4);
    slot.acknowledge(3);
    slot.lost(1);
    assert!(slot.stuck && slot.acked() == 3 && slot.mark() == 1);
    assert!(matches!(slot.window(10), Window::Journal));
    slot.acknowledge(3);
    assert_eq!(window(&slot), [(4, true)]);
    // What the file never got is still here.
    push(&mut slot, false);
    slot.acknowledge(5);
    slot.lost(4);
    assert_eq!(window(&slot), [(5, true)]);
    slot.lost(0);
    assert!(matches!(slot.window(10), Window::Journal));
}

#[test]
fn who_asks_after_an_entry_gets_its_answer_even_where_the_store_had_it() {
    let mut slot = Slot::default();
    let (first, second) = (push(&mut slot, true), push(&mut slot, false));
    let mut answer = slot.ask(first).expect("it waits");
    slot.acknowledge(second);
    slot.wrote_all(second);
    assert_eq!(window(&slot), [(first, false)]);
    slot.answer(first, Value::Okay);
    assert_eq!(answer.try_recv(), Ok(Value::Okay));
    assert_eq!(slot.first(), None);
    assert!(slot.ask(first).is_none());
    // Who went away is not waited for.
    let third = push(&mut slot, true);
    drop(slot.ask(third));
    slot.acknowledge(third);
    assert_eq!(window(&slot), []);
    slot.leave(third);
    slot.wrote_all(third);
    assert_eq!(slot.first(), None);
}

#[test]
fn a_mark_beyond_what_was_numbered_is_not_believed() {
    let mut slot = Slot::default();
    push(&mut slot, false);
    slot.acknowledge(100);
    assert_eq!((slot.acked(), slot.lacking()), (1, 0));
}
