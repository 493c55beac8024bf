//! Storms on the last coin over three proxies: their shared ledger decides, and not who was asked.

use serde_json::json;

use crate::stage::Stage;
use crate::support::redis::{Keep, Server};
use crate::support::storms;

/// Planted bugs that it must catch: a balance that a proxy remembers; a hold in two round trips; a void that does not
/// release; a settle that is applied twice.
///
/// Rivals: litellm #34732, new-api #5690 #6609, one-api #2440, Envoy AI Gateway #680: the same over several
/// processes.
#[test]
fn money_for_exactly_n_images_buys_exactly_n_over_three_proxies() {
    let server = Server::with(Keep::EverySecond, &[]);
    storms::images(&patient(&server).fleet);
}

/// Planted bugs that it must catch: a hold that does not count those of other proxies, or is for less than the worst case;
/// a settle that gives nothing back; a charge beyond the hold.
#[test]
fn chats_over_three_proxies_are_charged_within_the_funds_and_admitted_by_their_worst_case() {
    let server = Server::with(Keep::EverySecond, &[]);
    storms::chats(&patient(&server).fleet);
}

/// There is no fault here: however busy the machine is, the store is waited for.
fn patient(server: &Server) -> Stage {
    Stage::direct(&json!({
        "url": server.url(), "response_timeout_ms": 10_000, "deadline_ms": 20_000,
    }))
}
