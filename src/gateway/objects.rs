//! Calls on what upstreams keep: stored responses and files. None of them is charged.

mod call;
mod files;
mod route;
mod serve;

pub use route::ObjectCall;
pub use serve::serve;
