//! The gateway: what happens to a request between a client and an upstream.

pub mod peek;
pub mod splice;
