//! Three proxies on one Redis: storms on the last coin, and faults under load of everything between a proxy and its
//! store, compared with the count of an upstream that is a separate program. Every round is drawn from a seed, which each
//! failure names; `TOLLGATE_TEST_SEED=N` replays it. Beside each test stand planted bugs that it must catch.

#[path = "redis/lost_writes.rs"]
mod lost_writes;
#[path = "redis/network.rs"]
mod network;
#[path = "redis/partition.rs"]
mod partition;
#[path = "redis/planted.rs"]
mod planted;
#[path = "redis/process.rs"]
mod process;
#[path = "redis/round.rs"]
mod round;
#[path = "redis/series.rs"]
mod series;
#[path = "redis/shared.rs"]
mod shared;
#[path = "redis/stage.rs"]
mod stage;
#[path = "redis/storms.rs"]
mod storms;
mod support;
