//! The way to Redis: every topology, failures in time and in words, and the checks at the start.

mod support;

#[path = "redis_link/checks.rs"]
mod checks;
#[path = "redis_link/deadlines.rs"]
mod deadlines;
#[path = "redis_link/topologies.rs"]
mod topologies;
#[path = "redis_link/words.rs"]
mod words;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use redis::Value;
use support::DEADLINE;
use tollgate::ledger::redis::error::{LinkError, LinkState, OpenError};
use tollgate::ledger::redis::link::Link;
use tollgate::ledger::redis::options::RedisOptions;
use tollgate::ledger::redis::scripts::Script;

static APPEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "append",
        "return redis.call('RPUSH', KEYS[1], ARGV[1])".to_owned(),
    )
});

fn options(url: &str) -> RedisOptions {
    patient(RedisOptions::of_url(url).expect("a url"))
}

/// With limits that a busy machine keeps.
fn patient(mut options: RedisOptions) -> RedisOptions {
    options.connect_timeout_ms = 5_000;
    options.response_timeout_ms = 3_000;
    options
}

async fn linked(options: &RedisOptions) -> Link {
    Link::connect(options).await.expect("a link")
}

/// Why no link comes about, in words.
async fn refusal(options: &RedisOptions) -> OpenError {
    Link::connect(options).await.err().expect("no link")
}

/// Appends to a list; answers its length.
fn append(
    link: &Link,
    key: &str,
    value: u64,
) -> impl Future<Output = Result<Value, LinkError>> + use<> {
    link.call(&APPEND, vec![key.into()], vec![value.to_string().into()])
}

/// Waits until a look at the link finds what is wanted.
async fn when<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn when_up(link: &Link) {
    when("a connection", async || {
        (link.state() == LinkState::Up).then_some(())
    })
    .await;
}

/// Repeats a call until it gets through.
async fn when_through(link: &Link, key: &str) {
    when("a call that gets through", async || {
        append(link, key, 0).await.ok()
    })
    .await;
}
