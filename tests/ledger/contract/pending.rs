//! Jobs that are settled later, perhaps by another process: listed, kept, settled once.

use tollgate::ledger::hold::Refusal;
use tollgate::ledger::object::{Object, ObjectKind};

use crate::bench::{Bench, conflicts};
use crate::kit::*;

async fn pending_objects_of_all_wallets_are_told_in_order_and_in_pages(bench: &Bench) {
    assert_eq!(bench.pending().await, []);
    let mut all = Vec::new();
    for (number, wallet) in ["a", "b", "a:1"].into_iter().enumerate() {
        let key = format!("k{number}");
        bench.furnish_as(wallet, &key, 100, 0, &[]).await;
        for (place, name) in ["y", "x", "Z"].into_iter().enumerate() {
            let request = (10 * number + place) as u64;
            let object = Object {
                kind: ObjectKind::ALL[place],
                ..waiting(object(name, wallet), request)
            };
            bench.keep(object.clone()).await;
            all.push(object);
        }
        bench.keep(object("done", wallet)).await;
    }
    all.sort_by_key(Object::name);
    assert_eq!(bench.pending().await, all);
    let (mut told, mut after) = (Vec::new(), None);
    loop {
        let page = bench.ledger().pending_objects(after, 2).await;
        let page = page.expect("the store answers");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.name());
        told.extend(page);
    }
    assert_eq!(told, all);
    let dropped = bench.ledger().drop_object(all[0].name()).await;
    dropped.expect("it is dropped");
    assert_eq!(bench.pending().await, all[1..]);
}

async fn a_pending_object_does_not_end_and_does_not_make_room(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let put = async |object| bench.ledger().put_object(object, 2).await;
    let soon = Object {
        expires_at: START.plus(5),
        ..object("r", "w")
    };
    let job = waiting(soon.clone(), 1);
    put(job.clone()).await.expect("room");
    put(object("s", "w")).await.expect("room");
    bench.later(10);
    assert_eq!(bench.object("r", "w").await, Some(job.clone()));
    put(object("t", "w")).await.expect("s goes");
    let listed = bench.listed(ObjectKind::Response, None, 9).await;
    assert_eq!(listed, ["t", "r"]);
    put(waiting(object("t", "w"), 2))
        .await
        .expect("it is there");
    conflicts(put(object("u", "w")).await);
    conflicts(put(waiting(object("u", "w"), 3)).await);
    assert_eq!(bench.object("u", "w").await, None);
    // What is there can still be told of anew.
    put(job.clone()).await.expect("it is there");
    assert_eq!(bench.pending().await.len(), 2);
    put(soon).await.expect("it is there");
    assert_eq!(bench.object("r", "w").await, None, "its time is over");
    put(object("u", "w")).await.expect("room");
}

async fn one_object_at_most_waits_for_a_request(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.keep(waiting(object("r", "w"), 1)).await;
    let second = waiting(object("s", "w"), 1);
    let put = bench.ledger().put_object(second.clone(), 9).await;
    conflicts(put);
    // It may wait for another, and then the first may be waited for.
    bench.keep(waiting(object("r", "w"), 2)).await;
    bench.keep(second.clone()).await;
    let requests: Vec<_> = bench.pending().await;
    let requests = requests.iter().filter_map(|object| object.pending.as_ref());
    let requests: Vec<_> = requests.map(|pending| pending.request).collect();
    assert_eq!(requests, [request(2), request(1)]);
    let dropped = bench.ledger().drop_object(second.name()).await;
    dropped.expect("it is dropped");
    bench.keep(waiting(object("t", "w"), 1)).await;
}

async fn a_settle_ends_what_waits_for_it_in_the_same_step(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    for number in 1..=3 {
        bench.admit(costs(number, 20)).await;
        let name = format!("r{number}");
        bench.keep(waiting(object(&name, "w"), number)).await;
    }
    bench.settled(2, charge(7)).await;
    assert_eq!(bench.object("r2", "w").await, Some(object("r2", "w")));
    let pending: Vec<String> = bench
        .pending()
        .await
        .iter()
        .map(|object| object.id.to_string())
        .collect();
    assert_eq!(pending, ["r1", "r3"]);
    // A void charges nothing, and leaves the object to whoever told of it.
    bench.void(3).await.expect("it is live");
    assert!(
        bench
            .object("r3", "w")
            .await
            .is_some_and(|it| it.pending.is_some())
    );
    // Now that nothing waits, it ends like any other.
    bench.later(HOUR_MS);
    assert_eq!(bench.object("r2", "w").await, None);
    assert!(bench.object("r1", "w").await.is_some());
    bench.settled(1, charge(7)).await;
    assert_eq!(bench.object("r1", "w").await, None);
}

async fn what_was_settled_is_not_pending_any_more_whoever_says_so(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 20)).await;
    bench.settled(1, charge(7)).await;
    for _ in 0..2 {
        bench.keep(waiting(object("r", "w"), 1)).await;
        assert_eq!(bench.object("r", "w").await, Some(object("r", "w")));
        assert_eq!(bench.pending().await, []);
    }
    // Nor does it keep another from waiting for its own.
    bench.keep(waiting(object("r", "w"), 2)).await;
    assert_eq!(bench.pending().await, [waiting(object("r", "w"), 2)]);
}

async fn a_settled_request_is_never_held_again_and_answers_its_receipt(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.admit(costs(1, 50)).await;
    let receipt = bench.settled(1, charge(30)).await.receipt;
    // At once, when a process has forgotten it, and on the next morning.
    for ms in [0, 10 * MINUTE_MS, 10 * HOUR_MS] {
        bench.later(ms);
        assert_eq!(bench.hold(costs(1, 50)).await, Err(Refusal::Ended));
        assert_eq!(bench.settled(1, charge(45)).await.receipt, receipt);
        assert_eq!(bench.money().await, (70, 0, 70));
    }
    // Others are not kept out by it.
    bench.admit(costs(2, 70)).await;
}

crate::stores::on_every_store!(
    pending_objects_of_all_wallets_are_told_in_order_and_in_pages,
    a_pending_object_does_not_end_and_does_not_make_room,
    one_object_at_most_waits_for_a_request,
    a_settle_ends_what_waits_for_it_in_the_same_step,
    what_was_settled_is_not_pending_any_more_whoever_says_so,
    a_settled_request_is_never_held_again_and_answers_its_receipt,
);
