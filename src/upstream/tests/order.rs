use super::*;

/// The model `m` at these upstreams, one priority after another, each open after one failure for so long.
fn three() -> Upstreams {
    let rows = [("a", 3_600_000), ("b", 1_800_000), ("c", 1_800_000)].map(|(name, ms)| {
        let row = config::Upstream {
            breaker_failures: 1,
            breaker_cooldown_ms: ms,
            ..row("http://host")
        };
        (name, row)
    });
    let mut upstreams = build(
        rows,
        &[route("a", 0, 1), route("b", 1, 1), route("c", 2, 1)],
    )
    .expect("upstreams");
    upstreams.clock = Clock::manual(UnixMs(0));
    upstreams
}

fn names(upstreams: &Upstreams) -> Vec<String> {
    let route = upstreams.route("m");
    let names = route.iter().map(|endpoint| endpoint.upstream().to_string());
    names.collect()
}

fn health(upstreams: &Upstreams, name: &str) -> Arc<Health> {
    let key = (Arc::from(name), "theirs".to_owned());
    Arc::clone(&upstreams.health[&key])
}

#[test]
fn those_that_rest_come_after_the_others_and_those_that_are_open_last() {
    let upstreams = three();
    assert_eq!(names(&upstreams), ["a", "b", "c"]);
    health(&upstreams, "a").failed(UnixMs(0));
    assert_eq!(names(&upstreams), ["b", "c", "a"]);
    health(&upstreams, "b").rest(UnixMs(0), 1_000);
    assert_eq!(names(&upstreams), ["c", "b", "a"]);
    health(&upstreams, "c").failed(UnixMs(0));
    assert_eq!(names(&upstreams), ["b", "c", "a"]);
    // All are open: the one that opens soonest, alone.
    health(&upstreams, "b").failed(UnixMs(1));
    assert_eq!(names(&upstreams), ["c"]);
    assert_eq!(
        upstreams.open().collect::<Vec<_>>(),
        [("a", 1), ("b", 1), ("c", 1)]
    );
}

#[test]
fn where_all_rest_the_first_is_alone() {
    let upstreams = three();
    for name in ["a", "b", "c"] {
        health(&upstreams, name).rest(UnixMs(0), 1_000);
    }
    assert_eq!(names(&upstreams), ["a"]);
    upstreams.clock.advance(1_000);
    assert_eq!(names(&upstreams), ["a", "b", "c"]);
}

#[test]
fn one_request_begins_with_an_endpoint_that_may_be_back() {
    let upstreams = three();
    health(&upstreams, "a").failed(UnixMs(0));
    upstreams.clock.advance(3_600_000);
    // Both find it first in their order, before either begins.
    let (mut one, mut other) = (upstreams.route("m"), upstreams.route("m"));
    let first = |route: &[Arc<Endpoint>]| route[0].upstream().to_string();
    let probe = upstreams.admit(&mut one);
    assert!(probe.is_some() && first(&one) == "a");
    assert!(upstreams.admit(&mut other).is_none() && first(&other) == "b");
    assert_eq!(other.len(), 3);
    assert_eq!(names(&upstreams), ["b", "c", "a"]);
    drop(probe);
    assert_eq!(names(&upstreams), ["a", "b", "c"]);
}
