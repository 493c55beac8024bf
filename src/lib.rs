//! Tollgate: an OpenAI-compatible metering reverse proxy.
//!
//! Modules are listed from the rim inwards; imports run one way, downwards in this list.
#![deny(missing_docs)]

pub mod cli;

pub mod admin;

pub mod gateway;
pub mod upstream;

pub mod ledger;
pub mod price;
pub mod usage;

pub mod config;

pub mod clock;
pub mod file;
pub mod keygen;
pub mod money;
pub mod plural;
pub mod secret;
pub mod telemetry;
pub mod tls;
pub mod vocabulary;
pub mod workers;
