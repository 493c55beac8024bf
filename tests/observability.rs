//! What operators see: metrics, logs, health, of the real binary over the wire.

#[path = "observability/health.rs"]
mod health;
#[path = "observability/lines.rs"]
mod lines;
#[path = "observability/page.rs"]
mod page;
#[path = "observability/readme.rs"]
mod readme;
#[path = "observability/refusals.rs"]
mod refusals;
#[path = "observability/sums.rs"]
mod sums;
#[path = "support/mod.rs"]
mod support;
