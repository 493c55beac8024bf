//! The way to Redis: every topology, failures in time and in words, and the checks at the start.

mod support;

#[path = "redis_link/topologies.rs"]
mod topologies;
