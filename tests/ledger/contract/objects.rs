//! Whose the objects of upstreams are: told, replaced, ended, dropped, listed, bounded.

use tollgate::clock::UnixMs;
use tollgate::ledger::object::{
    OBJECTS_MAX, Object, ObjectKind, ObjectQuery, STATE_BYTES_MAX, TIME_END,
};

use crate::bench::{Bench, conflicts, missing};
use crate::kit::*;

const RESPONSE: ObjectKind = ObjectKind::Response;

fn file(name: &str, wallet: &str) -> Object {
    Object {
        kind: ObjectKind::File,
        model: "".into(),
        ..object(name, wallet)
    }
}

fn made_at(object: Object, ms: u64) -> Object {
    Object {
        created_at: START.plus(ms),
        ..object
    }
}

fn ends_at(object: Object, ms: u64) -> Object {
    Object {
        expires_at: START.plus(ms),
        ..object
    }
}

async fn an_object_is_told_as_it_was_put(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let longest = "~|{}:/!".repeat(37)[..256].to_owned();
    for name in ["resp_1", "w|response", "\"'\\", &longest] {
        assert_eq!(bench.object(name, "w").await, None);
        let mut put = waiting(object(name, "w"), name.len() as u64);
        put.upstream = "a name, \"quoted\"\n\u{e9}".into();
        if let Some(pending) = &mut put.pending {
            pending.state = format!("{{\n\"a\\nb\": \"\u{1f600}\"}}\n{}", "x".repeat(60_000));
        }
        bench.keep(put.clone()).await;
        assert_eq!(bench.object(name, "w").await, Some(put));
    }
    for kind in ObjectKind::ALL {
        let name = format!("{kind}_1");
        let put = Object {
            kind,
            ..made_at(file(&name, "w"), 1)
        };
        bench.keep(put.clone()).await;
        assert_eq!(bench.object(&name, "w").await, Some(put));
        assert_eq!(bench.listed(kind, None, 1).await, [name]);
    }
    assert_eq!(bench.money().await, (100, 0, 100));
}

async fn another_wallets_object_is_not_there(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.furnish_as("v", "j", 100, 0, &[]).await;
    bench.keep(object("r", "w")).await;
    assert_eq!(bench.object("r", "v").await, None);
    assert_eq!(bench.object("r", "nobody").await, None);
    // The same name is another object there.
    let theirs = file("r", "v");
    bench.keep(theirs.clone()).await;
    assert_eq!(bench.object("r", "w").await, Some(object("r", "w")));
    assert_eq!(bench.listed(ObjectKind::File, None, 9).await, [""; 0]);
    let dropped = bench.ledger().drop_object(object_ref("r", "w")).await;
    dropped.expect("it is dropped");
    assert_eq!(bench.object("r", "w").await, None);
    assert_eq!(bench.object("r", "v").await, Some(theirs));
}

async fn what_is_put_again_is_replaced_and_a_drop_may_come_twice(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.keep(waiting(object("r", "w"), 1)).await;
    bench.keep(made_at(object("s", "w"), 1)).await;
    let again = Object {
        upstream: "two".into(),
        ..ends_at(made_at(object("r", "w"), 2), 5)
    };
    for _ in 0..2 {
        bench.keep(again.clone()).await;
        assert_eq!(bench.object("r", "w").await, Some(again.clone()));
        assert_eq!(bench.listed(RESPONSE, None, 9).await, ["r", "s"]);
        assert_eq!(bench.pending().await, []);
    }
    for _ in 0..2 {
        let dropped = bench.ledger().drop_object(object_ref("r", "w")).await;
        dropped.expect("what is not there is passed over");
        assert_eq!(bench.object("r", "w").await, None);
        assert_eq!(bench.listed(RESPONSE, None, 9).await, ["s"]);
    }
    let nowhere = bench.ledger().drop_object(object_ref("r", "nobody")).await;
    nowhere.expect("what is not there is passed over");
    bench.keep(again.clone()).await;
    assert_eq!(bench.object("r", "w").await, Some(again));
}

