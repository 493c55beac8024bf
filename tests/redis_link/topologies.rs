//! Each topology connects, calls, and survives a restart or a failover.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use redis::Value;
use tollgate::ledger::redis::error::{LinkError, LinkState};
use tollgate::ledger::redis::link::Link;
use tollgate::ledger::redis::options::RedisOptions;
use tollgate::ledger::redis::scripts::Script;

use crate::support::DEADLINE;
use crate::support::redis::{Keep, Server};

static APPEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "append",
        "return redis.call('RPUSH', KEYS[1], ARGV[1])".to_owned(),
    )
});

async fn linked(url: &str) -> Link {
    let options = RedisOptions::of_url(url).expect("a url");
    Link::connect(&options).await.expect("a link")
}

fn append(
    link: &Link,
    key: &str,
    value: u64,
) -> impl Future<Output = Result<Value, LinkError>> + use<> {
    link.call(&APPEND, vec![key.into()], vec![value.to_string().into()])
}

#[tokio::test]
async fn calls_reach_the_store_in_the_order_in_which_they_are_made() {
    let server = Server::start();
    let link = linked(&server.url()).await;
    append(&link, "warm", 0)
        .await
        .expect("the script is known now");
    let calls: Vec<_> = (0..1_000)
        .map(|number| append(&link, "list", number))
        .collect();
    // Awaited the other way round.
    for (number, call) in (0..).zip(calls).collect::<Vec<_>>().into_iter().rev() {
        assert_eq!(call.await, Ok(Value::Int(number + 1)));
    }
}

#[tokio::test]
async fn a_server_that_restarts_is_found_again() {
    let mut server = Server::with(Keep::Always, &[]);
    let link = linked(&server.url()).await;
    append(&link, "list", 1).await.expect("it is there");
    let before = link.identities().await.expect("it tells");
    server.kill();
    let end = Instant::now() + DEADLINE;
    while link.state() == LinkState::Up {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let away = append(&link, "list", 2).await;
    assert!(matches!(away, Err(LinkError::Away(_))), "{away:?}");
    server.restart();
    while append(&link, "list", 3).await != Ok(Value::Int(2)) {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(link.state(), LinkState::Up);
    assert_ne!(link.identities().await.expect("it tells"), before);
}
