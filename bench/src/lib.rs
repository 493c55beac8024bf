//! The independent half of Tollgate's tests and benchmarks: a mock upstream that keeps its own count of what it
//! sent, and a load generator that keeps its own count of what it saw. Neither shares code with Tollgate, so that a
//! mistake there cannot hide itself here.

pub mod load;
pub mod mock;