async fn an_object_that_has_ended_is_not_there(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.keep(ends_at(object("r", "w"), 50)).await;
    bench.keep(object("s", "w")).await;
    bench.later(49);
    assert_eq!(bench.listed(RESPONSE, None, 9).await, ["s", "r"]);
    assert_eq!(bench.listed(RESPONSE, Some("s"), 9).await, ["r"]);
    bench.later(1);
    assert_eq!(bench.object("r", "w").await, None);
    assert_eq!(bench.listed(RESPONSE, None, 9).await, ["s"]);
    let after = ObjectQuery {
        wallet: id("w"),
        kind: RESPONSE,
        after: Some(id("r")),
        limit: 9,
    };
    missing(bench.ledger().objects(after).await);
    // Nothing of it is left: the name may even be another kind's.
    bench.keep(file("r", "w")).await;
    assert_eq!(bench.object("r", "w").await, Some(file("r", "w")));
    assert_eq!(bench.listed(RESPONSE, None, 9).await, ["s"]);
    bench.keep(ends_at(object("late", "w"), 10)).await;
    assert_eq!(bench.object("late", "w").await, None);
    bench.later(HOUR_MS);
    assert_eq!(bench.object("s", "w").await, None);
}

async fn beyond_so_many_the_one_that_ends_soonest_goes(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.furnish_as("v", "j", 100, 0, &[]).await;
    let put = async |object| bench.ledger().put_object(object, 3).await;
    bench.keep(file("f", "w")).await;
    bench.keep(object("r", "v")).await;
    for (name, ms) in [("b", 70), ("a", 90), ("c", 70)] {
        put(ends_at(object(name, "w"), ms)).await.expect("room");
    }
    // What is there already takes no room.
    put(ends_at(object("a", "w"), 80)).await.expect("room");
    assert_eq!(bench.listed(RESPONSE, None, 9).await, ["c", "b", "a"]);
    put(ends_at(object("d", "w"), 1)).await.expect("b goes");
    assert_eq!(bench.listed(RESPONSE, None, 9).await, ["d", "c", "a"]);
    // What has ended goes first, and takes no room.
    bench.later(1);
    put(ends_at(object("e", "w"), 60)).await.expect("d is over");
    assert_eq!(bench.listed(RESPONSE, None, 9).await, ["e", "c", "a"]);
    put(ends_at(object("g", "w"), 100)).await.expect("e goes");
    assert_eq!(bench.listed(RESPONSE, None, 9).await, ["g", "c", "a"]);
    assert!(bench.object("f", "w").await.is_some());
    assert!(bench.object("r", "v").await.is_some());
}

async fn where_fewer_are_allowed_sixteen_go_at_a_time(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    for number in 0..40_u64 {
        let name = format!("r{number:02}");
        bench
            .keep(ends_at(made_at(object(&name, "w"), number), 100 + number))
            .await;
    }
    for (name, left) in [("x", 25), ("y", 10), ("z", 2)] {
        let put = bench.ledger().put_object(object(name, "w"), 2).await;
        put.expect("others make room");
        assert_eq!(bench.listed(RESPONSE, None, 99).await.len(), left);
    }
    assert_eq!(bench.listed(RESPONSE, None, 9).await, ["z", "y"]);
}

async fn a_list_is_newest_first_and_goes_on_after_any_of_them(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    for (name, ms) in [("a", 5), ("d", 7), ("c", 7), ("b", 7), ("e", 1), ("B", 7)] {
        bench.keep(made_at(object(name, "w"), ms)).await;
    }
    bench.keep(made_at(file("f", "w"), 6)).await;
    bench.keep(waiting(made_at(object("bb", "w"), 7), 1)).await;
    let all = ["d", "c", "bb", "b", "B", "a", "e"];
    assert_eq!(bench.listed(RESPONSE, None, 99).await, all);
    for place in 0..all.len() {
        let rest = &all[place + 1..];
        for limit in 0..4 {
            let listed = bench.listed(RESPONSE, Some(all[place]), limit).await;
            assert_eq!(listed, rest[..rest.len().min(limit as usize)]);
        }
    }
    for after in ["nothing", "f"] {
        let query = ObjectQuery {
            wallet: id("w"),
            kind: RESPONSE,
            after: Some(id(after)),
            limit: 9,
        };
        missing(bench.ledger().objects(query).await);
    }
    assert_eq!(bench.listed(ObjectKind::File, None, 99).await, ["f"]);
    assert_eq!(bench.listed(ObjectKind::Batch, None, 99).await, [""; 0]);
}

