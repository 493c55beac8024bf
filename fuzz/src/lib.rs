//! The rooms of Tollgate that read bytes of strangers, and those that they stand on, without the servers and stores
//! around them: instrumented, all of it would take minutes to build. The files are the proxy's own.
#![allow(dead_code, missing_docs, reason = "not all of a room is used here")]

#[path = "../../src"]
mod rooms {
    pub mod clock;
    pub mod config;
    pub mod file;
    pub mod money;
    pub mod price;
    pub mod secret;
    pub mod usage;
    pub mod vocabulary;
}

pub use rooms::{clock, config, file, money, price, secret, usage, vocabulary};

#[path = "../../src/gateway"]
pub mod gateway {
    pub mod bad_request;
    pub mod multipart;
    pub mod peek;
    pub mod splice;
}
