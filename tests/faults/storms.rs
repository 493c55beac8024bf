//! Storms on one proxy and its embedded ledger.

use crate::support::prices::setup;
use crate::support::{Fleet, Mock, storms};

fn fleet() -> Fleet {
    let mock = Mock::start();
    let setup = setup(&mock);
    Fleet::start(mock, &[setup])
}

/// Planted bugs that it must catch: a hold that does not count the holds of others; a void that does not release,
/// or that releases twice; a settle that is applied twice.
///
/// Rivals: litellm #34732, new-api #5690 #6609, one-api #2440, Envoy AI Gateway #680: requests at once each passed
/// a check, and were debited afterwards: the balance was overdrawn.
#[test]
fn money_for_exactly_n_images_buys_exactly_n() {
    storms::images(&fleet());
}

/// Planted bugs that it must catch: a hold that does not count the holds of others, or is for less than the worst case;
/// a void that does not release; a settle that gives nothing back; a charge beyond the hold.
///
/// Rivals: litellm #34732, new-api #5690 #6609, one-api #2440, Envoy AI Gateway #680: the same, where what a
/// request costs is known at its end only.
#[test]
fn chats_are_charged_within_the_funds_and_admitted_by_their_worst_case() {
    storms::chats(&fleet());
}
