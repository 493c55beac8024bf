//! The `grants` and `keys` sections.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::limits::limits;
use super::models::set;
use super::read::{AMOUNT_MAX, Field};
use super::text::{did_you_mean, nearest};
use super::{GrantRow, GrantUnit, KeyRow, OnDisconnect, OnShort, Owner};
use crate::secret::Secret;

const KEY_NAME_BYTES_MAX: usize = 57;

/// A secret with fewer characters than this can be guessed.
const SECRET_CHARS_MIN: usize = 20;
/// A secret with fewer different characters than this can be guessed.
const SECRET_VARIETY_MIN: usize = 8;

/// Every grant, in the file's order.
pub(super) fn grants(field: &Field<'_>, models: &BTreeMap<String, String>) -> Vec<GrantRow> {
    let mut taken = BTreeSet::new();
    field
        .list()
        .iter()
        .map(|item| grant(item, models, &mut taken))
        .collect()
}

fn grant(
    item: &Field<'_>,
    models: &BTreeMap<String, String>,
    taken: &mut BTreeSet<String>,
) -> GrantRow {
    let section = item.section();
    let name = section
        .need("name", "free-chat")
        .and_then(|field| unique(&field, taken));
    let unit = section
        .need("unit", "tokens")
        .and_then(|field| field.word());
    let amount = section
        .need("amount", "500000")
        .and_then(|field| match unit? {
            GrantUnit::Money => field.positive_money(),
            _ => field.integer(1, AMOUNT_MAX),
        });
    let grant = GrantRow {
        name: name.unwrap_or_default(),
        unit: unit.unwrap_or(GrantUnit::Tokens),
        amount: amount.unwrap_or_default(),
        models: set(&section, models),
        expires: section.get("expires").and_then(|field| field.time()),
        line: section.line,
    };
    section.finish();
    grant
}

fn unique(field: &Field<'_>, taken: &mut BTreeSet<String>) -> Option<String> {
    let name = field.name()?;
    if !taken.insert(name.clone()) {
        return field.problem(format!(
            "\"{name}\" is the name of another one; names are unique"
        ));
    }
    Some(name)
}

/// The name of a key is part of the id of its opening credit, which may be no longer than other names.
fn short(field: &Field<'_>, name: String) -> Option<String> {
    if name.len() <= KEY_NAME_BYTES_MAX {
        return Some(name);
    }
    field.problem(format!(
        "has {} characters; the most is {KEY_NAME_BYTES_MAX}",
        name.len()
    ))
}

/// Every declared key, in the file's order.
pub(super) fn keys(
    field: &Field<'_>,
    models: &BTreeMap<String, String>,
    grants: &[GrantRow],
) -> Vec<KeyRow> {
    let mut taken = BTreeSet::new();
    let mut keys: Vec<KeyRow> = Vec::new();
    for item in field.list() {
        let key = key(&item, models, grants, &mut taken);
        let same = |other: &&KeyRow| match (&other.secret, &key.secret) {
            (Some(one), Some(other)) => one.expose() == other.expose(),
            _ => false,
        };
        if let Some(other) = keys.iter().find(same) {
            item.problem::<()>(format!(
                "has the same secret as key `{}`; each key needs its own",
                other.name
            ));
        }
        let differs =
            |other: &&KeyRow| other.wallet == key.wallet && other.credit_line != key.credit_line;
        if let Some(other) = keys.iter().find(differs) {
            item.problem::<()>(format!(
                "gives wallet `{}` another credit_line than key `{}` does; write the same in both",
                key.wallet, other.name
            ));
        }
        keys.push(key);
    }
    keys
}

fn key(
    item: &Field<'_>,
    models: &BTreeMap<String, String>,
    grants: &[GrantRow],
    taken: &mut BTreeSet<String>,
) -> KeyRow {
    let section = item.section();
    let name = section
        .need("name", "example")
        .and_then(|field| short(&field, unique(&field, taken)?))
        .unwrap_or_default();
    let wallet = section.get("wallet").and_then(|field| field.name());
    let secret = section.need("secret", "\"${TOLLGATE_EXAMPLE_KEY}\"");
    let secret = secret.and_then(|field| {
        let secret = field.secret(Owner::Key(name.clone()))?;
        weakness(&secret).inspect(|what| field.warn(*what));
        Some(secret)
    });
    let given = |field: Field<'_>| {
        field
            .list()
            .iter()
            .filter_map(|item| grant_name(item, grants))
            .collect()
    };
    let key = KeyRow {
        wallet: wallet.unwrap_or_else(|| name.clone()),
        name,
        secret,
        balance: section.get("balance").and_then(|field| field.money()),
        credit_line: section.get("credit_line").and_then(|field| field.money()),
        models: set(&section, models),
        allowed_ips: section
            .get("allowed_ips")
            .map(|field| ranges(&field, "allows no address; remove the field to allow all"))
            .unwrap_or_default(),
        limits: section
            .get("limits")
            .map(|field| limits(&field, models))
            .unwrap_or_default(),
        expires: section.get("expires").and_then(|field| field.time()),
        on_short: section.word("on_short", OnShort::Refuse),
        on_disconnect: section.word("on_disconnect", OnDisconnect::Drain),
        offline_allowance: section
            .get("offline_allowance")
            .and_then(|field| field.money())
            .unwrap_or_default(),
        multiplier: section
            .get("multiplier")
            .and_then(|field| field.factor())
            .unwrap_or_default(),
        grants: section.get("grants").map(given),
        line: section.line,
    };
    section.finish();
    key
}

fn weakness(secret: &Secret) -> Option<&'static str> {
    let text = secret.expose();
    if text.chars().count() < SECRET_CHARS_MIN {
        return Some(
            "is a weak secret: shorter than 20 characters; `tollgate key create` makes strong ones",
        );
    }
    if text.chars().collect::<BTreeSet<_>>().len() < SECRET_VARIETY_MIN {
        return Some(
            "is a weak secret: fewer than 8 different characters; `tollgate key create` makes strong ones",
        );
    }
    None
}

fn grant_name(item: &Field<'_>, grants: &[GrantRow]) -> Option<String> {
    item.read(|name| {
        if grants.iter().any(|grant| grant.name == name) {
            return Ok(name.to_owned());
        }
        let likely = nearest(name, grants.iter().map(|grant| grant.name.as_str()));
        Err(format!("is no grant of this file{}", did_you_mean(likely)))
    })
}

/// Address ranges; an address alone is a range of one. An empty list is a problem, which `empty` says.
pub(super) fn ranges(field: &Field<'_>, empty: &str) -> Vec<IpNet> {
    let items = field.list();
    if field.is_list() && items.is_empty() {
        field.problem::<()>(empty);
    }
    let range = |text: &str| {
        text.parse()
            .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
            .map_err(|_| "is no IP address or range such as 10.0.0.0/8 or 2001:db8::/32".to_owned())
    };
    items.iter().filter_map(|item| item.read(range)).collect()
}