async fn a_list_passes_over_many_that_have_ended(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    bench.keep(object("first", "w")).await;
    for number in 0..250_u64 {
        let name = format!("r{number:03}");
        let ends = if number % 50 == 49 { HOUR_MS } else { 10 };
        bench
            .keep(ends_at(made_at(object(&name, "w"), 1 + number), ends))
            .await;
    }
    bench.later(10);
    let there = ["r249", "r199", "r149", "r099", "r049", "first"];
    assert_eq!(bench.listed(RESPONSE, None, 99).await, there);
    assert_eq!(bench.listed(RESPONSE, Some("r149"), 2).await, there[3..5]);
}

async fn what_a_store_cannot_keep_is_refused(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let put = async |object| bench.ledger().put_object(object, OBJECTS_MAX).await;
    missing(put(object("r", "nobody")).await);
    let mut long = waiting(object("r", "w"), 1);
    if let Some(pending) = &mut long.pending {
        pending.state = "x".repeat(STATE_BYTES_MAX + 1);
    }
    let wrong = [
        long,
        Object {
            created_at: UnixMs(-1),
            ..object("r", "w")
        },
        Object {
            expires_at: TIME_END,
            ..object("r", "w")
        },
        Object {
            upstream: "x".repeat(1_025).into(),
            ..object("r", "w")
        },
    ];
    for object in wrong {
        conflicts(put(object).await);
        assert_eq!(bench.object("r", "w").await, None);
    }
    let last = Object {
        created_at: UnixMs(0),
        expires_at: UnixMs(TIME_END.0 - 1),
        ..object("r", "w")
    };
    put(last.clone()).await.expect("it can be kept");
    conflicts(put(file("r", "w")).await);
    assert_eq!(bench.object("r", "w").await, Some(last));
}

async fn objects_put_and_dropped_at_once_are_all_kept_and_gone(bench: &Bench) {
    bench.furnish(100, 0, &[]).await;
    let name = |number: u64| format!("r{number:02}");
    let puts = (0..60).map(|number| bench.keep(made_at(object(&name(number), "w"), number)));
    futures_util::future::join_all(puts).await;
    let found = (0..60).map(async |number| bench.object(&name(number), "w").await);
    let found = futures_util::future::join_all(found).await;
    assert!(found.iter().all(Option::is_some));
    assert_eq!(bench.listed(RESPONSE, None, 99).await.len(), 60);
    let drops = (0..60).map(|number| {
        let name = object_ref(&name(number), "w");
        bench.ledger().drop_object(name)
    });
    for dropped in futures_util::future::join_all(drops).await {
        dropped.expect("it is dropped");
    }
    assert_eq!(bench.listed(RESPONSE, None, 99).await, [""; 0]);
}

crate::stores::on_every_store!(
    an_object_is_told_as_it_was_put,
    another_wallets_object_is_not_there,
    what_is_put_again_is_replaced_and_a_drop_may_come_twice,
    an_object_that_has_ended_is_not_there,
    beyond_so_many_the_one_that_ends_soonest_goes,
    where_fewer_are_allowed_sixteen_go_at_a_time,
    a_list_is_newest_first_and_goes_on_after_any_of_them,
    a_list_passes_over_many_that_have_ended,
    what_a_store_cannot_keep_is_refused,
    objects_put_and_dropped_at_once_are_all_kept_and_gone,
);
