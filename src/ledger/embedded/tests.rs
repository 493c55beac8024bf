//! What the embedded store promises, shown.

mod auditing;
mod committing;
mod crashing;
mod opening;
mod same_as_book;
mod support;
