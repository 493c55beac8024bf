//! Bugs planted into accounts that agree: each join must find every one of them.

use serde_json::{Value, json};

use super::super::crowd::money;
use super::super::decimal;
use super::{Account, Lost};

/// A name, and what it does to an account and to the receipt of a request whose client saw its end.
type Plant = (&'static str, fn(&mut Account, &str));

const PLANTS: [Plant; 6] = [
    ("a charge that was lost", |account, id| {
        account.booked.remove(id);
    }),
    ("a charge that was booked twice", |account, id| {
        let again = account.booked[id].clone();
        account.booked.insert(format!("{id}-again"), again);
    }),
    ("a charge to someone else's request", |account, id| {
        let receipt = account.booked.remove(id).expect("a receipt");
        account.booked.insert("req_other".to_owned(), receipt);
    }),
    ("a charge that is one nano unit short", |account, id| {
        let receipt = account.booked.get_mut(id).expect("a receipt");
        let cost = money(receipt, "cost");
        receipt["cost"] = Value::String(decimal(cost - 1));
    }),
    ("a price that is rounded another way", |account, id| {
        let receipt = account.booked.get_mut(id).expect("a receipt");
        for field in ["cost", "priced"] {
            let amount = money(receipt, field);
            receipt[field] = Value::String(decimal(amount + 1));
        }
    }),
    ("a request that upstream did not serve", |account, id| {
        let seen = account.seen.iter();
        let seen = seen.filter(|seen| seen.request_id.as_deref() == Some(id));
        let sent: Vec<String> = seen.map(|seen| seen.id.clone()).collect();
        sent.iter().for_each(|sent| {
            account.sent.remove(sent);
        });
    }),
];

/// Plants each bug into accounts that agree, and asserts that the join finds it.
pub fn every_planted_bug_is_found(account: &Account, lost: Lost<'_>) {
    let seen = account.seen.iter().filter(|seen| seen.seen_end);
    let mut ids = seen.filter_map(|seen| seen.request_id.as_deref());
    let id = ids.rfind(|id| account.booked.contains_key(*id));
    for (bug, plant) in PLANTS {
        let id = id.expect("a client that saw the end of its answer");
        let mut planted = account.clone();
        plant(&mut planted, id);
        assert!(planted.join(lost).is_err(), "not found: {bug}");
    }
    let joined = account.join(lost).expect("accounts that agree");
    let wallet = |balance: i64, holds: u64| {
        json!({
            "balance": decimal(balance), "held": "0", "holds": holds,
            "charged": decimal(joined.charged), "shortfall": decimal(joined.shortfall),
        })
    };
    let settles = |wallet: Value| account.settles(&wallet, 0, &joined);
    assert_eq!(settles(wallet(-joined.charged, 0)), Ok(()));
    for (bug, wallet) in [
        ("charged twice, booked once", wallet(-joined.charged - 1, 0)),
        ("a hold that nobody ends", wallet(-joined.charged, 1)),
    ] {
        assert!(settles(wallet).is_err(), "not found: {bug}");
    }
}
