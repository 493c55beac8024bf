//! Storms on the last coin over a fleet, the same whatever its ledger is.

mod chats;
mod images;

pub use chats::{boundary, chats};
pub use images::images;

/// Where chats go.
pub const CHATS: &str = "/v1/chat/completions";
/// Where requests for images go.
pub const IMAGES: &str = "/v1/images/generations";
