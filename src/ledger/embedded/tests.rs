//! What the embedded store promises, shown.

mod auditing;
mod committing;
mod copying;
mod crashing;
mod migrating;
mod opening;
mod placing;
mod restoring;
mod room;
mod support;
mod sweeping;
